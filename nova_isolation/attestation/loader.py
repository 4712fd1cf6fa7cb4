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

"""Loading provider classes from their entry points.

A package of somebody else may fail in any way when it is imported. Such a
failure concerns its own provider only, and its error names the entry point.
"""

import logging

from nova_isolation.attestation import provider
from nova_isolation.mechanisms import entry_points

LOG = logging.getLogger(__name__)


def names() -> list[str]:
    """Return the names of the installed providers. Imports none of them.

    :raises nova_isolation.attestation.provider.ProviderError: the installed
        packages cannot be read
    """
    try:
        return entry_points.names(provider.ENTRY_POINTS)
    except RuntimeError as error:
        raise provider.ProviderError(str(error)) from error


def load(name: str) -> type[provider.Provider]:
    """Import one provider.

    :param name: of the entry point
    :raises nova_isolation.attestation.provider.ProviderError: there is not
        exactly one entry point of that name, or its class cannot be imported
    """
    try:
        plugins = entry_points.load(provider.ENTRY_POINTS, name)
    except RuntimeError as error:
        raise _error(name, str(error)) from error
    failures = [one.failure for one in plugins if one.failure]
    if failures:
        raise _error(
            name,
            '; '.join(failures) + '. Repair or uninstall that package',
        )
    if not plugins:
        raise _error(name, f'wanted one of: {", ".join(names()) or "none"}')
    if len({id(one.target) for one in plugins}) > 1:
        raise _error(
            name,
            'more than one package has an entry point of that name: '
            + ', '.join(sorted({one.value for one in plugins})),
        )
    cls = plugins[0].target
    try:
        if isinstance(cls, type) and issubclass(cls, provider.Provider):
            return cls
        found = repr(cls)
    except BaseException as error:
        found = entry_points.words(error)
    raise _error(
        name,
        f'{plugins[0].value} is {found}, which is not a subclass of '
        f'{provider.Provider.__module__}.Provider',
    )


def load_all() -> dict[str, type[provider.Provider]]:
    """Import all installed providers, for the sample configuration.

    A provider that cannot be imported is logged and left out.
    """
    result = {}
    try:
        found = names()
    except provider.ProviderError as error:
        LOG.warning('%s', error)
        found = []
    for name in found:
        try:
            result[name] = load(name)
        except provider.ProviderError as error:
            LOG.warning('%s', error)
    return result


def _error(name: str, why: str) -> provider.ProviderError:
    return provider.ProviderError(
        f'[isolation_attestation] provider is {name!r}, which cannot be '
        f'loaded from the entry points {provider.ENTRY_POINTS}: {why}'
    )
