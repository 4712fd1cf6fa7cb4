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

import os

import setuptools
from setuptools.command import build_py

#: Python reads it at start, because it lies at the root of site-packages. It
#: registers nova_isolation_finder.
_START_FILE = 'nova-isolation.pth'


class _BuildPy(build_py.build_py):
    """Puts the start file beside the package, also of an editable install.

    setuptools has no option for a file there that is no module.
    """

    def run(self):
        super().run()
        # An editable wheel has no modules: setuptools packs what is in the
        # folder of install.
        folder = (
            self.get_finalized_command('install').install_lib
            if self.editable_mode
            else self.build_lib
        )
        os.makedirs(folder, exist_ok=True)
        self.copy_file(_START_FILE, os.path.join(folder, _START_FILE))


class _Distribution(setuptools.Distribution):
    """Has the command above; pbr replaces what ``cmdclass`` says."""

    def get_command_class(self, command):
        if command == 'build_py':
            return _BuildPy
        return super().get_command_class(command)


setuptools.setup(
    setup_requires=['pbr>=5.10.0'],
    pbr=True,
    distclass=_Distribution,
    # pbr asks git for them. Packages of distributions are built without git.
    package_data={
        'nova_isolation': ['py.typed'],
        'nova_isolation.evidence': ['statement.schema.json'],
        'nova_isolation.mechanisms.qemu': ['start.S'],
        'nova_isolation.page': ['static/*', 'templates/*'],
        'nova_isolation.profiles': ['shipped/*'],
    },
)
