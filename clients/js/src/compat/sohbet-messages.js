// Translates wire messages to the application's own: each with its type, and conversations and users as numbers.
// Messages that a program already sends in the application's form pass unchanged.

import { Listeners, environment } from '../env.js';
import { onMessage } from '../messages.js';
import { isEntry } from '../entries.js';
import { idOf } from './ids.js';

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
export function onSohbetMessage(client, type, handler) {
  const of = /** @type {WebSocketMessageType} */ (type);
  const hand = (/** @type {MessagePayload} */ payload) => handler({ type: of, payload });
  if (of === 'chat:message') return onMessage(client, type, (payload) => payload.deleted || hand(isEntry(payload) ? chatMessage(payload) : payload));
  if (of === 'chat:typing') return onMessage(client, type, (payload) => (payload.room === undefined ? hand(payload) : payload.typing && hand(typing(client, payload))));
  if (of !== 'user:online' && of !== 'user:offline') return onMessage(client, type, hand);
  const offs = [
    // The server's own push is about many users, and only about changes.
    onMessage(client, type, (payload) => payload.version === undefined && hand(payload)),
    onPresence(client, of, hand),
  ];
  return () => offs.forEach((off) => off());
}

/**
 * Says something in a conversation; what cannot be sent now is sent later, once and in order. What the server refuses is
 * told in the console.
 * @param {Client | null} client
 * @param {Id | null | undefined} conversation
 * @param {string} content
 * @returns {boolean} whether it was taken
 */
export function say(client, conversation, content) {
  if (!client || !isThere(conversation) || /closed|failed/.test(client.state.name)) return false;
  const ticket = client.room(conversation).send(content);
  ticket.catch(({ code, message }) => console.error(`parlor-client: a message to the conversation ${conversation} was not delivered: ${message} (${code})`));
  return ticket.status !== 'failed';
}

/** One is typing there; told every 3 s at most. @param {Client | null} client @param {Id | null | undefined} conversation @returns {boolean} whether it is connected */
export function type(client, conversation) {
  if (client?.state.name !== 'online' || !isThere(conversation)) return false;
  client.room(conversation).typing();
  return true;
}

/** @param {Id | null | undefined} conversation @returns {conversation is Id} */
const isThere = (conversation) => conversation !== null && conversation !== undefined && conversation !== '';

/** @param {any} entry @returns {ChatMessagePayload} */
const chatMessage = ({ room, seq, from, text, ts }) => ({ id: seq, conversation_id: idOf(room), sender_id: idOf(from), content: text, created_at: new Date(ts).toISOString() });

/** @param {Client} client @param {import('../wire.js').Typing} told @returns {TypingPayload} */
const typing = (client, { room, user }) => ({ conversation_id: idOf(room), user_id: idOf(user), username: nameOf(client, user) });

/** @param {Client} client @param {string} id */
const nameOf = (client, id) => client.presence.value.users.find(({ user }) => user === id)?.name ?? id;

/** Who is here, as the handlers know it. @typedef {{ known: Map<string, string>, listeners: Listeners, count: number, replaced: number, off: () => void }} Watch */
/** @type {WeakMap<Client, Watch>} */
const watches = new WeakMap();

/**
 * Tells a handler of each user once when they come, of those too who are there, and once when they go. One that takes the
 * place of another in the same turn, as with each rendering, is told of nobody again.
 * @param {Client} client
 * @param {PresenceType} type
 * @param {(payload: UserStatusPayload) => void} hand
 */
function onPresence(client, type, hand) {
  const watch = watches.get(client) ?? { known: new Map(), listeners: new Listeners(environment().report), count: 0, replaced: 0, off: () => {} };
  watches.set(client, watch);
  if ((watch.count += 1) === 1) watch.off = client.presence.on(({ users }) => compare(watch, users));
  const off = watch.listeners.on(type, hand);
  const isComing = type === 'user:online';
  if (isComing && watch.replaced > 0) watch.replaced -= 1;
  else if (isComing) for (const [user, username] of [...watch.known]) watch.listeners.call(hand, { user_id: idOf(user), username });
  return () => {
    off();
    if ((watch.count -= 1) === 0) watch.off();
    if (!isComing) return;
    watch.replaced += 1;
    queueMicrotask(() => (watch.replaced = 0));
  };
}

/** @param {Watch} watch @param {import('../presence.js').Present[]} users */
function compare(watch, users) {
  const before = watch.known;
  watch.known = new Map(users.map(({ user, name }) => [user, name]));
  /** @param {PresenceType} type @param {Map<string, string>} those @param {Map<string, string>} others */
  const tell = (type, those, others) => {
    for (const [user, username] of those) if (!others.has(user)) watch.listeners.emit(type, { user_id: idOf(user), username });
  };
  tell('user:offline', before, watch.known);
  tell('user:online', watch.known, before);
}
