'use client';

// The hooks and the service that the application Sohbet uses today, over this client: its components run with only the
// import changed. Conversation 7 is the room "7"; user 2 signs in as "2".

import { useEffect, useMemo, useState } from 'react';
import { ParlorProvider, useParlor, usePresence, useTyping, useWebSocket as useConnected } from '../react.js';
import { useLatest } from '../react-client.js';
import { idOf } from './ids.js';
import { onSohbetMessage, say, type } from './sohbet-messages.js';
import { websocketService } from './sohbet-service.js';

/** @typedef {import('./sohbet-messages.js').ChatMessagePayload} ChatMessagePayload */
/** @typedef {import('./sohbet-messages.js').MessageHandler} MessageHandler */
/** @typedef {import('./sohbet-messages.js').MessagePayload} MessagePayload */
/** @typedef {import('./sohbet-messages.js').TypingPayload} TypingPayload */
/** @typedef {import('./sohbet-messages.js').UserStatusPayload} UserStatusPayload */
/** @typedef {import('./sohbet-messages.js').WebSocketMessage} WebSocketMessage */
/** @typedef {import('./sohbet-messages.js').WebSocketMessageType} WebSocketMessageType */

/** How long somebody is typing of whom a program has said so. */
const TYPING_MS = 3_000;

export { WebSocketService, websocketService } from './sohbet-service.js';
export { ParlorProvider as WebSocketProvider };
export default websocketService;

/** Connects with a token, for as long as somebody uses it. @param {string | null} token */
export function useWebSocket(token) {
  const { connected } = useConnected(token);
  return useMemo(() => ({ connected }), [connected]);
}

/**
 * Is called with each message of a type, once and in order; the newest handler is.
 * @param {string} type
 * @param {MessageHandler} handler
 * @param {readonly unknown[]} [deps] nothing depends on them, as the newest handler is called in any case
 */
export function useWebSocketMessage(type, handler, deps = []) {
  void deps;
  const client = useParlor();
  const latest = useLatest(handler);
  useEffect(() => (client ? onSohbetMessage(client, type, (message) => latest.current(message)) : undefined), [client, type, latest]);
}

/**
 * A conversation: what is said in it is handed over, and can be said.
 * @param {number | null} conversationId
 * @param {(message: ChatMessagePayload) => void} [onMessageReceived]
 */
export function useChatWebSocket(conversationId, onMessageReceived) {
  const client = useParlor();
  // A number may come as a text, from an address.
  const conversation = conversationId === null || conversationId === undefined ? null : idOf(String(conversationId));
  const typists = useTyping(conversation === null ? null : String(conversation));
  const told = useToldTypists(conversation);
  useWebSocketMessage('chat:message', ({ payload }) => {
    if ('conversation_id' in payload && payload.conversation_id === conversation) onMessageReceived?.(/** @type {ChatMessagePayload} */ (payload));
  });
  const actions = useMemo(() => ({
    sendMessage: (/** @type {string} */ content) => say(client, conversation, content),
    sendTyping: () => type(client, conversation),
  }), [client, conversation]);
  return useMemo(() => {
    /** @type {number[]} */
    const typingUsers = [...new Set([...typists.map(idOf), ...told])];
    return { ...actions, typingUsers };
  }, [actions, typists, told]);
}

/** Of whom a program itself says that they type; it does not say when they stop. @param {number | null} conversationId @returns {number[]} */
function useToldTypists(conversationId) {
  const client = useParlor();
  const [typists, setTypists] = useState(/** @type {number[]} */ ([]));
  useEffect(() => {
    /** @type {Map<number, any>} */
    const timers = new Map();
    const show = () => setTypists((before) => (before.length === 0 && timers.size === 0 ? before : [...timers.keys()]));
    const off = client?.on('chat:typing', (/** @type {any} */ { conversation_id: conversation, user_id: user }) => {
      if (user === undefined || conversation !== conversationId) return;
      clearTimeout(timers.get(user));
      timers.set(user, setTimeout(() => (timers.delete(user), show()), TYPING_MS));
      show();
    });
    return () => {
      off?.();
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      show();
    };
  }, [client, conversationId]);
  return typists;
}

/** Who is here, by their numbers. */
export function useOnlineUsers() {
  const { users } = usePresence();
  const told = useToldUsers();
  return useMemo(() => {
    /** @type {Set<number>} */
    const ids = new Set([...users.map(({ user }) => idOf(user)), ...told]);
    return { onlineUsers: [...ids], isOnline: (/** @type {number} */ userId) => ids.has(userId) };
  }, [users, told]);
}

/** Of whom a program itself says that they are here. @returns {number[]} */
function useToldUsers() {
  const client = useParlor();
  const [users, setUsers] = useState(/** @type {number[]} */ ([]));
  useEffect(() => {
    const listen = (/** @type {'user:online' | 'user:offline'} */ type) => client?.on(type, (/** @type {any} */ { user_id: user }) => {
      if (user === undefined) return;
      setUsers((before) => [...before.filter((one) => one !== user), ...(type === 'user:online' ? [user] : [])]);
    });
    const offs = [listen('user:online'), listen('user:offline')];
    return () => {
      for (const off of offs) off?.();
      setUsers((before) => (before.length === 0 ? before : []));
    };
  }, [client]);
  return users;
}
