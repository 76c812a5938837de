// The one queue of requests of a connection: gives ids, keeps the pace that `hello.limits` asks for,
// waits where the server said `retry_after_ms`, and hands each answer to whoever asked.
// It does not repeat what failed, but for `rate_limited`: such a request was not looked at, so it keeps its place.

import { Refusal } from './codes.js';
import { byteLength } from './text.js';

const ANSWER_MS_MAX = 20_000;
const RATE_LIMITED_MAX = 8;
// A little below what the server allows: its bucket and ours do not fill at the same moment.
const PACE = 0.9;
const BURST_SPARE = 2;

export class Requests {
  #transmit;
  #queue = [];
  #waiting = new Map();
  #lastId = 0;
  #open = false;
  #tokens = 1;
  #filledAt = 0;
  #perSecond = 1;
  #burst = 1;
  #bytesMax = Infinity;
  #pausedUntil = 0;
  #timer = 0;

  /** `transmit(text)` puts one message on the wire. */
  constructor(transmit) {
    this.#transmit = transmit;
  }

  /** A connection has said hello; its limits hold from now on. */
  open(limits = {}) {
    this.#perSecond = Math.max(0.2, (limits.requests_per_second ?? 10) * PACE);
    this.#burst = Math.max(1, (limits.burst ?? 30) - BURST_SPARE);
    this.#bytesMax = limits.message_bytes ?? Infinity;
    this.#tokens = this.#burst;
    this.#filledAt = performance.now();
    this.#pausedUntil = 0;
    this.#open = true;
    this.#pump();
  }

  /** The connection is gone: nothing that was asked on it is answered any more. */
  close() {
    this.#open = false;
    clearTimeout(this.#timer);
    const lost = [...this.#queue, ...this.#waiting.values()];
    this.#queue = [];
    this.#waiting.clear();
    for (const request of lost) {
      clearTimeout(request.timer);
      request.reject(new Refusal('disconnected'));
    }
  }

  /** Asks, and resolves to the reply's payload or rejects with a `Refusal`. `first` passes the queue. */
  ask(type, payload = {}, { first = false } = {}) {
    if (!this.#open) return Promise.reject(new Refusal('disconnected'));
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      const request = { id: this.#lastId, type, payload, resolve, reject, timer: 0, limited: 0 };
      if (first) this.#queue.unshift(request);
      else this.#queue.push(request);
      this.#pump();
    });
  }

  /** Says something that needs no answer, and that is worth nothing later: now or never. */
  tell(type, payload) {
    this.#fill();
    if (!this.#open || this.#queue.length > 0 || this.#tokens < 1 || performance.now() < this.#pausedUntil) return false;
    this.#tokens -= 1;
    this.#transmit(JSON.stringify({ type, payload }));
    return true;
  }

  /** Takes a `reply` or an `error` of the server. */
  settle({ type, id, payload = {} }) {
    if (type === 'error' && payload.retry_after_ms > 0) this.#pause(payload.retry_after_ms);
    const request = this.#waiting.get(id);
    if (request === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(request.timer);
    if (type === 'reply') {
      request.resolve(payload);
    } else if (payload.code === 'rate_limited' && request.limited < RATE_LIMITED_MAX) {
      request.limited += 1;
      if (!(payload.retry_after_ms > 0)) this.#pause(1000);
      this.#queue.unshift(request);
      this.#queue.sort((a, b) => (b.limited > 0) - (a.limited > 0) || (a.limited > 0 ? a.id - b.id : 0));
      this.#pump();
    } else {
      request.reject(new Refusal(payload.code ?? 'internal', payload));
    }
  }

  #pause(ms) {
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + ms);
  }

  #fill() {
    const now = performance.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
  }

  #pump() {
    clearTimeout(this.#timer);
    if (!this.#open) return;
    this.#fill();
    const pause = this.#pausedUntil - performance.now();
    while (this.#queue.length > 0 && this.#tokens >= 1 && pause <= 0) {
      this.#tokens -= 1;
      this.#send(this.#queue.shift());
    }
    if (this.#queue.length === 0) return;
    const refill = ((1 - this.#tokens) / this.#perSecond) * 1000;
    this.#timer = setTimeout(() => this.#pump(), Math.max(pause, refill, 5));
  }

  #send(request) {
    const { id, type, payload } = request;
    const text = JSON.stringify({ type, id, payload });
    // The server would end the connection over it, and do so again whenever it is sent again.
    if (text.length * 3 > this.#bytesMax && byteLength(text) > this.#bytesMax) {
      request.reject(new Refusal('too_large'));
      return;
    }
    this.#waiting.set(id, request);
    request.timer = setTimeout(() => {
      this.#waiting.delete(id);
      request.reject(new Refusal('timeout'));
    }, ANSWER_MS_MAX);
    this.#transmit(text);
  }
}
