"""Turn every error into an answer: ours with what is wrong, any other with a number that stands in the log."""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from engine.errors import Cancelled, InputError, PathError, Problem, SafelightError
from engine.server.security.answers import problem_answer, refuse, without_paths
from engine.server.security.bodies import BodyTooLarge, BodyTooSlow

logger = logging.getLogger(__name__)

_KEPT_HEADERS = ("Allow", "Location", "Retry-After", "WWW-Authenticate")


def failure_guard(*, debug: bool = False) -> Middleware:
    """Return the outermost middleware; ``debug`` adds the exception's own text to the answer, never in normal use."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _from_http(error)
        except SafelightError as error:
            return answer_for(error)
        except web.RequestPayloadError:
            return refuse(400, "E-BODY", "the body is cut short or badly encoded")
        except ConnectionError:
            raise  # the client went away: there is nobody to answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a number and the log the rest
            return _unexpected(request, error, debug)

    return guard


def answer_for(error: SafelightError) -> web.Response:
    """Return the answer for an error of ours. A name that leads out and one that leads to nothing look the same."""
    if isinstance(error, PathError):
        return refuse(404, "E-PATH", "there is no such file")
    status = 500
    if isinstance(error, InputError):
        status = {BodyTooLarge: 413, BodyTooSlow: 408}.get(type(error), 400)
    elif isinstance(error, Cancelled):
        status = 409
    elif error.exit_code == 1:
        logger.error("answered with an error: %s", error)
    return problem_answer(status, error.problems or (error.problem,))


def _from_http(error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        raise error
    headers = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
    if error.content_type == "application/json" and error.text:  # a route said it in the form of the protocol
        text = without_paths(error.text)
        return web.Response(status=error.status, text=text, content_type="application/json", headers=headers)
    try:
        phrase = HTTPStatus(error.status).phrase.lower()
    except ValueError:
        phrase = "refused"
    return refuse(error.status, f"E-HTTP-{error.status}", phrase, headers=headers)


def _unexpected(request: web.Request, error: Exception, debug: bool) -> web.Response:
    number = secrets.token_hex(6)
    logger.error("error %s in %s %s", number, request.method, request.raw_path, exc_info=error)
    message = f"something went wrong here; the log says more under {number}"
    problem = Problem("E-INTERNAL", message, got=repr(error)[:500] if debug else None)
    return problem_answer(500, [problem], more={"id": number})
