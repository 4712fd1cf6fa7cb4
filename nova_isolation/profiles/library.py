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

"""Where profiles are: those of this package, and an admin's own."""

from collections.abc import Iterable
import pathlib

from nova_isolation.model import vocabulary
from nova_isolation.profiles import profile

#: The folder of the profiles that this package ships.
SHIPPED = pathlib.Path(__file__).parent / 'shipped'

_SUFFIX = '.yaml'


class Library:
    """The profiles of some folders, one YAML file for each.

    No folder has precedence: a name that is there twice is refused, so that
    nobody who reads the name thinks of another profile.
    """

    def __init__(
        self, known: vocabulary.Vocabulary, own: Iterable[pathlib.Path] = ()
    ) -> None:
        """:param known: the vocabulary that the extra specs must be of
        :param own: an admin's own folders; one that does not exist is empty
        """
        self._known = known
        self._folders = (SHIPPED, *dict.fromkeys(own))

    def names(self) -> list[str]:
        """Return the names of all profiles, valid or not, sorted.

        :raises ProfileError: a folder cannot be read
        """
        return sorted({file.stem for file in self._files()})

    def load(self, name: str) -> profile.Profile:
        """Return a profile.

        :raises ProfileError: there is no such profile, there are two, or it
            is not valid
        """
        files = [file for file in self._files() if file.stem == name]
        if not files:
            raise profile.ProfileError(
                f'There is no profile {name!r}. There are: '
                f'{", ".join(self.names())}.'
            )
        if len(files) > 1:
            places = ' and '.join(map(str, files))
            raise profile.ProfileError(
                f'The profile {name!r} is there twice, in {places}. Rename '
                'your own.'
            )
        (file,) = files
        try:
            text = file.read_text('utf-8')
        except (OSError, ValueError) as error:
            raise profile.ProfileError(
                f'The profile {name!r} cannot be read: {file}: {error}'
            ) from error
        source = 'shipped' if file.parent == SHIPPED else str(file)
        return profile.parse(name, source, text, self._known)

    def _files(self) -> list[pathlib.Path]:
        found: list[pathlib.Path] = []
        for folder in self._folders:
            try:
                found += (
                    file for file in folder.iterdir() if file.suffix == _SUFFIX
                )
            except FileNotFoundError:
                continue
            except OSError as error:
                raise profile.ProfileError(
                    f'The folder of profiles {folder} cannot be read: {error}'
                ) from error
        return found
