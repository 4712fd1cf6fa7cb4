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

"""The tests that a page of the documentation names.

No module of tests is imported: the functional ones bring Nova's harness with
them, and the end-to-end ones a lab.
"""

import ast
from collections.abc import Iterable
from collections.abc import Iterator
import pathlib

_TESTS = pathlib.Path(__file__).parents[1]


def tests_in(path: pathlib.Path) -> set[str]:
    """The tests of a module, also those that a class inherits within it.

    :param path: the module, below ``tests``
    :returns: names, without ``tests.``
    """
    module = '.'.join(path.relative_to(_TESTS).with_suffix('').parts)
    classes = {
        found.name: found
        for found in ast.parse(path.read_text()).body
        if isinstance(found, ast.ClassDef)
    }
    return {
        f'{module}.{name}.{test}'
        for name, found in classes.items()
        for test in _of_class(found, classes)
    }


def _of_class(
    found: ast.ClassDef, classes: dict[str, ast.ClassDef]
) -> Iterator[str]:
    for inner in found.body:
        if isinstance(inner, ast.FunctionDef) and inner.name.startswith(
            'test_'
        ):
            yield inner.name
    for base in found.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            yield from _of_class(classes[base.id], classes)


def missing(names: Iterable[str]) -> set[str]:
    """Those of some names that no test has.

    :param names: names, without ``tests.``
    """
    wanted = set(names)
    found: set[str] = set()
    for module in {name.rsplit('.', 2)[0] for name in wanted}:
        path = _TESTS / (module.replace('.', '/') + '.py')
        if path.exists():
            found |= tests_in(path)
    return wanted - found
