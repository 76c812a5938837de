// Types of the messages on the wire: the server's own pushes and requests (docs/protocol.md), and the application's.
// Nothing here runs.

/** @typedef {{ id: string, name: string, admin: boolean }} User */
/**
 * A room, as lists and answers have it; `read` and `unread` where one is a member.
 * @typedef {{ room: string, title: string, open: boolean, members: number, head: number, read?: number, unread?: number }} RoomInfo
 */
/** @typedef {{ user: string, name: string, online?: boolean, role: "owner" | "member", read: number, delivered: number }} Member */
/** @typedef {{ stream: string, seq: number, ts: number, duplicate?: true }} Published */
/** @typedef {{ room: string, seq: number, ts: number, duplicate?: true }} Logged where in a room's log something stands, on the disk */
/**
 * @typedef {object} Hello
 * @property {number} protocol
 * @property {string} server
 * @property {string} connection
 * @property {string} epoch
 * @property {number} ts
 * @property {User} user
 * @property {{ events: string, call: string }} [http]
 * @property {number} heartbeat_ms
 * @property {Limits} limits
 * @property {"disk" | "memory"} durability
 * @property {"everyone" | "rooms" | "off"} presence
 * @property {RoomInfo[]} rooms
 * @property {string} [after] there are more rooms: those behind this name, which `info` has
 * @property {{ room: string, title: string, by: string }[]} [invites]
 */
/** @typedef {{ [limit: string]: number | undefined }} Limits */

/** What the server tells of itself. @typedef {Told & { message: string }} Notice */
/**
 * @typedef {{ code: "draining", spread_ms: number }
 *   | { code: "token_expiring", expires: number }
 *   | { code: "unsubscribed", streams: string[] }} Told
 */
/**
 * A refusal that answers no request; `close` if the connection ends with it, `count` if it stands for several.
 * @typedef {{ code: string, message: string, close?: number, count?: number, retry_after_ms?: number }} Refusal
 */
/** @typedef {{ room: string, user: string, seq: number }} Mark */
/** @typedef {{ room: string, user: string, typing: boolean }} Typing */
/** What a room is like now, whole. @typedef {{ room: string, title: string, open: boolean, owner?: string, by?: string }} Update */
/** @typedef {{ room: string, by?: string, reason: "left" | "removed" | "banned" | "deleted" }} Removal */
/** @typedef {{ room: string, seq: number, ts: number }} Place */
/**
 * A message: as it was sent, or, where it is read later, as it is now: with its newest text, `edited` (the `seq` of
 * its newest edit) and `reactions` (who, by emoji); of a deleted one neither text nor data are left.
 * @typedef {Place & { type: "message", from: string, reply_to?: number, cid?: string, edited?: number, reactions?: Record<string, string[]> }
 *   & ({ deleted?: undefined, text: string, data?: any } | { deleted: true, text?: undefined, data?: undefined })} MessageEntry
 */
/**
 * Another text for the message `target`; that of one that is deleted by now is not told any more.
 * @typedef {Place & { type: "edited", target: number, by: string } & ({ deleted?: undefined, text: string } | { deleted: true, text?: undefined })} EditedEntry
 */
/** @typedef {Place & { type: "deleted", target: number, by: string }} DeletedEntry */
/** @typedef {Place & { type: "reacted", target: number, emoji: string, on: boolean, by: string }} ReactedEntry */
/** @typedef {Place & { type: "joined" | "left", user: string, by?: string }} MemberEntry `by`: another did it */
/** @typedef {MemberEntry & { type: "joined" }} JoinedEntry */
/** @typedef {MemberEntry & { type: "left" }} LeftEntry */
/**
 * An entry of the log, as the wire has it; `type` is the name of the event.
 * @typedef {MessageEntry | EditedEntry | DeletedEntry | ReactedEntry | JoinedEntry | LeftEntry} Entry
 */
/** @typedef {Entry["type"]} EntryType */
/**
 * An entry as it is pushed.
 * @template {Entry["type"]} T
 * @typedef {Omit<Extract<Entry, { type: T }>, "type">} Pushed
 */

/**
 * What `client.on` tells of, beside the application's own messages: the client's own events (`rooms`: which there are, or
 * what has changed of one; `outbox`, `stream`: the name of a room, of a stream of which something has changed), and what
 * the server pushes, as it comes.
 * @typedef {{
 *   "state": import('./connection.js').State,
 *   "quality": import('./connection.js').Quality,
 *   "rooms": import('./room.js').RoomChange | undefined,
 *   "outbox": string,
 *   "presence": import('./presence.js').Presences,
 *   "stream": string,
 *   "notice": Notice,
 *   "error": Refusal,
 *   "chat:message": Pushed<"message">,
 *   "chat:edited": Pushed<"edited">,
 *   "chat:deleted": Pushed<"deleted">,
 *   "chat:reacted": Pushed<"reacted">,
 *   "room:joined": Pushed<"joined">,
 *   "room:left": Pushed<"left">,
 *   "chat:read": Mark,
 *   "chat:delivered": Mark,
 *   "chat:typing": Typing,
 *   "room:removed": Removal,
 *   "room:updated": Update,
 *   "room:invited": { room: string, title: string, by: string },
 *   "user:online": { users: string[], version: number, reset?: true, room?: string },
 *   "user:offline": { users: string[], version: number, room?: string },
 *   "stream:stale": { stream: string, stale: true, since: number, age_ms: number } | { stream: string, stale: false },
 *   "user:count": { online: number, version: number, room?: string },
 * }} Events
 */

/** What each request may have, made of what parses it. @typedef {import('./wire-table.js').Payloads} Payloads */
/** @typedef {{ room: string, user: string }} OfRoom */
/** What goes in and what comes back. @template P, A @typedef {{ payload: P, answer: A }} Call */
/**
 * What may be asked of the server. The client does much of it by itself, or by methods of its own.
 * @typedef {{
 *   "ping": Call<Payloads["ping"], { ts: number }>,
 *   "info": Call<Payloads["info"], Hello & { uptime_ms: number, counts: Record<string, number>, types: string[], [more: string]: unknown }>,
 *   "room:create": Call<Payloads["room:create"], RoomInfo & { invited?: string[] }>,
 *   "room:info": Call<Payloads["room:info"], RoomInfo>,
 *   "room:join": Call<Payloads["room:join"], RoomInfo>,
 *   "room:leave": Call<Payloads["room:leave"], { room: string }>,
 *   "room:invite": Call<Payloads["room:invite"], OfRoom>,
 *   "room:remove": Call<Payloads["room:remove"], OfRoom>,
 *   "room:ban": Call<Payloads["room:ban"], OfRoom>,
 *   "room:unban": Call<Payloads["room:unban"], OfRoom>,
 *   "room:update": Call<Payloads["room:update"], RoomInfo>,
 *   "room:delete": Call<Payloads["room:delete"], { room: string }>,
 *   "room:list": Call<Payloads["room:list"], { rooms: RoomInfo[], more: boolean }>,
 *   "room:members": Call<Payloads["room:members"], { members: Member[], more: boolean }>,
 *   "chat:send": Call<Payloads["chat:send"], Logged>,
 *   "chat:edit": Call<Payloads["chat:edit"], Logged>,
 *   "chat:delete": Call<Payloads["chat:delete"], Logged>,
 *   "chat:react": Call<Payloads["chat:react"], Logged>,
 *   "chat:history": Call<Payloads["chat:history"], { room: string, entries: { type: string, payload: any }[], head: number, more: boolean }>,
 *   "chat:typing": Call<Payloads["chat:typing"], {}>,
 *   "chat:read": Call<Payloads["chat:read"], { room: string, seq: number, unread: number }>,
 *   "chat:ack": Call<Payloads["chat:ack"], {}>,
 *   "presence:list": Call<Payloads["presence:list"], { users: import('./presence.js').Present[], version: number, more: boolean }>,
 *   "publish": Call<Payloads["publish"], Published>,
 *   "stream:list": Call<Payloads["stream:list"], { streams: any[], more: boolean }>,
 *   "stream:get": Call<Payloads["stream:get"], any>,
 *   "stream:ack": Call<Payloads["stream:ack"], {}>,
 *   "stream:subscribers": Call<Payloads["stream:subscribers"], any>,
 *   "auth:revoke": Call<Payloads["auth:revoke"], { closed: number }>,
 *   "admin:add": Call<Payloads["admin:add"], OfRoom>,
 *   "admin:connections": Call<Payloads["admin:connections"], { connections: any[], more: boolean }>,
 *   "admin:disconnect": Call<Payloads["admin:disconnect"], { closed: number }>,
 *   "admin:pause": Call<Payloads["admin:pause"], { stream: string, state: string }>,
 *   "admin:push": Call<Payloads["admin:push"], { reached: number }>,
 *   "admin:resume": Call<Payloads["admin:resume"], { stream: string, state: string }>,
 *   "admin:user": Call<Payloads["admin:user"], any>,
 *   "admin:users": Call<Payloads["admin:users"], { users: import('./presence.js').Present[], more: boolean }>,
 * }} Requests
 */

/**
 * A message of the application's: what is in it, and what the answer to it is, if it is a request.
 * @typedef {{ payload?: any, answer?: any }} Message
 */
/**
 * Those of an application, by their type, as `{ "queue.changed": { payload: … }, "queue.join": { payload: …, answer: … } }`.
 * Where none are given every name will do.
 * @template M
 * @typedef {{ [T in keyof M]: Message }} Messages
 */
/** Any name, if none are given. @template M, Known @typedef {string extends keyof M ? string & {} : Known} Known */
/** What may be listened to. @template M @typedef {keyof Events | Known<M, keyof M & string>} Heard */
/** What may be said. @template M @typedef {(keyof Requests & string) | Known<M, keyof M & string>} Said */
/** What may be asked. @template M @typedef {(keyof Requests & string) | Known<M, { [T in keyof M]: M[T] extends { answer: any } ? T : never }[keyof M] & string>} Asked */
/** @template M, T @typedef {T extends keyof Events ? Events[T] : PayloadIn<M, T>} Event */
/** @template M, T @typedef {T extends keyof Requests ? Requests[T]["payload"] : PayloadIn<M, T>} Payload */
/** @template M, T @typedef {T extends keyof Requests ? Requests[T]["answer"] : string extends keyof M ? any : T extends keyof M ? M[T] extends { answer: infer A } ? A : never : never} Answer */
/** @template M, T @typedef {string extends keyof M ? any : T extends keyof M ? M[T] extends { payload: infer P } ? P : {} : never} PayloadIn */
/** What follows the type: the payload, which may be left out where nothing need be in it. @template P @template {any[]} More @typedef {{} extends P ? [payload?: P, ...more: More] : [payload: P, ...more: More]} With */

export {};
