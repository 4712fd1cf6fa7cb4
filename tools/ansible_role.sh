#!/bin/bash
# Run the role of contrib/ansible for real, on an overlay of this machine: what
# it changes is gone afterwards. Needs root, and .venv (tools/setup.sh), which
# stands for Nova's environment.
#
# usage: tools/ansible_role.sh FOLDER
#   FOLDER   where ansible-playbook is, for example VENV/bin. Where
#            ansible-lint is there, too, it looks at the role first.
#
# There is no systemd on the overlay, so no unit is restarted or reloaded.
set -euo pipefail
case ${1:-} in
'' | -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
checkout=$(cd "$(dirname "$0")/.." && pwd)
ansible=$(cd "$1" && pwd)
export PATH=$ansible:$PATH ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=False
export ANSIBLE_ROLES_PATH=$checkout/contrib/ansible/roles
python=$checkout/.venv/bin/python

# The second call, on the overlay.
if [ "${2:-}" = inside ]; then
    work=$3
    cat >"$work/play.yml" <<END
- hosts: all
  gather_facts: false
  vars:
    ansible_python_interpreter: $ansible/python
    nova_isolation_python: $python
    nova_isolation_wheel: $(echo "$work"/*.whl)
    nova_isolation_requirements: []
    nova_isolation_group: root
    nova_isolation_libvirt_unit: ""
  roles:
    - nova_isolation
END
    play() {
        ansible-playbook -i localhost, -c local "$work/play.yml" "$@" \
            >"$work/log" 2>&1
    }
    # Ends the trial where a play does not end as it should.
    good() {
        local what=$1 changed=$2
        shift 2
        if ! play "$@" || ! grep -q " changed=$changed " "$work/log"; then
            echo "FAILED: $what"
            cat "$work/log"
            exit 1
        fi
        echo "ok: $what"
    }
    refused() {
        local what=$1 text=$2
        shift 2
        if play "$@" || ! grep -q -- "$text" "$work/log"; then
            echo "FAILED: $what is not refused"
            cat "$work/log"
            exit 1
        fi
        echo "ok: $what is refused"
    }
    config=/etc/nova/nova.conf.d/nova-isolation.conf
    "$python" -m pip uninstall -q -y nova-isolation
    refused 'a host without the package' 'no nova.virt.isolation' \
        -e '{nova_isolation_parts: [check]}'
    refused 'a mode that does not exist' 'value of nova_isolation_mode must be' \
        -e nova_isolation_mode=enforced
    refused 'a hook in audit mode' 'The hook has no audit mode' \
        -e nova_isolation_mode=audit
    refused 'no wheel' 'must be the path' -e '{nova_isolation_wheel: ""}'
    good 'install, configure, hook, check' '[5-9]'
    "$python" -c 'import nova.virt, importlib.util as u
assert u.find_spec("nova.virt.isolation")'
    "$checkout/.venv/bin/nova-isolation-hook" status
    cat $config
    good 'the same again changes nothing' 0
    good 'a controller' '[1-9]' -e '{nova_isolation_parts: [options, check],
        nova_isolation_scheduler: true, nova_isolation_compute: false,
        nova_isolation_debian_services: [nova-scheduler],
        nova_isolation_options: {isolation: {request_traits: true}}}'
    cat $config /etc/default/nova-scheduler
    "$python" - $config <<'END'
import sys
from nova import config
from nova.conf import CONF
config.parse_args(['trial', '--config-file', sys.argv[1]])
from nova.scheduler import filters
names = filters.HostFilterHandler().get_matching_classes(
    CONF.filter_scheduler.available_filters)
found = {one.__name__ for one in names}
assert set(CONF.filter_scheduler.enabled_filters) <= found, found
print('ok: nova-scheduler finds', *CONF.filter_scheduler.enabled_filters)
END
    [ "$(stat -c '%a %U' "${config%/*}")" = '750 root' ] || {
        echo 'FAILED: the folder that the role has made'
        exit 1
    }
    # One as /etc/nova may be: it and its owner are others than the role's.
    mkdir -m 0711 /etc/nova-there
    chown nobody /etc/nova-there
    good 'the options in a folder that is there' '[1-9]' -e \
        '{nova_isolation_parts: [options],
        nova_isolation_file: /etc/nova-there/isolation.conf}'
    [ "$(stat -c '%a %U' /etc/nova-there)" = '711 nobody' ] || {
        echo 'FAILED: the role has changed a folder that was there'
        exit 1
    }
    echo 'ok: that folder is as it was'
    echo damaged >>/etc/libvirt/hooks/qemu.d/50-nova-isolation
    refused 'a damaged hook' 'is not as this installation' \
        -e '{nova_isolation_parts: [check]}'
    good 'a damaged hook is repaired' 2
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ ! -x "$ansible/ansible-lint" ] ||
    (cd "$checkout/contrib/ansible" && ansible-lint --offline -q)
"$checkout/.venv/bin/pip" wheel -q --no-deps --no-build-isolation \
    -w "$work" "$checkout"
# The folders that change, each below an overlay in memory.
# shellcheck disable=SC2016
unshare --mount --propagation private bash -euc '
    mount -t tmpfs none /mnt
    for folder in /etc /var/cache "$4"; do
        upper=/mnt/$(echo "$folder" | tr / _)
        mkdir -p "$upper/up" "$upper/work"
        mount -t overlay overlay "$folder" \
            -o "lowerdir=$folder,upperdir=$upper/up,workdir=$upper/work"
    done
    exec "$1" "$2" inside "$3"
' bash "$checkout/tools/ansible_role.sh" "$ansible" "$work" "$checkout/.venv"
