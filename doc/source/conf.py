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

"""How Sphinx builds this documentation."""

import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[2]
# The code is documented as it lies here, installed or not.
sys.path[:0] = [str(_ROOT), str(_ROOT / 'doc' / 'ext')]

extensions = [
    'breakable_names',
    'checked_names',
    'cliff.sphinxext',
    'generated_options',
    'isolation_tables',
    'nova_overrides',
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'oslo_policy.sphinxext',
    'quoted_messages',
    'sphinx.ext.autodoc',
    'sphinx.ext.graphviz',
    'tested_examples',
    'xen_support',
]

project = 'nova-isolation'
copyright = 'nova-isolation developers'
root_doc = 'index'

html_theme = 'openstackdocs'
html_static_path = ['_static']
templates_path = ['_templates']
html_theme_options = {
    # Nobody is tracked, and nothing is asked of docs.openstack.org.
    'analytics_tracking_code': '',
    'display_badge': False,
}
html_css_files = ['nova-isolation.css']
pygments_style = 'native'
openstackdocs_repo_name = 'nova-isolation'
openstackdocs_auto_name = False
openstackdocs_pdf_link = False

# Without dot the build ends with a warning, and so (-W) fails.
graphviz_output_format = 'svg'

# What all commands of openstack have is in the manual of openstack.
autoprogram_cliff_ignored = [
    '--column',
    '--fit-width',
    '--format',
    '--help',
    '--max-width',
    '--noindent',
    '--prefix',
    '--print-empty',
    '--quote',
    '--sort-ascending',
    '--sort-column',
    '--sort-descending',
]

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'

config_generator_config_file = [
    (str(_ROOT / 'etc' / 'nova-isolation' / generator), f'_generated/{name}')
    for generator, name in (
        ('config-generator.conf', 'nova-isolation'),
        ('attestd-config-generator.conf', 'attestd'),
        ('api-config-generator.conf', 'api'),
    )
]
