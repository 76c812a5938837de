export { ParlorError } from "./errors.js";
export { Stream } from "./stream.js";
/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages @extends {BaseClient<M>} */
export class StreamsClient<M extends import("./wire.js").Messages<M> = any> extends BaseClient<M> {
    /** A stream. Its options are those of who asks for it first. @template [T=any] @param {string} name @param {import('./stream.js').StreamOptions} [options] @returns {Stream<T>} */
    stream<T = any>(name: string, options?: import("./stream.js").StreamOptions): Stream<T>;
    /** @protected @param {ArrayBuffer} message */
    protected onBinary(message: ArrayBuffer): void;
    #private;
}
export function connect<M extends import("./wire.js").Messages<M> = any>(url: string, options?: import("./base.js").BaseOptions): StreamsClient<M>;
import { BaseClient } from './base.js';
import { Stream } from './stream.js';
