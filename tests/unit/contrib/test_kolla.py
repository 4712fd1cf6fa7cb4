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

"""The files for Kolla-Ansible say what exists, and what the lab does."""

from pathlib import Path
from pathlib import PurePosixPath
import sys
import tempfile
import unittest
from unittest import mock

import jinja2

from lab.config import kolla
from lab.config import site
from lab.config import volumes
from lab.hosts import container
from lab.run import layout
from lab.run import ports
from tests.unit.contrib import files

_FOLDER = files.CONTRIB / 'kolla'


class GlobalsTest(unittest.TestCase):
    def test_only_variables_that_kolla_ansible_has(self) -> None:
        found = files.document(_FOLDER / 'globals.yml')
        self.assertEqual({'nova_compute_extra_volumes'}, set(found))

    def test_each_volume_is_one_that_the_lab_can_mount(self) -> None:
        found = kolla.extra_volumes()
        self.assertTrue(found)
        for volume in found:
            self.assertTrue(volume.read_only, volume)

    def test_a_volume_that_the_lab_could_not_mount(self) -> None:
        for text in ('/proc:/host/proc:Z', 'name:/var/lib/x', '/proc:proc'):
            with self.assertRaises(ValueError):
                volumes.Volume.parse(text)

    def test_the_host_s_proc_is_where_the_option_says(self) -> None:
        targets = {
            str(one.source): str(one.target) for one in kolla.extra_volumes()
        }
        isolation = kolla.nova_compute()['isolation']
        self.assertEqual(targets['/proc'], isolation['process_root'])


class ConfigurationTest(unittest.TestCase):
    def test_options_exist(self) -> None:
        paths = list((_FOLDER / 'config' / 'nova').iterdir())
        self.assertEqual(
            {'nova-compute.conf', 'nova-scheduler.conf'},
            {path.name for path in paths},
        )
        for path in paths:
            found = files.settings(path.read_text(encoding='utf-8'))
            self.assertEqual(set(), files.unknown_options(found), path)

    def test_an_option_that_does_not_exist(self) -> None:
        found = files.settings('[isolation]\nproces_root = /host/proc\n')
        self.assertEqual(
            {'[isolation] proces_root'}, files.unknown_options(found)
        )

    def test_the_driver(self) -> None:
        self.assertEqual(
            'isolation.IsolationDriver',
            kolla.nova_compute()['DEFAULT']['compute_driver'],
        )

    def test_the_filter_is_available_and_enabled(self) -> None:
        path = _FOLDER / 'config' / 'nova' / 'nova-scheduler.conf'
        found = files.settings(path.read_text(encoding='utf-8'))
        filters = found['filter_scheduler']
        self.assertEqual(files.FILTERS, set(filters['available_filters']))
        (enabled,) = filters['enabled_filters']
        self.assertEqual('IsolationFilter', enabled.split(',')[-1])


class ImageTest(unittest.TestCase):
    def test_the_hook_is_installed_in_the_image_of_libvirt(self) -> None:
        parent = (
            '{{ nova_libvirt_packages_append | join(",") }}\n'
            '{% block nova_libvirt_footer %}{% endblock %}'
        )
        override = (_FOLDER / 'template-override.j2').read_text('utf-8')
        environment = jinja2.Environment(
            loader=jinja2.DictLoader({'parent': parent, 'us': override}),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )
        for kind, package in (('deb', 'python3-venv'), ('rpm', 'python3')):
            text = environment.get_template('us').render(
                parent_template='parent', base_package_type=kind
            )
            self.assertIn(package, text.splitlines())
            self.assertIn('nova-isolation-hook install', text)

    def test_the_sections_of_kolla_build(self) -> None:
        text = (_FOLDER / 'kolla-build.conf').read_text(encoding='utf-8')
        found = files.settings(text)
        self.assertEqual(
            {
                'nova-base-plugin-nova-isolation',
                'nova-libvirt-additions-nova-isolation',
            },
            set(found),
        )
        for section in found.values():
            self.assertEqual(
                {'type': ['local'], 'location': ['LOCATION']}, section
            )


class LabTest(unittest.TestCase):
    """The lab's container has these very volumes."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        state = layout.Layout(Path(folder.name))
        self.site = site.Site(state, ports.Ports(20000), {})

    def test_the_container_has_the_volumes_of_the_file(self) -> None:
        mounts = container.mounts(self.site, 'cpu')
        for volume in kolla.extra_volumes():
            self.assertIn(volume, mounts)

    def test_none_brings_the_emulator_back(self) -> None:
        for prefix in ('/usr', '/opt/python'):
            with mock.patch.object(sys, 'base_prefix', prefix):
                mounts = container.mounts(self.site, 'cpu')
            emulator = PurePosixPath('/usr/bin/qemu-system-x86_64')
            for volume in mounts:
                self.assertFalse(emulator.is_relative_to(volume.target))

    def test_one_is_taken_away_and_given_back(self) -> None:
        before = container.mounts(self.site, 'cpu')
        container.take_away(self.site, 'cpu', ['/host/proc'])
        (gone,) = set(before) - set(container.mounts(self.site, 'cpu'))
        self.assertEqual('/host/proc', str(gone.target))
        container.take_away(self.site, 'cpu', [])
        self.assertEqual(before, container.mounts(self.site, 'cpu'))

    def test_what_is_below_one_is_covered(self) -> None:
        before = container.mounts(self.site, 'cpu')
        container.take_away(self.site, 'cpu', ['/run/libvirt/qemu'])
        after = container.mounts(self.site, 'cpu')
        self.assertEqual(before, after[:-1])
        self.assertEqual('/run/libvirt/qemu', str(after[-1].target))
