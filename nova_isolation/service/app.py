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
"""The ASGI application of the service."""

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import logging
import time

from starlette import applications
from starlette import exceptions
from starlette import middleware
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.service import answers
from nova_isolation.service import audit
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import evidence
from nova_isolation.service import explain
from nova_isolation.service import hosts
from nova_isolation.service import openapi
from nova_isolation.service import picture_keeper
from nova_isolation.service import request_id
from nova_isolation.service import servers
from nova_isolation.service import vendordata
from nova_isolation.service import versions

LOG = logging.getLogger(__name__)

_JSON = 'application/json'
_HEADERS = {'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff'}


def endpoints() -> list[endpoint.Endpoint]:
    """Return the calls that need a token, each with a state of its own."""
    known = servers.Servers()
    return [
        *hosts.Hosts().endpoints(),
        *explain.Explain().endpoints(),
        *known.endpoints(),
        *evidence.Evidence(known).endpoints(),
        *vendordata.Vendordata().endpoints(),
        *audit.endpoints(),
    ]


def make(
    parts: endpoint.Parts, more: Sequence[routing.BaseRoute] = ()
) -> applications.Starlette:
    """Make the application.

    :param parts: what the service is made of
    :param more: routes that are no calls of the API
    """
    calls = endpoints()
    app = applications.Starlette(
        routes=[
            *_documents(parts, calls),
            *_routes(parts, calls),
            *more,
        ],
        middleware=[middleware.Middleware(request_id.RequestId)],
        exception_handlers={exceptions.HTTPException: _not_routed},
    )
    app.router.redirect_slashes = False
    app.state.parts = parts
    return app


def _documents(
    parts: endpoint.Parts, calls: Iterable[endpoint.Endpoint]
) -> list[routing.BaseRoute]:
    """Return the routes that need no token."""
    described = answers.encode(openapi.document(calls))

    def base_url(request: requests.Request) -> str:
        return parts.public_url or str(request.base_url).rstrip('/')

    async def list_versions(request: requests.Request) -> responses.Response:
        return _json(answers.encode(versions.versions(base_url(request))))

    async def show_version(request: requests.Request) -> responses.Response:
        return _json(answers.encode(versions.version(base_url(request))))

    async def healthcheck(request: requests.Request) -> responses.Response:
        try:
            parts.keeper.current()
        except picture_keeper.CloudUnread:
            # Anybody may ask, so the reason is in the log only.
            status = 503
            reason = "Nova's databases could not be read in time"
        else:
            status, reason = 200, 'OK'
        return _json(
            answers.encode({'healthy': status == 200, 'reason': reason}),
            status,
        )

    async def describe(request: requests.Request) -> responses.Response:
        return _json(described)

    version = f'/{versions.VERSION}'
    return [
        routing.Route('/', list_versions),
        routing.Route(version, show_version),
        routing.Route(f'{version}/', show_version),
        routing.Route('/healthcheck', healthcheck),
        routing.Route(f'{version}/openapi.json', describe),
    ]


def _routes(
    parts: endpoint.Parts, calls: Iterable[endpoint.Endpoint]
) -> list[routing.BaseRoute]:
    return [
        routing.Route(call.path, _endpoint(parts, call), methods=[call.method])
        for call in calls
    ]


def _endpoint(
    parts: endpoint.Parts, call: endpoint.Endpoint
) -> Callable[[requests.Request], Awaitable[responses.Response]]:
    """Return the function that Starlette calls for a call of the API."""

    async def observed(request: requests.Request) -> responses.Response:
        begun = time.perf_counter()
        response = await answer(request)
        parts.observe(
            call.method,
            call.path,
            response.status_code,
            time.perf_counter() - begun,
        )
        return response

    async def answer(request: requests.Request) -> responses.Response:
        try:
            context = await parts.identify(
                request.method,
                request.url.path,
                request.headers.get('X-Auth-Token', ''),
            )
            asked = endpoint.Call(request, context, parts)
            if call.policy is not None:
                asked.authorize(call.policy, {})
            _check_query(request, call)
            body = await call.handle(asked)
        except errors.ApiError as error:
            return failed(request, error)
        except Exception:
            LOG.exception(
                'Request %(id)s (%(method)s %(path)s) ended with a defect',
                {
                    'id': _id(request),
                    'method': request.method,
                    'path': call.path,
                },
            )
            return failed(
                request,
                errors.ApiError(
                    errors.INTERNAL,
                    'the service has a defect; report it with the traceback '
                    'from its log',
                ),
            )
        return _json(body if isinstance(body, bytes) else answers.encode(body))

    return observed


def _check_query(request: requests.Request, call: endpoint.Endpoint) -> None:
    """Refuse parameters that would have no effect.

    :raises nova_isolation.service.errors.ApiError: the call has no such
        parameter, or a parameter is given twice
    """
    names = [one.name for one in call.parameters]
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in names:
            raise errors.ApiError(
                errors.BAD_REQUEST,
                f'{call.path} has no parameter {name[:50]!r}; it has '
                f'{", ".join(names) or "none"}',
            )
        if given.count(name) > 1:
            raise errors.ApiError(
                errors.BAD_REQUEST, f'the parameter {name} is given twice'
            )


def failed(
    request: requests.Request, error: errors.ApiError
) -> responses.Response:
    """Return the answer of a request that has failed."""
    return _json(
        answers.encode(errors.as_json(error, _id(request))),
        error.kind.status,
        error.headers,
    )


async def _not_routed(
    request: requests.Request, error: Exception
) -> responses.Response:
    """Answer a request that no route takes."""
    status = getattr(error, 'status_code', 404)
    headers = getattr(error, 'headers', None)
    if status == errors.METHOD_NOT_ALLOWED.status:
        return failed(
            request,
            errors.ApiError(
                errors.METHOD_NOT_ALLOWED,
                f'{request.url.path} has no method {request.method}',
                headers,
            ),
        )
    return failed(
        request,
        errors.ApiError(
            errors.NOT_FOUND,
            f'there is no {request.url.path}; see /v1/openapi.json',
        ),
    )


def _json(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> responses.Response:
    return responses.Response(
        body, status, {**_HEADERS, **(headers or {})}, _JSON
    )


def _id(request: requests.Request) -> str:
    return str(getattr(request.state, request_id.STATE, ''))
