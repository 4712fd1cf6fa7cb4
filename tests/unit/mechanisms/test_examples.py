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

"""The contract tests on mechanisms that are not of this distribution."""

from unittest import mock

from nova_isolation.model import requirements
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract
from tests.unit.mechanisms import examples


def _lockdown(text):
    return fakes.Host({examples.LockdownMechanism.FILE: text})


def _flask(text):
    return fakes.Host({examples.FlaskMechanism.FILE: text}, domain='xen')


WEAK = _lockdown('[none] integrity confidentiality\n')
MIDDLE = _lockdown('none [integrity] confidentiality\n')
STRICT = _lockdown('none integrity [confidentiality]\n')


class LockdownContractTest(contract.Contract, base.TestCase):
    """A mechanism that measures the host."""

    mechanism_class = examples.LockdownMechanism
    malformed = ({'mode': 'x'}, {'mode': None})
    cases = (
        contract.Case(
            {'isolation:lockdown': 'integrity'},
            [MIDDLE, STRICT],
            [('lockdown.weak', WEAK)],
            [fakes.Guest()],
            [('lockdown.weak', fakes.Guest())],
        ),
        contract.Case(
            {'isolation:lockdown': 'confidentiality'},
            [STRICT],
            [('lockdown.weak', WEAK), ('lockdown.weak', MIDDLE)],
            [fakes.Guest()],
            [('lockdown.weak', fakes.Guest())],
        ),
    )

    def test_contract_verifying_finds_what_is_wrong(self):
        # Nothing of the guest can be wrong, but the host may have changed.
        with mock.patch.object(
            self.mechanism,
            'measure',
            return_value=examples.LockdownFacts('none'),
        ):
            super().test_contract_verifying_finds_what_is_wrong()


class QuoteContractTest(contract.Contract, base.TestCase):
    """A mechanism whose facts a third party gives."""

    mechanism_class = examples.QuoteMechanism
    malformed = (
        examples.Quote({'trusted': 'boot'}),
        examples.Quote({'trusted': [1]}),
        examples.Quote({'trusted': None}),
    )
    cases = (
        contract.Case(
            {'isolation:quote': 'boot,kernel'},
            [examples.Quote({'trusted': ['boot', 'kernel']})],
            [
                ('quote.untrusted', examples.Quote({'trusted': ['boot']})),
                ('quote.untrusted', examples.Quote({'trusted': []})),
            ],
            [fakes.Guest()],
            [('quote.untrusted', fakes.Guest())],
        ),
    )

    def test_contract_verifying_finds_what_is_wrong(self):
        # The evidence may have changed since the decision.
        with mock.patch.object(
            self.mechanism, 'read', return_value=frozenset()
        ):
            super().test_contract_verifying_finds_what_is_wrong()


class FlaskContractTest(contract.Contract, base.TestCase):
    """A mechanism that is verified out of band."""

    mechanism_class = examples.FlaskMechanism
    malformed = ({'labels': 'x'}, {'labels': [1]})
    cases = (
        contract.Case(
            {'isolation:flask_label': 'domu_t', 'isolation:hypervisor': 'xen'},
            [_flask('dom0_t\ndomu_t\n')],
            [('flask.no_label', _flask('dom0_t\n'))],
            [fakes.Guest(type='xen', label='', enforced=False, seccomp=0)],
            [
                ('flask.wrong_label', fakes.Guest(uuid='other', type='xen')),
                ('flask.wrong_label', fakes.Guest(uuid='unknown')),
            ],
        ),
    )

    def setUp(self):
        super().setUp()
        self.mechanism.toolstack = {fakes.UUID: 'domu_t', 'other': 'dom0_t'}

    def test_only_on_its_hypervisor(self):
        wanted = requirements.parse(
            {'isolation:flask_label': 'a', 'isolation:hypervisor': 'kvm'},
            self.mechanisms.vocabulary,
        )
        self.assertCodes(['spec.conflict'], wanted.problems)
