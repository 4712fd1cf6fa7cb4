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
"""The releases of Nova that the driver supports, and the one that is here.

Older releases lack what the driver stands on, so the driver refuses them by
their number, before it imports anything that they do not have. A newer one is
not refused by its number: it is judged by :mod:`.signatures` and
:mod:`.behaviour`.
"""

from importlib import metadata

from nova import exception as nova_exception

#: The first number of the oldest supported version of Nova.
OLDEST = 31

#: In words, for messages.
SUPPORTED = 'Nova 31 (2025.1), 32 (2025.2), 33 (2026.1) and 34 (2026.2)'

_WAY_OUT = (
    f'This nova-isolation supports {SUPPORTED}. Install one of these, or a '
    'nova-isolation that was made for the Nova of this host; until then set '
    '[DEFAULT] compute_driver = libvirt.LibvirtDriver here, so that tagged '
    'guests are not sent to this host'
)


def version() -> str:
    """The version of the Nova that is installed.

    :raises nova.exception.InvalidConfiguration: it has none
    """
    try:
        return metadata.version('nova')
    except metadata.PackageNotFoundError as error:
        raise nova_exception.InvalidConfiguration(
            'nova-isolation cannot find out which release of Nova this is: '
            f'Nova has no package metadata. {_WAY_OUT}.'
        ) from error


def misfit(what: str) -> nova_exception.InvalidConfiguration:
    """The refusal of a Nova that the driver does not fit.

    :param what: in which way
    """
    return nova_exception.InvalidConfiguration(
        'nova-isolation does not fit this Nova, so guests would go '
        f'unguarded. Nova is {version()}; supported are {SUPPORTED}. Install '
        f'the release of nova-isolation that was made for this Nova. {what}'
    )


def cannot_import(
    error: ImportError | AttributeError,
) -> nova_exception.InvalidConfiguration:
    """The refusal of a host on which the driver cannot be imported.

    :param error: as it was raised by the import
    """
    # The module that was looked for, or that lacks a name; None where the
    # error is no import's.
    module = error.name if isinstance(error, ImportError) else None
    package = (module or 'nova').partition('.')[0]
    if package == 'nova':
        return misfit(f'Missing: {error}')
    return nova_exception.InvalidConfiguration(
        f'nova-isolation cannot be imported, because {package} is missing or '
        f'broken in the Python of this nova-compute: {error}. Install what '
        'nova-isolation needs on a compute host: the package '
        'nova-isolation-compute of the distribution, or with pip '
        'nova-isolation[compute]'
    )


def check() -> None:
    """Refuse a Nova that is too old.

    :raises nova.exception.InvalidConfiguration: the message names the
        release that was found, those that are supported, and what to do
    """
    found = version()
    first = found.split('.', 1)[0]
    if not first.isdecimal() or int(first) < OLDEST:
        raise nova_exception.InvalidConfiguration(
            f'nova-isolation does not support Nova {found}, so guests would '
            f'go unguarded. {_WAY_OUT}.'
        )
