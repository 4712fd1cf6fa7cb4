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
"""The flavors that ask for isolation, with the number of hosts for each."""

from nova_isolation.mechanisms import registry
from nova_isolation.report import explanation
from nova_isolation.report import picture


def is_shown(flavor: picture.Flavor, mechanisms: registry.Mechanisms) -> bool:
    """Return whether a flavor asks for isolation, or seems to."""
    return bool(
        explanation.ours(flavor.extra_specs)
        or explanation.near_misses(flavor.extra_specs, mechanisms)
    )


def as_json(
    flavor: picture.Flavor, found: explanation.Explanation
) -> dict[str, object]:
    """Return a flavor as JSON values.

    :param flavor: the flavor
    :param found: the explanation of its extra specs
    """
    counts = found.counts
    return {
        'id': flavor.flavor_id,
        'name': flavor.name,
        'extra_specs': dict(found.extra_specs),
        'near_misses': dict(found.near_misses),
        'hosts': counts['hosts'],
        'accepted': counts['accepted'],
        'usable': counts['usable'],
        'by_code': counts['by_code'],
    }
