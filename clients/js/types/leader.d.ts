/**
 * One connection for all tabs, as the option `tabs`. Without Web Locks and BroadcastChannel each tab has its own.
 * @param {{ name?: string }} [options] `name`: tabs of one name and URL share one
 * @returns {import('./client.js').Tabs}
 */
export function leaderTab({ name }?: {
    name?: string;
}): import("./client.js").Tabs;
export type Env = import("./env.js").Env;
/**
 * what tabs tell each other; `to` is a tab, the leader or all
 */
export type Note = {
    to: string;
    from: string;
    kind: string;
    value?: any;
};
export type Event = {
    seq: number;
    data: any;
    ts?: number;
};
/**
 * A stream that some tabs watch.
 */
export type Watched = {
    /**
     * the filter and the rate, which are the same for all
     */
    how: string;
    /**
     * since when nothing was heard of it, if it is told to be
     */
    stale?: any;
    tabs: Set<string>;
    /**
     * those who are answered when it is there
     */
    waiting: {
        tab: string;
        payload: any;
        own: any;
    }[];
    /**
     * what the server said of it
     */
    begun: any;
    /**
     * once it is known
     */
    isState?: boolean | undefined;
    /**
     * of its newest event
     */
    seq: number;
    /**
     * what a tab that comes later is told
     */
    events: Event[];
    /**
     * the newest of a stream of bytes, if it is a state
     */
    frame?: {
        seq: number;
        data: ArrayBuffer;
    } | undefined;
};
/**
 * What is done with a reply, or an error.
 */
export type Asked = [onReply?: (payload: any) => void, onError?: (payload: any) => void];
