#!/bin/bash
# Prepare this machine: Debian packages, the checkout's .venv with exactly the
# versions of constraints.txt and the libvirt-python of this machine's libvirt,
# and this project as an installed wheel in it.
# Each step is skipped when nothing that it depends on has changed, so calling
# it again costs a second. demo.sh and test.sh call it; PYTHON chooses the
# interpreter of a new .venv. Without it Debian's own is taken, for which
# bindep.txt has the headers: what a python3 of the search path was built with is
# not known, and one built without optimization takes half as long again.
#
# usage: tools/setup.sh [--nova RELEASE]
#   RELEASE      the venv          Nova and the cloud around it
#   34           .venv             constraints.txt; the default
#   31, 32, 33   .venv-RELEASE     constraints/nova-RELEASE.txt: that release of
#                                  Nova, and of all the lab runs, from the
#                                  package index
#   master=DIR   .venv-master      Nova of the source folder DIR, with what
#                                  constraints.txt has for the rest. pbr takes
#                                  its version from git tags or PBR_VERSION.
# The venv lies in the checkout, with this project as a wheel in it, so two
# checkouts do not disturb each other. What is not this project's in it is made
# once for all checkouts, below the cache folder, and comes as hard links from
# there.
# tools/setup.sh --nova RELEASE --print-venv prints the path of the venv and
# does nothing else. --cache-only makes what checkouts share, and leaves this
# checkout as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nova-isolation
python=${PYTHON:-/usr/bin/python3}
nova=34 print='' only=''
while [ $# -gt 0 ]; do
    case $1 in
    --nova) nova=${2:-} && shift $(($# > 1 ? 2 : 1)) ;;
    --print-venv) print=1 && shift ;;
    --cache-only) only=1 && shift ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit ;;
    *) echo "Unknown argument: $1; see tools/setup.sh --help" >&2; exit 2 ;;
    esac
done
source=
pins=constraints.txt
case $nova in
34) venv=$PWD/.venv ;;
31 | 32 | 33) venv=$PWD/.venv-$nova pins=constraints/nova-$nova.txt ;;
master=?*)
    venv=$PWD/.venv-master
    source=$(realpath "${nova#master=}")
    [ -f "$source/nova/version.py" ] || {
        echo "$source is no source folder of Nova" >&2
        exit 2
    }
    ;;
*)
    echo "Unknown release of Nova: '$nova'. Wanted: 31, 32, 33, 34 or" \
        "master=DIR" >&2
    exit 2
    ;;
esac
if [ -n "$print" ]; then
    echo "$venv"
    exit
fi
mkdir -p "$cache"
export PIP_DISABLE_PIP_VERSION_CHECK=1

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

# Installs the binding of this machine's libvirt into a venv. One that is older
# than libvirt does not build; a newer one does, and stands in for a version
# that the index does not have.
libvirt_python() {
    local into=$1 version=$2 wanted
    for wanted in "==$version" ">$version"; do
        ! "$into/bin/pip" install -q --no-compile --no-deps \
            "libvirt-python$wanted" >>"$cache/pip.log" 2>&1 || return 0
        say "libvirt-python$wanted cannot be installed"
    done
    say "FAILED: no libvirt-python fits this machine's libvirt $version" \
        "-- the end of $cache/pip.log:"
    tail -n 30 "$cache/pip.log"
    exit 1
}

# Installs exactly the versions of a list of constraints into a venv.
fill_venv() {
    local into=$1 list=$2 libvirt=$3 site interpreter
    # pip keeps what it builds by the release of Python, but uWSGI is linked with
    # the library of the interpreter for which it was built.
    interpreter=$("$into/bin/python" -VV | sha256sum | cut -c1-16)
    export PIP_CACHE_DIR=$cache/pip/$interpreter
    # PIP_CONSTRAINT reaches the environments in which pip builds the few
    # packages that come as source. --no-deps: the list is complete.
    export PIP_CONSTRAINT=$PWD/$list
    quietly "$cache/pip.log" \
        "$into/bin/pip" install -q --no-compile --no-deps -r "$list"
    libvirt_python "$into" "$libvirt"
    unset PIP_CONSTRAINT
    # Two cores byte-compile faster than pip's one; a file that does not
    # compile (templates, old syntax) is nobody's import.
    "$into/bin/python" -m compileall -q -j 0 "$into/lib" >/dev/null 2>&1 ||
        true
    quietly "$cache/pip.log" "$into/bin/pip" check
    # Nova's functional tests look for its api-paste.ini here.
    site=$("$into/bin/python" -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/etc"
    ln -sfn ../../../../etc/nova "$site/etc/nova"
}

# What a venv of a list of constraints depends on: the list, libvirt and the
# interpreter, which an upgrade of the machine may replace.
inputs() {
    local list=$1 libvirt=$2 python=$3
    echo "$(cat "$list" - <<<"libvirt $libvirt" | sha256sum | cut -c1-64)" \
        "$("$python" -VV 2>&1 || true)"
}

# A copy of a venv in another place. The files are hard links where they can
# be: pip and sed replace a file, they do not write into it.
copy_venv() {
    local from=$1 to=$2
    rm -rf "$to"
    cp -al "$from" "$to" 2>/dev/null || {
        rm -rf "$to"
        cp -a "$from" "$to"
    }
    # The first line of each script names the interpreter.
    grep -rlIF "$from" "$to/bin" "$to/pyvenv.cfg" |
        xargs -r sed -i "s#$from#$to#g"
}

# All but this project itself: made once in the cache.
third_party() {
    local key libvirt base stamp=$venv/.constraints
    libvirt=$(pkg-config --modversion libvirt)
    key=$(inputs "$pins" "$libvirt" "$python")
    base=$cache/nova/$nova-$(sha256sum <<<"$key" | cut -c1-16)
    [ "$(cat "$stamp" 2>/dev/null)" != "$key" ] || return 0
    mkdir -p "$cache/nova"
    (
        # Two checkouts may come at once.
        flock 9
        [ ! -e "$base/.constraints" ] || exit 0
        say "making a venv from $pins and libvirt $libvirt (some minutes)"
        rm -rf "$base"
        "$python" -m venv "$base"
        fill_venv "$base" "$pins" "$libvirt"
        echo "$key" >"$base/.constraints"
    ) 9>"$cache/nova/$nova.lock"
    [ -z "$only" ] || return 0
    copy_venv "$base" "$venv"
    # Checkouts with other lists may need theirs for some days.
    touch "$base/.constraints"
    find "$cache/nova" -mindepth 2 -maxdepth 2 -name .constraints -mtime +14 \
        -printf '%h\0' | xargs -0r rm -rf
}

# Nova of a source folder takes the place of Nova 34 in a copy of .venv.
newer_release() {
    local key stamp=$venv/.nova work found
    key=$(cat .venv/.constraints; realpath "$source"
        git -C "$source" rev-parse HEAD 2>/dev/null
        find "$source/nova" "$source/setup.cfg" "$source/requirements.txt" \
            -type f ! -name '*.pyc' -print0 |
            sort -z | xargs -0 sha256sum | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" != "$key" ] || return 0
    say "installing Nova of $source in a copy of .venv"
    copy_venv "$PWD/.venv" "$venv"
    rm -f "$venv/.project"
    work=$(mktemp -d)
    # A copy, because the build writes into the folder. pbr takes the version
    # from git.
    cp -a "$source" "$work/nova"
    quietly "$cache/wheel.log" "$venv/bin/pip" uninstall -q -y nova
    quietly "$cache/wheel.log" "$venv/bin/pip" install -q --no-deps \
        --no-build-isolation --no-cache-dir "$work/nova"
    rm -rf "$work"
    found=$("$venv/bin/pip" show nova | sed -n 's/^Version: //p')
    say "this is Nova $found"
    if [ "${found%%.*}" -lt 31 ]; then
        say "$source has no tags of Nova's, by which pbr knows the version:" \
            "fetch them (git fetch --tags), or set PBR_VERSION"
        exit 1
    fi
    # What master needs newer than constraints.txt has it.
    "$venv/bin/pip" check || say "Nova of $source wants other versions than" \
        "constraints.txt has; the tests run with those of constraints.txt"
    echo "$key" >"$stamp"
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
case $nova in
master=*)
    tools/setup.sh
    newer_release
    ;;
*) third_party ;;
esac
[ -n "$only" ] || project
