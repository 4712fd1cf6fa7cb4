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

"""A read that hangs, in a process that eventlet has patched."""

from tests.unit import base
from tests.unit import modes

_PATCHED = """
import os, tempfile, threading, time

os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'no'
from nova import monkey_patch
if hasattr(monkey_patch, 'patch'):
    # In newer releases, Nova's services call it.
    monkey_patch.patch()
import nova.conf
from nova_isolation.host import bounded_calls
from nova_isolation.host import privileged
from nova_isolation.probes import native_thread
from nova_isolation.virt.releases import native_threads

native_threads.set_up()

def pipe():
    path = os.path.join(tempfile.mkdtemp(), 'pipe')
    os.mkfifo(path)
    return path

def bounded(key, function, seconds=0.5):
    try:
        return bounded_calls.BoundedCalls(seconds).call(key, function)
    except OSError as error:
        return str(error)

def end():
    # A thread that hangs must not hold up the end of this process.
    print('it goes on', flush=True)
    os._exit(0)
"""

_HANGS = """
assert native_thread.call(int, '5') == 5
path = pipe()
begin = time.monotonic()
print(bounded('pipe', lambda: privileged.read(path)))
assert time.monotonic() - begin < 60
end()
"""

# What is read while the hub's own thread runs would stop the hub.
_ON_THE_HUB = """
import _thread, sys, types
from nova_isolation.host import compute_host
from nova_isolation.host import libvirt_root

hub = _thread.get_native_id()
here, elsewhere = [], []

def note(path):
    # Python's own modules are read when they are imported. A number is a
    # descriptor, such as that of a pipe.
    if isinstance(path, str) and not path.endswith(('.py', '.pyc')):
        there = _thread.get_native_id() == hub
        (here if there else elsewhere).append(path)

def noting(function):
    def run(path, *args, **kwargs):
        note(path)
        return function(path, *args, **kwargs)
    return run

for name in ('stat', 'lstat', 'readlink'):
    setattr(os, name, noting(getattr(os, name)))

qemu = '/usr/bin/qemu-system-x86_64'
folder = tempfile.mkdtemp()
file = os.path.join(folder, 'access')
open(file, 'w').close()
host = compute_host.ComputeHost(
    None,
    types.SimpleNamespace(isolation=types.SimpleNamespace(
        qemu_run_dir=folder, process_root='/proc', selinuxfs=folder,
        probe_timeout=60.0, measure_timeout=60.0,
    )),
    'qemu',
    dict,
)
here.clear()
sys.addaudithook(lambda event, args: event == 'open' and note(args[0]))
host.ask('/sys/fs/selinux/access', 'question')
found = libvirt_root.examine('', qemu, 60.0)
libvirt_root.fingerprint('', qemu, found.others)
try:
    # It is not there: is that so, or does /proc hide it?
    privileged.read_process(2 ** 30, 'comm')
except FileNotFoundError:
    pass
here, elsewhere = sorted(set(here)), set(elsewhere)
print('here', here)
assert file in elsewhere and qemu in elsewhere, elsewhere
assert '/proc/self/mountinfo' in elsewhere, elsewhere
assert any(path.endswith('/exe') for path in elsewhere), elsewhere
end()
"""

#: More than eventlet's pool has threads.
_ALL_HANG = """
from nova import utils
from nova_isolation.host import self_examination

class Libvirt:
    def call(self):
        return 'libvirt'

def of_nova():
    # As nova.virt.libvirt.host calls libvirt.
    begin = time.monotonic()
    if hasattr(utils, 'tpool_execute'):
        answer = utils.tpool_execute(Libvirt().call)
    else:
        answer = utils.tpool_wrap(Libvirt()).call()
    print(f'{answer} after {time.monotonic() - begin:.3f} s')
    return answer

paths = [pipe() for _ in range(30)]
answers = {}

def read(path):
    answers[path] = bounded(path, lambda: privileged.read(path), 8.0)

threads = [threading.Thread(target=read, args=(path,)) for path in paths]
for thread in threads:
    thread.start()
time.sleep(0.2)
# Nobody else is held up while they wait, and afterwards.
assert bounded('Nova', of_nova, 5.0) == 'libvirt'
for thread in threads:
    thread.join()
assert bounded('Nova', of_nova, 5.0) == 'libvirt'
refused = [text for text in answers.values() if 'no other is tried' in text]
hung = [text for text in answers.values() if 'no answer in 8 s' in text]
print(len(hung), 'hung', len(refused), 'refused')
print(refused[0])
unseen = self_examination.SelfExamination(tempfile.mkdtemp()).examine()
print('unseen:', *{reason.code for reason in unseen.values()})
# What hung has ended: there is room again.
for path in paths:
    if 'no answer' in answers[path]:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
for _ in range(100):
    time.sleep(0.1)
    again = bounded('again', lambda: privileged.read('/proc/self/comm'))
    if 'no other' not in again:
        break
print('again:', again.strip())
end()
"""


class NativeThreadsTest(base.TestCase):
    def test_a_read_that_hangs_stops_nobody_else(self):
        output = modes.run('eventlet', _PATCHED + _HANGS)
        self.assertIn('pipe: no answer in 0.5 s\nit goes on', output)

    def test_nothing_is_read_on_the_thread_of_the_hub(self):
        output = modes.run('eventlet', _PATCHED + _ON_THE_HUB)
        self.assertIn('here []\nit goes on', output)

    def test_many_that_hang_leave_threads_for_nova(self):
        output = modes.run('eventlet', _PATCHED + _ALL_HANG)
        self.assertIn('10 hung 20 refused', output)
        self.assertIn('unseen: isolation.host.reads_hang\n', output)
        self.assertRegex(output, r'again: (?!.*no other)')
