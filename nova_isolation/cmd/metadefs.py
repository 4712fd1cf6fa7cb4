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

"""Describe the extra specs for Glance's catalog of metadata definitions.

Horizon and other tools offer what this catalog describes where an admin edits
the metadata of a flavor. The description is made from the vocabulary of the
installed mechanisms. Where a mechanism failed to load, there is none, because
it would lack extra specs that nova-api knows elsewhere.
"""

import json
import typing

from nova_isolation.cmd import error
from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary

#: Named as those of Glance are that describe what Nova knows of flavors.
NAMESPACE = 'OS::Compute::Isolation'

_DESCRIPTION = (
    'Nova places a guest only on a host that measurably offers what the '
    'flavor asks for, starts it paused, verifies it, and only then lets it '
    'run; otherwise it refuses. All hosts that may run such guests need '
    'nova-isolation.'
)


def add(subparsers: typing.Any) -> None:
    """Add the command to those of ``nova-isolation-manage``.

    :param subparsers: as ``argparse`` makes them
    """
    parser = subparsers.add_parser(
        'metadefs',
        help='print the extra specs for "glance-manage db_load_metadefs"',
        description=__doc__,
    )
    parser.set_defaults(run=lambda given: run())


def run() -> int:
    """Print the description as JSON.

    :returns: 0
    :raises nova_isolation.cmd.error.CommandError: a mechanism failed to load
    """
    mechanisms = registry.get()
    if mechanisms.failed:
        raise error.CommandError(
            'The description would lack the extra specs of mechanisms that '
            f'failed to load: {", ".join(sorted(mechanisms.failed))}. The log '
            'says why. Repair or uninstall their packages.'
        )
    print(json.dumps(describe(mechanisms.vocabulary), indent=4))
    return 0


def describe(words: vocabulary.Vocabulary) -> dict[str, typing.Any]:
    """Return a namespace of Glance's metadata definitions.

    :param words: the extra specs to describe
    :returns: the document, in the form of Glance's own files in
        etc/metadefs; the names of its properties lack ``isolation:``,
        which Glance adds for flavors
    """
    return {
        'namespace': NAMESPACE,
        'display_name': 'Isolation of guests',
        'description': _DESCRIPTION,
        'visibility': 'public',
        'protected': True,
        'resource_type_associations': [
            {'name': 'OS::Nova::Flavor', 'prefix': vocabulary.NAMESPACE}
        ],
        'properties': {
            _short(key): _property(row) for key, row in words.rows.items()
        },
    }


def _short(key: str) -> str:
    return key.removeprefix(vocabulary.NAMESPACE)


def _property(row: vocabulary.ExtraSpec) -> dict[str, typing.Any]:
    """Describe one extra spec.

    Each is a string. Horizon writes an array as "<in> a,b", and a boolean
    that was not chosen as "false"; Nova refuses both.
    """
    result: dict[str, typing.Any] = {
        'title': _short(row.key).replace('_', ' '),
        'description': ' '.join(_sentences(row)),
        'type': 'string',
    }
    if row.values and not row.several:
        result['enum'] = list(row.values)
    else:
        # Horizon and JSON Schema have ECMAScript's expressions, in which a
        # "-" that needs no escape may have none.
        expression = row.expression.replace(r'\-', '-')
        result['pattern'] = f'^{expression}$'
        result['maxLength'] = vocabulary.MAX_VALUE
    return result


def _sentences(row: vocabulary.ExtraSpec) -> typing.Iterator[str]:
    yield f'The guest runs only where {row.condition}.'
    if row.several:
        if row.values:
            yield f'The value is {row.allowed}.'
        else:
            yield 'The value is a comma-separated list.'
    if row.several or not row.values:
        yield f'Example: "{row.example}".'
    for key, value in row.requires:
        yield f'The flavor needs {key}={value} as well.'
    for key, words_ in row.compatible:
        yield (
            f'Where the flavor has {key}, its value must have one of: '
            f'{", ".join(words_)}.'
        )
