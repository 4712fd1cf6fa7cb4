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

"""Programs of the host that the command for the hook asks."""

import os
import shutil

#: Not every root has them in PATH (su, cron).
_FOLDERS = ('/usr/sbin', '/sbin')


def find(name: str) -> str | None:
    """The path of a program; None: it is not there.

    :param name: its name
    """
    path = os.pathsep.join([os.environ.get('PATH', os.defpath), *_FOLDERS])
    return shutil.which(name, path=path)
