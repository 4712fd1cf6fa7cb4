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

"""The labels of the other guests, while those come and go."""

import time
from unittest import mock

import libvirt

from nova_isolation.host import bounded_calls
from nova_isolation.host import process_labels
from nova_isolation.host import qemu_process
from nova_isolation.host import running_guest
from tests.unit import base
from tests.unit.host import test_bounded_calls

#: Seconds that the reading of one label may take.
LIMIT = 0.2


class Domain:
    """A domain; ``active`` is what each look at it gives."""

    def __init__(self, name, active=(True,), label=None, run=1):
        self._name = name
        self._run = run
        self.securityLabel = label
        self._active = list(active)

    def name(self):
        return self._name

    def UUIDString(self):
        return f'uuid-{self._name}'

    def ID(self):
        return self._run

    def isActive(self):
        answer = self._active.pop(0) if self._active[1:] else self._active[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Host:
    def __init__(self, *domains):
        self._domains = domains

    def list_instance_domains(self, only_running):
        assert only_running
        return list(self._domains)


def gone(code):
    error = libvirt.libvirtError('gone')
    error.err = (code, 0, 'gone', 0, '', None, None, 0, 0)
    return error


class OtherProcessLabelsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        patch = mock.patch.object(process_labels, '_PAUSE', 0)
        patch.start()
        self.addCleanup(patch.stop)

    def labels(self, others, answers):
        """:param answers: what each look for a process gives"""
        mine = Domain('mine')
        shared = process_labels.ProcessLabels(
            Host(mine, *others),
            'run',
            '/proc',
            bounded_calls.BoundedCalls(30),
        )
        guest = running_guest.RunningGuest(mine, 'run', '/proc', shared)
        processes = mock.Mock(side_effect=answers)
        with mock.patch.object(qemu_process.QemuProcess, 'find', processes):
            return guest.other_process_labels()

    def process(self, label):
        return mock.Mock(label=mock.Mock(return_value=label))

    def test_not_its_own(self):
        self.assertEqual({}, self.labels((), ()))

    def test_running(self):
        self.assertEqual(
            {'a': 'label-a', 'b': 'label-b'},
            self.labels(
                (Domain('a'), Domain('b')),
                (self.process('label-a'), self.process('label-b')),
            ),
        )

    def test_starting(self):
        self.assertEqual(
            {'a': 'label'},
            self.labels(
                (Domain('a'),),
                (OSError(), ValueError(), self.process('label')),
            ),
        )

    def test_ended(self):
        self.assertEqual(
            {}, self.labels((Domain('a', (True, False)),), [OSError()] * 2)
        )

    def test_undefined(self):
        error = gone(libvirt.VIR_ERR_NO_DOMAIN)
        self.assertEqual(
            {}, self.labels((Domain('a', (error,)),), [OSError()])
        )

    def test_runs_and_cannot_be_read(self):
        self.assertRaises(
            PermissionError,
            self.labels,
            (Domain('a'),),
            [PermissionError()] * 100,
        )

    def test_libvirt_cannot_tell(self):
        error = gone(libvirt.VIR_ERR_INTERNAL_ERROR)
        self.assertRaises(
            libvirt.libvirtError,
            self.labels,
            (Domain('a', (error,)),),
            [OSError()],
        )


class CensusTest(base.TestCase):
    """Many guests that are examined at once share the reading."""

    def setUp(self):
        super().setUp()
        patch = mock.patch.object(process_labels, '_PAUSE', 0)
        patch.start()
        self.addCleanup(patch.stop)

    def test_each_is_read_once(self):
        domains = [Domain(name) for name in 'abcd']
        shared = process_labels.ProcessLabels(
            Host(*domains), 'run', '/proc', bounded_calls.BoundedCalls(30)
        )
        find = mock.Mock(
            side_effect=lambda run_dir, name, uuid, proc: mock.Mock(
                label=mock.Mock(return_value=f'label-{name}')
            )
        )
        with mock.patch.object(qemu_process.QemuProcess, 'find', find):
            for domain in domains:
                self.assertEqual(
                    {n: f'label-{n}' for n in 'abcd' if n != domain.name()},
                    running_guest.RunningGuest(
                        domain, 'run', '/proc', shared
                    ).other_process_labels(),
                )
        self.assertEqual(4, find.call_count)

    def test_a_later_look_reads_those_that_were_started_since(self):
        def find(run_dir, name, uuid, proc):
            read.append(name)
            if name == 'ended':
                raise FileNotFoundError(name)
            label = f'label-{name}-{len(read)}'
            return mock.Mock(label=mock.Mock(return_value=label))

        def look(before, *domains):
            return process_labels.ProcessLabels(
                Host(*domains),
                'run',
                '/proc',
                bounded_calls.BoundedCalls(30),
                before,
            )

        read = []
        patch = mock.patch.object(qemu_process.QemuProcess, 'find', find)
        patch.start()
        self.addCleanup(patch.stop)
        stays, goes = Domain('stays'), Domain('goes')
        again, ended = Domain('again'), Domain('ended', (False,))
        first = look(None, stays, goes, again, ended)
        self.assertEqual(
            {
                'stays': 'label-stays-1',
                'goes': 'label-goes-2',
                'again': 'label-again-3',
            },
            first.others('uuid-mine'),
        )
        self.assertEqual('ended', read[3])
        second = look(
            first, stays, Domain('again', run=2), Domain('new'), ended
        )
        self.assertEqual(
            {
                'stays': 'label-stays-1',
                'again': 'label-again-5',
                'new': 'label-new-6',
            },
            second.others('uuid-mine'),
        )
        self.assertEqual('ended', read[6])

    def test_a_later_look_reads_again_what_could_not_be_read(self):
        domain = Domain('a')
        answers = [PermissionError('no')] * process_labels._TRIES
        answers.append(mock.Mock(label=mock.Mock(return_value='label')))
        find = mock.Mock(side_effect=answers)
        looks = [None]
        for _ in range(2):
            looks.append(
                process_labels.ProcessLabels(
                    Host(domain),
                    'run',
                    '/proc',
                    bounded_calls.BoundedCalls(30),
                    looks[-1],
                )
            )
        with mock.patch.object(qemu_process.QemuProcess, 'find', find):
            self.assertRaises(PermissionError, looks[1].others, 'uuid-mine')
            self.assertEqual({'a': 'label'}, looks[2].others('uuid-mine'))

    def hang(self, label):
        """Four guests; the process of b gives no answer.

        :param label: libvirt's answer about b
        """
        hang = self.useFixture(test_bounded_calls.Hang())
        domains = [Domain(name, label=label) for name in 'abcd']
        shared = process_labels.ProcessLabels(
            Host(*domains), 'run', '/proc', bounded_calls.BoundedCalls(LIMIT)
        )

        def find(run_dir, name, uuid, proc):
            if name == 'b':
                hang.read()
            return mock.Mock(label=mock.Mock(return_value=f'label-{name}'))

        patch = mock.patch.object(qemu_process.QemuProcess, 'find', find)
        patch.start()
        self.addCleanup(patch.stop)
        return shared, hang

    def test_a_process_that_hangs_costs_no_other_guest_its_proof(self):
        shared, _ = self.hang(lambda: ['libvirt-b', True])
        start = time.monotonic()
        self.assertEqual(
            {'b': 'libvirt-b', 'c': 'label-c', 'd': 'label-d'},
            shared.others('uuid-a'),
        )
        self.assertEqual(
            {'a': 'label-a', 'b': 'libvirt-b', 'd': 'label-d'},
            shared.others('uuid-c'),
        )
        # It was waited for once.
        self.assertLess(time.monotonic() - start, 2 * LIMIT)

    def test_neither_kernel_nor_libvirt_answers(self):
        hang = self.useFixture(test_bounded_calls.Hang())
        shared, _ = self.hang(hang.read)
        start = time.monotonic()
        for uuid in ('uuid-a', 'uuid-c'):
            self.assertRaises(TimeoutError, shared.others, uuid)
        self.assertLess(time.monotonic() - start, 3 * LIMIT)

    def test_one_that_cannot_be_read_is_tried_once_for_all(self):
        domains = [Domain(name) for name in 'abc']
        shared = process_labels.ProcessLabels(
            Host(*domains), 'run', '/proc', bounded_calls.BoundedCalls(30)
        )
        find = mock.Mock(side_effect=PermissionError('no'))
        with mock.patch.object(qemu_process.QemuProcess, 'find', find):
            for uuid in ('uuid-b', 'uuid-c'):
                self.assertRaises(PermissionError, shared.others, uuid)
            self.assertEqual(process_labels._TRIES, find.call_count)
