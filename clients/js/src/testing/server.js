// A server in memory that speaks the wire's protocol, with faults on demand.

import { fakeClock } from './page.js';

/** As it is now: a test may play an engine that has none. */
const { URL: WebURL } = globalThis;

/** @typedef {import('../env.js').Env} Env */
/** @typedef {{ type: string, id?: any, payload: any }} Message */
/** @typedef {{ entries: Message[], head: number, members: Set<string>, reads: Map<string, number>, delivered: Map<string, number>, cids: Map<string, Message>, title?: string }} Log */

/**
 * A server in memory: the requests of the client's own methods, and those that `handle` is given. `env` has its
 * `WebSocket` and its clock.
 * @param {{ clock?: ReturnType<typeof fakeClock>, keep?: number, limits?: any }} [options] `keep`: entries that a log keeps
 */
export function fakeServer({ clock = fakeClock(), keep = Infinity, limits = {} } = {}) {
  /** @type {Map<string, Log>} */
  const rooms = new Map();
  /** `published`: by whom and with which id. @type {Map<string, { seq: number, epoch: string, data: any, ts: number, published?: string }>} */
  const streams = new Map();
  /** @type {Set<any>} */
  const sockets = new Set();
  /** @type {Map<string, { code: string, [member: string]: any }[]>} */
  const refusals = new Map();
  let epoch = 'epoch-1';
  let lastConnection = 0;
  // Faults applied to connections, requests and answers.
  const faults = { unreachable: false, silent: false, loseReplies: 0, rejectTokens: 0 };

  const room = (/** @type {string} */ name) => {
    /** @type {Log} */
    const made = rooms.get(name) ?? { entries: [], head: 0, members: new Set(), reads: new Map(), delivered: new Map(), cids: new Map() };
    rooms.set(name, made);
    return made;
  };

  /** @param {string} name @param {string} type @param {any} payload */
  const append = (name, type, payload) => {
    const of = room(name);
    const push = { type, payload: { room: name, seq: (of.head += 1), ts: clock.now(), ...payload } };
    of.entries.push(push);
    if (of.entries.length > keep) of.entries.splice(0, of.entries.length - keep);
    for (const socket of sockets) {
      if (of.members.has(socket.user) && socket.follows(name)) socket.say(withoutCid(push, socket.user));
    }
    return push;
  };

  /** Moves a mark of a member, and tells the room. @param {string} type @param {'reads' | 'delivered'} which @param {string} name @param {string} user @param {number} seq */
  const mark = (type, which, name, user, seq) => {
    const { members, [which]: marks } = room(name);
    if (!members.has(user) || seq <= (marks.get(user) ?? 0)) return;
    marks.set(user, seq);
    for (const socket of sockets) {
      if (socket.user === user ? type === 'chat:read' : members.has(socket.user) && members.size <= 50) socket.say({ type, payload: { room: name, user, seq } });
    }
  };

  /** @param {Message} push @param {string} user */
  const withoutCid = (push, user) => (push.payload.from === user ? push : { ...push, payload: { ...push.payload, cid: undefined } });
  const unread = (/** @type {Log} */ of, /** @type {string} */ user) =>
    of.entries.filter(({ type, payload }) => type === 'chat:message' && payload.from !== user && payload.seq > (of.reads.get(user) ?? 0)).length;
  const summary = (/** @type {string} */ name, /** @type {string} */ user) => {
    const of = room(name);
    return { room: name, title: of.title ?? '', head: of.head, read: of.reads.get(user) ?? 0, unread: unread(of, user), members: of.members.size };
  };
  const page = (/** @type {Log} */ of, /** @type {{ after?: number, before?: number, limit?: number }} */ { after, before, limit = 200 }) => {
    const most = Math.min(limit, 200);
    const first = of.head - of.entries.length + 1;
    if (after !== undefined && after + 1 < first) throw { code: 'gone', first };
    const all = of.entries.filter(({ payload: { seq } }) => (after === undefined || seq > after) && (before === undefined || seq < before));
    const entries = after === undefined ? all.slice(-most) : all.slice(0, most);
    return { entries: entries.map((push) => newest(of, push)), head: of.head, more: all.length > entries.length };
  };
  /** As it stands in a history: a message with what it has become. @param {Log} of @param {Message} push @returns {Message} */
  const newest = (of, push) => {
    const { seq, target } = push.payload;
    const changes = of.entries.filter(({ payload }) => payload.target === (push.type === 'chat:message' ? seq : target));
    const isDeleted = changes.some(({ type }) => type === 'chat:deleted');
    if (isDeleted && push.type === 'chat:edited') return { ...push, payload: { ...push.payload, text: undefined, deleted: true } };
    if (push.type !== 'chat:message' || changes.length === 0) return push;
    if (isDeleted) return { ...push, payload: { ...push.payload, text: undefined, data: undefined, deleted: true } };
    const edit = changes.findLast(({ type }) => type === 'chat:edited')?.payload;
    /** @type {Record<string, string[]>} */
    const reactions = {};
    for (const { type, payload } of changes) {
      if (type !== 'chat:reacted') continue;
      const others = (reactions[payload.emoji] ?? []).filter((user) => user !== payload.by);
      reactions[payload.emoji] = payload.on === false ? others : [...others, payload.by];
      if (reactions[payload.emoji].length === 0) delete reactions[payload.emoji];
    }
    const has = Object.keys(reactions).length > 0;
    return { ...push, payload: { ...push.payload, ...(edit && { text: edit.text, edited: edit.seq }), ...(has && { reactions }) } };
  };

  /** A message of bytes. @param {string} name @param {{ seq: number, data: Uint8Array }} event */
  const bytes = (name, { seq, data }) => {
    const known = new TextEncoder().encode(name);
    const message = new Uint8Array(1 + known.length + 8 + data.length);
    message.set([known.length, ...known]);
    new DataView(message.buffer).setBigUint64(1 + known.length, BigInt(seq));
    message.set(data, 1 + known.length + 8);
    return message.buffer;
  };

  const joined = (/** @type {string} */ user) => [...rooms].filter(([, of]) => of.members.has(user)).map(([name]) => name);
  const greeting = (/** @type {string} */ user) => ({
    protocol: 1, server: 'fake', epoch, ts: clock.now(), user: { id: user, name: user, admin: false },
    heartbeat_ms: 25_000, limits: { message_bytes: 65_536, requests_per_second: 1_000, burst: 1_000, ...limits },
    presence: 'everyone', rooms: joined(user).map((name) => summary(name, user)),
  });

  /** @type {Record<string, (socket: any, payload: any) => any>} */
  const requests = {
    ping: () => ({ ts: clock.now() }),
    auth: (socket, { token }) => {
      if (token.split('.')[0] !== socket.user) throw { code: 'unauthorized' };
      return { user: socket.user };
    },
    info: (socket) => ({ ...greeting(socket.user), counts: {} }),
    resume: (socket, { epoch: known, rooms: positions = {}, more }) => {
      /** @type {any} */
      const answer = { rooms: {}, refused: {} };
      /** @type {Message[]} */
      const replays = [];
      for (const [name, seq] of Object.entries(positions)) {
        const of = rooms.get(name);
        socket.waits.delete(name);
        if (!of?.members.has(socket.user)) answer.refused[name] = { code: 'not_member' };
        else if (known !== epoch || seq > of.head || seq + 1 < of.head - of.entries.length + 1) {
          answer.refused[name] = { code: known === epoch ? 'gone' : 'epoch_changed', head: of.head };
          socket.waits.add(name);
        } else {
          answer.rooms[name] = { from: seq, head: of.head };
          replays.push(...of.entries.filter(({ payload }) => payload.seq > seq).map((push) => newest(of, push)));
        }
      }
      if (!more) for (const name of [...socket.waits]) if (!answer.refused[name]) socket.waits.delete(name);
      queueMicrotask(() => replays.forEach((push) => socket.say(withoutCid(push, socket.user))));
      return answer;
    },
    'room:join': (socket, { room: name }) => {
      const of = room(name);
      if (!of.members.has(socket.user)) {
        of.members.add(socket.user);
        of.reads.set(socket.user, append(name, 'room:joined', { user: socket.user }).payload.seq);
      }
      return summary(name, socket.user);
    },
    'room:info': (socket, { room: name }) => {
      if (!rooms.get(name)?.members.has(socket.user)) throw { code: 'not_member' };
      return summary(name, socket.user);
    },
    'room:leave': (socket, { room: name }) => {
      append(name, 'room:left', { user: socket.user });
      room(name).members.delete(socket.user);
      socket.say({ type: 'room:removed', payload: { room: name, reason: 'left' } });
      return { room: name };
    },
    'chat:send': (socket, { room: name, to, text, data, cid, reply_to }) => {
      const where = name ?? `dm:${[socket.user, to].sort().join(':')}`;
      const of = room(where);
      if (to) [socket.user, to].forEach((user) => of.members.add(user));
      if (!of.members.has(socket.user)) throw { code: 'not_member' };
      const first = of.cids.get(`${socket.user} ${cid}`);
      const push = first ?? append(where, 'chat:message', { from: socket.user, text, data, reply_to, cid });
      if (cid) of.cids.set(`${socket.user} ${cid}`, push);
      const { seq, ts } = push.payload;
      return { room: where, seq, ts, ...(first && { duplicate: true }) };
    },
    'chat:edit': (socket, { room: name, seq, text }) => append(name, 'chat:edited', { target: seq, text, by: socket.user }).payload,
    'chat:delete': (socket, { room: name, seq }) => append(name, 'chat:deleted', { target: seq, by: socket.user }).payload,
    'chat:react': (socket, { room: name, seq, emoji, on }) => append(name, 'chat:reacted', { target: seq, emoji, on, by: socket.user }).payload,
    'chat:history': (socket, { room: name, ...bounds }) => {
      const of = rooms.get(name);
      if (!of?.members.has(socket.user)) throw { code: 'not_member' };
      const found = page(of, bounds);
      socket.waits.delete(name);
      return { room: name, ...found, entries: found.entries.map((push) => withoutCid(push, socket.user)) };
    },
    'chat:read': (socket, { room: name, seq }) => {
      mark('chat:read', 'reads', name, socket.user, seq);
      return { room: name, seq, unread: unread(room(name), socket.user) };
    },
    'chat:ack': ({ user }, { rooms: acked }) => {
      for (const [name, seq] of Object.entries(acked)) mark('chat:delivered', 'delivered', name, user, seq);
      return {};
    },
    'chat:typing': (socket, { room: name, typing = true }) => {
      for (const other of sockets) {
        if (other.user !== socket.user && room(name).members.has(other.user)) other.say({ type: 'chat:typing', payload: { room: name, user: socket.user, typing } });
      }
      return {};
    },
    'presence:list': () => ({ users: [...new Set([...sockets].map(({ user }) => user))].map((user) => ({ user, name: user })), version: 1, more: false }),
    subscribe: (socket, { stream: name, since, epoch: known }) => {
      const stream = streams.get(name);
      if (!stream) throw { code: 'no_such_stream' };
      socket.streams.set(name, stream.seq);
      const replayed = since === undefined ? undefined : known === stream.epoch && since === stream.seq;
      const isTold = !replayed && stream.seq > 0;
      if (isTold && stream.data instanceof Uint8Array) queueMicrotask(() => socket.say(bytes(name, stream)));
      const snapshot = isTold && !(stream.data instanceof Uint8Array) ? { snapshot: stream.data } : {};
      return { streams: [{ stream: name, seq: stream.seq, epoch: stream.epoch, ...snapshot, ...(replayed !== undefined && { replayed }) }] };
    },
    'stream:get': (_, { stream: name }) => {
      const stream = streams.get(name);
      if (!stream) throw { code: 'no_such_stream' };
      return { stream: name, keep: 'latest', ...stream };
    },
    publish: ({ user }, { stream: name, data, id }) => {
      const published = id === undefined ? undefined : `${user} ${id}`;
      const first = streams.get(name);
      if (published && first?.published === published) {
        if (JSON.stringify(first.data) !== JSON.stringify(data)) throw { code: 'duplicate_mismatch' };
        return { stream: name, seq: first.seq, ts: first.ts, duplicate: true };
      }
      const { seq, ts } = server.publish(name, data, published);
      return { stream: name, seq, ts };
    },
    'room:members': (_, { room: name, limit = Infinity }) => {
      const { members, reads, delivered } = room(name);
      const all = [...members].sort().map((user) => ({ user, name: user, role: 'member', read: reads.get(user) ?? 0, delivered: delivered.get(user) ?? 0 }));
      return { members: all.slice(0, limit), more: all.length > limit };
    },
    unsubscribe: (socket, { stream: name }) => (socket.streams.delete(name), { streams: [name] }),
  };

  class FakeWebSocket extends EventTarget {
    readyState = 0;
    binaryType = 'blob';
    /** @type {any} */ onopen = null;
    /** @type {any} */ onmessage = null;
    /** @type {any} */ onclose = null;
    /** @type {any} */ onerror = null;
    user = '';
    /** Rooms of which nothing is said before a position is. @type {Set<string>} */
    waits = new Set();
    /** @type {Map<string, number>} */
    streams = new Map();
    /** What it was sent, in order. @type {Message[]} */
    heard = [];

    /** @param {string} url */
    constructor(url) {
      super();
      this.url = new WebURL(url);
      server.attempts += 1;
      clock.setTimeout(() => {
        if (this.readyState !== 0) return;
        if (faults.unreachable) return this.end(1006);
        this.readyState = 1;
        sockets.add(this);
        this.onopen?.({});
        const user = this.url.searchParams.get('user');
        if (user) this.greet(user, this.url.searchParams.has('resume'));
      }, 1);
    }

    /** @param {string} user @param {boolean} resumes */
    greet(user, resumes) {
      this.user = user;
      if (resumes) this.waits = new Set(joined(user));
      lastConnection += 1;
      this.say({ type: 'hello', payload: { ...greeting(user), connection: String(lastConnection) } });
    }

    /** @param {string} name */
    follows(name) {
      return !this.waits.has(name);
    }

    /** @param {any} message */
    say(message) {
      if (faults.silent) return;
      // In a later turn, as from a network.
      const data = message instanceof ArrayBuffer ? message : JSON.stringify(message);
      clock.setTimeout(() => this.readyState === 1 && this.onmessage?.({ data }), 1);
    }

    /** @param {string} text */
    send(text) {
      const { type, id, payload = {} } = JSON.parse(text);
      if (faults.silent) return;
      this.heard.push({ type, id, payload });
      if (type === 'auth' && !this.user) {
        if (faults.rejectTokens > 0) {
          faults.rejectTokens -= 1;
          this.say({ type: 'error', payload: { code: 'unauthorized', message: 'the token is not good', close: 4001 } });
          return this.end(4001);
        }
        return this.greet(payload.token.split('.')[0], payload.resume === true);
      }
      const refusal = refusals.get(type)?.shift();
      try {
        if (refusal) throw refusal;
        if (!requests[type]) throw { code: 'unknown_type' };
        const answer = requests[type](this, payload);
        if (id === undefined) return;
        if (faults.loseReplies > 0) faults.loseReplies -= 1;
        else this.say({ type: 'reply', id, payload: answer });
      } catch (/** @type {any} */ error) {
        if (!error.code) throw error;
        if (id !== undefined) this.say({ type: 'error', id, payload: { message: error.code, ...error } });
      }
    }

    /** @param {number} code */
    end(code) {
      clock.setTimeout(() => {
        if (this.readyState === 3) return;
        this.readyState = 3;
        sockets.delete(this);
        this.onclose?.({ code });
      }, 1);
    }

    /** @param {number} [code] */
    close(code = 1005) {
      sockets.delete(this);
      this.end(code);
    }
  }

  const server = {
    clock,
    faults,
    rooms,
    /** How many WebSockets were asked for. */
    attempts: 0,
    env: /** @type {Partial<Env>} */ (/** @type {unknown} */ ({
      now: clock.now, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, random: () => 0.5, WebSocket: FakeWebSocket,
      document: undefined, window: undefined, location: undefined, locks: undefined, BroadcastChannel: undefined, indexedDB: undefined,
    })),
    /** The connections that are open. */
    get sockets() {
      return [...sockets];
    },
    /** Somebody says something, on no connection. @param {string} name @param {string} from @param {string} text */
    say(name, from, text) {
      room(name).members.add(from);
      return append(name, 'chat:message', { from, text }).payload.seq;
    },
    /** Puts an entry of any kind into a room's log. @param {string} name @param {string} type @param {any} payload */
    append(name, type, payload) {
      return append(name, type, payload).payload.seq;
    },
    /** Makes somebody a member. @param {string} name @param {string} user */
    admit(name, user) {
      room(name).members.add(user);
    },
    /** Publishes to a stream, which comes into being; a `Uint8Array` as bytes. @param {string} name @param {any} data @param {string} [published] */
    publish(name, data, published) {
      const { seq: before, epoch } = streams.get(name) ?? { seq: 0, epoch: `stream-${streams.size}` };
      const stream = { seq: before + 1, epoch, data, ts: clock.now(), published };
      streams.set(name, stream);
      for (const socket of sockets) {
        const prev = socket.streams.get(name);
        if (prev === undefined) continue;
        socket.streams.set(name, stream.seq);
        if (data instanceof Uint8Array) socket.say(bytes(name, stream));
        else socket.say({ type: 'event', payload: { stream: name, seq: stream.seq, prev, data, ts: stream.ts } });
      }
      return stream;
    },
    /** Sends everybody a message. @param {string} type @param {any} payload */
    push(type, payload) {
      for (const socket of sockets) socket.say({ type, payload });
    },
    /**
     * Answers requests of a type; what it throws with a `code` refuses them.
     * @param {string} type
     * @param {(payload: any, user: string) => any} fn
     */
    handle(type, fn) {
      requests[type] = (socket, payload) => fn(payload, socket.user);
    },
    /** The next requests of a type are refused with these. @param {string} type @param {...{ code: string, [member: string]: any }} with_ */
    refuse(type, ...with_) {
      refusals.set(type, [...(refusals.get(type) ?? []), ...with_]);
    },
    /** Ends all connections: with a close code, or as a network does. @param {number} [code] */
    cut(code = 1006) {
      for (const socket of [...sockets]) {
        sockets.delete(socket);
        socket.end(code);
      }
    },
    /** Announces a restart, and carries it out. @param {number} spread_ms */
    drain(spread_ms) {
      this.push('notice', { code: 'draining', message: 'the server restarts', spread_ms });
      clock.setTimeout(() => this.cut(1012), 500);
    },
    /** Begins all logs anew, as after a loss of the store. */
    forget() {
      epoch = `epoch-${Number(epoch.split('-')[1]) + 1}`;
      for (const [name, stream] of streams) Object.assign(stream, { seq: 0, data: undefined, epoch: `${epoch}-${name}` });
      for (const of of rooms.values()) Object.assign(of, { entries: [], head: 0, reads: new Map(), delivered: new Map(), cids: new Map() });
    },
  };
  return server;
}
