"""A camera's pipeline with the paths that its operators call, and parlor in front of it for all that is live.

    uvicorn --app-dir examples/billiards app:app

Its variables are in README.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import math
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from core import SPEED_MIN
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from parlor import RequestError
from parlor.admin import AsyncAdmin
from parlor.backend import Asked, Backend, Call, Refused, User
from pipeline import Config, Pipeline, Publisher
from pydantic import BaseModel, Field, ValidationError
from table import SPEED_MAX

HERE = Path(__file__).parent
PARLOR = os.environ.get("BILLIARDS_PARLOR", "http://127.0.0.1:8080")
TOKEN = os.environ["BILLIARDS_TOKEN"].strip()
#: Whoever has it is an operator, and an administrator of parlor: it is not to be guessed.
TOKEN_BYTES_MIN = 32
if len(TOKEN.encode()) < TOKEN_BYTES_MIN:
    raise SystemExit(f"BILLIARDS_TOKEN has {TOKEN_BYTES_MIN} bytes at least: openssl rand -hex 32 makes one")
#: What an operator may broadcast at most, in bytes.
BODY_BYTES_MAX = 128 * 1024
#: With these a JPEG begins.
JPEG = b"\xff\xd8\xff"

admin = AsyncAdmin(PARLOR, os.environ["PARLOR_ADMIN_TOKEN"], timeout=2.0)
pipeline = Pipeline(Publisher(admin))
backend = Backend(os.environ["BILLIARDS_SECRET"])


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(pipeline.run()), asyncio.create_task(pipeline.publisher.run())]
    for task in tasks:
        task.add_done_callback(pipeline.ended)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


app = FastAPI(title="billiards", lifespan=lifespan)


# --- What players ask, by parlor ---


def number(call: Call, member: str, least: float, most: float) -> float:
    value = call.payload.get(member)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise Refused("bad_request", f"{member} is a number from {least:g} to {most:g}")
    return float(value)


@backend.handle("billiards.start")
async def start(_: Call) -> dict[str, Any]:
    return pipeline.start()


@backend.handle("billiards.shoot")
async def shoot(call: Call) -> dict[str, Any]:
    angle, speed = number(call, "angle", -2 * math.pi, 2 * math.pi), number(call, "speed", SPEED_MIN, SPEED_MAX)
    if not pipeline.shoot(angle, speed):
        raise Refused("balls_roll", "wait until all balls lie still", retry_after_ms=1_000)
    return {"shot": pipeline.core.shots + 1}


# --- What operators call ---


def is_operator(asked: Asked) -> bool:
    return hmac.compare_digest((asked.bearer or "").encode(errors="replace"), TOKEN.encode())


@backend.whoami
async def whoami(asked: Asked) -> User | None:
    return User("operator", is_admin=True) if is_operator(asked) else None


def operator(request: Request) -> None:
    if not is_operator(Asked(request.headers, request.method, request.url.path, "")):
        raise HTTPException(401, "this is for operators: Authorization: Bearer, and BILLIARDS_TOKEN", {"WWW-Authenticate": "Bearer"})


Operator = Annotated[None, Depends(operator)]
API = "/api/v1/websocket"


@app.exception_handler(RequestError)
async def refused(_: Request, error: RequestError) -> JSONResponse:
    """What parlor has refused is told as it said it."""
    status = 503 if error.passing else 404 if error.code.startswith("no_such") or error.code == "not_found" else 400
    return JSONResponse({"error": {"code": error.code, "message": error.message}}, status)


@app.exception_handler(HTTPException)
async def failed(_: Request, error: HTTPException) -> JSONResponse:
    """All errors have one form, that of parlor."""
    code = {401: "unauthorized", 413: "too_large"}.get(error.status_code, "bad_request")
    return JSONResponse({"error": {"code": code, "message": error.detail}}, error.status_code, error.headers)


@app.exception_handler(OSError)
async def away(_: Request, error: OSError) -> JSONResponse:
    return JSONResponse({"error": {"code": "unavailable", "message": f"parlor does not answer: {error}"}}, 503)


@app.get(f"{API}/health")
async def health() -> JSONResponse:
    level, reasons = pipeline.health()
    said = {"status": level, "reasons": reasons, "breaker": pipeline.publisher.breaker.state, "fps": pipeline.fps}
    return JSONResponse(said, 503 if level == "unhealthy" else 200)


@app.get(f"{API}/metrics")
async def metrics() -> dict[str, Any]:
    publisher = pipeline.publisher
    return {
        "uptime_seconds": round(time.monotonic() - STARTED),
        "pictures": pipeline.number,
        "fps": pipeline.fps,
        "game": pipeline.core.game,
        "published": dict(publisher.published),
        "dropped": {stream: count for stream, count in publisher.dropped.items() if count},
        "breaker": {"state": publisher.breaker.state, "opened": publisher.breaker.opened},
    }


@app.get(f"{API}/connections")
async def connections(_: Operator) -> dict[str, Any]:
    return {"connections": [connection async for connection in admin.connections()]}


@app.delete(API + "/connections/{connection}")
async def disconnect(connection: str, _: Operator) -> dict[str, int]:
    return {"closed": await admin.disconnect(connection)}


@app.post(f"{API}/broadcast/frame")
async def broadcast_frame(request: Request, _: Operator) -> dict[str, Any]:
    """The content is the picture."""
    picture = await content(request)
    if not picture.startswith(JPEG):
        raise HTTPException(400, "the content is a JPEG")
    return dict(await admin.publish("frame", picture))


@app.post(API + "/broadcast/group/{name}")
async def broadcast_group(name: str, request: Request, _: Operator) -> dict[str, Any]:
    """Of a group are those who watch its stream."""
    return dict(await admin.publish(f"group:{name}", await read_json(request)))


@app.post(API + "/broadcast/{stream}")
async def broadcast(stream: Literal["state", "trajectory", "alert", "config"], request: Request, _: Operator) -> dict[str, Any]:
    return dict(await admin.publish(stream, await read_json(request)))


class Changed(BaseModel, extra="forbid", strict=True):
    fps: int = Field(30, ge=5, le=30)
    quality: int = Field(80, ge=10, le=95)
    covered: bool = False


@app.put("/api/v1/config")
async def configure(request: Request, _: Operator) -> Changed:
    try:
        changed = Changed.model_validate(await read_json(request))
    except ValidationError as error:
        raise HTTPException(422, str(error)) from None
    pipeline.configure(Config(**changed.model_dump()))
    return changed


async def content(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"this has more than {BODY_BYTES_MAX} bytes")
    return body


async def read_json(request: Request) -> Any:
    def not_json(name: str) -> None:
        raise ValueError(name)

    try:
        return json.loads(await content(request), parse_constant=not_json)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the content is JSON") from None


# --- The page ---


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(HERE / "page.html")


@app.get("/parlor-url")
async def parlor_url() -> dict[str, str]:
    """Where the page finds parlor."""
    return {"url": os.environ.get("BILLIARDS_PARLOR_PUBLIC", PARLOR)}


STARTED = time.monotonic()
app.mount("/parlor", backend.asgi)
app.mount("/client", StaticFiles(directory=HERE.parents[1] / "clients/js/src"))
