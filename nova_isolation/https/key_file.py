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

"""A check that nobody else can read or replace a private key."""

import os
import stat

from nova_isolation.https import https_error

#: How many symbolic links are followed, as in Linux (path_resolution(7)).
_MAX_LINKS = 40


def check(path: str) -> None:
    """Refuse a private key that other users may know or may have put there.

    The key must be a regular file that belongs to this process's user or to
    root, without permissions for the group or others. Symbolic links that
    lead to the key must belong to the same users; tools that renew
    certificates make such links.

    :param path: the file
    :raises nova_isolation.https.https_error.HttpsError: another user can
        read or replace the key, or the file cannot be examined
    """
    try:
        state = _follow(path)
    except OSError as error:
        raise https_error.HttpsError(
            f'key_file {path} cannot be used: {error.strerror or error}'
        ) from error
    if not stat.S_ISREG(state.st_mode):
        raise https_error.HttpsError(
            f'key_file {path}: wanted a regular file, found '
            f'{stat.filemode(state.st_mode)}'
        )
    _check_owner(path, path, state)
    mode = stat.S_IMODE(state.st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise https_error.HttpsError(
            f'key_file {path}: wanted a key that nobody but its owner can '
            f'read, found mode {mode:04o}; run chmod 600 {path}'
        )


def _follow(path: str) -> os.stat_result:
    """Return the state of the file at the end of the symbolic links.

    os.stat() would follow a link of another user, who could point the link
    at another key at any time.
    """
    here = path
    for _ in range(_MAX_LINKS):
        state = os.lstat(here)
        if not stat.S_ISLNK(state.st_mode):
            return state
        _check_owner(path, here, state)
        here = os.path.join(os.path.dirname(here), os.readlink(here))
    raise https_error.HttpsError(
        f'key_file {path}: more than {_MAX_LINKS} symbolic links'
    )


def _check_owner(path: str, here: str, state: os.stat_result) -> None:
    if state.st_uid not in (os.geteuid(), 0):
        what = 'symbolic link' if stat.S_ISLNK(state.st_mode) else 'file'
        raise https_error.HttpsError(
            f'key_file {path}: wanted a key of user '
            f'{" or ".join(map(str, sorted({0, os.geteuid()})))}, '
            f'found the {what} {here} of user {state.st_uid}; run chown -h '
            f'{os.geteuid()} {here} and chmod 600 {path}'
        )
