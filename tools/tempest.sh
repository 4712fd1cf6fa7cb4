#!/bin/bash
# Make a venv with Tempest, exactly the versions of its constraints.txt, and
# print where it is. It is made once for these versions.
set -euo pipefail
cd "$(dirname "$0")/.."
pins=tests/tempest/constraints.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nova-isolation
export PIP_CACHE_DIR=$cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1
key=$( (cat "$pins" && .venv/bin/python -VV) | sha256sum | cut -c1-16)
venv=$cache/tempest/$key
if [ ! -e "$venv/complete" ]; then
    echo "making Tempest's venv" >&2
    rm -rf "$venv"
    .venv/bin/python -m venv "$venv"
    # --no-deps: the list is complete.
    if ! { "$venv/bin/pip" install -q --no-deps -r "$pins" &&
        "$venv/bin/pip" check; } >"$cache/tempest.log" 2>&1; then
        tail -n 30 "$cache/tempest.log" >&2
        exit 1
    fi
    touch "$venv/complete"
fi
echo "$venv"
