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

"""Tests of nova_isolation.cmd.metadefs, with Glance's own parser."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from unittest import mock

from glance.api.v2 import metadef_namespaces
from glance.common import wsgi
import jsonschema
import webob.exc

from nova_isolation.cmd import error
from nova_isolation.cmd import metadefs
from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit.mechanisms import test_extra_specs

_FILE = (
    Path(__file__).resolve().parent.parent.parent.parent
    / 'etc/nova-isolation/metadefs/compute-isolation.json'
)


def glance_reads(document):
    """Glance's namespace, as a request to its API makes it."""
    request = wsgi.Request.blank('/v2/metadefs/namespaces', method='POST')
    request.body = json.dumps(document).encode()
    parsed = metadef_namespaces.RequestDeserializer().create(request)
    return parsed['namespace']


class MetadefsTest(base.TestCase):
    """The description of all extra specs."""

    def setUp(self):
        super().setUp()
        self.vocabulary = registry.get().vocabulary
        self.document = metadefs.describe(self.vocabulary)

    def run_command(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = metadefs.run()
        return status, out.getvalue()

    def test_the_file_in_the_tree_is_up_to_date(self):
        self.assertEqual((0, _FILE.read_text('utf-8')), self.run_command())

    def test_a_mechanism_that_failed_to_load(self):
        broken = dataclasses.replace(registry.get(), failed={'acme': 'no'})
        with mock.patch.object(registry, 'get', return_value=broken):
            self.assertRaisesText(
                error.CommandError, 'failed to load: acme', metadefs.run
            )

    def test_glance_reads_it(self):
        namespace = glance_reads(self.document)
        self.assertEqual(metadefs.NAMESPACE, namespace.namespace)
        (association,) = namespace.resource_type_associations
        self.assertEqual('OS::Nova::Flavor', association.name)
        self.assertEqual(
            set(self.vocabulary.rows),
            {association.prefix + name for name in namespace.properties},
        )
        for name, wanted in self.document['properties'].items():
            found = namespace.properties[name]
            for key, value in wanted.items():
                self.assertEqual(value, getattr(found, key), (name, key))

    def test_glance_refuses_what_is_malformed(self):
        for wrong in (
            {'description': 'long' * 200},
            {'visibility': 'secret'},
            {'properties': {'svirt': {'type': 'string'}}},
            {'properties': {'svirt': {'title': 'svirt', 'type': 'word'}}},
        ):
            self.assertRaises(
                webob.exc.HTTPBadRequest,
                glance_reads,
                {**self.document, **wrong},
            )

    def offers(self, key, text):
        """Whether a form that obeys the description takes a value."""
        schema = dict(
            self.document['properties'][key.removeprefix(vocabulary.NAMESPACE)]
        )
        if 'pattern' in schema:
            # Python's "$" matches before a newline at the end, too; that of
            # ECMAScript does not.
            schema['pattern'] = schema['pattern'].removesuffix('$') + r'\Z'
        return jsonschema.Draft7Validator(schema).is_valid(text)

    def test_a_form_takes_what_the_vocabulary_takes(self):
        for key, (taken, refused) in test_extra_specs.VALUES.items():
            row = self.vocabulary.rows[key]
            for text in taken:
                # A form has one word for true; others may be typed.
                self.assertEqual(
                    not row.is_boolean or text == 'true',
                    self.offers(key, text),
                    (key, text),
                )
            for text in refused:
                self.assertFalse(self.offers(key, text), (key, text))

    def test_what_else_the_flavor_needs(self):
        described = self.document['properties']['svirt_type']['description']
        self.assertIn('needs isolation:svirt=selinux as well', described)
        self.assertIn('one of: kvm, qemu', described)
