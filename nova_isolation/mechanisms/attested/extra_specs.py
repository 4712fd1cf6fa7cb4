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

"""The extra specs of the mechanism attested."""

from nova_isolation.model import vocabulary

#: The mechanism asks nothing of the XML of a guest: there is no definition.py.
ANY_XML = True

_ATTESTED = (('isolation:attested', 'true'),)

ROWS = (
    vocabulary.ExtraSpec(
        'isolation:attested',
        values=('true',),
        condition="the verifier's last good quote of the host is fresh",
        example='true',
    ),
    vocabulary.ExtraSpec(
        'isolation:attested_pcrs',
        pattern='[0-9]|1[0-9]|2[0-3]',
        several=True,
        requires=_ATTESTED,
        condition=(
            "the verifier's policy for the host covers each of these PCRs and "
            'approves only values that come from a measured launch'
        ),
        example='17,18',
    ),
    vocabulary.ExtraSpec(
        'isolation:attested_max_age',
        pattern='[1-9][0-9]{0,7}',
        requires=_ATTESTED,
        condition=(
            "the verifier's last good quote of the host is at most this many "
            'seconds old; [isolation_attestation] max_age applies as well'
        ),
        example='60',
    ),
    vocabulary.ExtraSpec(
        'isolation:attested_boot',
        values=('true',),
        requires=_ATTESTED,
        condition=(
            "the verifier's policy for the host covers measured boot, with a "
            'reference state'
        ),
        example='true',
    ),
    vocabulary.ExtraSpec(
        'isolation:attested_runtime',
        values=('true',),
        requires=_ATTESTED,
        condition=(
            "the verifier's policy for the host covers run-time integrity "
            '(IMA)'
        ),
        example='true',
    ),
)
