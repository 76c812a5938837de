export class WebSocketService {
    /** @param {import('../service.js').WebSocketService} [service] */
    constructor(service?: import("../service.js").WebSocketService);
    /** The page's service, with all that it can. */
    get service(): import("../service.js").WebSocketService;
    /** For the next `connect`. @param {import('../service.js').ServiceOptions} options */
    configure(options: import("../service.js").ServiceOptions): void;
    /** @param {string} token @returns {Promise<void>} */
    connect(token: string): Promise<void>;
    disconnect(): void;
    isConnected(): boolean;
    /** @param {(connected: boolean) => void} listener @returns {() => void} ends it */
    onConnectionChange(listener: (connected: boolean) => void): () => void;
    /**
     * Sends a message: now or never, but what is said in a conversation, which waits for a connection.
     * @param {WebSocketMessageType} kind
     * @param {MessagePayload} payload
     * @returns {boolean} whether it was taken
     */
    send(kind: WebSocketMessageType, payload: MessagePayload): boolean;
    /** Each handler counts once. @param {string} type @param {MessageHandler} handler @returns {() => void} ends it */
    on(type: string, handler: MessageHandler): () => void;
    /** @param {string} type @param {MessageHandler} handler */
    off(type: string, handler: MessageHandler): void;
    /** @param {Id | null | undefined} conversation @param {string} content @returns {boolean} whether it was taken */
    sendChatMessage(conversation: Id | null | undefined, content: string): boolean;
    /** @param {Id | null | undefined} conversation @returns {boolean} whether it is connected */
    sendTypingIndicator(conversation: Id | null | undefined): boolean;
    #private;
}
/** The page's own. */
export const websocketService: WebSocketService;
export type MessageHandler = import("./sohbet-messages.js").MessageHandler;
export type MessagePayload = import("./sohbet-messages.js").MessagePayload;
export type WebSocketMessageType = import("./sohbet-messages.js").WebSocketMessageType;
export type Id = import("./ids.js").Id;
