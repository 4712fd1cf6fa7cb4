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

"""Options as data, and the file that oslo.config reads."""

from pathlib import Path
import tempfile
import unittest

from oslo_config import cfg

from lab.config import ini


class IniTest(unittest.TestCase):
    def test_a_later_part_wins(self) -> None:
        merged = ini.merge(
            {'DEFAULT': {'host': 'a', 'debug': False}},
            {'DEFAULT': {'host': 'b'}, 'libvirt': {'virt_type': 'qemu'}},
        )
        self.assertEqual(
            {
                'DEFAULT': {'host': 'b', 'debug': False},
                'libvirt': {'virt_type': 'qemu'},
            },
            merged,
        )

    def test_the_parts_are_not_changed(self) -> None:
        part = {'DEFAULT': {'host': 'a'}}
        ini.merge(part, {'DEFAULT': {'host': 'b'}})
        self.assertEqual({'DEFAULT': {'host': 'a'}}, part)

    def test_oslo_config_reads_it(self) -> None:
        conf = cfg.ConfigOpts()
        conf.register_opts(
            [
                cfg.MultiStrOpt('filters'),
                cfg.BoolOpt('enabled'),
                cfg.IntOpt('workers'),
            ],
            'scheduler',
        )
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
            file.write(
                ini.render(
                    {
                        'scheduler': {
                            'filters': ['one', 'two'],
                            'enabled': False,
                            'workers': 3,
                        }
                    }
                )
            )
            file.flush()
            conf([], default_config_files=[str(Path(file.name))])
        self.assertEqual(['one', 'two'], conf.scheduler.filters)
        self.assertIs(False, conf.scheduler.enabled)
        self.assertEqual(3, conf.scheduler.workers)
