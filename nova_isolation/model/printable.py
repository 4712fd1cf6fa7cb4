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

"""Text of others in a message: one printable line of bounded length.

What another host, a verifier, libvirt or a guest says ends in the output of
commands, in logs and in the events of servers. A line feed in it could fake a
line about another host, and an escape sequence could rewrite what a terminal
shows.
"""

#: The longest text that is shown of one source, in characters.
MAX_LENGTH = 1000


def one_line(text: object, max_length: int = MAX_LENGTH) -> str:
    """Return a text as one printable line.

    Characters that move the cursor, end a line, change the direction of
    writing or cannot be encoded are replaced by their escapes in Python, e.g.
    ``\\n``, ``\\x1b``, ``\\u202e``. Every other character is kept, so the
    result for a result is the same text.

    :param text: the text, or an object whose text is meant
    :param max_length: a longer text is cut, and ends with ``...``
    """
    given = text if isinstance(text, str) else str(text)
    if len(given) <= max_length and given.isprintable():
        return given
    shown = ''.join(
        one if one.isprintable() else one.encode('unicode_escape').decode()
        # What is cut below is not looked at: it may be megabytes.
        for one in given[: max_length + 1]
    )
    if len(shown) <= max_length:
        return shown
    return shown[: max_length - 3] + '...'
