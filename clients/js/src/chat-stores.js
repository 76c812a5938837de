// What components read of a chat (presence, rooms, unsent messages), and what they can do in a room. Like stores.js,
// which has the rest, it is independent of any framework.

import { ParlorError } from './errors.js';
import { NO_CLIENT, byName, constant, graced, ofEach, same, storeOf, watching } from './stores.js';
import { Transcript } from './transcript.js';

/** @typedef {import('./client.js').Client} Client */
/** @typedef {import('./room.js').Room} Room */
/** @typedef {import('./transcript.js').Shown} Shown */
/** @typedef {ReturnType<typeof chatStoresOf>} ChatStores */
/** @typedef {string | null | undefined} Name none: there is nothing to be shown yet */

/** @type {import('./presence.js').Presences} */
const NOBODY = { users: [], count: 0, counted: false };
/** @type {Shown} */
const NOTHING = { rows: [], messages: [], hasOlder: false, isFull: false, isLoaded: false, isLoading: false, error: null };
/** @typedef {Pick<Room, "membership" | "refusal" | "title" | "last" | "read" | "unread" | "typists">} Facts */
/** @type {Facts} */
const UNKNOWN = { membership: 'unknown', refusal: null, title: undefined, last: 0, read: 0, unread: 0, typists: [] };
/** @typedef {import('./receipts.js').Receipt} Receipt */
/** @type {Receipt[]} */
const NO_RECEIPTS = [];
/** @typedef {import('./outbox.js').Ticket} Ticket */
/** @typedef {Pick<Ticket, "id" | "text" | "data" | "status" | "error"> & { room: string, at: number }} Unsent */
/** @type {Unsent[]} */
const NONE = [];
/** @type {import('./client.js').RoomSnapshot[]} */
const NO_ROOMS = [];
export const NO_CHAT_STORES = {
  presence: constant(NOBODY),
  rooms: constant(NO_ROOMS),
  outbox: constant(NONE),
  facts: constant(UNKNOWN),
  receipts: constant(NO_RECEIPTS),
  transcript: constant(NOTHING),
};

export const chatStoresOf = /* @__PURE__ */ ofEach((/** @type {Client} */ client) => {
  if (!client.presence) throw new ParlorError('not_ready', { message: 'a client for streams alone has no rooms and no presence: connect by parlor-client, not by parlor-client/streams' });
  /** Those that are read now. @type {Map<string, Transcript>} */
  const transcripts = new Map();
  /** @type {Map<string, Receipt[]>} */
  const receipts = new Map();
  return {
    presence: storeOf({ read: () => client.presence.value, watch: (changed) => client.presence.on(changed), server: NOBODY }),
    rooms: storeOf({ read: () => client.snapshot().rooms, watch: watching(client, 'rooms', 'state'), server: NO_ROOMS }),
    outbox: storeOf({ read: () => client.unsent.map(unsent), watch: watching(client, 'outbox'), server: NONE }),
    facts: byName((name) => storeOf({
      read: (before) => facts(client.room(name), before),
      watch: watching(client, 'rooms', 'state'),
      server: UNKNOWN,
    })),
    receipts: byName((name) => storeOf({
      read: () => receipts.get(name) ?? NO_RECEIPTS,
      watch: (changed) => {
        let end = () => {};
        let isOver = false;
        void import('./receipts.js').then(({ watchReceipts }) => {
          if (!isOver) end = watchReceipts(client, name, (marks) => {
            receipts.set(name, marks);
            changed();
          });
        });
        return () => ((isOver = true), end());
      },
      server: NO_RECEIPTS,
    })),
    transcript: byName((name) => storeOf({
      read: () => transcripts.get(name)?.snapshot() ?? NOTHING,
      watch: (changed) => {
        const transcript = new Transcript(client, name);
        transcripts.set(name, transcript);
        transcript.on(changed);
        return () => {
          transcript.close();
          transcripts.delete(name);
        };
      },
      server: NOTHING,
    })),
    loadOlder: async (/** @type {string} */ name) => (await transcripts.get(name)?.loadOlder()) ?? false,
    /** Joins for as long as somebody holds it, whoever is signed in. */
    join: byName((name) => graced(() => {
      const join = () => void client.room(name, { join: true });
      join();
      return client.on('state', join);
    })),
    /** Held by those who want one to leave when they have gone. */
    stay: byName((name) => {
      /** @type {Promise<any> | null} */
      let leaving = null;
      let joins = false;
      const hold = graced(() => {
        let isHeld = true;
        // A component that returns while the leave is in progress wants to be in the room, too.
        leaving?.then(() => (isHeld && joins ? client.room(name).join() : null)).catch(() => {});
        return () => {
          isHeld = false;
          leaving = client.room(name).leave().catch(() => {});
        };
      });
      return (/** @type {boolean} */ join) => {
        joins = join;
        return hold();
      };
    }),
  };
});

/** @param {Room} room @param {Facts} [before] @returns {Facts} */
function facts({ membership, refusal, title, last, read, unread, typists }, before) {
  return same(before, { membership, refusal, title, last, read, unread, typists: same(before?.typists, typists) });
}

/** @param {import('./outbox.js').Ticket} ticket @returns {Unsent} */
const unsent = ({ id, text, data, status, error, kept: { room, at } }) => ({ id, room, text, data, at, status, error });

// --- Values for components ---

/** Who is here. @param {import('./presence.js').Presences} value */
export function presenceIn(value) {
  const ids = new Set(value.users.map(({ user }) => user));
  return { ...value, isOnline: (/** @type {string | number} */ user) => ids.has(String(user)) };
}

/** How much is unread, in a room or in all. @param {import('./client.js').RoomSnapshot[]} rooms @param {Name} [room] @returns {number} */
export const unreadIn = (rooms, room) => rooms.reduce((sum, { room: name, unread }) => (room === undefined || name === room ? sum + unread : sum), 0);

/** Who has got and who has read what. @param {Receipt[]} marks */
export function receiptsIn(marks) {
  const reached = (/** @type {"read" | "delivered"} */ by, /** @type {number} */ seq) => marks.filter((mark) => mark[by] >= seq).map(({ user }) => user);
  return { marks, deliveredTo: (/** @type {number} */ seq) => reached('delivered', seq), readBy: (/** @type {number} */ seq) => reached('read', seq) };
}

/** What is unsent, and what can be done about it. @param {Client | null} client @param {Unsent[]} messages */
export function outboxIn(client, messages) {
  const find = (/** @type {string} */ id) => client?.unsent.find((ticket) => ticket.id === id);
  return {
    messages,
    count: messages.length,
    failed: messages.filter(({ status: of }) => of === 'failed' || of === 'expired').length,
    retry: (/** @type {string} */ id) => find(id)?.retry() ?? false,
    cancel: (/** @type {string} */ id) => find(id)?.cancel() ?? false,
  };
}

/** What can be done in a room. @param {Client | null} client @param {Name} name */
export function roomActions(client, name) {
  const room = () => {
    if (!client) throw new ParlorError('not_ready', { message: NO_CLIENT });
    if (!name) throw new ParlorError('not_ready', { message: 'no room is named' });
    return client.room(name);
  };
  const ticket = (/** @type {string} */ id) => room().unsent.find((one) => one.id === id);
  return {
    /** @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] */
    send: (text, more) => room().send(text, more),
    /** @param {number} seq @param {string} text */
    edit: (seq, text) => room().edit(seq, text),
    /** @param {number} seq */
    remove: (seq) => room().delete(seq),
    /** @param {number} seq @param {string} emoji @param {boolean} [on] */
    react: (seq, emoji, on) => room().react(seq, emoji, on),
    /** @param {boolean} [isTyping] */
    typing: (isTyping) => room().typing(isTyping),
    /** @param {number} [seq] */
    markRead: (seq) => room().markRead(seq),
    /** Reads a page before the first row; whether there was one. */
    loadOlder: async () => (client && name ? chatStoresOf(client).loadOlder(name) : false),
    /** @param {string} id */
    retry: (id) => ticket(id)?.retry() ?? false,
    /** @param {string} id */
    cancel: (id) => ticket(id)?.cancel() ?? false,
    join: () => room().join(),
    leave: () => room().leave(),
  };
}
