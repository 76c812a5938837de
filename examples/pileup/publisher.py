"""Tells parlor of events: in order, none twice, and none lost while it is away for a while (`WAITING_MAX`)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from typing import Any

from parlor import RequestError
from parlor.admin import AsyncAdmin

logger = logging.getLogger("pileup")

#: How many publications wait at most. Beyond it the oldest are lost, and the log says so.
WAITING_MAX = 1_000
#: Between two attempts, in seconds.
RETRY_SECONDS = 0.5
#: At the end what waits has so long.
END_SECONDS = 2.0


class Publisher:
    """`async with publisher:` begins it, and ends it."""

    def __init__(self, admin: AsyncAdmin) -> None:
        self._admin = admin
        self._waiting: deque[tuple[str, Any, str]] = deque()
        self._more = asyncio.Event()
        self._is_away = False

    def publish(self, stream: str, data: Any) -> None:
        """Publishes soon; one after the other."""
        if len(self._waiting) >= WAITING_MAX:
            lost = self._waiting.popleft()
            logger.error("an event of %s is lost: parlor was away for too long", lost[0])
        # A repeat with the same id is one event.
        self._waiting.append((stream, data, uuid.uuid4().hex))
        self._more.set()

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                await self._publish(*self._waiting[0])

    async def _publish(self, stream: str, data: Any, id: str) -> None:
        try:
            await self._admin.publish(stream, data, id=id)
        except Exception as error:
            # What is no answer of parlor's, as a token that can be in no field, will not be another the next time.
            if not isinstance(error, OSError) and not (isinstance(error, RequestError) and error.passing):
                logger.error("an event of %s is lost: %s", stream, error)
            else:
                if not self._is_away:
                    logger.warning("parlor is away: %s", error)
                self._is_away = True
                await asyncio.sleep(RETRY_SECONDS)
                return
        if self._is_away:
            logger.warning("parlor is back")
        self._is_away = False
        # Unless it was lost meanwhile.
        if self._waiting and self._waiting[0][2] == id:
            self._waiting.popleft()

    async def __aenter__(self) -> Publisher:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        end = asyncio.get_running_loop().time() + END_SECONDS
        while self._waiting and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        self._task.cancel()
        if self._waiting:
            logger.error("%d events are lost: parlor is away", len(self._waiting))
