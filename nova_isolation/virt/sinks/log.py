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

"""The sink that logs."""

import typing

from oslo_log import log as logging

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink

LOG = logging.getLogger(__name__)

_R = outcome.Result


class LogSink(sink.Sink):
    """Writes one line for an outcome, and one for a mechanism that failed."""

    name = 'log line'
    needs = sink.Needs.NOTHING

    def takes(self, result: outcome.Outcome) -> bool:
        """See the base class."""
        if result.stage is outcome.Stage.REVERIFY:
            # Else there would be a line for each guest and interval.
            return result.result is not _R.ACCEPTED
        return result.result is not _R.FAULT_MISSING

    def report(self, result: outcome.Outcome) -> None:
        """See the base class."""
        for mechanism, error in result.failures:
            LOG.error(
                'The isolation mechanism %s failed on this guest',
                mechanism,
                exc_info=error,
                instance_uuid=result.uuid,
            )
        level, text, *arguments = _line(result)
        LOG.log(level, text, *arguments, instance_uuid=result.uuid)


def _line(result: outcome.Outcome) -> tuple[typing.Any, ...]:
    """Level, text and arguments of the line."""
    error = result.error
    details = error.details if error else ''
    match result.result:
        case _R.VIOLATED:
            return (
                logging.WARNING,
                '%s (on_violation: %s)',
                details,
                result.action,
            )
        case _R.STILL_VIOLATED:
            return (
                logging.WARNING,
                'Guest still violates its isolation requirements '
                '(on_violation: %s)',
                result.action,
            )
        case _R.RESTORED:
            return (
                logging.INFO,
                'The running guest meets its isolation requirements again',
            )
        case _R.ENDED:
            return (
                logging.INFO,
                'A guest that violated its isolation requirements no longer '
                'runs on this host',
            )
        case _R.ACCEPTED:
            return (
                logging.INFO,
                'The isolation of the guest was verified before it runs: %s',
                '; '.join(f'{p.key}: {p.found}' for p in result.proofs),
            )
    if result.destination:
        return (
            logging.WARNING,
            'Destination host %s does not meet the requirements: %s',
            result.destination,
            details,
        )
    if result.result is _R.RECORDED:
        return (
            logging.WARNING,
            'Audit mode lets the guest run: %s',
            details,
        )
    if result.action == outcome.POWER_OFF:
        return logging.WARNING, '%s. The guest is powered off.', details
    return logging.WARNING, '%s', details
