export type Entry = {
    payload: Record<string, any>;
    type: "chat:message" | "chat:edited" | "chat:deleted" | "chat:reacted" | "room:joined" | "room:left";
};
export type Invitation = {
    by: string;
    room: string;
    title: string;
};
export type Limits = {
    burst: number;
    bytes_burst?: number;
    bytes_per_second?: number;
    cid_bytes: number;
    connections_per_user: number;
    create_members: number;
    data_bytes: number;
    direct_rooms: number;
    emoji_bytes: number;
    filter_depth: number;
    filter_values: number;
    filters: number;
    fragments: number;
    invites: number;
    message_bytes: number;
    messages_per_minute?: number;
    page: number;
    requests_per_second: number;
    room_members: number;
    rooms: number;
    subscriptions: number;
    text_bytes: number;
    title_bytes: number;
    user_burst?: number;
    user_requests_per_second?: number;
    user_work_burst?: number;
    user_work_per_second?: number;
};
export type Member = {
    delivered: number;
    name: string;
    online?: boolean;
    read: number;
    role: "member" | "owner";
    user: string;
};
export type Present = {
    connections: number;
    name: string;
    since: number;
    user: string;
};
export type Room = {
    head: number;
    members: number;
    open: boolean;
    read?: number;
    room: string;
    title: string;
    unread?: number;
};
export type Stored = {
    duplicate?: true;
    room: string;
    seq: number;
    ts: number;
};
export type Stream = {
    age_ms?: number;
    binary: boolean;
    epoch?: string;
    keep: "latest" | number;
    seq: number;
    source?: {
        declared?: string;
        error?: string;
        failures: number;
        refused: number;
        state: "half-open" | "open" | "paused" | "running";
    };
    stream: string;
    subscribers: number;
    ts?: number;
};
export type Subscription = {
    epoch: string;
    replayed?: boolean;
    seq: number;
    snapshot?: any;
    stale?: {
        age_ms: number;
        since: number;
    };
    stream: string;
};
/**
 * What each request may have.
 */
export type Payloads = {
    "admin:add": {
        room: string;
        user: string;
    };
    "admin:connections": {
        after?: string;
        limit?: number;
    };
    "admin:disconnect": {
        connection?: undefined;
        user: string;
    } | {
        connection: string;
        user?: undefined;
    };
    "admin:pause": {
        stream: string;
    };
    "admin:push": {
        all?: undefined;
        connection?: undefined;
        payload?: Record<string, any>;
        room?: undefined;
        type: string;
        user?: undefined;
        users: string[];
    } | {
        all: true;
        connection?: undefined;
        payload?: Record<string, any>;
        room?: undefined;
        type: string;
        user?: undefined;
        users?: undefined;
    } | {
        all?: undefined;
        connection: string;
        payload?: Record<string, any>;
        room?: undefined;
        type: string;
        user?: undefined;
        users?: undefined;
    } | {
        all?: undefined;
        connection?: undefined;
        payload?: Record<string, any>;
        room: string;
        type: string;
        user?: undefined;
        users?: undefined;
    } | {
        all?: undefined;
        connection?: undefined;
        payload?: Record<string, any>;
        room?: undefined;
        type: string;
        user: string;
        users?: undefined;
    };
    "admin:resume": {
        stream: string;
    };
    "admin:user": {
        user: string;
    };
    "admin:users": {
        after?: string;
        limit?: number;
    };
    "auth": {
        resume?: boolean;
        token: string;
    };
    "auth:revoke": {
        before?: undefined;
        jti: string;
        user?: undefined;
    } | {
        before?: number;
        jti?: undefined;
        user: string;
    };
    "chat:ack": {
        room: string;
        rooms?: undefined;
        seq: number;
    } | {
        room?: undefined;
        rooms: Record<string, number>;
    };
    "chat:delete": {
        room: string;
        seq: number;
    };
    "chat:edit": {
        room: string;
        seq: number;
        text: string;
    };
    "chat:history": {
        after?: number;
        before?: number;
        limit?: number;
        room: string;
    };
    "chat:react": {
        emoji: string;
        on?: boolean;
        room: string;
        seq: number;
    };
    "chat:read": {
        room: string;
        seq: number;
    };
    "chat:send": {
        cid?: string;
        data?: any;
        reply_to?: number;
        room: string;
        text: string;
        to?: undefined;
    } | {
        cid?: string;
        data?: any;
        reply_to?: number;
        room?: undefined;
        text: string;
        to: string;
    };
    "chat:typing": {
        room: string;
        typing?: boolean;
    };
    "info": {
        after?: string;
    };
    "ping": {};
    "presence:list": {
        after?: string;
        limit?: number;
        room?: string;
    };
    "publish": {
        data: any;
        id?: string;
        stream: string;
    };
    "resume": {
        epoch: string;
        more?: boolean;
        rooms?: Record<string, number>;
    };
    "room:ban": {
        room: string;
        user: string;
    };
    "room:create": {
        members?: string[];
        open?: boolean;
        room?: string;
        title?: string;
    };
    "room:delete": {
        room: string;
    };
    "room:info": {
        room: string;
    };
    "room:invite": {
        room: string;
        user: string;
    };
    "room:join": {
        room: string;
    };
    "room:leave": {
        room: string;
    };
    "room:list": {
        after?: string;
        all?: boolean;
        limit?: number;
        open?: boolean;
    };
    "room:members": {
        after?: string;
        limit?: number;
        room: string;
    };
    "room:remove": {
        room: string;
        user: string;
    };
    "room:unban": {
        room: string;
        user: string;
    };
    "room:update": {
        open?: boolean;
        owner?: string;
        room: string;
        title?: string;
    };
    "stream:ack": {
        seq: number;
        stream: string;
    };
    "stream:get": {
        stream: string;
    };
    "stream:list": {
        after?: string;
        limit?: number;
    };
    "stream:subscribers": {
        after?: string;
        limit?: number;
        stream: string;
    };
    "subscribe": {
        epoch?: string;
        filter?: Record<string, any>;
        max_rate?: number;
        since?: number;
        stream: string;
        streams?: undefined;
    } | {
        epoch?: undefined;
        filter?: Record<string, any>;
        max_rate?: number;
        since?: undefined;
        stream?: undefined;
        streams: string[];
    };
    "unsubscribe": {
        stream: string;
        streams?: undefined;
    } | {
        stream?: undefined;
        streams: string[];
    };
};
/**
 * What the reply to each request has.
 */
export type Answers = {
    "admin:add": Room;
    "admin:connections": {
        connections: {
            address?: string;
            admin: boolean;
            connection: string;
            drops: number;
            errors: number;
            kind: "events" | "websocket";
            quality?: {
                jitter_ms: number;
                level: "critical" | "excellent" | "fair" | "good" | "poor";
                max_ms: number;
                mean_ms: number;
                min_ms: number;
                rtt_ms: number;
                stability: number;
            };
            received: number;
            received_bytes: number;
            sent: number;
            sent_bytes: number;
            stream?: string;
            user: string;
            waiting_bytes: number;
        }[];
        more: boolean;
    };
    "admin:disconnect": {
        closed: number;
    };
    "admin:pause": {
        state: "paused" | "running";
        stream: string;
    };
    "admin:push": {
        reached: number;
    };
    "admin:resume": {
        state: "paused" | "running";
        stream: string;
    };
    "admin:user": {
        connections: string[];
        name: string;
        online: boolean;
        since?: number;
        user: string;
    };
    "admin:users": {
        more: boolean;
        users: Present[];
    };
    "auth": {
        expires?: number;
        user: string;
    };
    "auth:revoke": {
        closed: number;
    };
    "chat:ack": {};
    "chat:delete": Stored;
    "chat:edit": Stored;
    "chat:history": {
        entries: Entry[];
        head: number;
        more: boolean;
        room: string;
    };
    "chat:react": Stored;
    "chat:read": {
        room: string;
        seq: number;
        unread: number;
    };
    "chat:send": Stored;
    "chat:typing": {};
    "info": {
        after?: string;
        connection?: string;
        counts: {
            connections: number;
            online?: number;
            rooms: number;
            waiting_at_store?: number;
            waiting_bytes?: number;
        };
        durability: "disk" | "memory";
        epoch: string;
        heartbeat_ms: number;
        http: {
            call: string;
            events: string;
        };
        invites: Invitation[];
        limits: Limits;
        presence: "everyone" | "off" | "rooms";
        protocol: number;
        rooms: Room[];
        server: string;
        streams: {
            binary: boolean;
            keep: "latest" | number;
            max_bytes: number;
            publish: boolean;
            stream: string;
            subscribe: boolean;
        }[];
        ts: number;
        types: string[];
        uptime_ms: number;
        user: {
            admin: boolean;
            anonymous?: true;
            id: string;
            name: string;
        };
    };
    "ping": {
        ts: number;
    };
    "presence:list": {
        more: boolean;
        users: Present[];
        version: number;
    };
    "publish": {
        duplicate?: true;
        seq: number;
        stream: string;
        ts: number;
    };
    "resume": {
        refused: Record<string, {
            code: "conflict" | "epoch_changed" | "gone" | "not_member";
            first?: number;
            head?: number;
        }>;
        rooms: Record<string, {
            from: number;
            head: number;
        }>;
    };
    "room:ban": {
        room: string;
        user: string;
    };
    "room:create": {
        head: number;
        invited?: string[];
        members: number;
        open: boolean;
        read?: number;
        room: string;
        title: string;
        unread?: number;
    };
    "room:delete": {
        room: string;
    };
    "room:info": Room;
    "room:invite": {
        room: string;
        user: string;
    };
    "room:join": Room;
    "room:leave": {
        room: string;
    };
    "room:list": {
        more: boolean;
        rooms: Room[];
    };
    "room:members": {
        members: Member[];
        more: boolean;
    };
    "room:remove": {
        room: string;
        user: string;
    };
    "room:unban": {
        room: string;
        user: string;
    };
    "room:update": Room;
    "stream:ack": {};
    "stream:get": {
        age_ms?: number;
        binary: boolean;
        data?: any;
        epoch?: string;
        keep: "latest" | number;
        seq: number;
        source?: {
            declared?: string;
            error?: string;
            failures: number;
            refused: number;
            state: "half-open" | "open" | "paused" | "running";
        };
        stream: string;
        subscribers: number;
        ts?: number;
    };
    "stream:list": {
        more: boolean;
        streams: Stream[];
    };
    "stream:subscribers": {
        more: boolean;
        seq: number;
        stream: string;
        subscribers: {
            acked?: number;
            connection: string;
            lag: number;
            sent: number;
        }[];
    };
    "subscribe": {
        streams: Subscription[];
    };
    "unsubscribe": {
        streams: string[];
    };
};
/**
 * What each of the server's own pushes has.
 */
export type Pushes = {
    "chat:deleted": {
        by: string;
        room: string;
        seq: number;
        target: number;
        ts: number;
    };
    "chat:delivered": {
        room: string;
        seq: number;
        user: string;
    };
    "chat:edited": {
        by: string;
        room: string;
        seq: number;
        target: number;
        text: string;
        ts: number;
        deleted?: undefined;
    } | {
        by: string;
        deleted: true;
        room: string;
        seq: number;
        target: number;
        ts: number;
        text?: undefined;
    };
    "chat:message": {
        cid?: string;
        data?: any;
        edited?: number;
        from: string;
        reactions?: Record<string, string[]>;
        reply_to?: number;
        room: string;
        seq: number;
        text: string;
        ts: number;
        deleted?: undefined;
    } | {
        cid?: string;
        deleted: true;
        edited?: number;
        from: string;
        reactions?: Record<string, string[]>;
        reply_to?: number;
        room: string;
        seq: number;
        ts: number;
        data?: undefined;
        text?: undefined;
    };
    "chat:reacted": {
        by: string;
        emoji: string;
        on: boolean;
        room: string;
        seq: number;
        target: number;
        ts: number;
    };
    "chat:read": {
        room: string;
        seq: number;
        user: string;
    };
    "chat:typing": {
        room: string;
        typing: boolean;
        user: string;
    };
    "error": {
        by?: "application";
        close?: number;
        code: string;
        count?: number;
        data?: any;
        field?: string;
        first?: number;
        limit?: number;
        message: string;
        retry_after_ms?: number;
    };
    "event": {
        data: any;
        prev: number;
        seq: number;
        stream: string;
        ts: number;
    };
    "hello": {
        after?: string;
        connection: string;
        durability: "disk" | "memory";
        epoch: string;
        heartbeat_ms: number;
        http: {
            call: string;
            events: string;
        };
        invites: Invitation[];
        limits: Limits;
        presence: "everyone" | "off" | "rooms";
        protocol: number;
        rooms: Room[];
        server: string;
        ts: number;
        user: {
            admin: boolean;
            anonymous?: true;
            id: string;
            name: string;
        };
    };
    "notice": {
        code: "unsubscribed";
        message: string;
        streams: string[];
        expires?: undefined;
        spread_ms?: undefined;
    } | {
        code: "token_expiring";
        expires: number;
        message: string;
        streams?: undefined;
        spread_ms?: undefined;
    } | {
        code: "draining";
        message: string;
        spread_ms: number;
        streams?: undefined;
        expires?: undefined;
    };
    "room:invited": Invitation;
    "room:joined": {
        by?: string;
        room: string;
        seq: number;
        ts: number;
        user: string;
    };
    "room:left": {
        by?: string;
        room: string;
        seq: number;
        ts: number;
        user: string;
    };
    "room:removed": {
        by?: string;
        reason: "banned" | "deleted" | "left" | "removed";
        room: string;
    };
    "room:updated": {
        by?: string;
        open: boolean;
        owner?: string;
        room: string;
        title: string;
    };
    "stream:stale": {
        age_ms: number;
        since: number;
        stale: true;
        stream: string;
    } | {
        stale: false;
        stream: string;
        age_ms?: undefined;
        since?: undefined;
    };
    "subscribed": {
        streams: Subscription[];
    };
    "user:count": {
        online: number;
        room?: string;
        version: number;
    };
    "user:offline": {
        room?: string;
        users: string[];
        version: number;
    };
    "user:online": {
        reset?: true;
        room?: string;
        users: string[];
        version: number;
    };
};
