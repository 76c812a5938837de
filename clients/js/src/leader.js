// One connection for all tabs of an origin: the tab that holds a lock has it, and forwards messages to and from the
// other tabs. To each tab's client it looks like a WebSocket of its own, which ends when the leader does; missed
// messages are then read and unsent ones resent with their `cid`, as after any loss.

import { bytesOf, isLog } from './stream.js';
import { wider } from './world.js';

/** @typedef {import('./env.js').Env} Env */
/** @typedef {{ to: string, from: string, kind: string, value?: any }} Note what tabs tell each other; `to` is a tab, the leader or all */
/** @typedef {{ seq: number, data: any, ts?: number }} Event */
/**
 * A stream that some tabs watch.
 * @typedef {object} Watched
 * @property {string} how the filter and the rate, which are the same for all
 * @property {any} [stale] since when nothing was heard of it, if it is told to be
 * @property {Set<string>} tabs
 * @property {{ tab: string, payload: any, own: any }[]} waiting those who are answered when it is there
 * @property {any} begun what the server said of it
 * @property {boolean} [isState] once it is known
 * @property {number} seq of its newest event
 * @property {Event[]} events what a tab that comes later is told
 * @property {{ seq: number, data: ArrayBuffer }} [frame] the newest of a stream of bytes, if it is a state
 */
/** What is done with a reply, or an error. @typedef {[onReply?: (payload: any) => void, onError?: (payload: any) => void]} Asked */

/** A leader that does not answer for so long is frozen, or gone without a word. */
const STALE_MS = 2_000;
/** What is kept of a log for tabs that come later: one that asks for more gets a snapshot of this. */
const EVENTS_MAX = 1_000;
const RETRY_MS = 1_000;
const LAST_WORDS_MS = 50;
const LEADER = 'leader';
const ALL = 'all';

/**
 * One connection for all tabs, as the option `tabs`. Without Web Locks and BroadcastChannel each tab has its own.
 * @param {{ name?: string }} [options] `name`: tabs of one name and URL share one
 * @returns {import('./client.js').Tabs}
 */
export function leaderTab({ name = 'parlor' } = {}) {
  return (own, url) => {
    const env = wider(own);
    return env.locks && env.BroadcastChannel ? { ...env, WebSocket: tabSocket(env, `${name}:${url}`) } : own;
  };
}

/** @param {Env} env @param {string} shared @returns {any} */
const tabSocket = (env, shared) => class TabSocket {
  binaryType = 'arraybuffer';
  /** @type {any} */ onopen = null;
  /** @type {any} */ onmessage = null;
  /** @type {any} */ onclose = null;
  /** @type {any} */ onerror = null;
  #id = `${Math.floor(env.random() * 2 ** 52).toString(36)}${env.now().toString(36)}`;
  // Clients identified by a token share nothing with clients identified otherwise.
  #key;
  #channel;
  #ends = new AbortController();
  /** @type {ReturnType<typeof hubOf> | null} when this is the leader */
  #hub = null;
  /** Whom this is connected by. @type {string | null} */
  #leader = null;
  /** Another connection, of a tab whose user is another. @type {import('./env.js').SocketLike | null} */
  #own = null;
  #isOpen = false;
  #isGreeted = false;
  #auth = '';

  /** @param {string} url */
  constructor(url) {
    this.url = url;
    this.#key = `${shared}:${new URL(url).searchParams.has('resume')}`;
    this.#channel = new /** @type {typeof BroadcastChannel} */ (env.BroadcastChannel)(this.#key);
    const [key, { signal }] = [this.#key, this.#ends];
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    // Held for as long as this socket lives, so that the leader can tell.
    void this.#hold(`${key}:${this.#id}`, { signal }, () => this.#tell('open'));
    void this.#hold(key, { signal }, () => this.#lead());
    const timer = env.setTimeout(() => {
      if (this.#leader === null) void this.#hold(key, { steal: true }, () => this.#lead());
    }, STALE_MS);
    signal.addEventListener('abort', () => env.clearTimeout(timer));
    // A frozen tab must not lead.
    env.document?.addEventListener('freeze', () => this.#hub && this.#end(1006), { signal });
  }

  /** @param {string} text */
  send(text) {
    if (text.startsWith('{"type":"auth"')) this.#auth = text;
    if (!this.#own) this.#tell('text', text);
    else if (this.#own.readyState === 1) this.#own.send(text);
  }

  close() {
    this.#own?.close();
    this.#end(1005);
  }

  /** Holds a lock until this ends, or somebody takes it away. @param {string} name @param {LockOptions} options @param {() => void} act */
  #hold(name, options, act) {
    const held = () => {
      if (this.#ends.signal.aborted || (this.#own && name === this.#key)) return;
      act();
      // It may have ended just now.
      if (this.#ends.signal.aborted) return;
      return new Promise((resolve) => this.#ends.signal.addEventListener('abort', resolve));
    };
    // Rejected if this socket ends before, or if another tab has stolen the lock.
    return env.locks?.request(name, options, held).catch(() => name === this.#key && this.#hub && this.#end(1006));
  }

  #lead() {
    // The former leader has ended, and with it this tab's connection. Its last message, if any, gives the reason.
    if (this.#leader !== null) return env.setTimeout(() => this.#end(1006), LAST_WORDS_MS);
    this.#hub = hubOf(env, this.url, this.#key, (note) => {
      if (note.to !== this.#id) this.#channel.postMessage(note);
      if (note.to === this.#id || note.to === ALL) this.#hear(note);
    });
    this.#hub.begin();
  }

  /** Tells the leader. @param {string} kind @param {any} [value] */
  #tell(kind, value) {
    const note = { to: LEADER, from: this.#id, kind, value };
    if (this.#hub) this.#hub.hear(note);
    else this.#channel.postMessage(note);
  }

  /** @param {Note} note */
  #hear(note) {
    const { to, from, kind, value } = note;
    if (this.#ends.signal.aborted || this.#own) return;
    if (to === LEADER) return this.#hub?.hear(note);
    if (kind === 'leads') {
      // The old leader was frozen, or ended without notice.
      if (this.#leader !== null && this.#leader !== from) this.#end(1006);
      else if (this.#leader === null) this.#tell('open');
      return;
    }
    if (to === this.#id && kind === 'here') this.#leader ??= from;
    if ((to !== this.#id && to !== ALL) || from !== this.#leader) return;
    if (kind === 'opened' && !this.#isOpen) {
      this.#isOpen = true;
      this.onopen?.({});
    } else if (kind === 'hello' || (kind === 'text' && (this.#isGreeted || to !== ALL))) {
      this.#isGreeted ||= kind === 'hello';
      this.onmessage?.({ data: value });
    } else if (kind === 'close') this.#end(value);
    else if (kind === 'alone') this.#leave();
  }

  /** A connection of its own, as the others are somebody else's. */
  #leave() {
    const own = new env.WebSocket(this.url);
    this.#tell('close');
    this.#own = own;
    own.binaryType = 'arraybuffer';
    own.onerror = () => {};
    own.onopen = () => own.send(this.#auth);
    own.onmessage = ({ data }) => this.onmessage?.({ data });
    own.onclose = ({ code }) => this.#end(code);
  }

  /** @param {number} code */
  #end(code) {
    if (this.#ends.signal.aborted) return;
    if (!this.#hub) this.#tell('close');
    this.#ends.abort();
    this.#hub?.close();
    this.#channel.close();
    this.onclose?.({ code });
  }
};

/**
 * The leader's end: the one connection, and what the tabs are to it.
 * @param {Env} env
 * @param {string} url
 * @param {string} key
 * @param {(note: Note) => void} post
 */
function hubOf(env, url, key, post) {
  const id = `${key}:${env.random()}`;
  const socket = new env.WebSocket(url);
  /** @type {any} */
  let hello = null;
  // Without a token the URL identifies the user, and every tab is greeted.
  /** @type {string | null} */
  let token = null;
  /** Whose that is: what is wrong with it is for them alone. */
  let owner = '';
  const isByUrl = new URL(url).searchParams.has('resume');
  /** @type {Map<string, { isIn: boolean, isGreeted: boolean }>} */
  const tabs = new Map();
  /** @type {Map<number, Asked>} */
  const asked = new Map();
  let lastId = 0;
  /** @type {Map<string, Watched>} */
  const streams = new Map();

  /** @param {string} to @param {string} kind @param {any} [value] */
  const tell = (to, kind, value) => post({ to, from: id, kind, value });
  /** @param {string} to @param {string} type @param {any} own @param {any} payload */
  const say = (to, type, own, payload) => tell(to, 'text', JSON.stringify({ type, id: own, payload }));

  /** @param {string} type @param {any} payload @param {Asked} then */
  const ask = (type, payload, ...then) => {
    if (socket.readyState !== 1) return;
    asked.set((lastId += 1), then);
    socket.send(JSON.stringify({ type, id: lastId, payload }));
  };

  /** Says hello to a tab, as of now. @param {string} tab */
  const greet = (tab) => {
    const known = tabs.get(tab);
    if (!known || !hello || known.isGreeted || !(isByUrl || known.isIn)) return;
    known.isGreeted = true;
    ask('info', {}, (payload) => {
      tell(tab, 'hello', JSON.stringify({ type: 'hello', payload: { ...payload, connection: hello.connection } }));
    }, ({ retry_after_ms }) => {
      known.isGreeted = false;
      env.setTimeout(() => greet(tab), retry_after_ms || RETRY_MS);
    });
  };

  /** @param {string} tab @param {string} text @param {string} given @param {any} own */
  const authenticate = (tab, text, given, own) => {
    const known = tabs.get(tab);
    const isFirst = token === null;
    const letIn = () => {
      if (known) known.isIn = true;
      if (own !== undefined) say(tab, 'reply', own, {});
      greet(tab);
    };
    if (isFirst) {
      [token, owner] = [given, tab];
      if (known) known.isIn = true;
      socket.send(text);
    } else if (given === token) letIn();
    else {
      ask('auth', { token: given }, () => {
        [token, owner] = [given, tab];
        letIn();
      }, (payload) => {
        if (known?.isIn) say(tab, 'error', own, { ...payload, close: undefined });
        else tell(tab, 'alone');
      });
    }
  };

  /** Tells a tab of a stream that is watched already. @param {string} tab @param {Watched} watched @param {any} payload @param {any} own */
  const join = (tab, { begun, seq, events, isState, frame, stale }, { stream, since, epoch }, own) => {
    const first = events[0]?.seq ?? seq + 1;
    const isKept = since !== undefined && epoch === begun.epoch && (isState ? since <= seq : since >= first - 1 && since <= seq);
    const snapshot = isKept || events.length === 0 ? undefined : isState ? events.at(-1)?.data : events;
    const began = { stream, seq, epoch: begun.epoch, replayed: since === undefined ? since : isKept, snapshot, stale };
    say(tab, 'reply', own, { streams: [began] });
    if (frame && (!isKept || since < seq)) tell(tab, 'text', frame.data);
    let prev = since;
    for (const event of isKept ? events.filter((one) => one.seq > since) : []) {
      say(tab, 'event', undefined, { stream, prev, ...event });
      prev = event.seq;
    }
  };

  /** @param {string} tab @param {any} payload @param {any} own */
  const watch = (tab, payload, own) => {
    const { stream, filter, max_rate } = payload;
    const how = JSON.stringify([filter, max_rate]);
    const watched = streams.get(stream);
    if (watched && watched.how !== how) {
      return say(tab, 'error', own, { code: 'conflict', message: 'another tab has another filter' });
    }
    /** @type {Watched} */
    const one = watched ?? { how, tabs: new Set(), waiting: [], begun: null, seq: 0, events: [] };
    streams.set(stream, one);
    one.tabs.add(tab);
    if (one.begun) return join(tab, one, payload, own);
    one.waiting.push({ tab, payload, own });
    if (watched) return;
    const begin = (/** @type {boolean} */ isState) => {
      one.isState = isState;
      if (!isState) one.frame = undefined;
      for (const next of one.waiting.splice(0)) join(next.tab, one, next.payload, next.own);
    };
    ask('subscribe', { stream, filter, max_rate }, ({ streams: [begun] }) => {
      one.begun = begun;
      one.seq = begun.seq;
      one.stale = begun.stale;
      const { snapshot, seq } = begun;
      if (snapshot !== undefined) {
        one.events = isLog(snapshot) ? [...snapshot] : [{ seq, data: snapshot }];
        return begin(!isLog(snapshot));
      }
      // The stream is empty, or its first messages are the snapshot.
      ask('stream:get', { stream }, ({ keep }) => begin(keep === 'latest'), () => begin(true));
    }, (refusal) => {
      if (streams.get(stream) === one) streams.delete(stream);
      for (const next of one.waiting) say(next.tab, 'error', next.own, refusal);
    });
  };

  /** @param {string} tab @param {string} stream */
  const unwatch = (tab, stream) => {
    const watched = streams.get(stream);
    watched?.tabs.delete(tab);
    if (watched?.tabs.size !== 0) return;
    streams.delete(stream);
    ask('unsubscribe', { stream });
  };

  /** @param {string} tab @param {string} text */
  const request = (tab, text) => {
    const { type, id: own, payload = {} } = JSON.parse(text);
    if (type === 'auth') return authenticate(tab, text, payload.token, own);
    // Missed messages are read; none are resent unasked.
    if (type === 'resume') return say(tab, 'reply', own, { rooms: {}, refused: {} });
    if (type === 'subscribe' && payload.stream) return watch(tab, payload, own);
    if (type === 'unsubscribe' && payload.stream) {
      unwatch(tab, payload.stream);
      return say(tab, 'reply', own, { streams: [payload.stream] });
    }
    if (own === undefined) return socket.send(text);
    ask(type, payload, (answer) => say(tab, 'reply', own, answer), (answer) => say(tab, 'error', own, answer));
  };

  /** @param {any} payload of `hello` */
  const begin = (payload) => {
    hello = payload;
    // All rooms continue from their current position: each tab reads what it has missed. Guests may not send `resume`.
    if (!payload.user.anonymous) ask('resume', { epoch: payload.epoch, rooms: {} }, undefined, () => socket.close());
    for (const tab of tabs.keys()) greet(tab);
  };

  /** @param {any} event of a stream */
  const keep = ({ stream, seq, data, ts }) => {
    const watched = streams.get(stream);
    if (!watched) return;
    if (watched.isState) watched.events = [];
    watched.seq = seq;
    watched.events.push({ seq, data, ts });
    if (watched.events.length > EVENTS_MAX) watched.events.shift();
  };

  socket.binaryType = 'arraybuffer';
  socket.onerror = () => {};
  socket.onopen = () => {
    for (const tab of tabs.keys()) tell(tab, 'opened');
  };
  socket.onclose = ({ code }) => {
    const isOfToken = token !== null && (code === 4001 || (code >= 4200 && code < 4300));
    // The leader's own tab is the first: its end closes the channel that the others are told over.
    for (const tab of [...tabs.keys()].reverse()) tell(tab, 'close', isOfToken && tab !== owner ? 1006 : code);
  };
  socket.onmessage = ({ data }) => {
    if (typeof data !== 'string') {
      const { name, seq } = bytesOf(data);
      const watched = streams.get(name);
      if (watched) watched.seq = seq;
      if (watched && watched.isState !== false) watched.frame = { seq, data };
      return tell(ALL, 'text', data);
    }
    const { type, id: own, payload = {} } = JSON.parse(data);
    const asker = own !== undefined && asked.get(own);
    if (asker) {
      asked.delete(own);
      return asker[type === 'reply' ? 0 : 1]?.(payload);
    }
    if (type === 'hello') return begin(payload);
    if (type === 'event') keep(payload);
    const aged = type === 'stream:stale' && streams.get(payload.stream);
    if (aged) aged.stale = payload.stale ? payload : undefined;
    if (payload.code === 'unsubscribed') for (const stream of payload.streams) streams.delete(stream);
    tell(ALL, 'text', data);
  };

  return {
    /** Whoever is there may ask for a connection. */
    begin: () => tell(ALL, 'leads'),

    /** @param {Note} note */
    hear({ from: tab, kind, value }) {
      if (kind === 'open') {
        if (tabs.has(tab)) return;
        tabs.set(tab, { isIn: false, isGreeted: false });
        tell(tab, 'here');
        void env.locks?.request(`${key}:${tab}`, () => this.hear({ to: LEADER, from: tab, kind: 'close' }));
        if (socket.readyState === 1) tell(tab, 'opened');
        greet(tab);
      } else if (kind === 'close') {
        tabs.delete(tab);
        for (const stream of streams.keys()) unwatch(tab, stream);
      } else if (tabs.has(tab) && socket.readyState === 1) request(tab, value);
    },

    close() {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
      tell(ALL, 'close', 1006);
    },
  };
}
