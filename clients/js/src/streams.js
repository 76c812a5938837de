// A client for streams alone: what a dashboard needs, without rooms, presence and an outbox.

import { BaseClient } from './base.js';
import { Stream, bytesOf } from './stream.js';

export { ParlorError } from './errors.js';
export { Stream } from './stream.js';

/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages @extends {BaseClient<M>} */
export class StreamsClient extends BaseClient {
  /** @type {Map<string, Stream>} */
  #streams = new Map();

  /** A stream. Its options are those of who asks for it first. @template [T=any] @param {string} name @param {import('./stream.js').StreamOptions} [options] @returns {Stream<T>} */
  stream(name, options = {}) {
    const stream = this.#streams.get(name) ?? new Stream(name, options, /** @type {any} */ (this));
    this.#streams.set(name, stream);
    return stream;
  }

  /** @protected @param {string} type @param {any} payload */
  onPush(type, payload) {
    if (/^(event|stream:stale)$/.test(type)) this.#streams.get(payload.stream)?.push(payload);
    super.onPush(type, payload);
  }

  /** @protected @param {ArrayBuffer} message */
  onBinary(message) {
    const { name, ...event } = bytesOf(message);
    this.#streams.get(name)?.push(event);
  }

  /** @protected */
  lost() {
    for (const stream of this.#streams.values()) stream.lost();
  }

  /** @protected */
  settle() {
    for (const stream of this.#streams.values()) stream.settle();
  }

  /** @protected */
  forget() {
    super.forget();
    for (const stream of this.#streams.values()) stream.forget();
  }
}

/**
 * Connects.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @param {string} url of the server's `/ws`: `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @param {import('./base.js').BaseOptions} [options]
 * @returns {StreamsClient<M>}
 */
export const connect = (url, options = {}) => /** @type {any} */ (new StreamsClient(url, options)).begin(url);
