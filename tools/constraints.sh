#!/bin/bash
# Resolve the requirements anew and write constraints.txt. Needs the Debian
# packages that tools/setup.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q -r requirements.txt \
    -r test-requirements.txt -r lab/requirements.txt -r doc/requirements.txt
{
    sed -n '/^#/p' constraints.txt
    "$work/venv/bin/pip" freeze --all --exclude pip
} >"$work/constraints.txt"
mv "$work/constraints.txt" constraints.txt
