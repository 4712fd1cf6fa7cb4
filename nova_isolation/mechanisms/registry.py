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

"""The installed mechanisms, loaded once in each process."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import importlib
import inspect
import logging
import re
import types
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import built_in
from nova_isolation.mechanisms import entry_points
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import sight
from nova_isolation.model import traits
from nova_isolation.model import vocabulary

LOG = logging.getLogger(__name__)

#: The entry-point group.
ENTRY_POINTS = 'nova_isolation.mechanisms'

#: The mechanisms of this tree. Where one of them is not loaded, the
#: installation is broken and an error is logged.
BUILT_IN = built_in.names()

# In the facts document each mechanism has a key, and 'v' is the key of the
# schema.
_NAME = re.compile('(?!v$)[a-z][a-z0-9_]*')

AnyMechanism = base.Mechanism[typing.Any]


@dataclasses.dataclass(frozen=True)
class Mechanisms:
    """The mechanisms of this process.

    :ivar loaded: name -> mechanism
    :ivar failed: name -> why the mechanism did not load
    :ivar vocabulary: the extra specs of the loaded mechanisms
    :ivar reasons: code -> reason, of the loaded mechanisms and the general
        ones
    """

    loaded: Mapping[str, AnyMechanism]
    failed: Mapping[str, str]
    vocabulary: vocabulary.Vocabulary
    reasons: Mapping[str, reasons.Reason]

    def possible_traits(self) -> frozenset[str]:
        """Return the traits of all extra specs whose values are listed.

        The names of certifications and SELinux types are free, so the result
        has no traits of them.
        """
        result: set[str] = set()
        for name, mechanism in self.loaded.items():
            wanted = [
                requirements.Requirement(row.key, name, (word,))
                for row in self.vocabulary.of(name)
                for word in row.values
            ]
            try:
                result.update(
                    trait
                    for requirement in wanted
                    for trait in tuple(mechanism.required_traits(requirement))
                    if traits.PATTERN.fullmatch(trait)
                )
            except BaseException:
                # The mechanism may be of another package; whatever it raises
                # or returns must not affect the traits of other mechanisms,
                # nor the start of the service.
                LOG.exception(
                    'Mechanism %s raised an error instead of its required '
                    'traits',
                    name,
                )
        return frozenset(result)


def build(
    candidates: Mapping[str, object],
    failed: Mapping[str, str] | None = None,
) -> Mechanisms:
    """Build a registry from mechanism classes.

    :param candidates: entry-point name -> class
    :param failed: entry-point name -> why the class could not be imported
    :returns: the mechanisms that meet the contract, and for each other
        mechanism why it does not
    """
    loaded: dict[str, AnyMechanism] = {}
    wrong: dict[str, str] = dict(failed or {})
    owned: dict[str, tuple[vocabulary.ExtraSpec, ...]] = {}
    codes = dict(reasons.REASONS)
    # The mechanisms of this tree come first: where two mechanisms claim the
    # same extra spec, that of this tree is kept.
    for name, cls in sorted(
        candidates.items(), key=lambda item: (item[0] not in BUILT_IN, item[0])
    ):
        try:
            mechanism = _instance(name, cls)
            own = {reason.code: reason for reason in mechanism.own_reasons}
            specs = _specs(mechanism)
            vocabulary.Vocabulary({**owned, name: specs})
        except BaseException as error:
            # Whatever error another package has, its mechanism is not loaded
            # and every flavor that needs the mechanism is refused.
            wrong[name] = _why(cls, error)
            continue
        loaded[name] = mechanism
        owned[name] = specs
        codes.update(own)
    for name in BUILT_IN - set(loaded) - set(wrong):
        wrong[name] = (
            f'it has no entry point in {ENTRY_POINTS}; reinstall '
            'nova-isolation'
        )
    return Mechanisms(
        types.MappingProxyType(loaded),
        types.MappingProxyType(wrong),
        vocabulary.Vocabulary(owned, wrong),
        types.MappingProxyType(codes),
    )


def _instance(name: str, cls: object) -> AnyMechanism:
    """Return an instance of a class that meets the contract.

    :raises TypeError, ValueError: the class does not meet the contract
    """
    kinds = (base.HostMechanism, base.EvidenceMechanism)
    if not isinstance(cls, type) or not issubclass(cls, kinds):
        raise TypeError(
            f'{cls!r} is neither a HostMechanism nor an EvidenceMechanism'
        )
    if all(issubclass(cls, kind) for kind in kinds):
        # Facts of the host must not count as evidence of a third party.
        raise TypeError(f'{cls!r} is both a Host- and an EvidenceMechanism')
    mechanism: AnyMechanism = cls()
    if mechanism.name != name:
        raise ValueError(
            f'the class has the name {mechanism.name!r}, its entry point has '
            f'the name {name!r}'
        )
    if not _NAME.fullmatch(name):
        raise ValueError(f'the name {name!r} does not match {_NAME.pattern}')
    _check_name(name)
    if name in BUILT_IN and cls.__module__ != built_in.module(
        name, 'mechanism'
    ):
        raise ValueError(
            'another package uses the name of a built-in mechanism'
        )
    for kind in kinds:
        for method in ('observe', 'facts_of'):
            # The decision relies on how each kind finds its facts: those of
            # a third party have an age, those of a host are its own word.
            if issubclass(cls, kind) and (
                getattr(cls, method) is not getattr(kind, method)
            ):
                raise TypeError(f'{cls!r} overrides {method}')
    for reason in mechanism.own_reasons:
        if not isinstance(reason, reasons.Reason):
            raise TypeError(f'{reason!r} is not a Reason')
        if reason.area != name:
            raise ValueError(
                f'{reason.code} does not begin with isolation.{name}'
            )
    _check_unknown(mechanism)
    _check_needs(mechanism)
    return mechanism


def _specs(mechanism: AnyMechanism) -> tuple[vocabulary.ExtraSpec, ...]:
    """Return the rows of a mechanism.

    :raises TypeError: one of them is not a row
    """
    specs = tuple(mechanism.extra_specs)
    for spec in specs:
        # Exactly this class: an attribute of another one could fail later,
        # when nova-api starts or a flavor is parsed.
        if type(spec) is not vocabulary.ExtraSpec:
            raise TypeError(f'{spec!r} is not an ExtraSpec')
    return specs


def _why(cls: object, error: BaseException) -> str:
    """Return why a class is not a mechanism, and where the class is from."""
    words = entry_points.words(error)
    if not isinstance(cls, type):
        return words
    try:
        return f'{words} (class {cls.__qualname__} of {cls.__module__})'
    except BaseException:
        # Its metaclass is of another package, too.
        return words


def _check_name(name: str) -> None:
    """Refuse a name whose keys, codes or options would be those of others.

    :raises ValueError: the name is one of these
    """
    owner = vocabulary.named_after(
        vocabulary.NAMESPACE + name, BUILT_IN - {name}
    )
    if owner is not None and name not in BUILT_IN:
        # Else such a mechanism could take over extra specs of the built-in
        # one where that has failed to load.
        raise ValueError(
            f'extra specs that begin with the name {name!r} belong to the '
            f'built-in mechanism {owner!r}'
        )
    if name in {reason.area for reason in reasons.REASONS.values()}:
        raise ValueError(
            f'reason codes of the area {name!r} belong to nova-isolation'
        )
    if name == 'attestation' or name.startswith('attestation_'):
        raise ValueError(
            f'the option group {base.option_group(name)!r} belongs to the '
            'attestation service'
        )
    if name == 'api':
        raise ValueError(
            f'the option group {base.option_group(name)!r} belongs to '
            'nova-isolation-api'
        )


def _check_unknown(mechanism: AnyMechanism) -> None:
    """Refuse a mechanism whose reason for unknown facts cannot be doubted.

    :raises TypeError, ValueError: the reason does not meet the contract
    """
    if not isinstance(mechanism, base.HostMechanism):
        return
    unknown = mechanism.unknown
    if not isinstance(unknown, reasons.Reason):
        raise TypeError(f'{unknown!r} is not a Reason')
    if unknown not in (*mechanism.own_reasons, *reasons.REASONS.values()):
        raise ValueError(f'{unknown.code} is not among its own_reasons')
    if not unknown.uncertain:
        # Else one failed probe would count as a violation of running guests.
        raise ValueError(f'{unknown.code} is not marked as uncertain')


def _check_needs(mechanism: AnyMechanism) -> None:
    """Refuse a mechanism that does not say what it reads of a process.

    A host that cannot see this would attract guests and refuse them all.

    :raises TypeError: the mechanism does not say it
    """
    if not isinstance(mechanism, base.HostMechanism):
        return
    needs = getattr(mechanism, 'needs', None)
    if not isinstance(needs, frozenset) or not needs <= sight.ALL:
        raise TypeError(
            "it does not say what it reads of a guest's process (needs)"
        )


@functools.cache
def get() -> Mechanisms:
    """Return the installed mechanisms.

    The first call logs which mechanisms failed to load.
    """
    failed: dict[str, str] = {}
    found: dict[str, object] = {}
    try:
        plugins = entry_points.load(ENTRY_POINTS)
    except RuntimeError as error:
        failed = dict.fromkeys(BUILT_IN, str(error))
        plugins = []
    for plugin in plugins:
        name = plugin.name
        if plugin.failure:
            failed[name] = plugin.failure
        elif found.setdefault(name, plugin.target) is not plugin.target:
            failed[name] = f'two packages have an entry point {name}'
    for name in failed:
        found.pop(name, None)
    result = build(found, failed)
    for name, why in sorted(result.failed.items()):
        LOG.error(
            'Mechanism %(name)s failed to load: %(why)s. Every flavor that '
            'needs %(name)s is refused. Repair or uninstall the package of '
            'the mechanism.',
            {'name': name, 'why': why},
        )
    return result


def owning(keys: Iterable[str]) -> Mechanisms:
    """Return the mechanisms that own these extra specs, at the least cost.

    A search for entry points takes longer than everything else in a
    decision. The libvirt hook is a new process for each guest. This function
    needs no search where mechanisms of this tree own all the keys.

    :param keys: extra specs; those of other namespaces are ignored
    :returns: mechanisms that answer about these extra specs as those of
        :func:`get` do. There is one exception, where another package claims
        the name of a built-in mechanism: :func:`get` then has neither of the
        two mechanisms, and this function has the built-in mechanism.
    """
    ours = frozenset(filter(vocabulary.is_ours, keys))
    owners = {key: vocabulary.named_after(key, BUILT_IN) for key in ours}
    found: dict[str, object] = {}
    failed = dict.fromkeys(BUILT_IN, 'not asked for')
    for name in frozenset(owners.values()):
        if name is None:
            return get()
        try:
            found[name] = _built_in_class(name)
            del failed[name]
        except BaseException as error:
            failed[name] = entry_points.words(error)
    return build(found, failed)


def _built_in_class(name: str) -> object:
    """Return the class of a built-in mechanism, the only one of its module."""
    module = importlib.import_module(built_in.module(name, 'mechanism'))
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base.Mechanism)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    )
    return found
