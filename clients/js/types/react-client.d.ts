/**
 * The provider for one kind of client.
 * @template {StreamsClient} C
 * @template {import('./base.js').BaseOptions} O
 * @param {(url: string, options?: O) => C} connect
 */
export function providerOf<C extends StreamsClient, O extends import("./base.js").BaseOptions>(connect: (url: string, options?: O) => C): ({ client, url, options, user, children }: ProviderProps<C, O>) => import("react").FunctionComponentElement<import("react").ProviderProps<{
    client: StreamsClient | null;
} | null>>;
/** The client of the provider, else that of the page's `webSocketService`; null while there is none, and on a server. @returns {StreamsClient | null} */
export function useClient(): StreamsClient | null;
/** Always the newest of its values, for what is called later. @template T @param {T} value */
export function useLatest<T>(value: T): import("react").RefObject<T>;
/** @type {import('react').Context<{ client: StreamsClient | null } | null>} */
export const Context: import("react").Context<{
    client: StreamsClient | null;
} | null>;
export function useStore<T>({ subscribe, get, getServer }: Store<T>): T;
export type StreamsClient = import("./streams.js").StreamsClient;
export type ReactNode = import("react").ReactNode;
export type Store<T> = import("./stores.js").Store<T>;
export type Shared<C, O> = {
    client: C | null;
    options: O | undefined;
    token: unknown;
    open: () => C | null;
    hold: () => () => void;
};
export type ProviderProps<C, O> = {
    client?: C;
    url?: string;
    options?: O;
    user?: string | number;
    children?: ReactNode;
};
