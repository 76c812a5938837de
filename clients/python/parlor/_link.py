"""One connection at a time, for as long as the program wants one.

It opens it, says who this is, checks its silence, and comes back after a loss as the close code asks. It knows nothing
of rooms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Union

from ._desk import AskToken, Desk, Dial, Drop, Transmit
from ._requests import Requests, Result, Urgency
from ._told import integer, number, text, written
from .errors import ANNOUNCED_MS_MAX, RequestError, TokenError, Verdict, verdict
from .events import FailCode, Level, Quality, State, Step, TokenReason

#: How many changes of the state are remembered.
STEPS_MAX = 20
#: A little longer than a server waits for a token, so that it is the server that says that none came.
OPENING_MS = 15_000
#: A token that ends sooner than this after it was renewed is not renewed at once.
REFRESH_MS = 60_000
#: After so long an attempt is stale, and a silence is checked.
STALE_MS = 3_000
PROBE_MS = 5_000
#: Close codes of a token that is not good (`docs/protocol.md`, "Closing"), and of a connection that ended without one
#: (RFC 6455 §7.4.1).
UNAUTHORIZED = 4001
ABNORMAL = 1006

LEVELS: tuple[tuple[Level, int], ...] = (("excellent", 20), ("good", 50), ("fair", 100), ("poor", 200))


@dataclass(frozen=True)
class Backoff:
    """How long a client waits between two attempts: at most `min`, then `factor` times as long, up to `max`."""

    #: The first wait, and the longest, in seconds.
    min: float = 1.0
    max: float = 30.0
    #: How much longer each is than the one before.
    factor: int = 2
    #: Whether a wait is a random part of this, so that not all come back at once.
    jitter: bool = True
    #: How many attempts there are at most; None for no end.
    attempts: int | None = None
    #: A connection that has lasted so long, in seconds, has the waits begin anew.
    stable: float = 30.0

    def wait_ms(self, attempt: int) -> int:
        """The longest wait before this attempt; 0 is the first."""
        longest = round(self.max * 1_000)
        # Beyond this it is the longest anyhow, and no power grows without end.
        grown: int = self.factor ** min(attempt, 64)
        return min(round(self.min * 1_000) * grown, longest)


#: What a program knows of the network or the machine before a connection shows it.
Hint = Literal["online", "offline", "sleep", "wake"]
#: Who says who this is: nobody but the URL or the head of the request, a token that is always the same, or the program
#: when it is asked.
TokenSource = Union[str, Literal[True], None]


@dataclass(frozen=True)
class LinkOptions:
    """How a connection is kept."""

    token: TokenSource = None
    backoff: Backoff = Backoff()
    #: Close codes after which it does not come back, beside those of the protocol.
    fatal: frozenset[int] = frozenset()
    #: How often the round trip is measured; 0 for never: then the server is asked only when it has been silent for as
    #: long as it pings.
    ping_interval_ms: int = 5_000
    #: How long the answer to that may take.
    ping_timeout_ms: int = 10_000


class Follower(Protocol):
    """Who is told what becomes of the connection."""

    def opened(self) -> None:
        """It is online."""

    def gone(self) -> None:
        """It is another, or gone."""


class Link:
    """A client's connection."""

    def __init__(self, desk: Desk, requests: Requests, options: LinkOptions, follower: Follower) -> None:
        self._desk = desk
        self._requests = requests
        self._options = options
        self._follower = follower
        self.state = State("idle")
        self.steps: deque[Step] = deque(maxlen=STEPS_MAX)
        self.quality: Quality | None = None
        #: What was begun under another number is void.
        self.serial = 0
        #: Whether a WebSocket is asked for, or open.
        self._is_dialled = False
        self._token: str | None = None
        #: The token has not been accepted yet.
        self._is_fresh = False
        self._reason: TokenReason = "first"
        #: For what a token is asked for now.
        self._asks: TokenReason | None = None
        self._attempt = 0
        self._heartbeat_ms = 0
        self._opened_at = 0
        self._last_heard = 0
        #: When the round trip was measured last, and the token renewed.
        self._measured_at = 0
        self._refreshed_at: int | None = None
        #: What the server said before it closed.
        self._announced: RequestError | None = None
        self._spread_ms: int | None = None
        self._is_state_untold = False

    # --- Opening ---

    def open(self, cause: str) -> None:
        """Opens a connection now, whatever was planned."""
        self._drop()
        self._opened_at = self._desk.now.ms
        self._desk.deadlines.set(("link", "opening"), self._desk.after(OPENING_MS), self._no_answer_in_time)
        self._enter(State("connecting"), cause)
        if self._token is None and isinstance(self._options.token, str):
            self._token = self._options.token
            self._is_fresh = True
        if self._token is None and self._options.token is True:
            self._ask_token(self._reason)
        else:
            self._dial()

    def _ask_token(self, reason: TokenReason) -> None:
        self._asks = reason
        self._desk.do(AskToken(self.serial, reason))

    def token_given(self, serial: int, given: str | Exception | None) -> None:
        """The token's source has answered: a token, None for a guest, or why there is none."""
        if serial != self.serial or self._asks is None:
            return
        reason, self._asks = self._asks, None
        if reason == "expiring":
            # If there is none: when the old one ends the server says so, and another is asked for.
            if isinstance(given, str):
                self._renew(given)
        elif isinstance(given, Exception):
            why = f"no token: {given}"
            if isinstance(given, TokenError):
                self._fail("token", why, "ends")
            else:
                self._retry(why, None, "comes back")
        else:
            self._token, self._is_fresh = given, True
            self._dial()

    def _renew(self, token: str) -> None:
        def answered(result: Result) -> None:
            if not isinstance(result, RequestError):
                self._token = token

        self._requests.ask("auth", {"token": token}, answered, urgency=Urgency.FIRST, is_of_connection=True)

    def _dial(self) -> None:
        self._is_dialled = True
        self._desk.do(Dial(self.serial, self._token is not None))

    def dialled(self, serial: int) -> None:
        """The WebSocket is open."""
        if serial != self.serial or self.state.name != "connecting":
            return
        self._last_heard = self._desk.now.ms
        self._enter(State("authenticating"), "open")
        # In the first message, not in the URL: the close code then says why a token is refused.
        if self._token is not None:
            auth = {"type": "auth", "payload": {"token": self._token, "resume": True}}
            self._desk.do(Transmit(self.serial, written(auth)))

    def greeted(self, heartbeat_ms: int) -> None:
        """The server has said hello."""
        self._heartbeat_ms = heartbeat_ms
        self._is_fresh = False
        self._reason = "first"
        self._desk.deadlines.set(("link", "opening"), self._desk.after(OPENING_MS), self._no_answer_in_time)

    def go_online(self) -> None:
        """All is done that is to be done before it is online."""
        self._desk.deadlines.clear(("link", "opening"))
        stable = self._desk.after(round(self._options.backoff.stable * 1_000))
        self._desk.deadlines.set(("link", "stable"), stable, self._lasted)
        self._desk.is_online = True
        self._enter(State("online", since=self._desk.now.wall), "hello")
        self._requests.release()
        self._measure()
        self._follower.opened()

    def _lasted(self) -> None:
        self._attempt = 0

    def _enter(self, state: State, cause: str, code: FailCode | None = None, advice: Verdict | None = None) -> None:
        self.state = state
        self.steps.append(Step(self._desk.now.wall, state.name, cause, code, advice))
        self._is_state_untold = not self._desk.tell(state)

    def taken(self) -> None:
        """The program has taken something: it can be told what has waited."""
        if self._is_state_untold:
            self._is_state_untold = not self._desk.tell(self.state)

    # --- Its end ---

    def _drop(self) -> None:
        """Lets go of the connection without waiting for it: what comes of it later is about one that is over."""
        before = self.serial
        self.serial += 1
        self._requests.serial = self.serial
        for due in ("opening", "waiting", "stable", "probe", "measure", "answer", "refresh"):
            self._desk.deadlines.clear(("link", due))
        self._asks = self._announced = self._spread_ms = None
        was_dialled, self._is_dialled = self._is_dialled, False
        self._desk.is_online = False
        # First, so that nobody takes the end of a request for that of the next connection.
        self._follower.gone()
        self._requests.pause()
        if was_dialled:
            self._desk.do(Drop(before))

    def _fail(self, code: FailCode, reason: str, advice: Verdict) -> None:
        self._drop()
        self._requests.end("closed")
        # Opening it again begins anew.
        self._attempt = 0
        self._token = None
        self._reason = "rejected"
        self._enter(State("failed", reason=reason, code=code), reason, code, advice)

    def _retry(self, reason: str, code: int | None, advice: Verdict) -> None:
        backoff, spread = self._options.backoff, self._spread_ms
        announced = self._announced.retry_after_ms if self._announced is not None else None
        longest = backoff.wait_ms(self._attempt) if spread is None else spread
        is_random = spread is not None or backoff.jitter
        wait = self._desk.chance.randint(0, longest) if is_random else longest
        wait += min(announced or 0, ANNOUNCED_MS_MAX)
        self._drop()
        if backoff.attempts is not None and self._attempt >= backoff.attempts:
            return self._fail("attempts", reason, advice)
        self._attempt += 1
        self._desk.deadlines.set(("link", "waiting"), self._desk.after(wait), lambda: self.open("waited"))
        until = self._desk.now.wall + wait
        self._enter(State("waiting", until=until, attempt=self._attempt, reason=reason, code=code), reason, code, advice)

    def _no_answer_in_time(self) -> None:
        self.lost(None, "no answer in time")

    def lost(self, code: int | None, reason: str, retry_after_ms: int | None = None) -> None:
        """The connection has ended, or did not begin."""
        # Some proxies drop the code: the error before it had it.
        announced = self._announced
        if announced is not None and announced.close is not None:
            code = announced.close
        code = ABNORMAL if code is None else code
        cause = str(announced) if announced is not None else reason or f"close {code}"
        if announced is not None and announced.retry_after_ms is not None:
            retry_after_ms = announced.retry_after_ms
        self._announced = RequestError("", more={"retry_after_ms": retry_after_ms})
        if self.quality is not None:
            self._qualify("lost", self.quality.rtt_ms)
        if code in self._options.fatal:
            return self._fail(code, cause, "ends")
        asked = verdict(code)
        is_old = self._token is not None and not self._is_fresh
        # A fresh token that is refused is not asked for again at once.
        is_rejected = asked == "asks for a token" or (code == UNAUTHORIZED and is_old)
        if self._options.token is True and is_rejected:
            self._token = None
            self._reason = "rejected"
            self._retry(cause, code, "asks for a token")
        # Without a token the request says who asks, as by a cookie: it may be good again.
        elif asked == "ends" or (asked == "asks for a token" and self._options.token is not None):
            self._fail(code, cause, asked)
        else:
            self._retry(cause, code, "comes back")

    def close(self) -> None:
        """The program wants none any more."""
        self._drop()
        self._requests.end("closed")
        self._enter(State("closed"), "close()")

    def pause(self, reason: str) -> None:
        """It wants none for now: what is asked meanwhile waits."""
        if not self.state.is_over and self.state.name != "paused":
            self._drop()
            self._enter(State("paused", reason=reason), reason)

    # --- Hints ---

    def hint(self, hint: Hint) -> None:
        """Something is known of the network or the machine."""
        if hint == "sleep":
            self.pause("sleep")
        elif hint == "offline":
            # A reason to ask whether the server is there, not a verdict.
            self._probe()
        else:
            self._wake(hint)

    def _wake(self, cause: str) -> None:
        """Something has changed outside: it is judged before the time says so."""
        now, name = self._desk.now.ms, self.state.name
        # It failed for good, or only because the attempts were used up.
        is_passing = name == "failed" and self.steps[-1].advice != "ends"
        is_slept = name == "paused" and self.state.reason == "sleep" and cause == "wake"
        is_stale = name in ("connecting", "authenticating") and now - self._opened_at > STALE_MS
        if name == "waiting" or is_passing or is_slept or is_stale:
            self.open(cause)
        elif now - self._last_heard > STALE_MS:
            self._probe()

    def _probe(self) -> None:
        """Asks whether the server is there, and gives the connection up if it does not say so soon."""
        if self._desk.is_online and not self._desk.deadlines.is_set(("link", "probe")):
            self._desk.deadlines.set(("link", "probe"), self._desk.after(PROBE_MS), self._no_answer_in_time)
            self._requests.ask("ping", {}, lambda _: None, urgency=Urgency.FIRST, is_of_connection=True)

    def hears(self) -> None:
        """Something came."""
        self._last_heard = self._desk.now.ms
        self._desk.deadlines.clear(("link", "probe"))

    # --- The round trip ---

    def _measure(self) -> None:
        """Asks how long a round trip takes, if it is time."""
        options, now = self._options, self._desk.now.ms
        # Of two requests one is for who asks something, and not a measurement.
        every = max(options.ping_interval_ms or self._heartbeat_ms or options.ping_timeout_ms, self._requests.ms_of_two)
        self._desk.deadlines.set(("link", "measure"), now + every, self._measure)
        is_silent = now - self._last_heard >= every
        if self._desk.deadlines.is_set(("link", "answer")) or not (options.ping_interval_ms or is_silent):
            return
        self._measured_at = now
        self._desk.deadlines.set(("link", "answer"), now + options.ping_timeout_ms, self._no_pong)
        self._requests.ask("ping", {}, self._measured, urgency=Urgency.FIRST, is_of_connection=True)

    def _measured(self, result: Result) -> None:
        # That no answer came in the time of any request says nothing yet.
        if isinstance(result, RequestError) and result.code == "timeout":
            return
        self._desk.deadlines.clear(("link", "answer"))
        if not isinstance(result, RequestError) and self._options.ping_interval_ms:
            rtt_ms = self._desk.now.ms - self._measured_at
            self._qualify(_level(rtt_ms), rtt_ms)

    def _no_pong(self) -> None:
        asked = self._measured_at
        # Our clock stops while the machine sleeps: then it is asked again.
        waited = self._desk.now.ms - asked
        if waited < 2 * self._options.ping_timeout_ms and self._last_heard <= asked:
            self._no_answer_in_time()

    def _qualify(self, level: Level, rtt_ms: int) -> None:
        # RFC 3550 §6.4.1.
        before = self.quality
        jitter_ms = 0.0 if before is None else before.jitter_ms + (abs(rtt_ms - before.rtt_ms) - before.jitter_ms) / 16
        self.quality = Quality(level, rtt_ms, jitter_ms)
        self._desk.tell_or_leave_out(self.quality)

    # --- What the server says of the connection ---

    def refused(self, error: RequestError) -> None:
        """An error that ends the connection."""
        if error.close is not None:
            self._announced = error

    def noticed(self, payload: Mapping[str, Any]) -> None:
        """A notice about the connection."""
        code = text(payload, "code")
        if code == "draining":
            spread = number(payload, "spread_ms")
            self._spread_ms = None if spread is None else min(spread, ANNOUNCED_MS_MAX)
        elif code == "token_expiring" and self._options.token is True:
            now = self._desk.now.wall
            is_new = self._refreshed_at is not None and now - self._refreshed_at < REFRESH_MS
            expires = integer(payload, "expires")
            left = max((now if expires is None else expires) - now, 0)
            wait = left // 2 if is_new else 0
            self._desk.deadlines.set(("link", "refresh"), self._desk.after(wait), self._refresh)

    def _refresh(self) -> None:
        self._refreshed_at = self._desk.now.wall
        self._ask_token("expiring")


def _level(rtt_ms: int) -> Level:
    for level, below in LEVELS:
        if rtt_ms < below:
            return level
    return "critical"
