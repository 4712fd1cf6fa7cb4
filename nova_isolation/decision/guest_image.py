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

"""The decision on the image of a guest: can any host prove the flavor for it?

The scheduler asks this once for each request, before it asks for hosts, so
that a guest which no host can prove is not refused on one host after the
other. The compute host does not depend on the answer: it verifies the started
guest. The decision does no I/O and imports no Nova.
"""

from collections.abc import Mapping

from nova_isolation.decision import answers
from nova_isolation.decision import decision
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements


def decide(
    wanted: requirements.Requirements,
    properties: Mapping[str, object],
    mechanisms: registry.Mechanisms,
) -> decision.Decision:
    """Decide whether a guest of an image can meet its flavor on any host.

    :param wanted: the requirements of the flavor, without problems
    :param properties: name of an image property -> its value; only those that
        are set
    :param mechanisms: the mechanisms of this process
    :returns: accepted, or all requirements that no guest of the image meets
    """
    unmet = (
        item
        for name in sorted({item.mechanism for item in wanted.items})
        for item in answers.answers(
            wanted.of(name),
            mechanisms,
            lambda mechanism, name=name: (  # type: ignore[misc]
                item
                for requirement in wanted.of(name)
                for item in mechanism.judge_image(requirement, properties)
            ),
        )
    )
    return decision.Decision(tuple(dict.fromkeys(unmet)))
