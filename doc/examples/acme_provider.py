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

"""An example of an attestation provider: ``provider = acme``.

The program ``acme-status`` of an imaginary verifier prints what the verifier
knows about all hosts, as JSON::

    {"cpu-1": {"state": "good", "quoted_at": 1700000000.0},
     "cpu-2": {"state": "failed", "quoted_at": null, "why": "bad PCR 17"}}
"""

from collections.abc import Sequence
import json
import subprocess
import types
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result

if typing.TYPE_CHECKING:
    from oslo_config import cfg


class AcmeProvider(provider.Provider):
    """Runs the program, and reports what it prints."""

    #: Seconds between two runs that succeed.
    pause = 10.0

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """``[isolation_attestation_acme]``."""
        from oslo_config import cfg

        return (
            cfg.StrOpt(
                'command',
                default='acme-status',
                help='The program that prints what the verifier knows.',
            ),
        )

    def __init__(self, common: typing.Any, own: typing.Any) -> None:
        """See the base class."""
        if not own.command:
            raise provider.ProviderError(
                '[isolation_attestation_acme] command is empty; wanted the '
                'path of acme-status'
            )
        self._command: str = own.command
        self._timeout: float = common.timeout

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class."""
        try:
            run = subprocess.run(  # noqa: S603
                [self._command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=self._timeout,
            )
            verdicts = {
                host: self._verdict(host, said)
                for host, said in json.loads(run.stdout).items()
            }
        except (
            OSError,
            subprocess.SubprocessError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise provider.ProviderError(
                f'{self._command} gave no usable answer: '
                f'{type(error).__name__}: {error}'
            ) from error
        return snapshot.Snapshot(
            snapshot.BY_HOST, types.MappingProxyType(verdicts)
        )

    def _verdict(
        self, host: str, said: dict[str, typing.Any]
    ) -> snapshot.Verdict:
        """What the program printed about one host.

        The times are those of the verifier: never the time of this run.
        """
        if said['state'] not in attestation_result.STATES:
            raise ValueError(f'host {host} has the state {said["state"]!r}')
        result = attestation_result.AttestationResult(
            state=said['state'], found=str(said.get('why', ''))
        )
        at = said['quoted_at']
        return snapshot.Verdict(
            document=attestation_result.dumps(result),
            good_at=None if at is None else float(at),
            reported_at=None,
            agent=host,
            verifier='acme',
        )
