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
"""Nova 31 to 33: a driver is not told of the guests of Nova's last run.

Nova 34 hands them to ``LibvirtDriver.process_instances_at_startup``, before
it deals with any of them. In Nova 31 to 33 there is no such method: the
compute manager checks these guests itself, in a private method, at the same
point of its ``init_host``: the host is known not to have been renamed, and no
guest has been touched. Source: nova/compute/manager.py of nova 31.3.1, 32.2.1,
33.0.2 and 34.0.0.
"""

import inspect
import typing

from nova import exception as nova_exception
from nova.compute import manager
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt import nova_release
from nova_isolation.virt import signatures

#: The manager's last check of its guests.
_CHECK = '_validate_vtpm_configuration'


class _Started(libvirt_driver.LibvirtDriver):
    def _begin_with(self, instances: typing.Any) -> None:
        """Look at the guests of the last run. Raises nothing.

        :param instances: Nova's instances of this host
        """
        raise NotImplementedError


class StartedSince34(_Started):
    """Nova 34 and newer."""

    @signatures.override
    def process_instances_at_startup(
        self, context: typing.Any, instances: typing.Any
    ) -> typing.Any:
        """See Nova's driver."""
        instances = super().process_instances_at_startup(context, instances)
        self._begin_with(instances)
        return instances


class StartedBefore34(_Started):
    """Nova 31, 32 and 33."""

    @signatures.override
    def init_host(self, host: str) -> None:
        """See Nova's driver. The manager's last check of its guests is
        followed by ours.

        :raises nova.exception.InvalidConfiguration: the manager does not make
            that check when it starts
        """
        compute = self.virtapi._compute
        if isinstance(compute, manager.ComputeManager):
            _require_check(type(compute))
        super().init_host(host)
        check = compute._validate_vtpm_configuration

        def run(instances: typing.Any) -> None:
            check(instances)
            self._begin_with(instances)

        compute._validate_vtpm_configuration = run


def _require_check(compute: type[manager.ComputeManager]) -> None:
    """Refuse a Nova that does not call :data:`_CHECK` when it starts.

    Such a change would be seen nowhere: guests that the last run has left
    unverified would stay paused for ever.

    :raises nova.exception.InvalidConfiguration: it does not
    """
    if _CHECK not in inspect.unwrap(compute.init_host).__code__.co_names:
        raise nova_exception.InvalidConfiguration(
            'nova-isolation does not fit this Nova: ComputeManager.init_host '
            f'does not call {_CHECK}, so the guests of the last run of '
            'nova-compute would not be looked at. Nova is '
            f'{nova_release.version()}; supported are '
            f'{nova_release.SUPPORTED}. Install the release of '
            'nova-isolation that was made for this Nova.'
        )


#: See :data:`nova_isolation.virt.signatures.CALLED`.
CALLED: dict[tuple[type, str], str] = {}

if typing.TYPE_CHECKING or hasattr(
    libvirt_driver.LibvirtDriver, 'process_instances_at_startup'
):
    StartedDriver = StartedSince34
else:
    StartedDriver = StartedBefore34
    CALLED[manager.ComputeVirtAPI, '__init__'] = 'self compute'
    CALLED[manager.ComputeManager, _CHECK] = 'self instances'
