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

"""The reason codes of the mechanism certification."""

from nova_isolation.model import reasons

UNKNOWN = reasons.Reason(
    'isolation.certification.unknown',
    'The host could not measure the state that its certifications presuppose.',
    'Look for the failed probe in the log of nova-compute.',
    uncertain=True,
)
UNDECLARED = reasons.Reason(
    'isolation.certification.undeclared',
    'The host does not declare the certification.',
    'If the host is certified, add the name to [isolation_certification] '
    'declared in its nova.conf.',
)
PRECONDITION = reasons.Reason(
    'isolation.certification.precondition',
    'The host declares the certification, but is not in the state that the '
    'certification presupposes.',
    'Restore the named precondition on the host.',
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
