#!/bin/bash
# Resolve the requirements anew and write the lists of versions.
#
# usage: tools/constraints.sh
#   constraints.txt and Tempest's
# usage: tools/constraints.sh RELEASE UPPER_CONSTRAINTS
#   constraints/nova-RELEASE.txt (31, 32, 33), within the file
#   UPPER_CONSTRAINTS: upper-constraints.txt of that release's branch of
#   openstack/requirements
#
# Needs the Debian packages that tools/setup.sh installs. Lines with a
# marker for another Python are not found anew: they are kept.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Writes FILE from what pip, called with the other arguments, installs.
resolve() {
    local file=$1
    shift
    rm -rf "$work/venv"
    "${PYTHON:-/usr/bin/python3}" -m venv "$work/venv"
    "$work/venv/bin/pip" install -q "$@"
    {
        sed -n '/^#/p' "$file"
        # tools/setup.sh chooses the version of libvirt-python.
        {
            sed -n '/; python_/p' "$file"
            "$work/venv/bin/pip" freeze --all --exclude pip \
                --exclude libvirt-python --exclude nova-isolation
        } | sort -f
    } >"$work/constraints.txt"
    mv "$work/constraints.txt" "$file"
}

# The services of a release of OpenStack, by the first number of Nova's version.
services() {
    case $1 in
    31) echo nova~=31.0 keystone~=27.0 glance~=30.0 neutron~=26.0 \
        openstack-placement~=13.0 ;;
    32) echo nova~=32.0 keystone~=28.0 glance~=31.0 neutron~=27.0 \
        openstack-placement~=14.0 ;;
    33) echo nova~=33.0 keystone~=29.0 glance~=32.0 neutron~=28.0 \
        openstack-placement~=15.0 ;;
    *) echo "no list for Nova $1" >&2; exit 2 ;;
    esac
}

if [ $# = 2 ]; then
    services "$1" | tr ' ' '\n' >"$work/services"
    sed '/^\(nova\|keystone\|glance\|neutron\|openstack-placement\)==/d' \
        lab/requirements.txt >"$work/lab"
    # Style, pages and the HTTP API's description are checked once, in .venv.
    style='axe-playwright|bandit|bashate|codespell|coverage|import-linter|lxml-stubs|mypy'
    style+='|playwright|ruff|schemathesis|shellcheck|types-requests'
    sed -E "/^($style)/d" test-requirements.txt >"$work/tests"
    sed '/^libvirt-python/d' "$2" >"$work/upper"
    echo "libvirt-python==$(pkg-config --modversion libvirt)" >>"$work/upper"
    # The last ones for Python 3.10, on which these releases run too.
    printf '%s\n' 'hypothesis<6.169' 'starlette<1.8' >>"$work/upper"
    resolve "constraints/nova-$1.txt" -c "$work/upper" -r "$work/services" \
        -r "$work/lab" -r "$work/tests" '.[api,attestd,compute]'
    exit
fi
resolve constraints.txt '.[api,attestd,compute]' -r test-requirements.txt \
    -r lab/requirements.txt -r doc/requirements.txt
resolve tests/tempest/constraints.txt -r tests/tempest/requirements.txt
