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

"""The log-in with keystone."""

from collections.abc import Mapping

from keystoneauth1 import access as access_info
from keystoneauth1 import exceptions
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import v3

from nova_isolation.model import errors
from nova_isolation.model import printable
from nova_isolation.page import sessions

#: Seconds that keystone may take for an answer.
TIMEOUT = 10.0
#: The longest name, ID or secret that is passed on, in characters.
_MAX_LENGTH = 512


class Refused(errors.IsolationError):
    """The user is not logged in; the message is for the user."""


class Identity:
    """Asks keystone. Blocks: not to be called on the event loop."""

    def __init__(self, url: str, verify: bool | str) -> None:
        """:param url: of keystone, with or without ``/v3``

        :param verify: whether its certificate is verified, or the file of the
            authorities that may have signed it
        """
        base = url.rstrip('/')
        self._url = base if base.endswith('/v3') else f'{base}/v3'
        self._verify = verify

    def log_in(self, form: Mapping[str, str]) -> sessions.Login:
        """Exchange what a user typed for a token.

        :param form: the fields of the form
        :raises Refused: keystone refuses, or cannot be asked
        """
        if any(len(value) > _MAX_LENGTH for value in form.values()):
            raise Refused('A field is too long.')
        auth = _plugin(self._url, form)
        try:
            access = auth.get_access(self._session(auth))
        except (
            exceptions.Unauthorized,
            exceptions.BadRequest,
            exceptions.Forbidden,
            exceptions.NotFound,
            exceptions.MissingAuthMethods,
        ):
            # Keystone does not say what was wrong, and neither does this.
            raise Refused(
                'Keystone refuses this log-in. Check the names, the domains '
                'and the secret, and whether you have a role there.'
            ) from None
        except exceptions.ClientException:
            raise Refused(
                'Keystone cannot be asked now. Try again later.'
            ) from None
        return _login(access)

    def log_out(self, login: sessions.Login) -> None:
        """Revoke the token. Where keystone does not answer, it expires."""
        try:
            self._session(None).delete(
                f'{self._url}/auth/tokens',
                headers={
                    'X-Auth-Token': login.token,
                    'X-Subject-Token': login.token,
                },
                authenticated=False,
                log=False,
            )
        except exceptions.ClientException:
            return

    def _session(self, auth: v3.Auth | None) -> keystone_session.Session:
        return keystone_session.Session(
            auth=auth, verify=self._verify, timeout=TIMEOUT, redirect=False
        )


def _login(access: access_info.AccessInfo) -> sessions.Login:
    if (
        not isinstance(access, access_info.AccessInfoV3)
        or not access.auth_token
        or access.expires is None
        or not access.user_id
    ):
        raise Refused('The answer of keystone has no token.')
    if access.system_scoped:
        scope = 'the whole system'
    else:
        scope = f'project {access.project_name}'
    return sessions.Login(
        access.auth_token,
        access.expires.timestamp(),
        access.user_id,
        printable.one_line(access.username, 100),
        printable.one_line(scope, 100),
    )


def _plugin(url: str, form: Mapping[str, str]) -> v3.Auth:
    if form.get('method') == 'application_credential':
        return v3.ApplicationCredential(
            url,
            application_credential_id=form.get('id', ''),
            application_credential_secret=form.get('secret', ''),
        )
    in_project = form.get('scope') == 'project'
    return v3.Password(
        url,
        username=form.get('user', ''),
        user_domain_name=form.get('user_domain', ''),
        password=form.get('password', ''),
        system_scope=None if in_project else 'all',
        project_name=form.get('project', '') if in_project else None,
        project_domain_name=form.get('project_domain', '')
        if in_project
        else None,
    )
