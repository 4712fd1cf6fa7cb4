#!/bin/bash
# devstack's plugin nova-isolation. devstack sources this file as
# "plugin.sh MODE [PHASE]" in the shell of stack.sh, unstack.sh and clean.sh.
# README.rst explains the variables and what each phase does.

_XTRACE_ISOLATION=$(set +o | grep xtrace)
set +o xtrace

# Refuses settings with which the cloud would not work, before anything is
# installed.
function isolation_check_settings {
    case $ISOLATION_MODE in
    enforce | audit) ;;
    *)
        die $LINENO "ISOLATION_MODE=$ISOLATION_MODE: use enforce or audit."
        ;;
    esac
    if is_service_enabled n-cpu && [[ "$VIRT_DRIVER" != libvirt ]]; then
        die $LINENO "VIRT_DRIVER=$VIRT_DRIVER: nova-isolation guards libvirt" \
            "only. Set VIRT_DRIVER=libvirt."
    fi
    # The hook has no audit mode.
    if [[ "$ISOLATION_HOOK" == True && "$ISOLATION_MODE" == audit ]]; then
        die $LINENO "ISOLATION_HOOK=True: the hook would refuse what" \
            "ISOLATION_MODE=audit lets run. Set ISOLATION_MODE=enforce."
    fi
    if [[ ! "$ISOLATION_ATTESTD_URL" =~ ^(https://.+)?$ ]]; then
        die $LINENO "ISOLATION_ATTESTD_URL=$ISOLATION_ATTESTD_URL: it must" \
            "begin with https://."
    fi
    if is_service_enabled isolation-attestd; then
        isolation_check_attestd_settings
    elif [[ -n "$ISOLATION_ATTESTD_URL" ]]; then
        isolation_check_readable ISOLATION_ATTESTD_CA_FILE \
            "a copy of attestd.crt of the host that runs isolation-attestd"
    fi
}

# Whether a variable has the name of a file that services can read.
function isolation_check_readable {
    local name=$1 what=$2
    if [[ ! -f "${!name}" || ! -r "${!name}" ]]; then
        die $LINENO "$name=${!name}: it must be the path of $what, which" \
            "$STACK_USER can read."
    fi
}

function isolation_check_attestd_settings {
    if ! [[ "$ISOLATION_ATTESTD_PORT" =~ ^[1-9][0-9]{0,4}$ ]] ||
        [[ "$ISOLATION_ATTESTD_PORT" -gt 65535 ]]; then
        die $LINENO "ISOLATION_ATTESTD_PORT=$ISOLATION_ATTESTD_PORT: it must" \
            "be the number of a port."
    fi
    if [[ -z "$ISOLATION_KEYLIME_VERIFIERS" ]]; then
        die $LINENO "isolation-attestd needs ISOLATION_KEYLIME_VERIFIERS, the" \
            "addresses of Keylime's verifiers: https://HOST:PORT."
    fi
    isolation_check_readable ISOLATION_KEYLIME_CA_FILE \
        "the certificates of Keylime's authority"
    isolation_check_readable ISOLATION_KEYLIME_CERT_FILE \
        "a client certificate of that authority"
    isolation_check_readable ISOLATION_KEYLIME_KEY_FILE \
        "the key of that certificate"
    # Any other word is the path of a file.
    if [[ ! "$ISOLATION_KEYLIME_HOST_MAP" =~ ^(node-uuid|metadata)$ ]]; then
        isolation_check_readable ISOLATION_KEYLIME_HOST_MAP \
            "a host map, or node-uuid, or metadata"
    fi
}

# Not editable: a running service must not change when the checkout does.
function isolation_install {
    if is_service_enabled isolation-attestd; then
        setup_install "$ISOLATION_DIR" attestd
    else
        setup_install "$ISOLATION_DIR"
    fi
}

# Adds a value to an option that may be repeated, once.
function isolation_add {
    local file=$1 section=$2 option=$3 value=$4
    if [[ " $(iniget_multiline "$file" "$section" "$option") " != *" $value "* ]]; then
        iniadd "$file" "$section" "$option" "$value"
    fi
}

function isolation_configure_scheduler {
    # The first line is Nova's default, which a second one would replace.
    isolation_add "$NOVA_CONF" filter_scheduler available_filters \
        nova.scheduler.filters.all_filters
    isolation_add "$NOVA_CONF" filter_scheduler available_filters \
        nova_isolation.scheduler.filter.IsolationFilter
}

# start_nova_compute copies nova.conf to nova-cpu.conf later.
function isolation_configure_compute {
    iniset "$NOVA_CONF" DEFAULT compute_driver isolation.IsolationDriver
    # devstack's Nova is an editable install.
    if ! "$PYTHON" -c 'import sys; from importlib import util
sys.exit(util.find_spec("nova.virt.isolation") is None)'; then
        die $LINENO "nova-compute would not find isolation.IsolationDriver:" \
            "$PYTHON finds no module nova.virt.isolation."
    fi
    if [[ "$ISOLATION_HOOK" == True ]]; then
        sudo "$NOVA_BIN_DIR/nova-isolation-hook" install
        # libvirt looks for hooks when it starts or reloads.
        reload_service libvirtd
    else
        isolation_remove_hook
    fi
}

# Without the package the hook would let no tagged guest start.
function isolation_remove_hook {
    if [[ -x "$NOVA_BIN_DIR/nova-isolation-hook" ]]; then
        sudo "$NOVA_BIN_DIR/nova-isolation-hook" remove ||
            warn $LINENO "The libvirt hook of nova-isolation is still there."
    fi
}

# For nova-scheduler and nova-compute.
function isolation_configure_nova {
    iniset "$NOVA_CONF" isolation mode "$ISOLATION_MODE"
    if [[ -n "$ISOLATION_ATTESTD_URL" ]]; then
        iniset "$NOVA_CONF" isolation_attestation provider attestd
        iniset "$NOVA_CONF" isolation_attestation ca_file \
            "$ISOLATION_ATTESTD_CA_FILE"
        iniset "$NOVA_CONF" isolation_attestation_attestd url \
            "$ISOLATION_ATTESTD_URL"
    fi
}

# A certificate that signs itself; clients trust this one certificate. It is
# kept as long as it fits, so that other hosts' copies stay good.
function isolation_make_certificate {
    local host kind=DNS check=-verify_hostname
    host=$(ipv6_unquote "$SERVICE_HOST")
    if is_ipv4_address "$host" || [[ "$host" == *:* ]]; then
        kind=IP check=-verify_ip
    fi
    if openssl verify -CAfile "$ISOLATION_ATTESTD_CERT_FILE" "$check" "$host" \
        "$ISOLATION_ATTESTD_CERT_FILE" >/dev/null 2>&1; then
        return
    fi
    (
        umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
            -nodes -days 365 \
            -subj /CN=nova-isolation-attestd \
            -addext "subjectAltName=$kind:$host" \
            -addext keyUsage=critical,digitalSignature,keyCertSign \
            -keyout "$ISOLATION_ATTESTD_KEY_FILE" \
            -out "$ISOLATION_ATTESTD_CERT_FILE"
    )
    chmod 644 "$ISOLATION_ATTESTD_CERT_FILE"
}

function isolation_configure_attestd {
    local conf=$ISOLATION_ATTESTD_CONF
    sudo install -d -o "$STACK_USER" "$ISOLATION_CONF_DIR"
    rm -f "$conf"
    isolation_make_certificate
    iniset "$conf" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    iniset "$conf" attestd bind "$(ipv6_unquote "$SERVICE_LISTEN_ADDRESS")"
    iniset "$conf" attestd port "$ISOLATION_ATTESTD_PORT"
    iniset "$conf" attestd cert_file "$ISOLATION_ATTESTD_CERT_FILE"
    iniset "$conf" attestd key_file "$ISOLATION_ATTESTD_KEY_FILE"
    iniset "$conf" isolation_attestation provider keylime
    iniset "$conf" isolation_attestation ca_file "$ISOLATION_KEYLIME_CA_FILE"
    iniset "$conf" isolation_attestation cert_file \
        "$ISOLATION_KEYLIME_CERT_FILE"
    iniset "$conf" isolation_attestation key_file "$ISOLATION_KEYLIME_KEY_FILE"
    iniset "$conf" isolation_attestation_keylime verifiers \
        "$ISOLATION_KEYLIME_VERIFIERS"
    iniset "$conf" isolation_attestation_keylime host_map \
        "$ISOLATION_KEYLIME_HOST_MAP"
}

function isolation_configure {
    if is_service_enabled n-sch; then
        isolation_configure_scheduler
    fi
    if is_service_enabled n-cpu; then
        isolation_configure_compute
    fi
    if is_service_enabled n-sch n-cpu; then
        isolation_configure_nova
    fi
    if is_service_enabled isolation-attestd; then
        isolation_configure_attestd
    fi
}

# run_process does nothing where the service is not enabled.
function isolation_start {
    run_process isolation-attestd \
        "$NOVA_BIN_DIR/nova-isolation-attestd --config-file $ISOLATION_ATTESTD_CONF"
}

function isolation_stop {
    stop_process isolation-attestd
    isolation_remove_hook
}

# clean.sh runs unstack.sh before this, and removes nova.conf and the units
# after it.
function isolation_clean {
    local venv=
    if [[ "$GLOBAL_VENV" == True ]]; then
        # pip_uninstall would use the system's Python.
        venv=$DEVSTACK_VENV
    fi
    PIP_VIRTUAL_ENV=$venv pip_uninstall nova-isolation
    sudo rm -rf "$ISOLATION_CONF_DIR"
}

if is_service_enabled nova isolation-attestd; then
    case "$1 ${2:-}" in
    "stack pre-install") isolation_check_settings ;;
    "stack install")
        echo_summary "Installing nova-isolation"
        isolation_install
        ;;
    "stack post-config")
        echo_summary "Configuring nova-isolation"
        isolation_configure
        ;;
    "stack extra") isolation_start ;;
    # lib/tempest has written NOVA_FILTERS into tempest.conf.
    "stack test-config") ;;
    "unstack ") isolation_stop ;;
    "clean ") isolation_clean ;;
    esac
fi

$_XTRACE_ISOLATION
