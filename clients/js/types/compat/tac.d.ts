/**
 * A WebSocket that comes back, and a query for what is there before it works, and while it does not.
 * @template T what the query says
 * @template [M=any] what the messages are
 * @param {ReliableWebSocketOptions<T, M>} options
 * @returns {ConnectionState}
 */
export function useReliableWebSocket<T, M = any>({ url, queryKey, queryFn, onMessage, enabled, pollingInterval, maxReconnectDelay, maxReconnectAttempts }: ReliableWebSocketOptions<T, M>): ConnectionState;
export default useReliableWebSocket;
export type ConnectionQuality = "excellent" | "good" | "poor" | "disconnected";
export type ConnectionState = {
    isConnected: boolean;
    /**
     * by the age of the last message
     */
    connectionQuality: ConnectionQuality;
    /**
     * when it was opened, when the last message came, or the last answer
     */
    lastUpdated: Date | null;
    /**
     * in a row
     */
    reconnectAttempts: number;
};
export type ReliableWebSocketOptions<T, M> = {
    url: string;
    /**
     * whenever it is another, the query is asked
     */
    queryKey: readonly unknown[];
    /**
     * asked when it begins, and while the socket does not work
     */
    queryFn: () => T | Promise<T>;
    /**
     * called with each message, once and in order, and with what the query says
     */
    onMessage: (data: M) => void;
    enabled?: boolean | undefined;
    /**
     * how often the query is asked while the socket does not work, in ms; 60000
     */
    pollingInterval?: number | undefined;
    /**
     * in ms; 30000
     */
    maxReconnectDelay?: number | undefined;
    /**
     * in a row; it never gives up, if not told otherwise. Where it has, the network that is back or the page that is seen again begins anew
     */
    maxReconnectAttempts?: number | undefined;
};
