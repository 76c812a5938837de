"""A queue of callers for a live event: a program with its own routes and rules, and parlor in front of it for all that is live.

    uvicorn --app-dir examples/pileup app:app

Its variables are in README.md.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import envelope
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from parlor.admin import AsyncAdmin
from parlor.backend import Asked, Backend, Call, Refused, User
from publisher import Publisher
from rules import OPERATIONS, Broken, Operation, Pileup

HERE = Path(__file__).parent
#: What a request's content has at most, in bytes.
BODY_BYTES_MAX = 16 * 1024

PARLOR = os.environ.get("PILEUP_PARLOR", "http://127.0.0.1:8080")
#: Name and password, as `op:good evening`; several with commas between them.
OPERATORS = dict(one.split(":", 1) for one in os.environ["PILEUP_OPERATORS"].split(","))

pileup = Pileup()
publisher = Publisher(AsyncAdmin(PARLOR, os.environ["PARLOR_ADMIN_TOKEN"]))
backend = Backend(os.environ["PILEUP_SECRET"])


def run(operation: Operation, data: Mapping[str, Any]) -> dict[str, Any]:
    """Does an operation, and has all who watch told of it."""
    answer, events = operation.run(pileup, data, time.time_ns() // 1_000_000)
    for name, about in events:
        publisher.publish("events", {"event": name, "data": about})
    if events:
        publisher.publish("pileup", pileup.as_json())
    return answer


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    # Whoever watches sees what is so now, and not what an earlier run has left.
    publisher.publish("pileup", pileup.as_json())
    async with publisher:
        yield


app = FastAPI(title="pileup", lifespan=lifespan)


# --- The operators ---


def operator(credentials: tuple[str, str] | None) -> str | None:
    """Whose name and password these are."""
    name, password = credentials or ("", "")
    known = OPERATORS.get(name, "")
    return name if known and hmac.compare_digest(known.encode(), password.encode()) else None


NOBODY = {"WWW-Authenticate": 'Basic realm="pileup"'}


@backend.whoami
async def whoami(asked: Asked) -> User:
    name = operator(asked.basic)
    if name is None:
        raise Refused("unauthorized", "no operator has this name and password", status=401, headers=NOBODY)
    return User(name, is_admin=True)


# --- By parlor: a request of a client's is one of these types ---


def answers(operation: Operation) -> None:
    @backend.handle(operation.type)
    async def answer(call: Call) -> dict[str, Any]:
        try:
            return run(operation, call.payload)
        except Broken as broken:
            raise Refused(broken.code, broken.message) from None


# --- By the program's own routes ---

STATUS = {"bad_request": 400, "bad_callsign": 400, "not_found": 404}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether another site's page asks: a browser may send with it what it keeps of HTTP Basic."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def serves(operation: Operation) -> None:
    async def endpoint(request: Request) -> Any:
        if operation.method != "GET" and is_foreign(request.headers):
            return refusal(403, "forbidden", "this is for the application's own page")
        if operation.is_for_operators and operator(Asked(request.headers, request.method, request.url.path, "").basic) is None:
            return refusal(401, "unauthorized", "no operator has this name and password", NOBODY)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                return refusal(413, "too_large", f"a request has {BODY_BYTES_MAX} bytes at most")
        try:
            data = json.loads(body, parse_constant=envelope.not_json) if body else {}
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            return refusal(400, "bad_request", "the content is a JSON object, or nothing")
        try:
            return run(operation, {**data, **request.path_params})
        except Broken as broken:
            return refusal(STATUS.get(broken.code, 409), broken.code, broken.message)

    app.add_api_route(operation.path, endpoint, methods=[operation.method], name=operation.name)


for one in OPERATIONS:
    answers(one)
    serves(one)


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(HERE / "page.html")


@app.get("/operator")
async def who_is_operator(request: Request) -> Any:
    """Whether these are an operator's name and password: for the page's sign-in, which changes nothing."""
    name = operator(Asked(request.headers, request.method, request.url.path, "").basic)
    return {"operator": name} if name is not None else refusal(401, "unauthorized", "no operator has this name and password", NOBODY)


@app.get("/parlor-url")
async def parlor_url() -> dict[str, str]:
    """Where the page finds parlor."""
    return {"url": os.environ.get("PILEUP_PARLOR_PUBLIC", PARLOR)}


@app.websocket("/ws")
async def own_protocol(websocket: WebSocket) -> None:
    asked = Asked(websocket.headers, "GET", "/ws", "")
    if is_foreign(websocket.headers):
        return await websocket.close(1008)
    if "authorization" in websocket.headers and operator(asked.basic) is None:
        await websocket.accept()
        return await websocket.close(envelope.NOT_LET_IN, "no operator has this name and password")
    await envelope.speak(websocket, PARLOR)


app.mount("/parlor", backend.asgi)
app.mount("/client", StaticFiles(directory=HERE.parents[1] / "clients/js/src"))
