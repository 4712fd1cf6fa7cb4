#!/bin/bash
# shellcheck disable=SC2034,SC2154
# Run the phases of devstack/plugin.sh by devstack's own functions, without a
# cloud: against a nova.conf in a scratch folder, twice, then unstack and clean.
#
# usage: tools/devstack_phases.sh FOLDER
#   FOLDER   a checkout of openstack/devstack
#
# What would change this machine is shown and not done: pip, sudo, systemctl.
# Nova itself is not needed, but the Python in .venv (tools/setup.sh), in which
# the driver is looked for. The tests in tests/unit/devstack run the same
# phases, with stand-ins of these functions.
# devstack's files read what is not set.
set -o pipefail
case ${1:-} in
'' | -h | --help) sed -n '3,/^# devstack/{/^# devstack/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
checkout=$(cd "$(dirname "$0")/.." && pwd)
TOP_DIR=$(cd "$1" && pwd) || exit 2
FILES=$TOP_DIR/files
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What stack.sh has before it asks plugins. devstack wants to be configured.
HOST_IP=127.0.0.1
DEST=$scratch/dest
DATA_DIR=$scratch/data
SERVICE_DIR=$scratch/status
RC_DIR=$scratch
export HOST_IP DEST DATA_DIR SERVICE_DIR RC_DIR
ENABLED_SERVICES=key,n-api,n-sch,n-cond,n-cpu,placement-api,isolation-attestd
ISOLATION_CONF_DIR=$scratch/etc
ISOLATION_HOOK=yes
ISOLATION_KEYLIME_VERIFIERS=https://127.0.0.1:8881
: >"$scratch/keylime"
ISOLATION_KEYLIME_CA_FILE=$scratch/keylime
ISOLATION_KEYLIME_CERT_FILE=$scratch/keylime
ISOLATION_KEYLIME_KEY_FILE=$scratch/keylime
cd "$TOP_DIR" || exit 2
# shellcheck source=/dev/null
source functions
# shellcheck source=/dev/null
source stackrc
enabled=$ENABLED_SERVICES
# shellcheck source=/dev/null
source lib/tls && source lib/rpc_backend && source lib/nova
ENABLED_SERVICES=$enabled,isolation-attestd
PYTHON=$checkout/.venv/bin/python
SERVICE_HOST=$HOST_IP
STACK_USER=$(id -un)
SERVICE_LISTEN_ADDRESS=0.0.0.0
VIRT_DRIVER=libvirt
NOVA_CONF=$scratch/nova.conf
NOVA_BIN_DIR=$scratch/bin
DEVSTACK_PLUGINS=nova-isolation
GITDIR[nova-isolation]=$checkout

# What would change this machine.
said() { echo "   would run: $*"; }
sudo() {
    case $1 in
    install | rm) "$@" ;;
    *) said "sudo $*" ;;
    esac
}
setup_install() { said "setup_install $*"; }
pip_uninstall() { said "pip_uninstall $* from ${PIP_VIRTUAL_ENV:-system}"; }
write_user_unit_file() { said "unit $1: $2 (group $3, user $4)"; }
SYSTEMCTL='said systemctl'
mkdir "$NOVA_BIN_DIR"
printf '#!/bin/sh\n' >"$NOVA_BIN_DIR/nova-isolation-hook"
chmod 755 "$NOVA_BIN_DIR/nova-isolation-hook"

failed=0
expect() {
    local what=$1 wanted=$2 found=$3
    if [[ $wanted == "$found" ]]; then
        echo "   ok: $what"
    else
        echo "   FAILED: $what: wanted \"$wanted\", found \"$found\""
        failed=1
    fi
}
stack() {
    # As hypervisor-libvirt and create_nova_conf write it.
    rm -f "$NOVA_CONF"
    iniset "$NOVA_CONF" DEFAULT compute_driver libvirt.LibvirtDriver
    iniset "$NOVA_CONF" filter_scheduler enabled_filters "$NOVA_FILTERS"
    for phase in pre-install install post-config extra test-config; do
        echo "== stack $phase"
        run_plugins stack $phase
    done
    expect enabled_filters "${filters},IsolationFilter" \
        "$(iniget "$NOVA_CONF" filter_scheduler enabled_filters)"
    expect available_filters \
        "nova.scheduler.filters.all_filters nova_isolation.scheduler.filter.IsolationFilter" \
        "$(iniget_multiline "$NOVA_CONF" filter_scheduler available_filters | xargs)"
    expect compute_driver isolation.IsolationDriver \
        "$(iniget "$NOVA_CONF" DEFAULT compute_driver)"
    expect mode enforce "$(iniget "$NOVA_CONF" isolation mode)"
    expect url https://127.0.0.1:8899 \
        "$(iniget "$NOVA_CONF" isolation_attestation_attestd url)"
    expect verifiers "$ISOLATION_KEYLIME_VERIFIERS" \
        "$(iniget "$ISOLATION_CONF_DIR/attestd.conf" \
            isolation_attestation_keylime verifiers)"
}

# stack.sh ends at the first error.
set -o errexit
filters=$NOVA_FILTERS
load_plugin_settings
stack
echo "== again"
stack
echo "== the same phases, with a setting that is wrong"
status=0
(
    ISOLATION_MODE=enforced
    run_plugins stack pre-install
) 2>&1 | grep ERROR || status=${PIPESTATUS[0]}
expect "it is refused" 1 "$status"
echo "== unstack"
run_plugins unstack
echo "== clean"
run_plugins clean
expect "nothing is left" "" "$(ls "$ISOLATION_CONF_DIR" 2>/dev/null)"
[[ $failed == 0 ]] && echo "all phases ran as they should"
