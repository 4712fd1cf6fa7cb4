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

"""What the XML of a guest must have: the ``<seclabel>`` of FLASK.

libvirt's driver of Xen reads the first ``<seclabel>`` alone, whatever its
model, and only a static one (libxlMakeDomCreateInfo in src/libxl/libxl_conf.c
of libvirt 9.0). Where Xen does not know the label, libvirt starts the guest
without any. So the XML proves nothing; it is only what libvirt is told.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

from nova_isolation.mechanisms.xsm import flask_label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from lxml import etree

LABEL = 'isolation:xsm_label'

#: The attributes of the element.
ATTRIBUTES = {'type': 'static', 'model': 'flask', 'relabel': 'no'}


def fits(
    domain: 'etree._Element', words: 'Mapping[str, Sequence[str]]'
) -> bool:
    """Return whether the XML of a guest asks for the label of the flavor.

    :param domain: the ``<domain>`` element
    :param words: key -> words, of the flavor's valid extra specs
    """
    if LABEL not in words:
        return True
    labels = domain.findall('seclabel')
    # Further ones, of other models, are for nobody.
    return (
        [one.get('model') for one in labels].count('flask') == 1
        and sorted(labels[0].items()) == sorted(ATTRIBUTES.items())
        and [(one.tag, one.text) for one in labels[0]]
        == [('label', flask_label.full(words[LABEL][0]))]
    )
