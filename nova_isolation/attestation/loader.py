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
import typing

from nova_isolation.attestation import provider

LOG = logging.getLogger(__name__)


def names() -> list[str]:
    """Return the names of the installed providers. Imports none of them."""
    return sorted(set(_manager().entry_points_names()))


def load(name: str) -> type[provider.Provider]:
    """Import one provider.

    :param name: of the entry point
    :raises nova_isolation.attestation.provider.ProviderError: there is not
        exactly one entry point of that name, or its class cannot be imported
    """
    failures: list[str] = []

    def on_failure(
        manager: object, entry_point: typing.Any, error: BaseException
    ) -> None:
        failures.append(
            f'{entry_point.value} raised {type(error).__name__}: {error}'
        )

    if not name:
        raise _error(name, f'wanted one of: {", ".join(names()) or "none"}')
    try:
        found = [one.plugin for one in _manager(name, on_failure)]
    except provider.FAILURES as error:
        # stevedore reports neither an AssertionError nor a SystemExit.
        raise _error(
            name, f'its import raised {type(error).__name__}: {error}'
        ) from error
    if failures:
        raise _error(name, '; '.join(failures))
    if not found:
        raise _error(name, f'wanted one of: {", ".join(names()) or "none"}')
    if len(found) > 1:
        raise _error(
            name,
            'more than one package has an entry point of that name: '
            + ', '.join(sorted({str(one) for one in found})),
        )
    (cls,) = found
    if not (isinstance(cls, type) and issubclass(cls, provider.Provider)):
        raise _error(
            name,
            f'{cls!r} is not a subclass of '
            f'{provider.Provider.__module__}.Provider',
        )
    return cls


def load_all() -> dict[str, type[provider.Provider]]:
    """Import all installed providers, for the sample configuration.

    A provider that cannot be imported is logged and left out.
    """
    result = {}
    for name in names():
        try:
            result[name] = load(name)
        except provider.ProviderError as error:
            LOG.warning('%s', error)
    return result


def _manager(name: str = '', on_failure: typing.Any = None) -> typing.Any:
    # Here and not above: a service without a provider does not need it.
    from stevedore import named

    return named.NamedExtensionManager(
        provider.ENTRY_POINTS,
        [name] if name else [],
        on_load_failure_callback=on_failure,
        # load() reports a name that is missing.
        on_missing_entrypoints_callback=lambda missing: None,
    )


def _error(name: str, why: str) -> provider.ProviderError:
    return provider.ProviderError(
        f'[isolation_attestation] provider is {name!r}, which cannot be '
        f'loaded from the entry points {provider.ENTRY_POINTS}: {why}'
    )
