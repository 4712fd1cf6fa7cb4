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

"""The contract suite, for the example provider."""

from collections.abc import Iterator
from collections.abc import Mapping
import json
import pathlib
import tempfile
import time
import unittest

import acme_provider

from nova_isolation.testing import provider_contract


class AcmeContractTest(provider_contract.ProviderContract, unittest.TestCase):
    """Everything that holds for every provider."""

    name = 'acme'
    provider_class = acme_provider.AcmeProvider

    def setUp(self) -> None:
        """Put a program in the place of the verifier's."""
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.answer = pathlib.Path(folder.name, 'answer')
        self.program = pathlib.Path(folder.name, 'acme-status')
        self.run_instead(f'cat {self.answer}')

    def run_instead(self, command: str) -> None:
        """Let the program run a command of the shell."""
        self.program.write_text(f'#!/bin/sh\n{command}\n')
        self.program.chmod(0o700)

    def own(self) -> Mapping[str, object]:
        """Options of ``[isolation_attestation_acme]``."""
        return {'command': str(self.program)}

    def say(self, verdicts: provider_contract.Verdicts) -> None:
        """Let the verifier know these hosts, and no other."""
        now = time.time()
        said = {
            host: {
                'state': state,
                'quoted_at': None if age is None else now - age,
                'why': '' if state == 'good' else f'the host is {state}',
            }
            for host, (state, age) in verdicts.items()
        }
        self.answer.write_text(json.dumps(said))

    def broken(self) -> Iterator[str]:
        """Let the verifier fail, in one way after the other."""
        for way in ('exit 1', 'echo nonsense', 'echo 7', 'exec sleep 60'):
            self.run_instead(way)
            yield way
        self.run_instead(f'cat {self.answer}')
