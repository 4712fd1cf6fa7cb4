# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The demonstration: flavors with isolation tags on a real cloud.

Every printed claim is checked. The first claim that is false ends the
demonstration, with an exit status other than 0.
"""

import argparse
from pathlib import Path
import sys
from typing import Final

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.config import release
from lab.demo import scenes_attested
from lab.demo import scenes_confined
from lab.demo import scenes_evidence
from lab.demo import scenes_hardened
from lab.demo import scenes_operator
from lab.demo import scenes_stripped
from lab.demo import scenes_xen
from lab.machine import recipe
from lab.run import errors
from lab.run import layout as layouts
from lab.run import signals

#: The choices that are not security modules.
_ATTESTATION, _EVIDENCE = 'attestation', 'evidence'
_OPERATOR, _QEMU = 'operator', 'qemu'
_XEN: Final = 'xen'


def main() -> int:
    """Run the demonstration.

    :returns: the exit status
    """
    parser = argparse.ArgumentParser(
        prog='tools/demo.sh', description='Isolation on a real OpenStack.'
    )
    parser.add_argument(
        '--state',
        type=Path,
        default=layouts.default_state('demo'),
        metavar='DIR',
        help="the cloud's folder (default: %(default)s)",
    )
    parser.add_argument(
        '--keep', action='store_true', help='leave the cloud up at the end'
    )
    parser.add_argument(
        '--with',
        dest='module',
        choices=(
            *recipe.MODULES,
            _XEN,
            _ATTESTATION,
            _EVIDENCE,
            _OPERATOR,
            _QEMU,
        ),
        help='show guests that this security module confines, on a virtual '
        'machine (which is built the first time; that takes long); or guests '
        'that Xen isolates, on another such machine; or hosts that Keylime '
        'attests; or statements that somebody else can verify; '
        'or what nova-isolation-api and the openstack command tell those who '
        'run a cloud; or a QEMU with less in it (which is built the first '
        'time; that takes minutes)',
    )
    parser.add_argument(
        '--layout',
        choices=host_specs.LAYOUTS,
        default='host',
        help='where nova-compute runs: beside libvirtd, or in a container '
        'without QEMU, as with Kolla-Ansible (default: %(default)s)',
    )
    arguments = parser.parse_args()
    if (
        arguments.module in (*recipe.MODULES, _XEN, _EVIDENCE, _OPERATOR)
        and release.NOVA != release.OF_MACHINES
    ):
        parser.error(
            f'--with {arguments.module} is for Nova {release.OF_MACHINES} '
            f'only, and this is Nova {release.NOVA}: leave --nova out'
        )
    try:
        with signals.termination_raises():
            module = arguments.module
            _run(
                arguments.state,
                module if module in (*recipe.MODULES, _XEN) else None,
                module in (_ATTESTATION, _EVIDENCE, _XEN),
                module in (_EVIDENCE, _OPERATOR),
                arguments.layout,
                arguments.keep,
                module == _QEMU,
            )
    except errors.LabError as error:
        sys.stderr.write(f'DEMO FAILED: {error}\n')
        return 1
    except KeyboardInterrupt:
        sys.stderr.write('DEMO INTERRUPTED\n')
        return 130
    return 0


def _run(
    state: Path,
    module: host_specs.Machine | None,
    attested: bool,
    operator: bool,
    layout: host_specs.Layout,
    keep: bool,
    stripped: bool = False,
) -> None:
    computes = list(host_specs.DEFAULT)
    if stripped:
        computes = [host_specs.DEFAULT[0], scenes_stripped.HOST]
    if module is not None:
        # A second host has no security module.
        host = (
            scenes_xen.HOST
            if module == _XEN
            else scenes_confined.SCRIPTS[module].host
        )
        computes = [host_specs.DEFAULT[0], host]
    cloud = clouds.Cloud(
        state,
        [one.laid_out(layout) for one in host_specs.known(computes)],
        attested=attested,
        operator=operator,
    )
    try:
        flavor = _perform(cloud, module)
    except errors.DiedError as error:
        if not cloud.lost_machine(error):
            raise
        print(f'\n{error}\nThis begins once more, from the snapshot.\n')
        flavor = _perform(cloud, module)
    if not keep:
        cloud.down()
    print('DEMO OK: every line above was checked while it ran.')
    if keep:
        _usage(cloud, flavor)


def _perform(cloud: clouds.Cloud, module: host_specs.Machine | None) -> str:
    """Start the cloud and show the scenes; stop the cloud when that fails.

    :returns: see _show()
    :raises DiedError: when a daemon of the cloud has died
    """
    cloud.up()
    try:
        try:
            return _show(cloud, module)
        except errors.DiedError:
            raise
        except Exception:
            # Otherwise the error only says that nobody answered.
            cloud.supervisor.check(settle=True)
            raise
    except BaseException:
        cloud.down()
        raise


def _show(cloud: clouds.Cloud, module: host_specs.Machine | None) -> str:
    """Show the scenes.

    :returns: the name of a flavor that they left in the cloud
    """
    if module == _XEN:
        scenes_xen.XenScenes(cloud).run()
        return scenes_xen.FLAVOR
    if cloud.attested and cloud.operator:
        scenes_evidence.EvidenceScenes(cloud).run()
        return scenes_evidence.FLAVOR
    if cloud.attested:
        scenes_attested.AttestedScenes(cloud).run()
        return scenes_attested.FLAVOR
    if cloud.operator:
        scenes_operator.OperatorScenes(cloud).run()
        return scenes_operator.FLAVOR
    if scenes_stripped.HOST in cloud.hosts:
        scenes_stripped.StrippedScenes(cloud).run()
        return scenes_stripped.FLAVOR
    if module is None:
        scenes_hardened.HardenedScenes(cloud).run()
        return scenes_hardened.HARDENED
    confined = scenes_confined.ConfinedScenes(cloud, module)
    confined.run()
    return confined.flavor


def _usage(cloud: clouds.Cloud, flavor: str) -> None:
    where = f'--state {cloud.layout.state}'
    programs = f'{layouts.VENV.name}/bin'
    print(
        '\nThe cloud is up. To use it:\n'
        f'  eval "$({programs}/python -m lab {where} env)"\n'
        f'  {programs}/openstack server list --long\n'
        f'  {programs}/nova-isolation-manage --config-file '
        f'{cloud.layout.nova_conf} explain {flavor}\n'
        f'Its logs are in {cloud.layout.log}. To stop it:\n'
        f'  {programs}/python -m lab {where} down'
    )


if __name__ == '__main__':
    sys.exit(main())
