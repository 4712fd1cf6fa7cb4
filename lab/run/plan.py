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

"""Steps that depend on one another and otherwise run side by side."""

from collections.abc import Callable
from collections.abc import Iterable
import concurrent.futures
import graphlib

from lab.run import errors
from lab.run import progress as progresses
from lab.run import supervisor as supervisors


class Plan:
    """A set of steps; each step starts when the steps before it have ended."""

    def __init__(
        self, supervisor: supervisors.Supervisor, progress: progresses.Progress
    ) -> None:
        self._supervisor = supervisor
        self._progress = progress
        self._actions: dict[str, Callable[[], object]] = {}
        self._order: graphlib.TopologicalSorter[str] = (
            graphlib.TopologicalSorter()
        )

    def add(
        self,
        name: str,
        action: Callable[[], object],
        after: Iterable[str] = (),
    ) -> None:
        """Add a step.

        :param after: the names of the steps that have to end first. They
            were added before, so the steps cannot form a circle.
        :raises ValueError: when a name in ``after`` is unknown, or when
            there is a step of this name already
        """
        before = tuple(after)
        unknown = [one for one in before if one not in self._actions]
        if unknown:
            raise ValueError(f'step {name} comes after unknown {unknown}')
        if name in self._actions:
            raise ValueError(f'there is a step {name} already')
        self._actions[name] = action
        self._order.add(name, *before)

    def run(self) -> None:
        """Run all steps; a plan can be run once.

        After the first failure, or Ctrl-C, no other step begins, and the
        running steps fail at their next wait.

        :raises LabError: the first failure, with the name of its step
        """
        order = self._order
        order.prepare()
        running: dict[concurrent.futures.Future[None], str] = {}
        # At least one thread, which an executor demands: a plan may be empty.
        threads = max(1, len(self._actions))
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            try:
                while order.is_active():
                    for name in order.get_ready():
                        running[pool.submit(self._do, name)] = name
                    finished, _ = concurrent.futures.wait(
                        running, return_when=concurrent.futures.FIRST_COMPLETED
                    )
                    for future in finished:
                        name = running.pop(future)
                        self._check(future, name)
                        order.done(name)
            except BaseException:
                self._supervisor.interrupt()
                raise

    def _do(self, name: str) -> None:
        with self._progress.step(name):
            self._actions[name]()

    @staticmethod
    def _check(future: concurrent.futures.Future[None], name: str) -> None:
        try:
            future.result()
        except errors.DiedError as error:
            raise errors.DiedError(
                f'Step {name} failed: {error}', error.daemons
            ) from error
        except errors.LabError as error:
            raise errors.LabError(f'Step {name} failed: {error}') from error
        except Exception as error:
            raise errors.LabError(
                f'Step {name} failed: {type(error).__name__}: {error}'
            ) from error
