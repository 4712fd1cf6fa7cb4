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
"""Loading what other packages add by entry points.

A package of somebody else may fail in any way when it is imported. That
concerns what it adds, and neither the service nor anything else.
"""

import typing

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    import importlib.metadata

    from oslo_config import cfg

#: Characters of an error that a message shows.
_SHOWN = 300


class Plugin(typing.NamedTuple):
    """What one entry point has led to.

    :ivar name: of the entry point
    :ivar value: the module and the attribute, ``acme.mechanism:Acme``
    :ivar target: what was imported; None where that failed
    :ivar failure: why the import failed, in words; '' if it did not
    """

    name: str
    value: str
    target: object
    failure: str


def names(group: str) -> list[str]:
    """Return the names of the entry points of a group, and import nothing.

    :raises RuntimeError: the installed packages cannot be read
    """
    return sorted({one.name for one in _find(group)})


def load(group: str, name: str | None = None) -> list[Plugin]:
    """Import what the entry points of a group name.

    :param group: of the entry points
    :param name: of the entry points to import; None for all
    :raises RuntimeError: the installed packages cannot be read
    """
    return [
        _load(one) for one in _find(group) if name is None or one.name == name
    ]


def words(error: BaseException) -> str:
    """Return the type and the text of an error, on one line.

    The text comes from a method of the error, which may fail as well.
    """
    try:
        text = ' '.join(str(error).split())
    except BaseException as inner:
        text = f'its text raised {type(inner).__name__}'
    return f'{type(error).__name__}: {text[:_SHOWN]}'


def _find(group: str) -> 'list[importlib.metadata.EntryPoint]':
    # The import is here because it takes the callers of
    # registry.owning() longer than their whole decision.
    from stevedore import named

    try:
        # It imports what is named, so nothing, and caches the search, which
        # takes long.
        manager: named.NamedExtensionManager[typing.Any] = (
            named.NamedExtensionManager(
                group, [], on_missing_entrypoints_callback=lambda _: None
            )
        )
        return manager.list_entry_points()
    except Exception as error:
        raise RuntimeError(
            f'the entry points {group} of the installed packages cannot be '
            f'read: {words(error)}'
        ) from error


def _load(one: 'importlib.metadata.EntryPoint') -> Plugin:
    try:
        return Plugin(one.name, one.value, one.load(), '')
    except BaseException as error:
        # Not only Exception: the import of a package may call sys.exit(), or
        # raise an exception of its own that derives from BaseException.
        # Nobody interrupts a service by a KeyboardInterrupt.
        return Plugin(
            one.name, one.value, None, f'{one.value} raised {words(error)}'
        )


class HasOptions(typing.Protocol):
    """What declares options: a mechanism, or the class of a provider."""

    def options(self) -> 'Sequence[cfg.Opt]':
        """Return the options."""


def options(owner: HasOptions) -> 'tuple[cfg.Opt, ...]':
    """Return the options that a plugin declares.

    :raises TypeError: one of them is not an option
    :raises Exception: what the plugin raises
    """
    # The libvirt hook loads mechanisms and needs none of their options.
    from oslo_config import cfg

    found = tuple(owner.options())
    for one in found:
        if not isinstance(one, cfg.Opt):
            raise TypeError(f'{one!r} is not an option of oslo.config')
    return found
