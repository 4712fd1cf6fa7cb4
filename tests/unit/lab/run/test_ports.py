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

"""Every server of a lab has a port of its own, which nobody else uses."""

import itertools
from pathlib import Path
import socket
import unittest
from unittest import mock

from lab.run import errors
from lab.run import ports


class PortsTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ports = ports.Ports(20000)

    def test_no_port_has_two_uses(self) -> None:
        used = [
            self.ports[name]
            for name in (
                *ports.NAMES,
                *ports.ATTESTATION_NAMES,
                *ports.OPERATOR_NAMES,
            )
        ]
        for of_host in (
            lambda index: [self.ports.ssh(index)],
            lambda index: [self.ports.agent(index)],
            self.ports.tpm,
            self.all_of_migration,
        ):
            used += self.until_there_is_no_room(of_host)
        self.assertEqual(len(used), len(set(used)))
        self.assertGreaterEqual(min(used), 20000)
        self.assertLess(max(used), 20000 + ports._BLOCK)

    def all_of_migration(self, index: int) -> range:
        first, last = self.ports.migration(index)
        return range(first, last + 1)

    def until_there_is_no_room(self, of_host):
        found = []
        for index in itertools.count():
            try:
                found += of_host(index)
            except errors.LabError as error:
                self.assertIn(f'compute host {index + 1}', str(error))
                return found

    def test_each_kind_has_room_for_the_hosts_of_a_lab(self) -> None:
        for index in range(5):
            self.ports.ssh(index)
            self.ports.agent(index)
            self.ports.tpm(index)
            self.ports.migration(index)

    def test_a_tpm_has_its_control_port_behind_the_first(self) -> None:
        port, control = self.ports.tpm(1)
        self.assertEqual(port + 1, control)

    def test_no_such_server(self) -> None:
        with self.assertRaises(ValueError):
            self.ports['memcached']


class FindTest(unittest.TestCase):
    def test_a_block_is_free_and_below_the_ports_of_clients(self) -> None:
        low = int(
            Path('/proc/sys/net/ipv4/ip_local_port_range')
            .read_text('ascii')
            .split()[0]
        )
        with mock.patch.object(ports, '_free', return_value=True) as free:
            found = ports.find()
        asked = {call.args[0] for call in free.call_args_list}
        block = set(range(found.base, found.base + ports._BLOCK))
        self.assertEqual(block, asked)
        if low >= 4096:
            self.assertLessEqual(max(block), low)

    def test_one_port_in_use_spoils_a_block(self) -> None:
        bases = iter((3000, 3010, 3200))
        chooser = mock.Mock(randrange=lambda low, high: next(bases))
        with (
            mock.patch.object(
                ports.random, 'SystemRandom', return_value=chooser
            ),
            mock.patch.object(ports, '_free', side_effect=lambda p: p != 3050),
        ):
            self.assertEqual(3200, ports.find().base)

    def test_no_block_is_free(self) -> None:
        with (
            mock.patch.object(ports, '_free', return_value=False),
            self.assertRaisesRegex(errors.LabError, 'free ports'),
        ):
            ports.find()

    def test_a_port_in_use_is_not_free(self) -> None:
        with socket.socket() as server:
            server.bind(('127.0.0.1', 0))
            server.listen()
            port = server.getsockname()[1]
            self.assertFalse(ports._free(port))
            self.assertTrue(ports.listening(port))
        self.assertFalse(ports.listening(port))
