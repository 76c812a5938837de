export type Payloads = import("./wire-table.js").Payloads;
export type Answers = import("./wire-table.js").Answers;
export type Pushes = import("./wire-table.js").Pushes;
export type User = Hello["user"];
/**
 * A room, as lists and answers have it; `read` and `unread` where one is a member.
 */
export type RoomInfo = import("./wire-table.js").Room;
export type Member = import("./wire-table.js").Member;
export type Published = Answers["publish"];
/**
 * where in a room's log something stands, on the disk
 */
export type Logged = import("./wire-table.js").Stored;
/**
 * `after`: there are more rooms, those behind this name, which `info` has.
 */
export type Hello = Pushes["hello"];
/**
 * None are known before a server has said hello.
 */
export type Limits = Partial<import("./wire-table.js").Limits>;
/**
 * What the server tells of itself.
 */
export type Notice = Pushes["notice"];
/**
 * A refusal that answers no request; `close` if the connection ends with it, `count` if it stands for several.
 */
export type Refusal = Pushes["error"];
export type Mark = Pushes["chat:read"];
export type Typing = Pushes["chat:typing"];
/**
 * What a room is like now, whole.
 */
export type Update = Pushes["room:updated"];
export type Removal = Pushes["room:removed"];
/**
 * A message: as it was sent, or, where it is read later, as it is now: with its newest text, `edited` (the `seq` of
 * its newest edit) and `reactions` (who, by emoji); of a deleted one neither text nor data are left.
 */
export type MessageEntry = {
    type: "message";
} & Pushes["chat:message"];
/**
 * Another text for the message `target`; that of one that is deleted by now is not told any more.
 */
export type EditedEntry = {
    type: "edited";
} & Pushes["chat:edited"];
export type DeletedEntry = {
    type: "deleted";
} & Pushes["chat:deleted"];
export type ReactedEntry = {
    type: "reacted";
} & Pushes["chat:reacted"];
/**
 * `by`: another did it
 */
export type MemberEntry = {
    type: "joined" | "left";
} & Pushes["room:joined"];
export type JoinedEntry = MemberEntry & {
    type: "joined";
};
export type LeftEntry = MemberEntry & {
    type: "left";
};
/**
 * An entry of the log, as the wire has it; `type` is the name of the event.
 */
export type Entry = MessageEntry | EditedEntry | DeletedEntry | ReactedEntry | JoinedEntry | LeftEntry;
export type EntryType = Entry["type"];
/**
 * What `client.on` tells of, beside the application's own messages: the client's own events (`rooms`: which there are, or
 * what has changed of one; `outbox`, `stream`: the name of a room, of a stream of which something has changed), and what
 * the server pushes, as it comes.
 */
export type Events = Omit<Pushes, "hello" | "event" | "subscribed" | "notice" | "error"> & {
    "state": import("./connection.js").State;
    "quality": import("./connection.js").Quality;
    "rooms": import("./room.js").RoomChange | undefined;
    "outbox": string;
    "presence": import("./presence.js").Presences;
    "stream": string;
    "notice": Notice;
    "error": Refusal;
};
/**
 * What goes in and what comes back.
 */
export type Call<P, A> = {
    payload: P;
    answer: A;
};
/**
 * What may be asked of the server. The client does much of it by itself, or by methods of its own.
 */
export type Requests = { [T in keyof Payloads]: Call<Payloads[T], Answers[T]>; };
/**
 * A message of the application's: what is in it, and what the answer to it is, if it is a request.
 */
export type Message = {
    payload?: any;
    answer?: any;
};
/**
 * Those of an application, by their type, as `{ "queue.changed": { payload: … }, "queue.join": { payload: …, answer: … } }`.
 * Where none are given every name will do.
 */
export type Messages<M> = { [T in keyof M]: Message; };
/**
 * Any name, if none are given.
 */
export type Known<M, Known> = string extends keyof M ? string & {} : Known;
/**
 * What may be listened to.
 */
export type Heard<M> = keyof Events | Known<M, keyof M & string>;
/**
 * What may be said.
 */
export type Said<M> = (keyof Requests & string) | Known<M, keyof M & string>;
/**
 * What may be asked.
 */
export type Asked<M> = (keyof Requests & string) | Known<M, { [T in keyof M]: M[T] extends {
    answer: any;
} ? T : never; }[keyof M] & string>;
export type Event<M, T> = T extends keyof Events ? Events[T] : PayloadIn<M, T>;
export type Payload<M, T> = T extends keyof Requests ? Requests[T]["payload"] : PayloadIn<M, T>;
export type Answer<M, T> = T extends keyof Requests ? Requests[T]["answer"] : string extends keyof M ? any : T extends keyof M ? M[T] extends {
    answer: infer A;
} ? A : never : never;
export type PayloadIn<M, T> = string extends keyof M ? any : T extends keyof M ? M[T] extends {
    payload: infer P;
} ? P : {} : never;
/**
 * What follows the type: the payload, which may be left out where nothing need be in it.
 */
export type With<P, More extends any[]> = {} extends P ? [payload?: P, ...more: More] : [payload: P, ...more: More];
