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

"""Check the list of Nova's methods that the driver overrides.

``nova-overrides``
    a definition list: the term names methods of Nova, ``CLASS.METHOD`` each
    as a literal, and the definition says why they are overridden. A method
    that the code overrides and the list lacks, or the other way round, is a
    warning, which ends a build with ``-W``.
"""

from docutils import nodes
from sphinx import application
from sphinx.util import docutils
from sphinx.util import logging
from sphinx.util import typing as sphinx_typing

LOG = logging.getLogger(__name__)


def overridden() -> set[str]:
    """The methods of Nova that the classes of the driver override."""
    # Only a build that shows the list pays for the import of Nova.
    from nova.virt.libvirt import driver as libvirt_driver
    from nova.virt.libvirt import guest as libvirt_guest
    from nova.virt.libvirt import host as libvirt_host

    from nova_isolation.virt import driver
    from nova_isolation.virt.roads import choke_points

    found: set[str] = set()
    for ours, novas in (
        (driver.IsolationDriver, libvirt_driver.LibvirtDriver),
        (choke_points.GuardedHost, libvirt_host.Host),
        (choke_points.GuardedGuest, libvirt_guest.Guest),
    ):
        for cls in ours.__mro__:
            if cls is novas:
                break
            found |= {
                f'{novas.__name__}.{name}'
                for name, value in vars(cls).items()
                if callable(value)
                and hasattr(novas, name)
                and (name == '__init__' or not name.startswith('__'))
            }
    return found


class NovaOverrides(docutils.SphinxDirective):
    """``nova-overrides``"""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """See the base class."""
        parsed = self.parse_content_to_nodes()
        told = {
            literal.astext()
            for node in parsed
            for term in node.findall(nodes.term)
            for literal in term.findall(nodes.literal)
        }
        code = overridden()
        for name in sorted(code - told):
            LOG.warning(
                'the driver overrides %s, which is not listed',
                name,
                location=self.get_location(),
            )
        for name in sorted(told - code):
            LOG.warning(
                'the driver does not override %s',
                name,
                location=self.get_location(),
            )
        return parsed


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive('nova-overrides', NovaOverrides)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
