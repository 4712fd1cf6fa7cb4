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

"""The records of a lab's daemons: one small file for each.

They let one command stop what another started, and they tell a daemon that
died from one that somebody stopped: stopping removes the record.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
from pathlib import Path

from lab.run import layout as layouts
from lab.run import processes


@dataclasses.dataclass(frozen=True)
class Daemon:
    """A process that runs in the background."""

    name: str
    pid: int
    #: See processes.start_ticks.
    ticks: int | None
    #: Whether signals go to its children too, because it does not end them.
    group: bool = False
    #: Whether it ends by itself, so that its end is no fault.
    ends: bool = False

    def alive(self) -> bool:
        """Whether it still runs."""
        return (
            self.ticks is not None
            and processes.start_ticks(self.pid) == self.ticks
        )


class Records:
    """The records in one folder; several threads may use them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The names of daemons that are just being stopped.
        self._ending: set[str] = set()

    def write(self, daemon: Daemon) -> None:
        """Add a daemon; another one of its name is replaced."""
        # Other threads read the records at any time.
        layouts.write(
            self._folder / f'{daemon.name}.new',
            json.dumps(dataclasses.asdict(daemon)),
        ).replace(self._path(daemon.name))

    def forget(self, name: str) -> None:
        """Remove a daemon."""
        self._path(name).unlink(missing_ok=True)

    def read(self) -> dict[str, Daemon]:
        """The daemons that were started and not stopped, by name.

        A daemon that died by itself is among them.
        """
        found = {}
        for path in sorted(self._folder.glob('*.json')):
            try:
                text = path.read_text(encoding='utf-8')
            except FileNotFoundError:
                # Another thread has just stopped it.
                continue
            values = json.loads(text)
            found[values['name']] = Daemon(**values)
        return found

    def dead(self) -> list[str]:
        """The names of the daemons that died by themselves."""
        return [
            name
            for name, daemon in self.read().items()
            if not daemon.ends
            and not daemon.alive()
            # Another thread may stop it now, or have stopped it meanwhile.
            and name not in self._ending
            and self.read().get(name) == daemon
        ]

    @contextlib.contextmanager
    def ending(self, names: Iterable[str]) -> Iterator[list[Daemon]]:
        """Forget daemons, which the body of the ``with`` ends.

        :param names: a name without a daemon is ignored
        """
        known = self.read()
        todo = [known[name] for name in names if name in known]
        found = {daemon.name for daemon in todo}
        self._ending.update(found)
        try:
            yield todo
            for name in found:
                self.forget(name)
        finally:
            self._ending.difference_update(found)

    def _path(self, name: str) -> Path:
        return self._folder / f'{name}.json'
