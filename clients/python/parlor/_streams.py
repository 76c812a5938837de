"""Streams, which a client only watches. Each goes on from its position after each loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._desk import Desk
from ._requests import Requests, Result
from ._told import as_list, as_object, integer, members, number, objects, text, written
from .errors import RequestError
from .events import GapReason, StreamEvent, StreamGap, StreamRefused, StreamStale

RETRY_MS = 1_000
#: How many streams a client watches at most: as a server allows, tenfold.
STREAMS_MAX = 1_000


@dataclass(frozen=True)
class WatchOptions:
    """How a stream is watched."""

    #: Which events: `{"/a/b": value}` (`docs/streams.md`); JSON.
    filter: str | None = None
    #: Most events a second.
    max_rate: int | None = None


@dataclass
class _News:
    seq: int
    previous: int | None
    ts: int | None
    data: Any


#: That no change of the subscription is asked for.
_NOT_ASKED = object()


class _Watch:
    """A stream, as far as the client knows it."""

    def __init__(self) -> None:
        #: How the program watches it; None if it does not.
        self.options: WatchOptions | None = None
        #: How this connection is subscribed to it.
        self.current: WatchOptions | None = None
        #: The change of that which the server has not answered.
        self.asked: object = _NOT_ASKED
        #: Whether the server took the last change is not known.
        self.is_unsure = False
        #: It cannot be watched so, as the server says.
        self.is_refused = False
        self.epoch: str | None = None
        self.seq = 0
        self.stale_since: int | None = None
        #: What the program is told as soon as it takes something.
        self.untold_gap: StreamGap | None = None
        self.untold: StreamEvent | None = None
        self.untold_refusal: RequestError | None = None
        self.is_age_untold = False

    def lose(self) -> None:
        """The connection is another, or gone."""
        self.current, self.asked = None, _NOT_ASKED
        self.is_refused = self.is_unsure = False


class Streams:
    """The streams of a client."""

    def __init__(self, desk: Desk, requests: Requests) -> None:
        self._desk = desk
        self._requests = requests
        self._streams: dict[str, _Watch] = {}

    def lose(self) -> None:
        for stream in self._streams.values():
            stream.lose()

    def forget_user(self) -> None:
        """Who watches is another: what one was told is not the other's."""
        for name, known in list(self._streams.items()):
            self._streams[name] = _Watch()
            self._streams[name].options = known.options

    def watch(self, name: str, options: WatchOptions | None) -> None:
        """The program watches a stream, or no more."""
        if len(self._streams) >= STREAMS_MAX and name not in self._streams:
            return self._desk.tell_or_leave_out(StreamRefused(name, RequestError("overloaded")))
        stream = self._streams.setdefault(name, _Watch())
        stream.options = options
        # After a refusal the program asks once more.
        stream.is_refused = False
        self._settle(name)

    def settle_all(self) -> None:
        for name in list(self._streams):
            self._settle(name)

    def _settle(self, name: str) -> None:
        """Subscribes or not, as is wanted now."""
        stream = self._streams.get(name)
        if stream is None:
            return
        if not self._desk.is_online or stream.asked is not _NOT_ASKED:
            if not self._desk.is_online and stream.options is None:
                del self._streams[name]
            return
        wanted = None if stream.is_refused else stream.options
        if wanted == stream.current and not stream.is_unsure:
            if stream.options is None:
                del self._streams[name]
            return
        stream.asked = wanted
        if wanted is None:
            return self._requests.ask(
                "unsubscribe", {"stream": name}, lambda result: self._unsubscribed(name, result), is_of_connection=True
            )
        payload: dict[str, Any] = {"stream": name}
        if wanted.max_rate is not None:
            payload["max_rate"] = wanted.max_rate
        if stream.epoch is not None:
            payload.update(since=stream.seq, epoch=stream.epoch)
        raw = written(payload)
        if wanted.filter is not None:
            raw = f'{raw[:-1]},"filter":{wanted.filter}}}'
        self._requests.ask("subscribe", raw, lambda result: self._subscribed(name, wanted, result), is_of_connection=True)

    def _unsubscribed(self, name: str, result: Result) -> None:
        stream = self._streams.get(name)
        if stream is None or stream.asked is _NOT_ASKED:
            return
        stream.asked = _NOT_ASKED
        if isinstance(result, RequestError) and result.passing:
            return self._settle_later(name, stream, result)
        stream.current, stream.is_unsure = None, False
        self._settle(name)

    def _subscribed(self, name: str, asked: WatchOptions, result: Result) -> None:
        stream = self._streams.get(name)
        # That of an earlier connection has no answer any more.
        if stream is None or stream.asked is _NOT_ASKED:
            return
        stream.asked = _NOT_ASKED
        if not isinstance(result, RequestError):
            stream.current, stream.is_unsure = asked, False
            told = objects(result, "streams")
            if told:
                self._begin(name, stream, told[0])
            return self._settle(name)
        if result.passing:
            return self._settle_later(name, stream, result)
        # What was before this is still so. If the program has changed its mind, that is asked.
        stream.is_refused = stream.options == asked
        # What came of it meanwhile was not handed on. It may have been unsure before.
        stream.is_unsure = stream.is_unsure or stream.current is not None
        if stream.is_refused:
            stream.untold_refusal = result
            self._tell(name, stream)
        self._settle(name)

    def _settle_later(self, name: str, stream: _Watch, error: RequestError) -> None:
        # The next connection asks again.
        if error.code != "disconnected":
            stream.is_unsure = True
            wait = max(error.retry_after_ms or 0, RETRY_MS)
            self._desk.deadlines.set(("stream", name), self._desk.after(wait), lambda: self._settle(name))

    def ended(self, name: str, message: str) -> None:
        """The server has ended it."""
        stream = self._streams.get(name)
        if stream is not None:
            stream.current = stream.options = None
            stream.untold_refusal = RequestError("unsubscribed", message)
            self._tell(name, stream)

    def _begin(self, name: str, stream: _Watch, told: Mapping[str, Any]) -> None:
        """Where a subscription begins."""
        epoch = text(told, "epoch")
        is_same_life = epoch == stream.epoch
        stream.epoch = epoch
        replayed = told.get("replayed")
        # In a new life nothing is missing for whoever had no event of the old one.
        if replayed is False and (is_same_life or stream.seq > 0) and stream.untold_gap is None:
            reason: GapReason = "gone" if is_same_life else "epoch_changed"
            stream.untold_gap = StreamGap(name, stream.seq, reason)
        has_gone_on = replayed is True
        if not has_gone_on:
            stream.seq = 0
        head = number(told, "seq") or 0
        snapshot = told.get("snapshot")
        if snapshot is not None:
            for event in _log(snapshot) or [_News(head, None, None, snapshot)]:
                self._event(name, stream, event)
            if not has_gone_on:
                stream.seq = max(stream.seq, head)
        self._age(name, stream, members(told, "stale"))
        self._tell(name, stream)

    # --- What is pushed ---

    def told(self, payload: Mapping[str, Any]) -> bool:
        """`event` or `stream:stale` came; whether it was of a stream that is watched."""
        name = text(payload, "stream")
        stream = self._streams.get(name) if name is not None else None
        if name is None or stream is None:
            return False
        event = _read(payload)
        if event is None:
            self._age(name, stream, payload)
        else:
            self._came(name, stream, event)
        return True

    def hears_bytes(self, raw: bytes) -> None:
        """A message of bytes: n, n bytes of the stream's name, 8 of the `seq`, the data."""
        end = 1 + raw[0] if raw else 0
        if not raw or len(raw) < end + 8:
            return
        name = raw[1:end].decode(errors="replace")
        stream = self._streams.get(name)
        if stream is not None:
            self._came(name, stream, _News(int.from_bytes(raw[end : end + 8], "big"), None, None, raw[end + 8 :]))

    def _came(self, name: str, stream: _Watch, event: _News) -> None:
        # Before the answer, what comes is of the subscription before: the new one has it, too, if it wants it.
        is_settled = stream.asked is _NOT_ASKED and not stream.is_unsure
        if is_settled and stream.current is not None and stream.current == stream.options:
            self._event(name, stream, event)
            self._tell(name, stream)

    def _event(self, name: str, stream: _Watch, event: _News) -> None:
        if event.seq <= stream.seq:
            return
        stream.seq = event.seq
        has_skipped = event.previous is not None and event.seq - event.previous > 1
        is_skipped = has_skipped or stream.untold is not None
        stream.untold = StreamEvent(name, event.seq, event.data, event.ts, is_skipped)
        if self._desk.credit > 0:
            self._tell(name, stream)

    def _age(self, name: str, stream: _Watch, told: Mapping[str, Any]) -> None:
        since = integer(told, "since")
        if stream.stale_since != since:
            stream.stale_since = since
            stream.is_age_untold = True
            self._tell(name, stream)

    # --- What the program is told ---

    def taken(self) -> None:
        for name, stream in self._streams.items():
            self._tell(name, stream)

    def _tell(self, name: str, stream: _Watch) -> None:
        if stream.untold_gap is not None and self._desk.tell(stream.untold_gap):
            stream.untold_gap = None
        if stream.untold is not None and self._desk.tell(stream.untold):
            stream.untold = None
        if stream.is_age_untold and self._desk.tell(StreamStale(name, stream.stale_since)):
            stream.is_age_untold = False
        if stream.untold_refusal is not None and self._desk.tell(StreamRefused(name, stream.untold_refusal)):
            stream.untold_refusal = None


def _read(payload: Mapping[str, Any]) -> _News | None:
    seq = number(payload, "seq")
    return None if seq is None else _News(seq, number(payload, "prev"), integer(payload, "ts"), payload.get("data"))


def _log(snapshot: Any) -> list[_News]:
    """The events of a snapshot, if it is that of a log; that of a state is its data, which may be a list, too."""
    log: list[_News] = []
    for value in as_list(snapshot):
        one = as_object(value) or {}
        event = _read(one) if one.get("data") is not None else None
        if event is None or event.ts is None or event.seq == 0:
            return []
        log.append(event)
    return log
