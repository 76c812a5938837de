/** @typedef {import('./ids.js').Id} Id */
/** @typedef {import('../client.js').Client} Client */
/** @typedef {'chat:send' | 'chat:message' | 'chat:typing' | 'user:online' | 'user:offline' | 'voice:join' | 'voice:leave' | 'voice:offer' | 'voice:answer' | 'voice:ice-candidate' | 'voice:mute' | 'voice:video-toggle' | 'voice:user-joined' | 'voice:user-left' | 'voice:participants' | 'voice:user-muted' | 'voice:user-video-toggled'} WebSocketMessageType */
/** @typedef {{ id?: number, conversation_id: number, sender_id: number, content: string, created_at?: string }} ChatMessagePayload */
/** @typedef {{ conversation_id: number, user_id: number, username: string }} TypingPayload */
/** @typedef {{ user_id: number, username: string }} UserStatusPayload */
/** @typedef {ChatMessagePayload | TypingPayload | UserStatusPayload | Record<string, unknown>} MessagePayload */
/** @typedef {{ type: WebSocketMessageType, payload: MessagePayload }} WebSocketMessage */
/** @typedef {(message: WebSocketMessage) => void} MessageHandler */
/** @typedef {'user:online' | 'user:offline'} PresenceType */
/**
 * Listens to the messages of a type.
 * @param {Client} client
 * @param {string} type
 * @param {MessageHandler} handler
 * @returns {() => void} ends it
 */
export function onSohbetMessage(client: Client, type: string, handler: MessageHandler): () => void;
/**
 * Says something in a conversation; what cannot be sent now is sent later, once and in order. What the server refuses is
 * told in the console.
 * @param {Client | null} client
 * @param {Id | null | undefined} conversation
 * @param {string} content
 * @returns {boolean} whether it was taken
 */
export function say(client: Client | null, conversation: Id | null | undefined, content: string): boolean;
/** One is typing there; told every 3 s at most. @param {Client | null} client @param {Id | null | undefined} conversation @returns {boolean} whether it is connected */
export function type(client: Client | null, conversation: Id | null | undefined): boolean;
export type Id = import("./ids.js").Id;
export type Client = import("../client.js").Client;
export type WebSocketMessageType = "chat:send" | "chat:message" | "chat:typing" | "user:online" | "user:offline" | "voice:join" | "voice:leave" | "voice:offer" | "voice:answer" | "voice:ice-candidate" | "voice:mute" | "voice:video-toggle" | "voice:user-joined" | "voice:user-left" | "voice:participants" | "voice:user-muted" | "voice:user-video-toggled";
export type ChatMessagePayload = {
    id?: number;
    conversation_id: number;
    sender_id: number;
    content: string;
    created_at?: string;
};
export type TypingPayload = {
    conversation_id: number;
    user_id: number;
    username: string;
};
export type UserStatusPayload = {
    user_id: number;
    username: string;
};
export type MessagePayload = ChatMessagePayload | TypingPayload | UserStatusPayload | Record<string, unknown>;
export type WebSocketMessage = {
    type: WebSocketMessageType;
    payload: MessagePayload;
};
export type MessageHandler = (message: WebSocketMessage) => void;
export type PresenceType = "user:online" | "user:offline";
/**
 * Who is here, as the handlers know it.
 */
export type Watch = {
    known: Map<string, string>;
    listeners: Listeners;
    count: number;
    replaced: number;
    off: () => void;
};
import { Listeners } from '../env.js';
