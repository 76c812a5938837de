// One WebSocket at a time, for as long as the person wants to be here: opens it, signs in, judges its silence,
// and comes back after a loss with full jitter, as the close code's range asks (wire protocol, "Closing").
// It knows nothing of rooms: what to resume is asked of `onHello`.

import { Refusal, closedBecause, verdict } from './codes.js';
import { Requests } from './requests.js';

const OPENING_MS_MAX = 10_000;
const STALE_ATTEMPT_MS = 3_000;
const SILENCE_MS = 10_000;
const HIDDEN_SILENCE_MS = 75_000;
const PROBE_AFTER_MS = 3_000;
const STABLE_MS = 30_000;
const WAIT_MS_MAX = 30_000;
const TICK_MS = 1_000;

/** How long to wait at most before attempt `attempt`: 1 s, 2 s, 4 s … 30 s. */
export function waitCap(attempt) {
  return Math.min(WAIT_MS_MAX, 1000 * 2 ** Math.min(attempt, 10));
}

/**
 * States: `idle`, `connecting`, `authenticating`, `online {since}`,
 * `waiting {until, attempt, code, reason}`, `failed {code, reason, token}`, `closed`.
 */
export class Connection {
  state = { name: 'idle' };
  hello = null;
  requests;
  #options;
  #socket = null;
  #startedAt = 0;
  #lastFrame = 0;
  #probedAt = 0;
  #tickedAt = 0;
  #announced = null;
  #spread = 0;
  #attempt = 0;
  #opened = false;
  #opening = 0;
  #waiting = 0;
  #ticking = 0;

  /**
   * `user` (open mode) or `token()`; `onState(state)`, `onPush(type, payload)`, `onRefused()` after an attempt that
   * was turned away before it was open, `onHello(hello)` which resolves once the rooms go on.
   */
  constructor(options) {
    this.#options = options;
    this.requests = new Requests((text) => this.#socket?.send(text));
  }

  get online() {
    return this.state.name === 'online';
  }

  /** Opens now, whatever was planned. */
  open() {
    this.#drop();
    const { user, token } = this.#options;
    const base = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
    const socket = new WebSocket(token ? base : `${base}?user=${encodeURIComponent(user)}&resume=1`);
    this.#socket = socket;
    this.#startedAt = Date.now();
    this.#announced = null;
    this.#spread = 0;
    this.#opened = false;
    this.#enter({ name: 'connecting' });
    this.#opening = setTimeout(() => this.#lost(1006), OPENING_MS_MAX);
    socket.onopen = () => {
      this.#opened = true;
      this.#lastFrame = Date.now();
      this.#enter({ name: 'authenticating' });
      if (token) socket.send(JSON.stringify({ type: 'auth', id: 0, payload: { token: token(), resume: true } }));
    };
    socket.onmessage = (event) => this.#frame(event.data);
    socket.onclose = (event) => {
      const swallowed = event.code === 1005 || event.code === 1006;
      this.#lost(swallowed && this.#announced !== null ? this.#announced : event.code);
    };
  }

  /** Ends it for good, by intent. */
  close() {
    this.#drop();
    this.#enter({ name: 'closed' });
  }

  /** The person does not want to wait. */
  retryNow() {
    if (this.state.name === 'waiting' || this.state.name === 'failed') this.open();
  }

  /** Something woke us (the page is visible, the network is back): look before the clock says so. */
  wake() {
    const now = Date.now();
    if (this.state.name === 'waiting') {
      this.open();
    } else if (this.state.name === 'connecting' || this.state.name === 'authenticating') {
      if (now - this.#startedAt > STALE_ATTEMPT_MS) this.open();
    } else if (this.online && now - this.#lastFrame > PROBE_AFTER_MS) {
      this.#probe(now);
    }
  }

  /** The page goes into the back/forward cache, or away: an open socket would keep it out of there. */
  suspend() {
    if (this.state.name === 'failed' || this.state.name === 'closed') return;
    this.#drop();
    this.#enter({ name: 'waiting', until: Date.now(), attempt: 0, code: 1001, reason: 'The page was put away.' });
  }

  #enter(state) {
    this.state = state;
    this.#options.onState(state);
  }

  #frame(data) {
    this.#lastFrame = Date.now();
    this.#probedAt = 0;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    const { type } = message ?? {};
    const payload = message?.payload ?? {};
    if (type === 'hello') {
      this.#welcome(payload);
    } else if (type === 'reply' || type === 'error') {
      if (type === 'error' && Number.isInteger(payload.close)) this.#announced = payload.close;
      this.requests.settle(message);
    } else {
      // A restart: not everybody is to come back at once.
      if (type === 'notice' && payload.code === 'draining') this.#spread = Number(payload.spread_ms) || 0;
      this.#options.onPush(type, payload);
    }
  }

  async #welcome(hello) {
    const socket = this.#socket;
    clearTimeout(this.#opening);
    this.hello = hello;
    this.requests.open(hello.limits);
    this.#tickedAt = Date.now();
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#options.onHello(hello);
    } catch (error) {
      if (socket === this.#socket) this.#lost(1006);
      if (!(error instanceof Refusal)) throw error;
      return;
    }
    if (socket === this.#socket) this.#enter({ name: 'online', since: Date.now() });
  }

  /** Judges the silence while somebody is looking; a hidden page has slow timers and judges only when it is woken. */
  #tick() {
    const now = Date.now();
    const late = now - this.#tickedAt > 5 * TICK_MS;
    this.#tickedAt = now;
    const hidden = document.visibilityState === 'hidden';
    const silent = now - this.#lastFrame;
    if (hidden && silent < HIDDEN_SILENCE_MS) return;
    // After a sleep the probe's ten seconds may have passed without anybody being there to answer: ask again.
    if (late || this.#probedAt === 0) {
      if (silent > (this.hello.heartbeat_ms ?? 25_000)) this.#probe(now);
    } else if (now - this.#probedAt > SILENCE_MS) {
      this.#lost(4102);
    }
  }

  #probe(now) {
    this.#probedAt = now;
    this.requests.ask('ping', {}, { first: true }).catch(() => {});
  }

  #lost(code) {
    if (this.#socket === null) return;
    const since = this.online ? this.state.since : null;
    this.#drop();
    const judged = verdict(code);
    const reason = closedBecause(code);
    if (judged !== 'retry') {
      this.#enter({ name: 'failed', code, reason, token: judged === 'token' || code === 4001 });
      return;
    }
    if (since !== null && Date.now() - since >= STABLE_MS) this.#attempt = 0;
    const wait = Math.random() * (this.#spread || waitCap(this.#attempt));
    this.#attempt += 1;
    this.#enter({ name: 'waiting', until: Date.now() + wait, attempt: this.#attempt, code, reason });
    this.#waiting = setTimeout(() => this.open(), wait);
    if (!this.#opened) this.#options.onRefused();
  }

  /** Lets go of the socket without waiting for it: what it still says is about a connection that is over. */
  #drop() {
    clearTimeout(this.#opening);
    clearTimeout(this.#waiting);
    clearInterval(this.#ticking);
    const socket = this.#socket;
    this.#socket = null;
    this.#probedAt = 0;
    this.hello = null;
    this.requests.close();
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
