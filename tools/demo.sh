#!/bin/bash
# The demonstration: a real OpenStack of this machine's own, real guests, and
# what isolation does to them. Options: .venv/bin/python -m lab.demo --help
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
exec .venv/bin/python -m lab.demo "$@"
