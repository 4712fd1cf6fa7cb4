// Filters of tables, and details that are open on paper.
'use strict';

// Shows the rows of a table that have each chosen token and the typed text.
function apply(form) {
  const rows = document.getElementById(form.dataset.table).tBodies[0].rows;
  const chosen = [];
  let typed = '';
  for (const field of form.elements) {
    if (field.tagName === 'SELECT' && field.value) {
      chosen.push(field.value);
    } else if (field.type === 'search') {
      typed = field.value.trim().toLowerCase();
    }
  }
  let shown = 0;
  for (const row of rows) {
    const tokens = row.dataset.tokens.split(' ');
    const fits = chosen.every((token) => tokens.includes(token)) &&
      (!typed || row.textContent.toLowerCase().includes(typed));
    row.hidden = !fits;
    shown += fits;
  }
  const output = form.querySelector('output');
  output.value = `${shown} of ${rows.length} ${output.dataset.what} shown`;
}

// Where there is one filter, the address says what is chosen.
function remember(form) {
  const given = new URLSearchParams(new FormData(form));
  const here = new URL(location.href);
  for (const [name, value] of given) {
    if (value) {
      here.searchParams.set(name, value);
    } else {
      here.searchParams.delete(name);
    }
  }
  try {
    history.replaceState(null, '', here);
  } catch {
    // A file that is opened from a mail may have no address.
  }
}

const forms = document.querySelectorAll('form.filters');
for (const form of forms) {
  if (forms.length === 1) {
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = form.elements.namedItem(name);
      if (field) {
        field.value = value;
        if (field.value !== value) {
          field.value = '';
        }
      }
    }
  }
  const changed = () => {
    apply(form);
    if (forms.length === 1) {
      remember(form);
    }
  };
  form.addEventListener('input', changed);
  form.addEventListener('reset', () => setTimeout(changed));
  form.addEventListener('submit', (event) => event.preventDefault());
  form.hidden = false;
  apply(form);
}

const opened = [];
addEventListener('beforeprint', () => {
  for (const one of document.querySelectorAll('details:not([open])')) {
    one.open = true;
    opened.push(one);
  }
});
addEventListener('afterprint', () => {
  for (const one of opened.splice(0)) {
    one.open = false;
  }
});
