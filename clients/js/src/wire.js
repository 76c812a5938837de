// Types of the messages on the wire: the server's own pushes and requests (docs/protocol.md), and the application's.
// Nothing here runs.

/** @typedef {import('./wire-table.js').Payloads} Payloads */
/** @typedef {import('./wire-table.js').Answers} Answers */
/** @typedef {import('./wire-table.js').Pushes} Pushes */
/** @typedef {Hello["user"]} User */
/** A room, as lists and answers have it; `read` and `unread` where one is a member. @typedef {import('./wire-table.js').Room} RoomInfo */
/** @typedef {import('./wire-table.js').Member} Member */
/** @typedef {Answers["publish"]} Published */
/** @typedef {import('./wire-table.js').Stored} Logged where in a room's log something stands, on the disk */
/** `after`: there are more rooms, those behind this name, which `info` has. @typedef {Pushes["hello"]} Hello */
/** None are known before a server has said hello. @typedef {Partial<import('./wire-table.js').Limits>} Limits */

/** What the server tells of itself. @typedef {Pushes["notice"]} Notice */
/** A refusal that answers no request; `close` if the connection ends with it, `count` if it stands for several. @typedef {Pushes["error"]} Refusal */
/** @typedef {Pushes["chat:read"]} Mark */
/** @typedef {Pushes["chat:typing"]} Typing */
/** What a room is like now, whole. @typedef {Pushes["room:updated"]} Update */
/** @typedef {Pushes["room:removed"]} Removal */
/**
 * A message: as it was sent, or, where it is read later, as it is now: with its newest text, `edited` (the `seq` of
 * its newest edit) and `reactions` (who, by emoji); of a deleted one neither text nor data are left.
 * @typedef {{ type: "message" } & Pushes["chat:message"]} MessageEntry
 */
/**
 * Another text for the message `target`; that of one that is deleted by now is not told any more.
 * @typedef {{ type: "edited" } & Pushes["chat:edited"]} EditedEntry
 */
/** @typedef {{ type: "deleted" } & Pushes["chat:deleted"]} DeletedEntry */
/** @typedef {{ type: "reacted" } & Pushes["chat:reacted"]} ReactedEntry */
/** @typedef {{ type: "joined" | "left" } & Pushes["room:joined"]} MemberEntry `by`: another did it */
/** @typedef {MemberEntry & { type: "joined" }} JoinedEntry */
/** @typedef {MemberEntry & { type: "left" }} LeftEntry */
/**
 * An entry of the log, as the wire has it; `type` is the name of the event.
 * @typedef {MessageEntry | EditedEntry | DeletedEntry | ReactedEntry | JoinedEntry | LeftEntry} Entry
 */
/** @typedef {Entry["type"]} EntryType */

/**
 * What `client.on` tells of, beside the application's own messages: the client's own events (`rooms`: which there are, or
 * what has changed of one; `outbox`, `stream`: the name of a room, of a stream of which something has changed), and what
 * the server pushes, as it comes.
 * @typedef {Omit<Pushes, "hello" | "event" | "subscribed" | "notice" | "error"> & {
 *   "state": import('./connection.js').State,
 *   "quality": import('./connection.js').Quality,
 *   "rooms": import('./room.js').RoomChange | undefined,
 *   "outbox": string,
 *   "presence": import('./presence.js').Presences,
 *   "stream": string,
 *   "notice": Notice,
 *   "error": Refusal,
 * }} Events
 */

/** What goes in and what comes back. @template P, A @typedef {{ payload: P, answer: A }} Call */
/**
 * What may be asked of the server. The client does much of it by itself, or by methods of its own.
 * @typedef {{ [T in keyof Payloads]: Call<Payloads[T], Answers[T]> }} Requests
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
