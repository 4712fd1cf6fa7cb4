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

"""How far a long list has come."""

import sys
import typing

from nova_isolation.osc import client


def counter(what: str, stream: typing.TextIO | None = None) -> client.Progress:
    """Return a function that shows how many items have arrived.

    It shows nothing where standard error is no terminal.

    :param what: the items, e.g. ``hosts``
    """
    shown = stream or sys.stderr

    def show(count: int) -> None:
        if shown.isatty():
            # To the first column, and over what was there; the output then
            # covers it.
            shown.write(f'\r{count} {what} \r')
            shown.flush()

    return show
