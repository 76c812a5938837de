// Receipts of a room's other members: up to which entry they have received and read it. It is a file of its own, loaded
// only by pages that show receipts.

/** @typedef {import('./client.js').Client} Client */
/**
 * How far somebody has come: the `seq` up to which it was delivered to them, and up to which they have read.
 * @typedef {{ user: string, name: string, delivered: number, read: number }} Receipt
 */
/** @typedef {{ user: string, read?: number, delivered?: number, isNew?: boolean }} Move */

/** In larger rooms the server tells of nobody's marks. */
const MEMBERS_MAX = 50;
const RETRY_MS = 2_000;
/** @type {Pick<import('./env.js').Env, 'setTimeout' | 'clearTimeout'>} */
const WORLD = { setTimeout: (fn, ms) => setTimeout(fn, ms), clearTimeout: (timer) => clearTimeout(timer) };

/**
 * Reads them, once one is a member, and follows them.
 * @param {Client} client
 * @param {string} name
 * @param {(marks: Receipt[]) => void} fn is told of each change: those of the others, by user id; of nobody in a larger room
 * @param {Pick<import('./env.js').Env, 'setTimeout' | 'clearTimeout'>} [env]
 * @returns {() => void} ends it
 */
export function watchReceipts(client, name, fn, env = WORLD) {
  const ends = new AbortController();
  const { signal } = ends;
  /** @type {Map<string, Receipt>} */
  let known = new Map();
  /** What came while the list did: it may be newer than that. @type {Move[] | null} */
  let early = null;
  let isListed = false;
  /** @type {any} */
  let timer;
  /** @type {import('./room.js').Room} */
  let room;
  let bound = new AbortController();

  const tell = (now = known) => {
    known = now.size > MEMBERS_MAX ? new Map() : now;
    fn([...known.values()].filter(({ user }) => user !== client.snapshot().user?.id).sort((a, b) => (a.user < b.user ? -1 : 1)));
  };

  /** @param {Move} of */
  const move = (of) => {
    if (early) return void early.push(of);
    const { user } = of;
    // If no member is known, the room is too large or not known itself.
    const before = known.get(user) ?? (of.isNew && known.size > 0 ? { user, name: user, read: -1, delivered: 0 } : null);
    if (!before) return;
    const read = Math.max(before.read, of.read ?? 0);
    const delivered = Math.max(before.delivered, of.delivered ?? 0, read);
    if (read === before.read && delivered === before.delivered) return;
    known.set(user, { ...before, read, delivered });
    tell();
  };

  const list = async () => {
    const mine = (early = /** @type {Move[]} */ ([]));
    isListed = true;
    try {
      const { members } = await room.members({ limit: MEMBERS_MAX + 1 });
      if (mine !== early) return;
      early = null;
      tell(new Map(members.map(({ user, name: called, read, delivered }) => [user, { user, name: called, read, delivered: Math.max(read, delivered) }])));
      mine.forEach(move);
    } catch (failure) {
      if (mine !== early) return;
      early = null;
      if (!(/** @type {import('./errors.js').ParlorError} */ (failure).passing)) return;
      isListed = false;
      timer = env.setTimeout(settle, RETRY_MS);
    }
  };

  const settle = () => {
    const now = client.room(name);
    const isAnother = now !== room;
    // Pushes are lost while disconnected: the list is read anew.
    if (isAnother || client.state.name !== 'online' || now.membership !== 'member') {
      isListed = false;
      early = null;
      env.clearTimeout(timer);
    }
    // Another user has another room object.
    if (isAnother) {
      room = now;
      bound.abort();
      bound = new AbortController();
      const options = { signal: bound.signal };
      room.on('read', ({ user, seq }) => move({ user, read: seq }), options);
      room.on('delivered', ({ user, seq }) => move({ user, delivered: seq }), options);
      // A user who writes has read everything before; a user who joins begins there.
      room.on('message', ({ from, seq }) => move({ user: from, read: seq }), options);
      room.on('joined', ({ user, seq }) => move({ user, read: seq, isNew: true }), options);
      room.on('left', ({ user }) => known.delete(user) && tell(), options);
      tell(new Map());
    }
    if (!isListed && client.state.name === 'online' && now.membership === 'member') void list();
  };

  client.on('rooms', (change) => (change?.what ?? 'membership') === 'membership' && settle(), { signal });
  client.on('state', settle, { signal });
  settle();
  return () => {
    ends.abort();
    bound.abort();
    env.clearTimeout(timer);
  };
}
