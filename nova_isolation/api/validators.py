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

"""What Nova's API lets an admin write into a flavor.

Loaded by nova-api from the entry-point group
``nova.api.extra_spec_validators``. If this module failed to import, nova-api
would not start: it needs nothing but lxml and stevedore, which Nova needs
too, and a mechanism that does not load is only left out.

Nova validates from microversion 2.86 on. That is a convenience for the
admin: scheduler and compute host parse again, and refuse what they cannot.
"""

from nova.api.validation.extra_specs import base

from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary


def register() -> list[base.ExtraSpecValidator]:
    """The validators of the vocabulary, other packages' rows included.

    Anything else in the namespace, the reserved names too, is then an HTTP
    400.
    """
    rows = registry.get().vocabulary.rows.values()
    return [_validator(row) for row in rows]


def _validator(row: vocabulary.ExtraSpec) -> base.ExtraSpecValidator:
    return base.ExtraSpecValidator(
        name=row.key,
        description=f'The guest runs only where {row.condition}.',
        value={
            'type': str,
            'description': row.allowed,
            'pattern': row.expression,
        },
    )
