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

"""Tests of nova_isolation.cmd.manage, without Nova's configuration."""

import argparse
import contextlib
import io
import types
from unittest import mock

from nova import config
from nova import objects
import nova.conf
from oslo_config import cfg

from nova_isolation.cmd import error
from nova_isolation.cmd import manage
from nova_isolation.model import errors
from tests.unit import base


class CommandsTest(base.TestCase):
    """The commands, each of them a module."""

    def test_each_adds_a_command_that_runs(self):
        subparsers = argparse.ArgumentParser().add_subparsers()
        for command in manage.COMMANDS:
            before = set(subparsers.choices)
            command.add(subparsers)
            (name,) = set(subparsers.choices) - before
            module = command.__name__.rpartition('.')[2]
            self.assertEqual(module.replace('_', '-'), name)
            parser = subparsers.choices[name]
            self.assertTrue(callable(parser.get_default('run')))
            self.assertTrue(parser.description)

    def run_program(self, run, *words):
        """A program with one more command: its exit status and stderr."""

        def add(subparsers):
            parser = subparsers.add_parser('greet')
            parser.add_argument('whom')
            parser.set_defaults(run=run)

        conf = nova.conf.CONF

        def parse_args(argv):
            conf(argv[1:], project='nova', default_config_files=[])

        def forget():
            conf.clear()
            conf.unregister_opt(cfg.SubCommandOpt('command'))

        self.addCleanup(forget)
        conf.clear()
        commands = (*manage.COMMANDS, types.SimpleNamespace(add=add))
        err = io.StringIO()
        with (
            mock.patch.object(manage, 'COMMANDS', commands),
            mock.patch.object(config, 'parse_args', parse_args),
            mock.patch.object(objects, 'register_all'),
            mock.patch('sys.argv', ['nova-isolation-manage', *words]),
            contextlib.redirect_stderr(err),
        ):
            return manage.main(), err.getvalue()

    def test_a_terminal_without_the_letters(self):
        out = io.TextIOWrapper(io.BytesIO(), encoding='latin-1')

        def run(arguments):
            print(f'host \u0436: {arguments.whom}')
            return 0

        with contextlib.redirect_stdout(out):
            self.assertEqual((0, ''), self.run_program(run, 'greet', 'all'))
        out.flush()
        self.assertEqual(b'host \\u0436: all\n', out.buffer.getvalue())

    def test_another_command(self):
        given = []

        def run(arguments):
            given.append(arguments.whom)
            return 7

        self.assertEqual((7, ''), self.run_program(run, 'greet', 'world'))
        self.assertEqual(['world'], given)

    def test_command_that_cannot(self):
        def run(arguments):
            raise error.CommandError('There is no such world.')

        self.assertEqual(
            (2, 'There is no such world.\n'),
            self.run_program(run, 'greet', 'world'),
        )
        self.assertTrue(issubclass(error.CommandError, errors.IsolationError))
