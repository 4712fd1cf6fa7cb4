#!/bin/bash
# Stand-ins of the functions of devstack that its plugins may call. Each has a
# line that says what devstack's own function promises, as far as our plugin
# relies on it. They were written from devstack's documentation and behaviour;
# tools/devstack_phases.sh runs the same plugin with devstack's own functions.
#
# $RECORD is a file that gets one line for each thing that would change the
# machine.

record() { printf '%s\n' "$*" >>"$RECORD"; }

# define_plugin NAME: tells tools the name of the plugin; does nothing.
define_plugin() { :; }

# trueorfalse DEFAULT VARIABLE: prints "True" or "False" for the value of the
# variable of that name; the default where it is empty.
trueorfalse() {
    case ${!2,,} in
    1 | yes | true) echo True ;;
    0 | no | false) echo False ;;
    *) echo "$1" ;;
    esac
}

# is_service_enabled SERVICE...: whether one of them is in $ENABLED_SERVICES.
# "nova" is enabled if a service is whose name begins with "n-".
is_service_enabled() {
    local service
    for service; do
        [[ ",$ENABLED_SERVICES," != *",$service,"* ]] || return 0
        [[ $service != nova || ",$ENABLED_SERVICES" != *,n-* ]] || return 0
    done
    return 1
}

# die LINE TEXT...: shows the text and ends the shell with a status that is
# not 0.
die() {
    shift
    printf 'ERROR: %s\n' "$*" >&2
    exit 1
}

# warn LINE TEXT...: shows the text.
warn() {
    shift
    printf 'WARNING: %s\n' "$*" >&2
}

# echo_summary TEXT: shows the text as progress.
echo_summary() { printf '%s\n' "$*"; }

# iniset FILE SECTION OPTION VALUE: gives the option this one value; makes the
# file and the section where they are missing. Runs of white space in the
# value become one space.
iniset() {
    # shellcheck disable=SC2086,SC2116
    "$PYTHON" "$HERE/ini.py" set "$1" "$2" "$3" "$(echo $4)"
}

# iniadd FILE SECTION OPTION VALUE...: repeats the option with these values
# after those that it has; each value is one word. The file exists.
iniadd() {
    [[ -e $1 ]] || die 0 "iniadd: no file $1"
    "$PYTHON" "$HERE/ini.py" add "$@"
}

# iniget_multiline FILE SECTION OPTION: prints all values, with spaces between.
iniget_multiline() { "$PYTHON" "$HERE/ini.py" get "$@"; }

# is_ipv4_address TEXT: whether it is one.
is_ipv4_address() { [[ $1 =~ ^[0-9]+(\.[0-9]+){3}$ ]]; }

# ipv6_unquote TEXT: prints an address without the brackets of a URL.
ipv6_unquote() { echo "${1//[\[\]]/}"; }

# setup_install FOLDER [EXTRAS]: installs a checkout into the Python of the
# services with pip, in the versions of upper-constraints; not editable.
setup_install() { record "setup_install $*"; }

# pip_uninstall NAME: uninstalls, from $PIP_VIRTUAL_ENV where that is set. It
# is no error that the package is not there.
pip_uninstall() { record "pip_uninstall $* from ${PIP_VIRTUAL_ENV:-system}"; }

# run_process SERVICE COMMAND: where the service is enabled, writes the unit
# devstack@SERVICE, enables and starts it, as $STACK_USER. The command begins
# with an absolute path.
run_process() {
    [[ $2 == /* ]] || die 0 "run_process: not absolute: $2"
    if is_service_enabled "$1"; then
        record "run_process $*"
    fi
}

# stop_process SERVICE: stops and disables the unit where the service is
# enabled.
stop_process() {
    if is_service_enabled "$1"; then
        record "stop_process $*"
    fi
}

# reload_service UNIT: reloads the unit, or starts it.
reload_service() { record "reload_service $*"; }

# sudo COMMAND...: not of devstack, and there without a password. The plugin
# uses it for folders of root and for the hook.
sudo() {
    record "sudo $*"
    "$@"
}
