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

"""Programs that the tests compile."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

#: Every hardening off, said explicitly: compilers of distributions differ.
OFF = (
    '-O0', '-fno-pie', '-no-pie', '-fno-stack-protector', '-U_FORTIFY_SOURCE',
    '-fcf-protection=none', '-z', 'execstack', '-z', 'norelro', '-z', 'lazy',
)  # fmt: skip

#: word -> the flags that turn it on. The C library's own start files carry
#: no CET note on Debian, so the linker is told.
ON = {
    'pie': ('-fPIE', '-pie'),
    'nx': ('-z', 'noexecstack'),
    'relro': ('-z', 'relro'),
    'bindnow': ('-z', 'now'),
    'canary': ('-fstack-protector-all',),
    'fortify': ('-O2', '-D_FORTIFY_SOURCE=2'),
    'cet': ('-fcf-protection=full', '-Wl,-z,ibt,-z,shstk'),
}

#: Where programs lie until the process ends. Made here, because the temporary
#: folder of a test ends with the test.
FOLDER = tempfile.mkdtemp(prefix='nova-isolation-elf-')
atexit.register(shutil.rmtree, FOLDER, True)

#: Answers as an emulator does with the file beside it, and ends when it is
#: told to, like one. Its machine's type is in it, too.
SOURCE = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
const char type[] = "none-machine";
int main(int argc, char **argv)
{
    char text[32];
    char line[65536];
    size_t size;
    FILE *answers;
    if (readlink("/proc/self/exe", text, 1) < 0)
        return 1;
    strcpy(text, argc > 1 ? "two" : "one");
    snprintf(line, sizeof line, "%s.answers", argv[0]);
    answers = fopen(line, "r");
    if (answers) {
        while ((size = fread(line, 1, sizeof line, answers)) > 0)
            fwrite(line, 1, size, stdout);
        fflush(stdout);
        while (fgets(line, sizeof line, stdin) && !strstr(line, "quit"))
            ;
        return 0;
    }
    return text[0] == 'x';
}
"""

#: Starts the program that is given in its own place.
WRAPPER = """
#include <unistd.h>
int main(int argc, char **argv)
{
    argv[0] = PROGRAM;
    execv(PROGRAM, argv);
    return 126;
}
"""

#: Runs it as a child instead, and ends with it.
FORK = """
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int status;
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(PROGRAM, argv);
        return 126;
    }
    wait(&status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
"""


@functools.cache
def compiled(*flags, source=SOURCE, off=OFF, libraries=()):
    """The path of a program that is compiled with flags."""
    handle, path = tempfile.mkstemp(dir=FOLDER)
    os.close(handle)
    inputs = ('-x', 'c', '-', '-x', 'none', *libraries)
    subprocess.run(
        ['gcc', '-w', '-o', path, *off, *flags, *inputs],
        input=source,
        text=True,
        check=True,
        timeout=60,
    )
    return path


def with_words(*words):
    """A program that is hardened in these ways and no others."""
    return compiled(*(flag for word in sorted(words) for flag in ON[word]))


def wrapper(program, source=WRAPPER):
    """A program that starts another."""
    return compiled(f'-DPROGRAM="{program}"', source=source)
