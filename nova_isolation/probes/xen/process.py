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

"""Runs the program that asks the hypervisor, with a limit of time."""

import errno
import json
import os
import subprocess  # nosec B404: runs this project's own program
import sys

from nova_isolation.probes.xen import answers
from nova_isolation.probes.xen import child
from nova_isolation.probes.xen import wire

#: Bytes of the longest answer; that about a host with thousands of domains
#: has fewer.
_LONGEST = 4 << 20


def run(question: str, seconds: float) -> str:
    """Run the program.

    :param question: a question as JSON
    :param seconds: how long it may take
    :returns: its output, of which nothing is known
    :raises OSError: it cannot be run, does not end in time or fails
    """
    try:
        done = subprocess.run(  # noqa: S603  # nosec B603: our own file
            [sys.executable, '-I', '-S', child.__file__],
            input=question,
            capture_output=True,
            check=False,
            cwd='/',
            encoding='ascii',
            errors='replace',
            env={'LC_ALL': 'C', 'PATH': os.defpath},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f'Xen: no answer in {seconds:g} s') from error
    if done.returncode or len(done.stdout) > _LONGEST:
        raise OSError(
            f'the program that asks Xen ended with {done.returncode}: '
            f'{done.stderr[-200:]!a}'
        )
    return done.stdout


def read(question: answers.Question, text: str) -> answers.Answer:
    """Return the answer in an output.

    :param question: what was asked
    :param text: the output
    :raises PermissionError: this process may not ask the hypervisor
    :raises OSError: the hypervisor does not answer
    :raises ValueError: the output is no answer to the question
    """
    found = json.loads(text)
    if isinstance(found, dict) and set(found) == {'error'}:
        number, words = wire.read(tuple[int, str], found['error'])
        if number < 0:
            raise ValueError(words)
        if number in (errno.EACCES, errno.EPERM):
            raise PermissionError(number, words)
        raise OSError(number, words)
    answer: answers.Answer = wire.read(answers.Answer, found)
    # Without FLASK there are no labels.
    has_labels = answer.hypervisor.flask != answers.ABSENT
    labels = question.labels if has_labels else ()
    pairs = question.pairs if has_labels else ()
    if (
        tuple(one.asked for one in answer.labels) != labels
        or tuple((one.source, one.target) for one in answer.accesses) != pairs
        or not answer.domains
        or answer.domains[0].id
    ):
        raise ValueError('the answer is one to another question')
    return answer
