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

"""Steps that wait for one another and otherwise run side by side."""

from collections.abc import Callable
from collections.abc import Iterable
import concurrent.futures
import dataclasses

from lab.run import errors
from lab.run import progress as progresses
from lab.run import supervisor as supervisors


@dataclasses.dataclass(frozen=True)
class _Step:
    name: str
    action: Callable[[], object]
    after: frozenset[str]


class Plan:
    """A set of steps; each starts when those it comes after have ended."""

    def __init__(
        self, supervisor: supervisors.Supervisor, progress: progresses.Progress
    ) -> None:
        self._supervisor = supervisor
        self._progress = progress
        self._steps: dict[str, _Step] = {}

    def add(
        self,
        name: str,
        action: Callable[[], object],
        after: Iterable[str] = (),
    ) -> None:
        """Add a step. ``after`` names steps that were added before."""
        needs = frozenset(after)
        unknown = needs - self._steps.keys()
        if unknown or name in self._steps:
            raise ValueError(f'{name}: unknown {unknown}, or there already')
        self._steps[name] = _Step(name, action, needs)

    def run(self) -> None:
        """Run all steps.

        After the first failure, or a Ctrl-C, no other step begins and the
        running ones give up at their next wait.

        :raises LabError: the first failure
        """
        done: set[str] = set()
        waiting = dict(self._steps)
        running: dict[concurrent.futures.Future[None], _Step] = {}
        with concurrent.futures.ThreadPoolExecutor(len(waiting)) as pool:
            try:
                while waiting or running:
                    for step in list(waiting.values()):
                        if step.after <= done:
                            del waiting[step.name]
                            running[pool.submit(self._do, step)] = step
                    finished, _ = concurrent.futures.wait(
                        running, return_when=concurrent.futures.FIRST_COMPLETED
                    )
                    for future in finished:
                        step = running.pop(future)
                        self._check(future, step)
                        done.add(step.name)
            except BaseException:
                self._supervisor.interrupt()
                raise

    def _do(self, step: _Step) -> None:
        with self._progress.step(step.name):
            step.action()

    @staticmethod
    def _check(future: concurrent.futures.Future[None], step: _Step) -> None:
        try:
            future.result()
        except errors.LabError:
            raise
        except Exception as error:
            raise errors.LabError(
                f'{step.name}: {type(error).__name__}: {error}'
            ) from error
