#!/bin/bash
# shellcheck disable=SC2034
#
# Runs phases of the plugin with the stand-ins, as devstack's scripts do.
#
# usage: run_phases.sh PHASE...   a phase is "MODE" or "MODE PHASE"
# The environment has what local.conf would set, and FOLDER, below which all
# files are.
HERE=$(cd "$(dirname "$0")" && pwd)
PLUGIN=$HERE/../../../devstack
RECORD=$FOLDER/record
# shellcheck source=tests/unit/devstack/stand_ins.sh
source "$HERE/stand_ins.sh"

# What lib/nova and stackrc set before plugins are asked.
NOVA_FILTERS=ComputeFilter,SameHostFilter
NOVA_CONF=$FOLDER/nova.conf
NOVA_BIN_DIR=$FOLDER/venv/bin
DEVSTACK_VENV=$FOLDER/venv
GLOBAL_VENV=${GLOBAL_VENV:-True}
STACK_USER=$(id -un)
SERVICE_HOST=${SERVICE_HOST:-127.0.0.1}
SERVICE_LISTEN_ADDRESS=${SERVICE_LISTEN_ADDRESS:-0.0.0.0}
ENABLE_DEBUG_LOG_LEVEL=True
VIRT_DRIVER=${VIRT_DRIVER:-libvirt}

# stack.sh ends at the first error.
set -o errexit
# shellcheck source=devstack/settings
source "$PLUGIN/settings"
echo "filters: $NOVA_FILTERS"
for phase; do
    # shellcheck disable=SC2086 source=devstack/plugin.sh
    source "$PLUGIN/plugin.sh" $phase
done
