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

"""A guard on a host without QEMU, libvirt and Nova's configuration."""

import types

from nova_isolation.attestation import service
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.model import requirements
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.guard import sink
from tests.unit import fakes

#: What the guests of these tests ask for.
KEY = 'isolation:qemu_sandbox'
SPECS = {KEY: 'true'}


class Handle:
    """A guest, as the driver of another hypervisor would handle it.

    :ivar state: off, paused or running
    :ivar runs: how often the guest was started
    """

    def __init__(self, uuid=fakes.UUID, state='off'):
        self.id = uuid
        self.state = state
        self.runs = 1
        self.starting = False


class Hypervisor(hypervisor.Hypervisor):
    """Neither libvirt nor QEMU.

    :ivar calls: what was done to guests
    :ivar failure: raised by what changes a guest
    :ivar options: of the guests as the mechanisms see them
    """

    def __init__(self):
        self.handles = []
        self.calls = []
        self.failure = None
        self.options = {}

    def _do(self, call):
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def guest(self, handle, shared=None):
        """See the base class."""
        self.calls.append('verify')
        options = dict(self.options)
        process = options.pop('process', None)
        guest = fakes.Guest(uuid=handle.id, **options)
        if process is not None:
            guest.process = process
        return guest

    def boot(self, guest):
        """See the base class."""
        return '5d' * 16

    def begin_start(self, handle):
        """See the base class."""
        self.calls.append('begin_start')
        handle.starting = True

    def end_start(self, handle):
        """See the base class."""
        self.calls.append('end_start')
        handle.starting = False

    def is_starting(self, handle):
        """See the base class."""
        return handle.starting

    def is_paused(self, handle):
        """See the base class."""
        return handle.state == 'paused'

    def power_off(self, handle):
        """See the base class."""
        self._do('power_off')
        handle.state = 'off'

    def power_off_paused(self, uuid):
        """See the base class."""
        self._do('power_off_paused')
        for handle in self.handles:
            if (handle.id, handle.state) == (uuid, 'paused'):
                handle.state = 'off'
                return True
        return False

    def may_have_started(self, error):
        """See the base class."""
        return isinstance(error, ConnectionError)

    def running(self):
        """See the base class."""
        return [one for one in self.handles if one.state != 'off']

    def uuid(self, handle):
        """See the base class."""
        return handle.id

    def definition(self, handle):
        """See the base class."""
        return f'<domain><uuid>{handle.id}</uuid></domain>'

    def run(self, handle):
        """See the base class."""
        if handle.state == 'off':
            return None
        return hypervisor.Run(handle.runs, handle.state == 'running')

    def pause(self, handle):
        """See the base class."""
        self._do('pause')
        handle.state = 'paused'


class Sink(sink.Sink):
    """Keeps what it is given.

    :ivar outcomes: all outcomes
    :ivar error: raised by :meth:`report`
    """

    name = 'test'

    def __init__(self, needs=sink.Needs.NOTHING, error=None, only=None):
        self.needs = needs
        self.outcomes = []
        self.error = error
        self.only = only

    @property
    def results(self):
        """Stage and result of each outcome."""
        return [(one.stage.value, one.result.value) for one in self.outcomes]

    def takes(self, result):
        """See the base class."""
        return self.only is None or result.result in self.only

    def report(self, result):
        """See the base class."""
        self.outcomes.append(result)
        if self.error is not None:
            raise self.error


def options(**values):
    """The options that guard and watch read."""
    return types.SimpleNamespace(
        **{
            'mode': 'enforce',
            'violation_closes_host': True,
            'on_violation': 'report',
            'verify_interval': 60,
            'resume_at_arrival': False,
            'measure_timeout': 30.0,
        }
        | values
    )


def request(uuid=fakes.UUID, specs=None):
    """What is asked for a guest."""
    return guest_request.GuestRequest(
        uuid,
        requirements.parse(
            SPECS if specs is None else specs, registry.get().vocabulary
        ),
    )


def host(**kwargs):
    """A host that meets the requirements of :func:`request`."""
    return fakes.Host(**kwargs)


def make(sinks=(), a_host=None, **values):
    """A guard; see :class:`nova_isolation.virt.guard.guard.Guard`."""
    the_host: sources.Host = a_host or host()
    return guard.Guard(
        options(**values),
        Hypervisor(),
        the_host,
        registry.get(),
        sink.Reporter(sinks),
        service.NoAttestation(),
    )
