#!/bin/bash
# Resolve the requirements anew and write constraints.txt, and Tempest's. Needs
# the Debian packages that tools/setup.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Writes FILE from what pip, called with the other arguments, installs.
resolve() {
    local file=$1
    shift
    rm -rf "$work/venv"
    "${PYTHON:-python3}" -m venv "$work/venv"
    "$work/venv/bin/pip" install -q "$@"
    {
        sed -n '/^#/p' "$file"
        # tools/setup.sh chooses the version of libvirt-python.
        "$work/venv/bin/pip" freeze --all --exclude pip \
            --exclude libvirt-python --exclude nova-isolation
    } >"$work/constraints.txt"
    mv "$work/constraints.txt" "$file"
}

resolve constraints.txt '.[attestd,compute]' -r test-requirements.txt \
    -r lab/requirements.txt -r doc/requirements.txt
resolve tests/tempest/constraints.txt -r tests/tempest/requirements.txt
