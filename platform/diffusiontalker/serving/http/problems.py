"""Errors in the one JSON shape, whatever they were on the way here."""

import logging
import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from diffusiontalker.serving.errors import Code, ServingError
from diffusiontalker.serving.http.bodies import shown

logger = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""Status, in the metrics, of a request whose client did not wait; nobody is told."""

_CODES: dict[int, Code] = {401: "unauthenticated", 403: "forbidden", 404: "unknown_path", 405: "unknown_path"}
_MOST_NAMED = 8


def add_problems(app: FastAPI) -> None:
    """Has the application answer errors in the one shape."""
    app.add_exception_handler(ServingError, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_client_left)
    app.add_exception_handler(Exception, _on_fault)


def invalid(errors: Sequence[Any], *, skip: int = 0) -> ServingError:
    """What pydantic found, in one line.

    Args:
        errors: of pydantic.
        skip: parts of the places that clients do not know.
    """
    problems = [f"{shown('.'.join(map(str, one['loc'][skip:]))) or 'body'}: {shown(one['msg'])}" for one in errors]
    return ServingError("invalid_parameter", "; ".join(problems[:_MOST_NAMED]))


def problem(error: ServingError) -> JSONResponse:
    """The one JSON shape, with what HTTP adds."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.code == "unauthenticated":
        headers["www-authenticate"] = "Bearer"
    if error.code == "too_slow":
        headers["connection"] = "close"
    return JSONResponse(error.body(), status_code=error.http_status, headers=headers)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    return problem(error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(invalid(error.errors(), skip=1))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ServingError):  # FastAPI calls whatever happens to a JSON body a bad request.
        return problem(error.__cause__)
    if isinstance(error.__cause__, ClientDisconnect):
        return Response(status_code=CLIENT_LEFT)
    code = _CODES.get(error.status_code, "bad_request")
    where = f"{request.method} {shown(request.url.path)}"
    response = problem(ServingError(code, f"{where}: {error.detail}; see /docs for what there is"))
    if error.status_code == 405:
        response.status_code = 405
        response.headers.update(error.headers or {})
    return response


async def _on_client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)


async def _on_fault(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, shown(request.url.path), exc_info=error)
    return problem(ServingError("internal", "the server failed at this request; its log says why"))
