export type User = {
    id: string;
    name: string;
    admin: boolean;
};
/**
 * A room, as lists and answers have it; `read` and `unread` where one is a member.
 */
export type RoomInfo = {
    room: string;
    title: string;
    open: boolean;
    members: number;
    head: number;
    read?: number;
    unread?: number;
};
export type Member = {
    user: string;
    name: string;
    online?: boolean;
    role: "owner" | "member";
    read: number;
    delivered: number;
};
export type Published = {
    stream: string;
    seq: number;
    ts: number;
    duplicate?: true;
};
/**
 * where in a room's log something stands, on the disk
 */
export type Logged = {
    room: string;
    seq: number;
    ts: number;
    duplicate?: true;
};
export type Hello = {
    protocol: number;
    server: string;
    connection: string;
    epoch: string;
    ts: number;
    user: User;
    http?: {
        events: string;
        call: string;
    } | undefined;
    heartbeat_ms: number;
    limits: Limits;
    durability: "disk" | "memory";
    presence: "everyone" | "rooms" | "off";
    rooms: RoomInfo[];
    /**
     * there are more rooms: those behind this name, which `info` has
     */
    after?: string | undefined;
    invites?: {
        room: string;
        title: string;
        by: string;
    }[] | undefined;
};
export type Limits = {
    [limit: string]: number | undefined;
};
/**
 * What the server tells of itself.
 */
export type Notice = Told & {
    message: string;
};
export type Told = {
    code: "draining";
    spread_ms: number;
} | {
    code: "token_expiring";
    expires: number;
} | {
    code: "unsubscribed";
    streams: string[];
};
/**
 * A refusal that answers no request; `close` if the connection ends with it, `count` if it stands for several.
 */
export type Refusal = {
    code: string;
    message: string;
    close?: number;
    count?: number;
    retry_after_ms?: number;
};
export type Mark = {
    room: string;
    user: string;
    seq: number;
};
export type Typing = {
    room: string;
    user: string;
    typing: boolean;
};
/**
 * What a room is like now, whole.
 */
export type Update = {
    room: string;
    title: string;
    open: boolean;
    owner?: string;
    by?: string;
};
export type Removal = {
    room: string;
    by?: string;
    reason: "left" | "removed" | "banned" | "deleted";
};
export type Place = {
    room: string;
    seq: number;
    ts: number;
};
/**
 * A message: as it was sent, or, where it is read later, as it is now: with its newest text, `edited` (the `seq` of
 * its newest edit) and `reactions` (who, by emoji); of a deleted one neither text nor data are left.
 */
export type MessageEntry = Place & {
    type: "message";
    from: string;
    reply_to?: number;
    cid?: string;
    edited?: number;
    reactions?: Record<string, string[]>;
} & ({
    deleted?: undefined;
    text: string;
    data?: any;
} | {
    deleted: true;
    text?: undefined;
    data?: undefined;
});
/**
 * Another text for the message `target`; that of one that is deleted by now is not told any more.
 */
export type EditedEntry = Place & {
    type: "edited";
    target: number;
    by: string;
} & ({
    deleted?: undefined;
    text: string;
} | {
    deleted: true;
    text?: undefined;
});
export type DeletedEntry = Place & {
    type: "deleted";
    target: number;
    by: string;
};
export type ReactedEntry = Place & {
    type: "reacted";
    target: number;
    emoji: string;
    on: boolean;
    by: string;
};
/**
 * `by`: another did it
 */
export type MemberEntry = Place & {
    type: "joined" | "left";
    user: string;
    by?: string;
};
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
 * An entry as it is pushed.
 */
export type Pushed<T extends Entry["type"]> = Omit<Extract<Entry, {
    type: T;
}>, "type">;
/**
 * What `client.on` tells of, beside the application's own messages: the client's own events (`rooms`: which there are, or
 * what has changed of one; `outbox`, `stream`: the name of a room, of a stream of which something has changed), and what
 * the server pushes, as it comes.
 */
export type Events = {
    "state": import("./connection.js").State;
    "quality": import("./connection.js").Quality;
    "rooms": import("./room.js").RoomChange | undefined;
    "outbox": string;
    "presence": import("./presence.js").Presences;
    "stream": string;
    "notice": Notice;
    "error": Refusal;
    "chat:message": Pushed<"message">;
    "chat:edited": Pushed<"edited">;
    "chat:deleted": Pushed<"deleted">;
    "chat:reacted": Pushed<"reacted">;
    "room:joined": Pushed<"joined">;
    "room:left": Pushed<"left">;
    "chat:read": Mark;
    "chat:delivered": Mark;
    "chat:typing": Typing;
    "room:removed": Removal;
    "room:updated": Update;
    "room:invited": {
        room: string;
        title: string;
        by: string;
    };
    "user:online": {
        users: string[];
        version: number;
        reset?: true;
        room?: string;
    };
    "user:offline": {
        users: string[];
        version: number;
        room?: string;
    };
    "stream:stale": {
        stream: string;
        stale: true;
        since: number;
        age_ms: number;
    } | {
        stream: string;
        stale: false;
    };
    "user:count": {
        online: number;
        version: number;
        room?: string;
    };
};
/**
 * What each request may have, made of what parses it.
 */
export type Payloads = import("./wire-table.js").Payloads;
export type OfRoom = {
    room: string;
    user: string;
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
export type Requests = {
    "ping": Call<Payloads["ping"], {
        ts: number;
    }>;
    "info": Call<Payloads["info"], Hello & {
        uptime_ms: number;
        counts: Record<string, number>;
        types: string[];
        [more: string]: unknown;
    }>;
    "room:create": Call<Payloads["room:create"], RoomInfo & {
        invited?: string[];
    }>;
    "room:info": Call<Payloads["room:info"], RoomInfo>;
    "room:join": Call<Payloads["room:join"], RoomInfo>;
    "room:leave": Call<Payloads["room:leave"], {
        room: string;
    }>;
    "room:invite": Call<Payloads["room:invite"], OfRoom>;
    "room:remove": Call<Payloads["room:remove"], OfRoom>;
    "room:ban": Call<Payloads["room:ban"], OfRoom>;
    "room:unban": Call<Payloads["room:unban"], OfRoom>;
    "room:update": Call<Payloads["room:update"], RoomInfo>;
    "room:delete": Call<Payloads["room:delete"], {
        room: string;
    }>;
    "room:list": Call<Payloads["room:list"], {
        rooms: RoomInfo[];
        more: boolean;
    }>;
    "room:members": Call<Payloads["room:members"], {
        members: Member[];
        more: boolean;
    }>;
    "chat:send": Call<Payloads["chat:send"], Logged>;
    "chat:edit": Call<Payloads["chat:edit"], Logged>;
    "chat:delete": Call<Payloads["chat:delete"], Logged>;
    "chat:react": Call<Payloads["chat:react"], Logged>;
    "chat:history": Call<Payloads["chat:history"], {
        room: string;
        entries: {
            type: string;
            payload: any;
        }[];
        head: number;
        more: boolean;
    }>;
    "chat:typing": Call<Payloads["chat:typing"], {}>;
    "chat:read": Call<Payloads["chat:read"], {
        room: string;
        seq: number;
        unread: number;
    }>;
    "chat:ack": Call<Payloads["chat:ack"], {}>;
    "presence:list": Call<Payloads["presence:list"], {
        users: import("./presence.js").Present[];
        version: number;
        more: boolean;
    }>;
    "publish": Call<Payloads["publish"], Published>;
    "stream:list": Call<Payloads["stream:list"], {
        streams: any[];
        more: boolean;
    }>;
    "stream:get": Call<Payloads["stream:get"], any>;
    "stream:ack": Call<Payloads["stream:ack"], {}>;
    "stream:subscribers": Call<Payloads["stream:subscribers"], any>;
    "auth:revoke": Call<Payloads["auth:revoke"], {
        closed: number;
    }>;
    "admin:add": Call<Payloads["admin:add"], OfRoom>;
    "admin:connections": Call<Payloads["admin:connections"], {
        connections: any[];
        more: boolean;
    }>;
    "admin:disconnect": Call<Payloads["admin:disconnect"], {
        closed: number;
    }>;
    "admin:pause": Call<Payloads["admin:pause"], {
        stream: string;
        state: string;
    }>;
    "admin:push": Call<Payloads["admin:push"], {
        reached: number;
    }>;
    "admin:resume": Call<Payloads["admin:resume"], {
        stream: string;
        state: string;
    }>;
    "admin:user": Call<Payloads["admin:user"], any>;
    "admin:users": Call<Payloads["admin:users"], {
        users: import("./presence.js").Present[];
        more: boolean;
    }>;
};
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
