/** A clock that stands still until it is advanced. */
export function fakeClock(start?: number): {
    now: () => number;
    setTimeout: (fn: () => void, ms: number) => number;
    clearTimeout: (id: number) => undefined;
    /** How many timers there are. */
    pending: () => number;
    settle: () => Promise<any>;
    /** Lets so many ms pass, and all happen that is due in them. @param {number} ms */
    advance(ms: number): Promise<void>;
};
/**
 * A page that is seen or hidden, in front or not: what `env` wants as `document` and `window`.
 */
export function fakePage(): {
    document: EventTarget & {
        visibilityState: string;
    };
    window: EventTarget;
    /** @param {string} type @param {Record<string, any>} [members] */
    fire(type: string, members?: Record<string, any>): void;
    hide(): void;
    show(): void;
};
