#!/bin/bash
# The demonstration: a real OpenStack of this machine's own, real guests, and
# what isolation does to them.
#
# usage: tools/demo.sh [--nova RELEASE] [OPTION ...]
#   --nova RELEASE   31, 32, 33 or 34 (the default): the whole cloud is of that
#                    release, and its services run in the mode that is its
#                    default, nova-compute of 31 to 33 with eventlet
#   OPTION           see .venv/bin/python -m lab.demo --help
set -euo pipefail
cd "$(dirname "$0")/.."
release=()
if [ "${1:-}" = --nova ]; then
    release=(--nova "${2:-}")
    shift $(($# > 1 ? 2 : 1))
fi
tools/setup.sh "${release[@]}"
venv=$(tools/setup.sh "${release[@]}" --print-venv)
exec "$venv/bin/python" -m lab.demo "$@"
