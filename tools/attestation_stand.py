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
"""What the benchmark of attestation runs against.

A stand-in for a verifier of Keylime that serves recorded answers over TLS
(that of the unit tests), and a real nova-isolation-attestd that asks it; each
is a process of its own.
"""

from collections.abc import Callable
import contextlib
import importlib
import json
import multiprocessing
import os
import types
import typing

from nova_isolation.attestation import attestd_client
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot

# They are untyped, as all tests are.
_verifier: typing.Any = importlib.import_module(
    'tests.unit.attestation.keylime.verifier'
)
_process: typing.Any = importlib.import_module('tests.unit.attestd.process')
_messages: typing.Any = importlib.import_module(
    'tests.unit.attestation.keylime.messages'
)

_FORK = multiprocessing.get_context('fork')

#: Seconds; what is measured here takes less.
PATIENCE = 120.0

#: Seconds. The recorded answers are made when the stand begins, and the
#: benchmark is over long before.
MAX_AGE = 3600.0


def agent(number: int) -> str:
    """The agent of ``host0``, ``host1``, and so on."""
    return f'{number:08x}{_verifier.FIRST[8:]}'


def message(number: int) -> str:
    """What a verifier tells of an agent that has failed."""
    return str(_messages.message(agent(number)))


def _answer(number: int, kinds: int) -> bytes:
    """The answer of a verifier that found all its agents good, just now."""
    status = _verifier.recorded('two_pass')[_verifier.FIRST]
    policy = json.loads(status['tpm_policy'])
    results = {}
    for index in range(number):
        policy['17'] = [f'{index % kinds + 1:064x}']
        results[agent(index)] = {**status, 'tpm_policy': json.dumps(policy)}
    body: bytes = _verifier.body(results)
    return body


def _serve(
    number: int,
    kinds: int,
    authority: typing.Any,
    certificate: typing.Any,
    told: typing.Any,
    ended: typing.Any,
) -> None:
    with _verifier.Verifier(authority, certificate) as one:
        one.results = _answer(number, kinds)
        told.send(one.url)
        ended.wait()


class Stand(contextlib.ExitStack):
    """A verifier and a daemon, as long as it is entered.

    :ivar hosts: how many agents the verifier has
    :ivar kinds: of hosts that are alike
    :ivar keylime: the common options of the provider ``keylime``
    :ivar keylime_own: its own options
    :ivar attestd: the common options of the provider ``attestd``
    :ivar attestd_own: its own options
    :ivar daemon: the daemon, see :mod:`tests.unit.attestd.process`
    """

    def __init__(
        self, hosts: int, kinds: int, poll_interval: float = 600.0
    ) -> None:
        """:param hosts: how many agents the verifier has
        :param kinds: of hosts that are alike
        :param poll_interval: seconds between two looks of the daemon. By
            default none disturbs what is measured.
        """
        super().__init__()
        self.hosts = hosts
        self.kinds = kinds
        self._interval = poll_interval

    def __enter__(self) -> 'Stand':
        self.daemon = self.enter_context(_process.Attestd())
        # One that is made before the fork: both know the files.
        certificate = self.daemon.verifiers.issue('stand-in')
        ours, theirs = _FORK.Pipe()
        ended = _FORK.Event()
        child = _FORK.Process(
            target=_serve,
            args=(
                self.hosts,
                self.kinds,
                self.daemon.verifiers,
                certificate,
                theirs,
                ended,
            ),
            daemon=True,
        )
        child.start()
        self.callback(child.join, PATIENCE)
        self.callback(ended.set)
        if not ours.poll(PATIENCE):
            raise TimeoutError('the stand-in for a verifier')
        hosts = self.daemon.folder / 'hosts'
        hosts.write_text(
            ''.join(
                f'host{index} {agent(index)}\n' for index in range(self.hosts)
            )
        )
        key = self.daemon.verifier
        url = ours.recv()
        own = {'host_map': str(hosts), 'poll_interval': self._interval}
        keylime = {
            'provider': 'keylime',
            'ca_file': self.daemon.verifiers.ca_file,
            'cert_file': key.cert_file,
            'key_file': key.key_file,
            'timeout': 60.0,
            'max_age': MAX_AGE,
            'clock_skew': 5.0,
        }
        self.daemon.common = keylime
        self.daemon.own = {**own, 'verifiers': url}
        self.keylime = types.SimpleNamespace(**keylime)
        self.keylime_own = types.SimpleNamespace(**own, verifiers=[url])
        client = self.daemon.client
        self.attestd = types.SimpleNamespace(
            provider='attestd',
            ca_file=self.daemon.authority.ca_file,
            cert_file=client.cert_file,
            key_file=client.key_file,
            timeout=60.0,
            max_age=MAX_AGE,
            clock_skew=5.0,
        )
        self.attestd_own = types.SimpleNamespace(
            url=f'https://127.0.0.1:{self.daemon.port}'
        )
        return self

    def start(self) -> int:
        """Start the daemon, and wait until it knows all hosts.

        :returns: its process
        """
        self.daemon.start()
        asked = attestd_client.AttestdProvider(self.attestd, self.attestd_own)
        asked.fetch(snapshot.Snapshot(serial='"none"'))
        asked.close()
        return int(self.daemon.process.pid)

    def client(
        self, on_change: Callable[[snapshot.Snapshot], object] | None = None
    ) -> refresher.Refresher:
        """What a scheduler has; to be started, and stopped."""
        return refresher.Refresher(
            attestd_client.AttestdProvider(self.attestd, self.attestd_own),
            max_age=MAX_AGE,
            clock_skew=5.0,
            on_change=on_change,
        )


def processor(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident(pid: int) -> float:
    """MB of memory that a process holds."""
    with open(f'/proc/{pid}/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE') / 1e6
