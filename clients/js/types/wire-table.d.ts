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
        user: string;
    } | {
        connection: string;
    };
    "admin:pause": {
        stream: string;
    };
    "admin:push": {
        payload?: Record<string, any>;
        type: string;
        users: string[];
    } | {
        all: true;
        payload?: Record<string, any>;
        type: string;
    } | {
        connection: string;
        payload?: Record<string, any>;
        type: string;
    } | {
        payload?: Record<string, any>;
        room: string;
        type: string;
    } | {
        payload?: Record<string, any>;
        type: string;
        user: string;
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
        jti: string;
    } | {
        before?: number;
        user: string;
    };
    "chat:ack": {
        room: string;
        seq: number;
    } | {
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
    } | {
        cid?: string;
        data?: any;
        reply_to?: number;
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
    } | {
        filter?: Record<string, any>;
        max_rate?: number;
        streams: string[];
    };
    "unsubscribe": {
        stream: string;
    } | {
        streams: string[];
    };
};
