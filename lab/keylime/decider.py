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

"""Decides about a host in short intervals, as Nova's scheduler would.

This finds the moment at which a decision changes; a boot, and the command
``explain``, take seconds.
"""

import time
import types

from oslo_config import cfg

from lab.run import errors
from lab.run import layout as layouts
from nova_isolation.attestation import opts
from nova_isolation.attestation import service
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.attested import mechanism
from nova_isolation.model import evidence
from nova_isolation.model import requirements

_SECONDS = 30.0
_EVERY = 0.02


class Decider:
    """The scheduler's attestation data and its rules, in this process.

    It receives data from attestd during the body of its ``with``.
    """

    def __init__(self, layout: layouts.Layout) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(layout.nova_conf)])
        self._options = opts.register(conf)
        self._source = service.make(conf)
        self._mechanism = mechanism.AttestedMechanism()
        wanted = requirements.parse(
            {'isolation:attested': 'true'}, registry.get().vocabulary
        )
        (self._wanted,) = wanted.items

    def __enter__(self) -> 'Decider':
        self._source.start()
        self._source.wait(_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._source.stop()

    @property
    def max_age(self) -> float:
        """Seconds for which a good quote counts."""
        return float(self._options.max_age)

    def decide(self, host: str) -> tuple[evidence.Evidence, list[str]]:
        """Decide about a host now.

        :returns: the evidence, and the reasons to refuse the host; without a
            reason the host is accepted
        """
        found = self._source.evidence(host, '', time.time())
        said = found[self._mechanism.name]
        held = self._mechanism.read(said)
        return said, [
            str(unmet) for unmet in self._mechanism.judge(self._wanted, held)
        ]

    def wait_refused(
        self, host: str, seconds: float
    ) -> tuple[float, float, list[str]]:
        """Decide until a host is refused.

        :returns: the age in seconds of the host's last good quote when the
            host was last accepted, the age when it was first refused, and
            the reasons
        :raises LabError: when the host is refused at once, or still accepted
            after ``seconds``
        """
        end = time.monotonic() + seconds
        accepted: float | None = None
        while time.monotonic() < end:
            said, unmet = self.decide(host)
            age = said.age
            if unmet:
                if accepted is None or age is None:
                    raise errors.LabError(
                        f'{host} is refused from the beginning: {unmet}'
                    )
                return accepted, age, unmet
            accepted = age
            time.sleep(_EVERY)
        raise errors.LabError(
            f'{host} is still accepted after {seconds:.0f} s'
        )
