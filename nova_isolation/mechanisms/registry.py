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

"""The mechanisms that are installed, loaded once a process."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import importlib
import logging
import re
import types
import typing

from nova_isolation.mechanisms import base
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.model import vocabulary

LOG = logging.getLogger(__name__)

#: The entry-point group.
ENTRY_POINTS = 'nova_isolation.mechanisms'

#: Without these the installation is broken, and says so.
BUILT_IN = frozenset(s.mechanism for s in vocabulary.EXTRA_SPECS)

# 'v' is the schema in the facts, where each mechanism has a key.
_NAME = re.compile('(?!v$)[a-z][a-z0-9_]*')

AnyMechanism = base.Mechanism[typing.Any]


@dataclasses.dataclass(frozen=True)
class Mechanisms:
    """The mechanisms of this process.

    :ivar loaded: name -> mechanism
    :ivar failed: name -> why it did not load
    :ivar vocabulary: all extra specs that are known
    :ivar reasons: all reason codes
    """

    loaded: Mapping[str, AnyMechanism]
    failed: Mapping[str, str]
    vocabulary: vocabulary.Vocabulary
    reasons: Mapping[str, reasons.Reason]

    def possible_traits(self) -> frozenset[str]:
        """The traits that flavors can require, as far as values are listed.

        The names of certifications and SELinux types are not.
        """
        rows = self.vocabulary.rows.values()
        result = set()
        for name, mechanism in self.loaded.items():
            wanted = [
                requirements.Requirement(row.key, name, (word,))
                for row in rows
                if row.mechanism == name
                for word in row.values
            ]
            try:
                result |= {
                    trait
                    for requirement in wanted
                    for trait in mechanism.required_traits(requirement)
                }
            except base.FAILURES:
                # Anybody's mechanism; it spoils only its own.
                LOG.exception('The isolation mechanism %s failed', name)
        return frozenset(filter(traits.PATTERN.fullmatch, result))


def build(
    candidates: Mapping[str, object],
    failed: Mapping[str, str] | None = None,
) -> Mechanisms:
    """Make a registry of mechanism classes.

    :param candidates: entry-point name -> class
    :param failed: entry-point name -> why it could not even be imported
    :returns: those that keep the contract, and why the others do not
    """
    loaded: dict[str, AnyMechanism] = {}
    wrong: dict[str, str] = dict(failed or {})
    more: list[vocabulary.ExtraSpec] = []
    codes = dict(reasons.REASONS)
    for name, cls in sorted(candidates.items()):
        try:
            mechanism = _instance(name, cls)
            own = {r.code: r for r in mechanism.own_reasons}
            if name not in BUILT_IN:
                vocabulary.Vocabulary([*more, *mechanism.extra_specs])
        except base.FAILURES as error:
            # Whatever a package of somebody else does wrong: it is not
            # loaded, and every flavor that needs it is refused.
            wrong[name] = f'{type(error).__name__}: {error}'
            continue
        loaded[name] = mechanism
        if name not in BUILT_IN:
            more.extend(mechanism.extra_specs)
        for code, reason in own.items():
            codes.setdefault(code, reason)
    for name in BUILT_IN - set(loaded) - set(wrong):
        wrong[name] = f'no entry point in {ENTRY_POINTS}; reinstall'
    return Mechanisms(
        types.MappingProxyType(loaded),
        types.MappingProxyType(wrong),
        vocabulary.Vocabulary(more),
        types.MappingProxyType(codes),
    )


def _instance(name: str, cls: object) -> AnyMechanism:
    """An instance of a class that keeps the contract.

    :raises TypeError, ValueError: it does not
    """
    if not isinstance(cls, type) or not issubclass(cls, base.Mechanism):
        raise TypeError(f'{cls!r} is no Mechanism')
    mechanism: AnyMechanism = cls()
    if mechanism.name != name:
        raise ValueError(f'it calls itself {mechanism.name!r}')
    if not _NAME.fullmatch(name):
        raise ValueError(f'{name!r} is no name: {_NAME.pattern}')
    if not isinstance(mechanism.source, base.Source):
        raise TypeError(f'{mechanism.source!r} is no Source')
    for spec in mechanism.extra_specs:
        if spec.mechanism != name:
            raise ValueError(f'{spec.key} belongs to {spec.mechanism!r}')
    if name in BUILT_IN and mechanism.extra_specs != vocabulary.owned_by(name):
        raise ValueError('another package uses the name of a built-in one')
    return mechanism


@functools.cache
def get() -> Mechanisms:
    """The installed mechanisms. Says at the first call what failed."""
    # Here, not above: owning() is for those who cannot wait for it.
    from stevedore import extension

    failed: dict[str, str] = {}

    def on_failure(
        manager: object, entry_point: typing.Any, error: BaseException
    ) -> None:
        failed[entry_point.name] = f'{type(error).__name__}: {error}'

    found: dict[str, object] = {}
    manager: extension.ExtensionManager[typing.Any] = (
        extension.ExtensionManager(
            ENTRY_POINTS, on_load_failure_callback=on_failure
        )
    )
    for plugin in manager:
        if found.setdefault(plugin.name, plugin.plugin) is not plugin.plugin:
            failed[plugin.name] = 'two packages have an entry point for it'
    for name in failed:
        found.pop(name, None)
    result = build(found, failed)
    for name, why in sorted(result.failed.items()):
        LOG.error(
            'The isolation mechanism %(name)s failed to load: %(why)s. Every '
            'flavor that needs it is refused.',
            {'name': name, 'why': why},
        )
    return result


def owning(keys: Iterable[str]) -> Mechanisms:
    """The mechanisms that own these extra specs, at the least cost.

    To look for entry points costs more than all the rest of a judgement. Who
    is started anew for each guest, as the libvirt hook is, does without it
    where this distribution owns all the keys.

    :param keys: extra specs; those of other namespaces are passed over
    :returns: for these extra specs the same answers as :func:`get`, but where
        another package claims the name of a built-in mechanism: :func:`get`
        then has neither, this has ours
    """
    rows = vocabulary.Vocabulary().rows
    ours = frozenset(filter(vocabulary.is_ours, keys))
    if not ours <= set(rows):
        return get()
    found: dict[str, object] = {}
    failed: dict[str, str] = {}
    for name in BUILT_IN:
        if not any(rows[key].mechanism == name for key in ours):
            failed[name] = 'not asked for'
            continue
        try:
            found[name] = _own_class(name)
        except Exception as error:
            failed[name] = f'{type(error).__name__}: {error}'
    return build(found, failed)


def _own_class(name: str) -> object:
    """The class of a built-in mechanism: the one of the module named so."""
    module = importlib.import_module(f'nova_isolation.mechanisms.{name}')
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base.Mechanism)
        and value.__module__ == module.__name__
    )
    return found
