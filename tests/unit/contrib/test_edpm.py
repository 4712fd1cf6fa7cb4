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

"""The files for RHOSO and EDPM say what exists."""

import fnmatch
from pathlib import Path
import posixpath
from typing import Any
import unittest

from lab.config import edpm
from lab.config import host_specs
from lab.config import nova_conf
from lab.config import site
from lab.hosts import container
from lab.run import layout
from lab.run import ports
from tests.unit.contrib import files

_FOLDER = files.CONTRIB / 'edpm'
#: What edpm-ansible's role edpm_nova allows (tasks/configure.yml and
#: meta/argument_specs.yml).
_BELOW = ('/etc/', '/opt/', '/var/lib/')
_NOT_BELOW = ('/var/lib/nova', '/var/lib/openstack', '/etc/nova')


def _custom(name: str, kind: str) -> Any:
    found = files.document(_FOLDER / name)
    assert found['kind'] == kind, found['kind']
    return found


def _configuration() -> dict[str, dict[str, list[str]]]:
    data = _custom('nova-extra-config.yaml', 'ConfigMap')['data']
    (text,) = data.values()
    return files.settings(text)


class MountsTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        node_set = _custom('nodeset-patch.yaml', 'OpenStackDataPlaneNodeSet')
        variables = node_set['spec']['nodeTemplate']['ansible']['ansibleVars']
        self.mounts = variables.pop('edpm_nova_extra_bind_mounts')
        self.assertEqual({}, variables)

    def test_each_is_one_that_the_role_accepts(self) -> None:
        for mount in self.mounts:
            self.assertEqual({'src', 'dest', 'options'}, set(mount))
            target = posixpath.normpath(mount['dest'])
            self.assertTrue(target.startswith(_BELOW), target)
            for folder in _NOT_BELOW:
                self.assertNotEqual(
                    folder, posixpath.commonpath([folder, target])
                )

    def test_selinuxfs_is_writable_and_where_the_option_says(self) -> None:
        (mount,) = [m for m in self.mounts if m['src'] == '/sys/fs/selinux']
        self.assertEqual('rw', mount['options'])
        self.assertEqual(
            [mount['dest']], _configuration()['isolation']['selinuxfs']
        )


class ConfigurationTest(unittest.TestCase):
    def test_nova_compute_reads_it_last(self) -> None:
        data = _custom('nova-extra-config.yaml', 'ConfigMap')['data']
        for name in data:
            self.assertTrue(fnmatch.fnmatch(name, '*nova*.conf'), name)
            # nova-operator writes 01-nova.conf, and the role the next one.
            self.assertGreater(name, '02-nova-host-specific.conf')

    def test_options_exist(self) -> None:
        found = _configuration()
        self.assertEqual(set(), files.unknown_options(found))
        self.assertEqual(
            ['isolation.IsolationDriver'], found['DEFAULT']['compute_driver']
        )

    def test_the_filter_is_available_and_enabled(self) -> None:
        plane = _custom('control-plane-patch.yaml', 'OpenStackControlPlane')
        template = plane['spec']['nova']['template']
        text = template['schedulerServiceTemplate']['customServiceConfig']
        found = files.settings(text)
        self.assertEqual(set(), files.unknown_options(found))
        filters = found['filter_scheduler']
        self.assertEqual(files.FILTERS, set(filters['available_filters']))
        (enabled,) = filters['enabled_filters']
        self.assertEqual('IsolationFilter', enabled.split(',')[-1])


def _addresses() -> site.Site:
    names = (*site.SERVICE_USERS, 'rabbitmq')
    return site.Site(
        layout.Layout(Path('/nonexistent')),
        ports.Ports(20000),
        dict.fromkeys(names, ''),
    )


class LabTest(unittest.TestCase):
    """The lab's container on the machine has these mounts and options."""

    def test_mounts(self) -> None:
        (volume,) = edpm.extra_volumes()
        self.assertEqual('/sys/fs/selinux', str(volume.source))
        self.assertFalse(volume.read_only)
        self.assertIn(volume, container.machine_mounts(_addresses(), 'cpu'))

    def test_it_shares_the_processes_of_the_host(self) -> None:
        command = container.inside_machine(_addresses(), 'cpu', ['true'])
        self.assertNotIn('--pid', command)

    def test_options(self) -> None:
        spec = host_specs.KNOWN['cpu-selinux'].laid_out('container')
        found = nova_conf.machine_compute(_addresses(), spec)
        for section, options in edpm.nova_compute().items():
            self.assertLessEqual(set(options), set(found[section]))
        self.assertEqual(
            spec.isolation['isolation_svirt']['types'],
            found['isolation_svirt']['types'],
        )


class ImagesTest(unittest.TestCase):
    def test_all_images_that_need_the_package(self) -> None:
        version = _custom('version-patch.yaml', 'OpenStackVersion')
        self.assertEqual(
            {'novaAPIImage', 'novaSchedulerImage', 'novaComputeImage'},
            set(version['spec']['customContainerImages']),
        )

    def test_the_image_keeps_its_own_packages(self) -> None:
        text = (_FOLDER / 'Containerfile').read_text(encoding='utf-8')
        (install,) = [row for row in text.splitlines() if 'pip install' in row]
        self.assertIn('--no-deps', install)
        self.assertTrue(text.rstrip().endswith('USER nova'))


class HookTest(unittest.TestCase):
    def test_the_play_installs_the_hook_on_the_host(self) -> None:
        service = _custom('host-service.yaml', 'OpenStackDataPlaneService')
        (play,) = files.yaml.safe_load(service['spec']['playbookContents'])
        names = [task['name'] for task in play['tasks']]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn('Install the hook', names)
        # ConfigMaps are mounted in a folder of the service's name.
        self.assertIn(
            f'/var/lib/openstack/configs/{service["metadata"]["name"]}/*',
            play['tasks'][1]['loop'],
        )
