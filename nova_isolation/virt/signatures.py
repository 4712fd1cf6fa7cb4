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

"""The methods of Nova that the driver overrides and calls.

The driver stands on methods that Nova does not promise to keep. When one of
them has changed, the guard might no longer be asked; so the driver refuses to
run.

What is overridden is compared with the classes themselves, so that no
override can be missing. Every method of our classes that overrides one of
Nova is marked with :func:`override`, and no other is. A marked method that
Nova no longer has would be a new method that is never called; one that
is not marked and that Nova has would replace Nova's by accident. Both are
errors. Names of ours that Nova does not have are not marked.

:data:`CALLED` lists the methods that are only called. Source: nova 31.3.1 to
34.0.0, which do not differ in these. What does differ is in
:mod:`nova_isolation.virt.releases`.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import functools
import inspect
import types
import typing

from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.virt import nova_release

F = typing.TypeVar('F', bound=Callable[..., typing.Any])

#: (owner, method) -> the names of its parameters. Only methods that are not
#: overridden. The constructors make the objects whose class is changed.
CALLED: dict[tuple[type, str], str] = {
    (libvirt_driver.LibvirtDriver, '_cleanup'): (
        'self context instance network_info block_device_info destroy_vifs '
        'cleanup_instance_dir cleanup_instance_disks destroy_secrets'
    ),
    (libvirt_host.Host, '__init__'): (
        'self uri read_only conn_event_handler lifecycle_event_handler'
    ),
    (libvirt_host.Host, 'delete_secret'): 'self usage_type usage_id',
    (libvirt_host.Host, 'get_connection'): 'self',
    (libvirt_host.Host, 'list_guests'): 'self only_running',
    (libvirt_host.Host, 'list_instance_domains'): 'self only_running',
    (libvirt_guest.Guest, '__init__'): 'self domain',
    (libvirt_guest.Guest, 'get_power_state'): 'self host',
    (libvirt_guest.Guest, 'get_xml_desc'): (
        'self dump_inactive dump_sensitive dump_migratable'
    ),
    (libvirt_guest.Guest, 'pause'): 'self',
    (libvirt_guest.Guest, 'poweroff'): 'self',
    (libvirt_guest.Guest, 'is_active'): 'self',
}

#: What Python puts into the namespace of a class.
_PYTHONS = frozenset(vars(type('Empty', (), {'__annotations__': {}}))) | {
    '__abstractmethods__',
    '__annotate__',
    '__firstlineno__',
    '__orig_bases__',
    '__parameters__',
    '__static_attributes__',
    '_abc_impl',
}


def override(method: F) -> F:
    """Mark a method that overrides one of Nova.

    As ``typing.override`` of Python 3.12 (PEP 698), whose mark it sets;
    this one is checked by :func:`check` against the Nova that is installed.
    """
    method.__override__ = True  # type: ignore[attr-defined]
    return method


def own_members(ours: type, parent: type) -> Iterator[tuple[type, str]]:
    """Everything that our classes between ``ours`` and ``parent`` define.

    :param ours: a class of ours
    :param parent: the class of Nova from which it is derived
    :returns: the class that defines it, the name
    """
    mro = ours.__mro__
    for owner in mro[: mro.index(parent)]:
        for name in vars(owner):
            if name not in _PYTHONS:
                yield owner, name


def overridden(ours: type, parent: type) -> set[str]:
    """The names of the methods of Nova that our classes override."""
    return {
        name
        for owner, name in own_members(ours, parent)
        if _is_override(vars(owner)[name])
    }


def differences(ours: type, parent: type) -> Iterator[str]:
    """What of Nova does not fit what a class of ours overrides.

    :param ours: a class of ours
    :param parent: the class of Nova from which it is derived
    """
    for owner, name in own_members(ours, parent):
        member = vars(owner)[name]
        where = f'{parent.__module__}.{parent.__qualname__}.{name}'
        mine = f'{owner.__module__}.{owner.__qualname__}.{name}'
        found = getattr(parent, name, None)
        # Every class has some methods from object.
        exists = found is not None and found is not getattr(object, name, None)
        if not _is_override(member):
            if exists:
                yield f'{where} exists, and {mine} is not meant to override it'
            continue
        if not exists:
            yield f'{where} does not exist, but {mine} overrides it'
            continue
        wanted = _signature(member)
        theirs = _signature(inspect.getattr_static(parent, name))
        if theirs != wanted:
            yield f'{where}: wanted {wanted}, found {theirs}'


def missing(
    called: Mapping[tuple[type, str], str] = CALLED,
) -> Iterator[str]:
    """What of Nova is not as the driver calls it.

    :param called: as :data:`CALLED`
    """
    for (owner, name), wanted in called.items():
        method: typing.Any = getattr(owner, name, None)
        where = f'{owner.__module__}.{owner.__qualname__}.{name}'
        if method is None:
            yield f'{where} does not exist'
            continue
        found = ' '.join(inspect.signature(method).parameters)
        if found != wanted:
            yield f'{where}: wanted ({wanted}), found ({found})'


def check(
    classes: Mapping[type, type],
    called: Mapping[tuple[type, str], str] = CALLED,
) -> None:
    """Refuse a Nova that has changed.

    :param classes: our classes -> the classes of Nova from which they are
        derived
    :param called: as :data:`CALLED`
    :raises nova.exception.InvalidConfiguration: Nova has changed; the message
        names everything that did
    """
    changed = [
        one
        for ours, parent in classes.items()
        for one in differences(ours, parent)
    ]
    changed += missing(called)
    if changed:
        raise nova_release.misfit('Changed: ' + '; '.join(changed))


def _function(member: typing.Any) -> typing.Any:
    """The function in a member of a class; None: there is none."""
    if isinstance(member, classmethod | staticmethod):
        return member.__func__
    if isinstance(member, property):
        return member.fget
    if isinstance(member, functools.cached_property):
        return member.func
    return member if callable(member) else None


def _is_override(member: typing.Any) -> bool:
    return bool(
        getattr(member, '__override__', False)
        or getattr(_function(member), '__override__', False)
    )


def _signature(member: typing.Any) -> str:
    """Names, kinds and defaults of the parameters, and the kind of member.

    A default is part of it: an override hands on its own, so it must be
    Nova's.
    """
    function = _function(member)
    if function is None:
        return f'a {type(member).__name__}'
    signature = inspect.signature(function)
    text = str(
        signature.replace(
            parameters=[
                one.replace(annotation=inspect.Parameter.empty)
                for one in signature.parameters.values()
            ],
            return_annotation=inspect.Signature.empty,
        )
    )
    if isinstance(member, types.FunctionType):
        return text
    return f'{type(member).__name__} {text}'
