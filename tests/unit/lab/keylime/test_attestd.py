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

"""The lab sets only options that this project has."""

from pathlib import Path
import tempfile
import unittest

from lab.config import host_specs
from lab.config import ini
from lab.config import site as sites
from lab.keylime import attestd
from lab.keylime import evidence
from lab.run import layout as layouts
from lab.run import ports
from nova_isolation import opts
from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.attestd import opts as attestd_opts
from nova_isolation.attestd.evidence import opts as evidence_opts
from nova_isolation.attestd.evidence import service
from nova_isolation.attester import opts as attester_opts
from nova_isolation.evidence import trust


def known() -> set[tuple[str, str]]:
    """Group and name of each option of this project, old names included."""
    found = set()
    for module in (
        opts,
        attestation_opts,
        attestd_opts,
        attester_opts,
        evidence_opts,
    ):
        for group, options in module.list_opts():
            section = str(group or 'DEFAULT')
            for option in options:
                found.add((section, option.dest))
                for old in option.deprecated_opts:
                    found.add((old.group or section, old.name or option.dest))
    return found


class OptionsTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.site = sites.Site(
            layouts.Layout(Path(folder.name)), ports.Ports(20000), {}
        )

    def assertKnown(self, settings: ini.Settings) -> None:
        """This project has all of these options."""
        wanted = {
            (section, name)
            for section, options in settings.items()
            for name in options
        }
        self.assertEqual(set(), wanted - known())

    def test_of_clients_of_attestd(self) -> None:
        self.assertKnown(attestd.client(self.site))

    def test_of_attestd(self) -> None:
        attestd.make(self.site, evidence.log(self.site))
        path = attestd._conf(self.site.layout)
        self.assertTrue(path.is_file())
        self.assertKnown(attestd._settings(self.site))

    def test_of_evidence(self) -> None:
        self.assertKnown(evidence.log(self.site))
        self.assertKnown(evidence.host(self.site, 'device:/dev/tpmrm0'))
        evidence.make(self.site)
        log = evidence.log(self.site)['evidence']['log_key_file']
        service.load_key(str(log))
        trust.loads(evidence.trust(self.site.layout).read_bytes())

    def test_of_compute_hosts(self) -> None:
        for spec in host_specs.KNOWN.values():
            self.assertKnown(spec.isolation)

    def test_the_files_of_a_client_exist(self) -> None:
        attestd.make(self.site, evidence.log(self.site))
        layout = self.site.layout
        for path in (
            attestd.authority_certificate(layout),
            *attestd.client_certificate(layout),
        ):
            self.assertTrue(path.is_file(), path)
