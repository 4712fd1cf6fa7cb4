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

"""The libvirt hook refuses guests that are started without Nova."""

import re

from lab.run import errors
from tests.e2e import base
from tests.e2e import libvirt_hosts

_FITS = {'isolation:qemu_sandbox': 'true'}
_SVIRT = {'isolation:svirt': 'selinux'}
_UNKNOWN = {'isolation:svrit': 'selinux'}
_WRONG = 'isolation.svirt.wrong_definition'


class StartTest(libvirt_hosts.TestCase):
    """``virsh start`` of a domain that was defined by hand."""

    def test_untagged(self) -> None:
        self.start({'hw:cpu_policy': 'shared'})
        self.assertIn(self.name, self.guests(self.here))

    def test_tagged_and_nothing_missing_in_the_xml(self) -> None:
        self.start(_FITS)
        self.assertIn(self.name, self.guests(self.here))

    def test_no_seclabel(self) -> None:
        self.define(_SVIRT)
        self.assertVetoed(_WRONG, 'model selinux', 'reboot --hard', self.name)

    def test_seclabel_of_another_model(self) -> None:
        self.define(
            _SVIRT, '<seclabel type="dynamic" model="dac" relabel="yes"/>'
        )
        self.assertVetoed(_WRONG, 'model="dac"')

    def test_unknown_tag(self) -> None:
        self.define(_UNKNOWN)
        self.assertVetoed('isolation.spec.unknown', 'isolation:svrit')

    def test_invalid_value(self) -> None:
        self.define({'isolation:qemu_sandbox': 'maybe'})
        self.assertVetoed('isolation.spec.invalid_value', 'maybe')

    def test_one_wrong_tag_beside_a_good_one(self) -> None:
        self.define({**_FITS, **_UNKNOWN})
        self.assertVetoed('isolation.spec.unknown')

    def test_libvirt_refuses_a_model_without_a_driver_first(self) -> None:
        self.define(
            _SVIRT, '<seclabel type="dynamic" model="selinux" relabel="yes"/>'
        )
        with self.assertRaisesRegex(
            errors.LabError, "Security driver model 'selinux' is not available"
        ):
            self.virsh('start', self.name)

    def test_made_and_started_at_once(self) -> None:
        xml = libvirt_hosts.domain(self.name, _SVIRT)
        with self.assertRaises(errors.LabError) as caught:
            self.virsh('create', self.file(xml))
        self.assertHookSays(str(caught.exception), _WRONG)
        self.assertNotIn(self.name, self.guests(self.here, '--all'))

    def test_the_hook_says_that_it_works(self) -> None:
        for host in self.hosts:
            self.assertIn('refuses', host.hook(self.supervisor, 'status'))

    def test_removed_and_put_back(self) -> None:
        self.define(_UNKNOWN)
        self.addCleanup(self.here.hook, self.supervisor, 'install')
        self.here.hook(self.supervisor, 'remove')
        self.virsh('start', self.name)
        self.virsh('destroy', self.name)
        # libvirt lists the folder at each call. It needs no reload if it found
        # a QEMU hook when it started.
        self.here.hook(self.supervisor, 'install')
        self.assertVetoed('isolation.spec.unknown')


class RestartTest(libvirt_hosts.TestCase):
    """Guests that libvirtd starts or finds when it starts."""

    def test_autostart(self) -> None:
        self.define(_SVIRT)
        self.virsh('autostart', self.name)
        other = f'{self.name}-other'
        self.virsh('define', self.file(libvirt_hosts.domain(other, _FITS)))
        self.virsh('autostart', other)
        self.restart(self.here, reboot=True)
        self.supervisor.wait(
            'the other guest', lambda: other in self.guests(self.here), 180
        )
        log = self.supervisor.log(self.here.daemon)

        def veto() -> str:
            text = log.read_text(encoding='utf-8', errors='replace')
            _, _, after = text.partition(f'let the guest {self.name} start')
            # The message is about this guest, not the next refused one.
            return after.partition('let the guest')[0]

        self.supervisor.wait('the veto', lambda: _WRONG in veto(), 180)
        self.assertEqual([other], self.guests(self.here))

    def test_running_guests_live_on(self) -> None:
        self.start(_FITS)
        self.retag({**_SVIRT, **_UNKNOWN})
        self.assertIn('isolation:svrit', self.virsh('dumpxml', self.name))
        self.restart(self.here)
        # libvirt answers before it has reconnected to its guests. This waits
        # until it has, and has killed the guest if the hook failed.
        self.virsh('suspend', self.name)
        self.assertEqual([self.name], self.guests(self.here))
        # The hook tolerates a running guest, and would refuse a start.
        self.virsh('destroy', self.name)
        self.define(_SVIRT)
        self.assertVetoed(_WRONG)


class MigrationTest(libvirt_hosts.TestCase):
    """A guest that is migrated from another host without Nova."""

    def migrate(self) -> None:
        self.virsh('migrate', '--live', self.name, self.there.layout.uri)

    def definition(self) -> str:
        """The XML that is migrated, without the parts of one host."""
        for host in self.hosts:
            if self.name in self.guests(host):
                xml = self.virsh(
                    'dumpxml', '--migratable', self.name, host=host
                )
                return re.sub(r" id='[0-9]+'", '', xml)
        return ''

    def test_arrives_untouched(self) -> None:
        self.start(_FITS)
        before = self.definition()
        self.migrate()
        self.assertIn(self.name, self.guests(self.there))
        self.assertNotIn(self.name, self.guests(self.here))
        self.assertEqual(before, self.definition())
        # libvirt marks guests whose XML a hook has changed.
        log = self.there.layout.root / 'log-libvirt/qemu' / f'{self.name}.log'
        self.assertIn('starting up', log.read_text(encoding='utf-8'))
        self.assertNotIn('hook', log.read_text(encoding='utf-8'))

    def test_refused_and_still_running_where_it_was(self) -> None:
        self.start(_FITS)
        self.retag(_SVIRT)
        with self.assertRaises(errors.LabError) as caught:
            self.migrate()
        self.assertHookSays(str(caught.exception), _WRONG)
        self.assertIn(self.name, self.guests(self.here))
        self.assertIn(
            'running', self.virsh('domstate', self.name, host=self.here)
        )
        self.assertNotIn(self.name, self.guests(self.there, '--all'))


class RestoreTest(libvirt_hosts.TestCase):
    """A guest that was saved, with libvirt's copy of its XML."""

    def save(self) -> str:
        """Start the guest and save it.

        :returns: the XML in the saved image
        """
        self.image = self.layout.data / f'{self.name}.save'
        self.start(_FITS)
        self.virsh('save', self.name, self.image)
        return self.virsh('save-image-dumpxml', self.image)

    def test_as_it_was(self) -> None:
        self.save()
        self.virsh('restore', self.image)
        self.assertIn(self.name, self.guests(self.here))

    def test_changed_by_hand(self) -> None:
        xml = self.save()
        xml = xml.replace('"isolation:qemu_sandbox"', '"isolation:svrit"')
        self.virsh('save-image-define', self.image, self.file(xml))
        with self.assertRaises(errors.LabError) as caught:
            self.virsh('restore', self.image)
        self.assertHookSays(str(caught.exception), 'isolation.spec.unknown')
        self.assertNotIn(self.name, self.guests(self.here))


class NovaTest(base.TestCase):
    """A guest of Nova whose XML is edited by hand."""

    def test_edited_by_hand(self) -> None:
        server = self.boot(_FITS, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        host = self.cloud.hosts[base.HARDENED]
        self.api.compute.stop_server(server)
        self.guests.wait_status(server, ('SHUTOFF',))
        xml = host.virsh(
            self.cloud.supervisor, 'dumpxml', '--inactive', server.id
        )
        edited = xml.replace('"isolation:qemu_sandbox"', '"isolation:svirt"')
        self.assertNotEqual(xml, edited)
        path = self.cloud.layout.data / f'{server.id}.xml'
        path.write_text(edited, encoding='utf-8')
        self.addCleanup(path.unlink)
        host.virsh(self.cloud.supervisor, 'define', str(path))
        with self.assertRaisesRegex(errors.LabError, 'invalid_value'):
            host.virsh(self.cloud.supervisor, 'start', server.id)
        # Nova writes the XML anew.
        self.api.compute.start_server(server)
        self.assertEqual(
            'ACTIVE', self.guests.wait_status(server, ('ACTIVE',)).status
        )
