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

"""nova-isolation-status: checks for an upgrade, as nova-status has them.

The program runs where nova-scheduler runs, with its nova.conf. It reads Nova's
databases and placement, and changes nothing.
"""

from collections.abc import Callable
from collections.abc import Iterable
import functools
import time

from nova import config
from nova import exception
from nova import objects
from nova import rpc
import nova.conf
from nova.db.api import api as api_database
from nova.db.main import api as main_database
from oslo_log import log
from oslo_upgradecheck import upgradecheck

from nova_isolation import opts
from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.cloud import reader
from nova_isolation.mechanisms import registry
from nova_isolation.report import audit
from nova_isolation.report import audit_kinds
from nova_isolation.report import explanation

CONF = nova.conf.CONF

#: Seconds that placement may take for one answer.
_PLACEMENT_SECONDS = 30

#: Seconds that placement may take for all answers, some hundred.
_ALL_PLACEMENT_SECONDS = 120.0

#: The most findings that one check names.
_MOST = 20

_K = audit_kinds

#: The title of a check -> the findings of the audit that it reports.
CHECKS: dict[str, tuple[audit_kinds.Kind, ...]] = {
    'Databases of all cells': (_K.CELL_UNREAD,),
    'Filter of nova-scheduler': (_K.FILTER_DISABLED, _K.FILTER_UNKNOWN),
    'Schema of the facts': (_K.HOST_SCHEMA,),
    'Age of the facts': (_K.HOST_STALE,),
    'Mode of the hosts': (_K.HOST_AUDITS, _K.SERVER_AUDITED),
    'Traits without driver': (_K.TRAITS_STALE, _K.TRAITS_UNKNOWN),
    'Servers on guarded hosts': (_K.SERVER_UNGUARDED,),
    'Extra specs of the flavors': (_K.FLAVOR_INVALID, _K.FLAVOR_MISTYPED),
    'Running guests': (_K.SERVER_VIOLATES, _K.HOST_VIOLATED),
}


def _release(checks: 'Checks') -> upgradecheck.Result:
    """Report whether this Nova is supported."""
    try:
        # The package refuses the import where it is not.
        from nova_isolation.virt import nova_release

        nova_release.check()
    except exception.InvalidConfiguration as error:
        return upgradecheck.Result(upgradecheck.Code.FAILURE, str(error))
    return upgradecheck.Result(upgradecheck.Code.SUCCESS)


def _check(
    checks: 'Checks', kinds: tuple[audit_kinds.Kind, ...]
) -> upgradecheck.Result:
    """Report the findings of some kinds."""
    found = [one for one in checks.found if one.kind in kinds]
    if not found:
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)
    named = [f'{one.name}: {one.detail}' for one in found[:_MOST]]
    if len(found) > _MOST:
        named.append(f'and {len(found) - _MOST} more')
    remedies = dict.fromkeys(one.kind.remedy for one in found)
    failed = any(one.kind.severity == audit_kinds.ERROR for one in found)
    return upgradecheck.Result(
        upgradecheck.Code.FAILURE if failed else upgradecheck.Code.WARNING,
        '; '.join(named) + '. ' + ' '.join(remedies),
    )


class Checks(upgradecheck.UpgradeCommands):
    """The checks. The audit is made once, when the first one needs it."""

    _upgrade_checks = (
        ('Release of Nova', _release),
        *(
            (title, (_check, {'kinds': kinds}))
            for title, kinds in CHECKS.items()
        ),
    )

    def __init__(self, find: Callable[[], Iterable[audit.Finding]]) -> None:
        """:param find: makes the audit; may raise any exception"""
        self._find = find

    @functools.cached_property
    def found(self) -> list[audit.Finding]:
        """The findings of the audit."""
        return list(self._find())


def findings() -> list[audit.Finding]:
    """Audit this cloud.

    :raises Exception: a database cannot be read
    """
    seen = reader.CloudReader(placement_patience=_ALL_PLACEMENT_SECONDS).read()
    rules = explanation.Rules(
        CONF.isolation.mode, opts.freshness(CONF.isolation), registry.get()
    )
    return audit.findings(
        audit.Cloud(
            seen,
            rules,
            explanation.Moment(time.time()),
            # The file is that of nova-scheduler, so its default counts too.
            audit.Configuration(tuple(CONF.filter_scheduler.enabled_filters)),
        )
    )


def _prepared() -> list[audit.Finding]:
    """Audit this cloud, by the files that were read by then."""
    # Nova's cell mappings need its options.
    rpc.init(CONF)
    main_database.configure(CONF)
    api_database.configure(CONF)
    objects.register_all()
    return findings()


def main() -> int:
    """The program.

    :returns: 0: all is well; 1: there are warnings; 2: something fails; 255:
        the checks could not be made
    """
    log.register_options(CONF)
    config.set_lib_defaults()
    if config.profiler:
        # Nova's databases are not configured without its options.
        config.profiler.set_defaults(CONF)
    opts.register(CONF)
    attestation_opts.register(CONF)
    # Where nova.conf sets none, a placement that hangs must end.
    CONF.set_default('timeout', _PLACEMENT_SECONDS, 'placement')
    return int(upgradecheck.main(CONF, 'nova', Checks(_prepared)))
