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

"""The validators with which Nova's API checks the extra specs of a flavor.

nova-api loads this module from the entry-point group
``nova.api.extra_spec_validators`` and does not start if the import fails. So
this module imports only lxml and stevedore, which Nova needs as well, and
leaves out a mechanism that does not load.

Nova validates extra specs from microversion 2.86 on. This validation is a
convenience for the admin: the scheduler and the compute service parse the
extra specs again and refuse those that are not valid.
"""

import logging
import re

from nova import exception
from nova.api.validation.extra_specs import base

from nova_isolation.mechanisms import entry_points
from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary

LOG = logging.getLogger(__name__)


def register() -> list[base.ExtraSpecValidator]:
    """Return a validator for each extra spec of the loaded mechanisms.

    nova-api answers HTTP 400 to any other extra spec of the namespace, also
    to a reserved one, and to keys that are nearly one of ours.
    """
    result = []
    for key, row in registry.get().vocabulary.rows.items():
        try:
            result.append(_validator(row))
        except BaseException as error:
            # Else nova-api would not start.
            LOG.error(
                'Extra spec %s cannot be validated, so the API refuses it. '
                'Repair or uninstall the package of its mechanism: %s',
                key,
                entry_points.words(error),
            )
    return result


class _Validator(base.ExtraSpecValidator):
    """A validator that refuses other spellings of its extra spec."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Nova looks for the exact name first. It then takes the first
        # validator whose expression matches, and what is before the first
        # colon of each expression for a namespace all of whose other names
        # are refused.
        self.name_regex = (
            f'{vocabulary.misspelling(vocabulary.NAMESPACE[:-1])}:'
            f'{re.escape(self.name.partition(":")[2])}|'
            f'{vocabulary.misspelling(self.name)}'
        )

    def validate(self, name: str, value: str) -> None:
        """See the base class."""
        if name != self.name:
            raise exception.ValidationError(
                f"Validation failed; extra spec '{name}' does not appear to "
                f"be a valid extra spec. Is '{self.name}' meant?"
            )
        super().validate(name, value)


def _validator(row: vocabulary.ExtraSpec) -> base.ExtraSpecValidator:
    return _Validator(
        name=row.key,
        description=f'The guest runs only where {row.condition}.',
        value={
            'type': str,
            'description': row.allowed,
            'pattern': row.expression,
        },
    )
