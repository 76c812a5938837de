"""The program's own protocol, as its clients have spoken it for years, as a translation of parlor's.

    > {"type": "request", "id": "1", "operation": "register", "data": {"callsign": "DL1ABC"}}
    < {"type": "response", "id": "1", "operation": "register", "data": {"callsign": "DL1ABC", "place": 1}}
    > {"type": "request", "id": "2", "operation": "register", "data": {"callsign": "DL1ABC"}}
    < {"type": "error", "id": "2", "code": "already_in_queue", "message": "DL1ABC waits already"}
    < {"type": "event", "event": "registered", "data": {"caller": …, "place": 1}}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from parlor import RequestError, StreamEvent
from parlor.aio import Connection
from rules import OPERATIONS

TYPES = {operation.name: operation.type for operation in OPERATIONS}
#: How long parlor may take to let somebody in, in seconds.
READY_SECONDS = 10
#: Of this protocol: parlor does not let them in.
NOT_LET_IN = 4001
#: Bytes (RFC 6455 §7.4.1); come back later (IANA's registry of close codes).
UNSUPPORTED, TRY_AGAIN = 1003, 1013
#: How deep what a request says may be nested; parlor takes 32 with what is around it.
DEPTH_MAX = 16


async def speak(websocket: WebSocket, parlor: str) -> None:
    """Serves one client: an operator with HTTP Basic, a guest without."""
    await websocket.accept()
    known = {"Authorization": websocket.headers["authorization"]} if "authorization" in websocket.headers else {}
    address = {"X-Forwarded-For": websocket.client.host} if websocket.client else {}
    url = parlor.replace("http", "ws", 1) + ("/ws" if known else "/ws?anonymous=1")
    async with Connection(url, headers={**known, **address}) as client:
        try:
            await client.ready(READY_SECONDS)
            # What is kept happened before this client came.
            seen = (await client.request("stream:get", {"stream": "events"}))["seq"]
        except RequestError as error:
            return await websocket.close(TRY_AGAIN if error.code == "timeout" or error.passing else NOT_LET_IN, str(error)[:100])
        client.watch("events")
        # The first never ends; the second does when the client is gone, the third when parlor lets go of it for good.
        works = [tell(websocket, client.events(StreamEvent), seen), answer_all(websocket, client), client.wait_state(lambda state: state.is_over)]
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in works]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        code = UNSUPPORTED if any(isinstance(outcome, KeyError) for outcome in outcomes) else TRY_AGAIN
        with contextlib.suppress(RuntimeError):
            # Unless it is gone.
            await websocket.close(code)


async def tell(websocket: WebSocket, events: Any, seen: int) -> None:
    async for event in events:
        if event.seq > seen:
            await websocket.send_json({"type": "event", **event.data})


async def answer_all(websocket: WebSocket, client: Connection) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(json.dumps(await answer(client, await websocket.receive_text())))


async def answer(client: Connection, text: str) -> dict[str, Any]:
    try:
        asked = json.loads(text, parse_constant=not_json)
    except (ValueError, RecursionError):
        asked = None
    request = asked if isinstance(asked, dict) else {}
    id, operation, data = request.get("id"), request.get("operation"), request.get("data") or {}
    try:
        is_request = request.get("type") == "request" and isinstance(operation, str) and operation in TYPES
        if not is_request or not isinstance(data, dict) or not isinstance(id, (str, int)) or is_deep(data, DEPTH_MAX):
            raise RequestError("bad_request", "this is no request, or there is no such operation")
        return {"type": "response", "id": id, "operation": operation, "data": await client.request(TYPES[operation], data)}
    except RequestError as error:
        return {"type": "error", "id": id, "code": error.code, "message": error.message}
    except (TypeError, ValueError) as error:
        return {"type": "error", "id": id, "code": "bad_request", "message": str(error)}


def not_json(name: str) -> None:
    """NaN and the infinities."""
    raise ValueError(name)


def is_deep(value: Any, levels: int) -> bool:
    """Whether it is nested deeper than this."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(is_deep(one, levels - 1) for one in inner)
