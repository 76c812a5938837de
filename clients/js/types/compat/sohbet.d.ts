/** Connects with a token, for as long as somebody uses it. @param {string | null} token */
export function useWebSocket(token: string | null): {
    connected: boolean;
};
/**
 * Is called with each message of a type, once and in order; the newest handler is.
 * @param {string} type
 * @param {MessageHandler} handler
 * @param {readonly unknown[]} [deps] nothing depends on them, as the newest handler is called in any case
 */
export function useWebSocketMessage(type: string, handler: MessageHandler, deps?: readonly unknown[]): void;
/**
 * A conversation: what is said in it is handed over, and can be said.
 * @param {number | null} conversationId
 * @param {(message: ChatMessagePayload) => void} [onMessageReceived]
 */
export function useChatWebSocket(conversationId: number | null, onMessageReceived?: (message: ChatMessagePayload) => void): {
    typingUsers: number[];
    sendMessage: (content: string) => boolean;
    sendTyping: () => boolean;
};
/** Who is here, by their numbers. */
export function useOnlineUsers(): {
    onlineUsers: number[];
    isOnline: (userId: number) => boolean;
};
export { ParlorProvider as WebSocketProvider };
export default websocketService;
export type ChatMessagePayload = import("./sohbet-messages.js").ChatMessagePayload;
export type MessageHandler = import("./sohbet-messages.js").MessageHandler;
export type MessagePayload = import("./sohbet-messages.js").MessagePayload;
export type TypingPayload = import("./sohbet-messages.js").TypingPayload;
export type UserStatusPayload = import("./sohbet-messages.js").UserStatusPayload;
export type WebSocketMessage = import("./sohbet-messages.js").WebSocketMessage;
export type WebSocketMessageType = import("./sohbet-messages.js").WebSocketMessageType;
import { ParlorProvider } from '../react.js';
import { websocketService } from './sohbet-service.js';
export { WebSocketService, websocketService } from "./sohbet-service.js";
