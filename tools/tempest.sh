#!/bin/bash
# Make a venv with Tempest, exactly the versions of its constraints.txt, and
# print where it is. It is made once for these versions, for all checkouts.
# Install this checkout's plugin of Tempest, and print where it is, too: a
# folder of its own for PYTHONPATH, so two checkouts do not disturb each other.
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
plugin=$PWD/.venv/tempest-plugin
key=$(find tempest-plugin -type f ! -name '*.pyc' ! -path '*.egg-info/*' \
    -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
if [ "$(cat "$plugin/.complete" 2>/dev/null)" != "$key $venv" ]; then
    rm -rf "$plugin" tempest-plugin/build
    # The wheel, not the folder of the sources: the tests are run as they are
    # installed, and Tempest finds them by their entry point.
    if ! SKIP_GENERATE_AUTHORS=1 SKIP_WRITE_GIT_CHANGELOG=1 \
        "$venv/bin/pip" install -q --no-deps --no-build-isolation \
        --no-cache-dir --target "$plugin" ./tempest-plugin \
        >"$cache/tempest.log" 2>&1; then
        tail -n 30 "$cache/tempest.log" >&2
        exit 1
    fi
    rm -rf tempest-plugin/build
    echo "$key $venv" >"$plugin/.complete"
fi
echo "$venv"
echo "$plugin"
