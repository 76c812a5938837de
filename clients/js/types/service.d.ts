export class WebSocketService {
    /** @param {ServiceOptions} [options] those of `connect`, too */
    constructor(options?: ServiceOptions);
    /** For the next `connect`. @param {ServiceOptions} options */
    configure(options: ServiceOptions): void;
    /** What is below: its rooms, streams and presence. @returns {Client | null} */
    get client(): Client | null;
    /** Is told when there is another client, or none any more. @param {() => void} listener @returns {() => void} ends it */
    onClientChange(listener: () => void): () => void;
    /**
     * Connects, also again after it has failed; with another token, as whom that one says: a newer one of the same user
     * (by the `sub` of a JWT) changes nothing of what is there.
     * @param {Token} [token]
     * @returns {Promise<void>} resolves when it is online; rejects when it ended before. Whoever does not look is not bothered
     */
    connect(token?: Token): Promise<void>;
    /** Ends it. Handlers and listeners stay for the next. */
    disconnect(): void;
    /** Sends a message that wants no answer: now or never. @param {string} type @param {any} [payload] @returns {boolean} whether it was sent */
    send(type: string, payload?: any): boolean;
    /**
     * Listens to messages of a type: those of rooms in order and once, also what was missed. Each handler counts once.
     * @param {string} type
     * @param {(payload: any) => void} handler
     * @returns {() => void} ends it
     */
    on(type: string, handler: (payload: any) => void): () => void;
    /** @param {string} type @param {(payload: any) => void} handler */
    off(type: string, handler: (payload: any) => void): void;
    /**
     * Is told when it comes to be connected, and when it is not any more.
     * @param {(connected: boolean) => void} listener
     * @returns {() => void} ends it
     */
    onConnectionChange(listener: (connected: boolean) => void): () => void;
    isConnected(): boolean;
    /**
     * Says something in a conversation; what cannot be sent now is sent later, once and in order.
     * @param {Id} conversation
     * @param {string} text
     * @returns {boolean} whether it was taken
     */
    sendChatMessage(conversation: Id, text: string): boolean;
    /** One is typing there; told every 3 s at most. @param {Id} conversation @returns {boolean} whether it is connected */
    sendTypingIndicator(conversation: Id): boolean;
    #private;
}
/** The page's own. */
export const webSocketService: WebSocketService;
export type Client = import("./client.js").Client;
export type Id = string | number;
export type Token = string | import("./connection.js").TokenSource | null | undefined;
/**
 * `attempts`: how often it tries in a row; it never gives up, if not told otherwise
 */
export type ServiceOptions = import("./client.js").Options & {
    url?: string;
    attempts?: number;
};
