#!/bin/bash
# Prepare this machine: Debian packages, the checkout's .venv with exactly the
# versions of constraints.txt and the libvirt-python of this machine's libvirt,
# and this project as an installed wheel in it.
# Each step is skipped when nothing that it depends on has changed, so calling
# it again costs a second. demo.sh and test.sh call it; PYTHON chooses the
# interpreter of a new .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/.venv
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nova-isolation
mkdir -p "$cache"
export PIP_CACHE_DIR=$cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '[setup] %s\n' "$*"; }

# Runs a command with its output in a log, and shows the log if it fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || {
        local rc=$?
        say "FAILED ($rc): $* -- the end of $log:"
        tail -n 30 "$log"
        exit "$rc"
    }
}

packages() {
    local wanted missing
    wanted=$(sed 's/#.*//; s/\[.*//' bindep.txt | xargs)
    # shellcheck disable=SC2086
    missing=$(for p in $wanted; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
            grep -q '^install ok installed$' || echo "$p"
    done | xargs)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "these Debian packages are missing: $missing"
        say "install them, or run this as root."
        exit 1
    fi
    say "installing Debian packages: $missing"
    export DEBIAN_FRONTEND=noninteractive
    quietly "$cache/apt.log" apt-get -q -o DPkg::Lock::Timeout=600 update
    # A service that Debian would start here is not wanted: the lab starts
    # its own. 101 is policy-rc.d's "forbidden by policy".
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    # shellcheck disable=SC2086
    quietly "$cache/apt.log" apt-get -q -y -o DPkg::Lock::Timeout=600 \
        install --no-install-recommends $missing
}

# Installs the binding of this machine's libvirt. One that is older than libvirt
# does not build; a newer one does, and stands in for a version that the index
# does not have.
libvirt_python() {
    local version=$1 wanted
    for wanted in "==$version" ">$version"; do
        ! "$venv/bin/pip" install -q --no-compile --no-deps \
            "libvirt-python$wanted" >>"$cache/pip.log" 2>&1 || return 0
        say "libvirt-python$wanted cannot be installed"
    done
    say "FAILED: no libvirt-python fits this machine's libvirt $version" \
        "-- the end of $cache/pip.log:"
    tail -n 30 "$cache/pip.log"
    exit 1
}

# Removes what an older constraints.txt had. One name has several spellings.
not_listed() {
    local others
    others=$("$venv/bin/pip" freeze --all --exclude pip \
        --exclude libvirt-python --exclude nova-isolation |
        sed 's/[ =].*//' | tr 'A-Z_.' 'a-z--' |
        grep -vxFf <(sed -n 's/==.*//p' constraints.txt | tr 'A-Z_.' 'a-z--') ||
        true)
    # shellcheck disable=SC2086
    [ -z "$others" ] || "$venv/bin/pip" uninstall -q -y $others
}

third_party() {
    local key libvirt stamp=$venv/.constraints made now
    libvirt=$(pkg-config --modversion libvirt)
    # An upgrade of the machine may replace the interpreter of the .venv.
    key=$(cat constraints.txt - <<<"libvirt $libvirt" | sha256sum |
        cut -c1-64)
    made=$(cat "$stamp" 2>/dev/null || true)
    now=$("$venv/bin/python" -VV 2>&1 || true)
    [ "$made" != "$key $now" ] || return 0
    # An interrupted change leaves no stamp, and the next run begins anew.
    rm -f "$stamp"
    if [ -n "$made" ] && [ "${made#* }" = "$now" ]; then
        say "changing .venv to constraints.txt and libvirt $libvirt"
    else
        say "making .venv from constraints.txt and libvirt $libvirt (about" \
            "a minute)"
        rm -rf "$venv"
        "${PYTHON:-python3}" -m venv "$venv"
    fi
    # PIP_CONSTRAINT reaches the environments in which pip builds the few
    # packages that come as source. --no-deps: the list is complete.
    export PIP_CONSTRAINT=$PWD/constraints.txt
    quietly "$cache/pip.log" \
        "$venv/bin/pip" install -q --no-compile --no-deps -r constraints.txt
    libvirt_python "$libvirt"
    unset PIP_CONSTRAINT
    not_listed
    # Two cores byte-compile faster than pip's one; a file that does not
    # compile (templates, old syntax) is nobody's import.
    "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >/dev/null 2>&1 ||
        true
    quietly "$cache/pip.log" "$venv/bin/pip" check
    # Nova's functional tests look for its api-paste.ini here.
    local site
    site=$("$venv/bin/python" -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/etc"
    ln -sfn ../../../../etc/nova "$site/etc/nova"
    echo "$key $("$venv/bin/python" -VV)" >"$stamp"
}

# The wheel, not an editable install: the tests check what users install.
project() {
    local key stamp=$venv/.project
    key=$(find nova_isolation etc setup.cfg setup.py pyproject.toml \
        nova-isolation.pth nova_isolation_finder.py requirements.txt \
        README.rst -type f ! -name '*.pyc' -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
    [ "$(cat "$stamp" 2>/dev/null)" != "$key" ] || return 0
    say "installing this checkout as a wheel"
    local work
    work=$(mktemp -d)
    # Never from a build/ left behind: a module deleted here would survive.
    rm -rf build
    quietly "$cache/wheel.log" "$venv/bin/pip" wheel -q --no-deps \
        --no-build-isolation --no-cache-dir -w "$work" .
    quietly "$cache/wheel.log" "$venv/bin/pip" uninstall -q -y nova-isolation
    quietly "$cache/wheel.log" "$venv/bin/pip" install -q --no-deps \
        --no-index "$work"/*.whl
    rm -rf "$work" build
    echo "$key" >"$stamp"
}

packages
third_party
project
