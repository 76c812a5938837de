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


async def speak(websocket: WebSocket, parlor: str) -> None:
    """Serves one client: an operator with HTTP Basic, a guest without."""
    await websocket.accept()
    known = {"Authorization": websocket.headers["authorization"]} if "authorization" in websocket.headers else {}
    address = {"X-Forwarded-For": websocket.client.host} if websocket.client else {}
    url = parlor.replace("http", "ws", 1) + ("/ws" if known else "/ws?anonymous=1")
    async with Connection(url, headers={**known, **address}) as client:
        client.watch("events")
        telling = asyncio.create_task(tell(websocket, client.events(StreamEvent)))
        try:
            await client.ready(READY_SECONDS)
            while True:
                await websocket.send_json(await answer(client, await websocket.receive_text()))
        except RequestError as error:
            await websocket.close(NOT_LET_IN, str(error)[:100])
        except (WebSocketDisconnect, KeyError, RuntimeError):
            # It is gone, or has sent bytes.
            with contextlib.suppress(RuntimeError):
                await websocket.close(1003)
        finally:
            telling.cancel()


async def tell(websocket: WebSocket, events: Any) -> None:
    async for event in events:
        await websocket.send_json({"type": "event", **event.data})


async def answer(client: Connection, text: str) -> dict[str, Any]:
    try:
        asked = json.loads(text)
    except ValueError:
        asked = None
    request = asked if isinstance(asked, dict) else {}
    id, operation, data = request.get("id"), request.get("operation"), request.get("data") or {}
    try:
        if request.get("type") != "request" or not isinstance(operation, str) or operation not in TYPES or not isinstance(data, dict):
            raise RequestError("bad_request", "this is no request, or there is no such operation")
        return {"type": "response", "id": id, "operation": operation, "data": await client.request(TYPES[operation], data)}
    except RequestError as error:
        return {"type": "error", "id": id, "code": error.code, "message": error.message}
    except (TypeError, ValueError) as error:
        return {"type": "error", "id": id, "code": "bad_request", "message": str(error)}
