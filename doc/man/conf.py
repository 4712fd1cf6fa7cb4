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

"""How Sphinx makes manual pages of doc/source/cli.

Apart from doc/source/conf.py, whose extensions need Nova: packages are built
with Sphinx alone.
"""

import configparser
import pathlib
import typing

from docutils import nodes
from docutils.parsers import rst

_ROOT = pathlib.Path(__file__).resolve().parents[2]

project = 'nova-isolation'
copyright = 'nova-isolation developers'
root_doc = 'index'
man_pages = [
    (
        'nova-isolation-api',
        'nova-isolation-api',
        'answer over HTTP which hosts offer which isolation, and why not',
        [],
        8,
    ),
    (
        'nova-isolation-attestd',
        'nova-isolation-attestd',
        'serve attestation results of hosts to OpenStack Nova',
        [],
        8,
    ),
    (
        'nova-isolation-evidence',
        'nova-isolation-evidence',
        'verify statements about guests, and audit the log of them',
        [],
        8,
    ),
    (
        'nova-isolation-hook',
        'nova-isolation-hook',
        'install, check and remove the libvirt hook of nova-isolation',
        [],
        8,
    ),
    (
        'nova-isolation-manage',
        'nova-isolation-manage',
        'say which hosts can run the guests of a flavor, and why not',
        [],
        8,
    ),
    (
        'nova-isolation-status',
        'nova-isolation-status',
        'check a cloud with nova-isolation for an upgrade',
        [],
        8,
    ),
    (
        'openstack-isolation',
        'openstack-isolation',
        'ask where guests of a flavor can run, and tag flavors',
        [],
        1,
    ),
]


def _option(name, rawtext, text, lineno, inliner, options=None, content=()):
    """An option of oslo.config, which is a link in the other pages."""
    return [nodes.literal(rawtext, text)], []


def _other_page(app, env, node, contnode):
    """A page that is no manual page is named."""
    if node['reftype'] != 'doc':
        return None
    text = contnode.astext()
    page = node['reftarget'].lstrip('/')
    if text.lstrip('/') != page:
        return nodes.inline('', text)
    return nodes.inline('', f'"{page}" of the documentation')


class _Commands(rst.Directive):
    """The commands of a group of ``openstack``, by name.

    The other documentation has all their options, for which it imports them.
    """

    required_arguments = 1
    option_spec: typing.ClassVar = {'application': str}

    def run(self):
        """See docutils."""
        setup_cfg = configparser.ConfigParser(delimiters='=')
        setup_cfg.read(_ROOT / 'setup.cfg', 'utf-8')
        lines = setup_cfg['entry_points'][self.arguments[0]].split('\n')
        names = [
            line.partition('=')[0].strip().replace('_', ' ') for line in lines
        ]
        listed = nodes.bullet_list()
        for name in filter(None, names):
            text = f'openstack {name}'
            listed += nodes.list_item(
                '', nodes.paragraph('', '', nodes.literal('', text))
            )
        hint = 'Each of these prints its options with "--help".'
        return [listed, nodes.paragraph('', hint)]


def setup(app):
    """See Sphinx."""
    app.add_directive('autoprogram-cliff', _Commands)
    app.add_role('oslo.config:option', _option)
    app.connect('missing-reference', _other_page)
    return {'parallel_read_safe': True}
