# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The extra specs that ask nothing of a guest's XML, for the hook's shell.

Most flavors name a hypervisor, words of QEMU or a verifier, and nothing that
the XML of their guests could lack. Their values are all there is to check, and
a shell can compare words: it saves the start of Python, which is half of what
a check takes.

The words are those of the mechanisms' own rows, as they are when the script is
written. So they count only while that version is installed: another one may
have other words. Unit tests compare the shell's answers with those of the full
check, for XML that libvirt can have written.
"""

import importlib
from importlib import metadata
from pathlib import Path

from nova_isolation.mechanisms import built_in
from nova_isolation.model import vocabulary

_DISTRIBUTION = 'nova-isolation'


def rows() -> list[vocabulary.ExtraSpec]:
    """List the rows whose every word the shell can compare.

    A row that needs another extra spec beside it is not one of them, nor is
    one with a pattern in place of words.
    """
    return [
        row
        for name in sorted(built_in.names())
        for row in _of_mechanism(name)
        if row.values and not row.requires
    ]


def words() -> dict[str, tuple[str, ...]]:
    """Return the words that fit whatever else the flavor says.

    A row can say which words of another key fit beside it
    (:attr:`nova_isolation.model.vocabulary.ExtraSpec.compatible`). Words that
    do not fit beside every row are left out: Python looks at them.

    :returns: key -> words
    """
    found = rows()
    fitting = {row.key: row.values for row in found}
    for row in found:
        for key, beside in row.compatible:
            fitting[key] = tuple(
                word for word in fitting.get(key, ()) if word in beside
            )
    return {key: fitting[key] for key in sorted(fitting) if fitting[key]}


def cases() -> str:
    """Return the lines of a ``case`` of the shell.

    They compare the key, a quotation mark, which no key has here, and the
    value, and set ``words`` to the allowed words of a key whose value is a
    list.
    """
    several = {row.key for row in rows() if row.several}
    lines = []
    for key, allowed in words().items():
        if key in several:
            lines.append(f"'{key}\"'*) words=,{','.join(allowed)}, ;;")
        else:
            lines += [f"'{key}\"{word}') return 0 ;;" for word in allowed]
    return '\n'.join(f'    {line}' for line in lines)


def installation() -> str:
    """Return a path that exists as long as this version is installed.

    :returns: that of the package's metadata, whose name has the version; ''
        where there is none, as in a source folder
    """
    for found in metadata.distributions(name=_DISTRIBUTION):
        if not any(map(found.read_text, ('METADATA', 'PKG-INFO'))):
            # Its files were removed meanwhile.
            continue
        folder = Path(str(found.locate_file('')))
        name = f'{_DISTRIBUTION.replace("-", "_")}-{found.version}'
        for kind in ('dist-info', 'egg-info'):
            for path in sorted(folder.glob(f'{name}*{kind}')):
                return str(path)
    return ''


def _of_mechanism(name: str) -> tuple[vocabulary.ExtraSpec, ...]:
    """The rows of a mechanism that asks nothing of the XML."""
    module = importlib.import_module(built_in.module(name, 'extra_specs'))
    if getattr(module, 'ANY_XML', False) is not True:
        return ()
    found: tuple[vocabulary.ExtraSpec, ...] = module.ROWS
    return found
