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


"""What all demonstrations share: how they show and check a claim."""

from typing import NoReturn

from lab.cloud import cloud as clouds
from lab.guests import guests as guest_api
from lab.run import errors


class Stage:
    """The base class of scenes on a cloud with guests.

    Scenes show only what they have checked.
    """

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._guests = guest_api.Guests(cloud)
        self._api = self._guests.api

    def _title(self, text: str) -> None:
        print()
        self._cloud.progress.say(text)

    def _flavor(self, name: str, specs: dict[str, str]) -> None:
        self._guests.flavor(name, specs)
        print(f'  flavor {name}: {self._tags(specs)}')

    @staticmethod
    def _tags(specs: dict[str, str]) -> str:
        return (
            ' '.join(
                f'{key.removeprefix("isolation:")}={value}'
                for key, value in specs.items()
            )
            or '-'
        )

    def _check(self, holds: bool, claim: str) -> None:
        if not holds:
            self._fail(claim)

    @staticmethod
    def _fail(claim: str) -> NoReturn:
        raise errors.LabError(f'this claim is false: {claim}')
