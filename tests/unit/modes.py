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

"""Runs code in a process of its own, as Nova's services do: with eventlet's
monkey patching, or with native threads.

The process of the tests is never patched.
"""

from importlib import metadata
import os
import pathlib
import subprocess
import sys
import textwrap

#: Seconds after which a process counts as hanging, on a machine that is busy.
PATIENCE = 120.0

_ROOT = pathlib.Path(__file__).parents[2]

_BEGINNING = {
    'eventlet': 'import eventlet; eventlet.monkey_patch()\n',
    'native threads': (
        'from oslo_service import backend; '
        'backend.init_backend(backend.BackendType.THREADING)\n'
    ),
}

_RELEASE = int(metadata.version('nova').split('.', 1)[0])

#: The modes of Nova's services. Nova 31 has no native threads, and neither has
#: its oslo.service.
MODES = tuple(_BEGINNING) if _RELEASE >= 32 else ('eventlet',)

_UNITTEST = """
import sys, unittest
unittest.main(module=None, argv=['unittest', '--failfast', *sys.argv[1:]])
"""


def run(mode, code, *arguments, patience=PATIENCE):
    """Run Python code in a process of its own; return what it wrote.

    :param mode: one of MODES
    :raises AssertionError: the process failed or hung
    """
    try:
        result = subprocess.run(
            [
                sys.executable,
                '-c',
                _BEGINNING[mode] + textwrap.dedent(code),
                *arguments,
            ],
            cwd=_ROOT,
            env={**os.environ, 'PYTHONPATH': str(_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = (error.output or b'').decode(errors='replace')
        raise AssertionError(
            f'{mode}: still running after {patience:g} s\n{output}'
        ) from None
    if result.returncode:
        raise AssertionError(
            f'{mode}: ended with {result.returncode}\n{result.stdout}'
        )
    return result.stdout


def run_tests(mode, *names):
    """Run unit tests, by the names of modules, classes or methods.

    :raises AssertionError: one of them failed, or none was found
    """
    output = run(mode, _UNITTEST, *names)
    if '\nOK' not in output or '\nRan 0 tests' in output:
        raise AssertionError(f'{mode}: no test ran\n{output}')
