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

"""The program that asks the hypervisor and xenstore, and ends.

It is run by its path, as root of dom0. It reads a question of
:mod:`nova_isolation.probes.xen.answers` from its input and writes the answer
to its output, or ``{"error": [NUMBER, TEXT]}``. A library of Xen can wait for
ever or end the process; whoever starts this program limits its time and takes
nothing that is not a whole answer.
"""

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nova_isolation.probes.xen import hypercalls


def answer(text: str) -> str:
    """Return the answer to a question.

    :raises OSError, ValueError: there is none
    """
    from nova_isolation.probes.xen import hypercalls
    from nova_isolation.probes.xen import libraries
    from nova_isolation.probes.xen import xenstore

    question = json.loads(text)
    version = libraries.release()
    calls = hypercalls.Hypercalls(libraries.control(version), version)
    before = calls.hypervisor()
    has_flask = before['flask'] != hypercalls.ABSENT
    domains = calls.domains(has_flask)
    found = {
        'hypervisor': before,
        'labels': [],
        'accesses': [],
        'around': [],
        'domains': domains,
        'devices': [],
        'has_model': False,
    }
    if has_flask:
        own = str(domains[0]['label'])
        found['labels'] = [
            calls.label(label, own) for label in question['labels']
        ]
        found['accesses'] = [calls.access(*pair) for pair in question['pairs']]
    for domain in domains:
        if domain['uuid'] == question['uuid'] and not domain['dying']:
            number = int(str(domain['id']))
            store = xenstore.Xenstore(libraries.store())
            found['devices'] = list(store.devices(number))
            found['has_model'] = store.has_model(number)
            if has_flask:
                found['around'] = around(calls, str(domain['label']), domains)
    if calls.hypervisor() != before:
        raise BlockingIOError('the policy or the mode of FLASK has changed')
    return json.dumps(found)


def around(
    calls: 'hypercalls.Hypercalls',
    label: str,
    domains: 'list[hypercalls.Fields]',
) -> 'list[hypercalls.Fields]':
    """Return what a domain and each that runs may do to each other.

    :param label: the label of the domain
    :param domains: all domains
    """
    others = sorted({str(domain['label']) for domain in domains})
    return [
        calls.access(*pair)
        for other in others
        for pair in ((label, other), (other, label))
    ]


def main() -> None:
    """Answer one question."""
    # Only this package, below the folder from which the program was started,
    # and the standard library are imported.
    folder = os.path.abspath(__file__)
    for _ in range(4):
        folder = os.path.dirname(folder)
    sys.path.append(folder)
    try:
        print(answer(sys.stdin.read()))
    except OSError as error:
        words = error.strerror or str(error)
        if error.filename:
            words = f'{error.filename}: {words}'
        print(json.dumps({'error': [error.errno or 0, words]}))
    except ValueError as error:
        print(json.dumps({'error': [-1, str(error)]}))


if __name__ == '__main__':
    main()
