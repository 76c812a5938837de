/** @param {ConnectionOptions} options @param {Env} env @param {Hooks} hooks */
export function connectionOf({ url, token: source, backoff, fatal, interval, timeout, fallback }: ConnectionOptions, env: Env, hooks: Hooks): {
    /** @type {State} */
    state: State;
    /** @type {Quality | null} */
    quality: Quality | null;
    /** @type {Step[]} */
    steps: Step[];
    /** @type {import('./requests.js').Requests} */
    requests: import("./requests.js").Requests;
    isHidden: () => boolean;
    isOnline: () => boolean;
    /** Opens now, whatever was planned. @param {string} cause */
    open(cause: string): void;
    /** Ends it for good, by intent. */
    close(): void;
    /** Lets go of it until `open`: what is asked meanwhile waits. @param {string} reason */
    pause(reason: string): void;
    /** Something woke us (the page is seen again, the network is back): judge before the clock says so. @param {string} cause */
    wake(cause: string): void;
    /** Asks whether the server is there, and gives the connection up if it does not say so soon. */
    probe(): void;
};
export type Env = import("./env.js").Env;
export type Verdict = import("./errors.js").Verdict;
export type Connection = ReturnType<typeof connectionOf>;
export type TokenReason = "first" | "expiring" | "rejected";
export type TokenSource = (asked: {
    reason: TokenReason;
}) => string | null | undefined | Promise<string | null | undefined>;
/**
 * in ms; `stable`: after so long it begins anew
 */
export type Backoff = {
    min: number;
    max: number;
    factor: number;
    jitter: "full" | "none";
    attempts: number;
    stable: number;
};
export type State = {
    name: "idle" | "connecting" | "authenticating" | "closed";
} | {
    name: "online";
    since: number;
    via?: "sse";
} | {
    name: "waiting";
    until: number;
    attempt: number;
    reason: string;
    code?: number;
} | {
    name: "paused";
    reason: string;
} | {
    name: "failed";
    code: number | string;
    reason: string;
};
export type Step = {
    at: number;
    state: State["name"];
    cause: string;
    code?: number | string;
    advice: string;
};
export type Level = "excellent" | "good" | "fair" | "poor" | "critical" | "lost";
/**
 * `rtt` and `jitter` in ms
 */
export type Quality = {
    level: Level;
    rtt: number;
    jitter: number;
};
export type Hooks = {
    onState: () => void;
    /**
     * what is to be done before it is online
     */
    onHello: (hello: any) => void | Promise<void>;
    onPush: (type: string, payload: any) => void;
    onBinary?: ((data: ArrayBuffer) => void) | undefined;
    /**
     * tells of something else
     */
    changed: (event: string, value: any) => void;
};
export type ConnectionOptions = {
    url: string;
    token?: string | TokenSource | undefined;
    backoff: Backoff;
    fatal?: ((code: number) => boolean) | undefined;
    /**
     * of the quality's pings, in ms; 0 for none
     */
    interval: number;
    /**
     * of requests, in ms
     */
    timeout: number;
    fallback?: "none" | "sse" | undefined;
};
