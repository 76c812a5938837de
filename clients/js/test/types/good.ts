// What must compile: each kind of use, with what is known of it.

import { Client, ParlorError, connect, eachTab, memoryOutbox } from 'parlor-client';
import type { Entry, Events, Gap, Hello, MessageEntry, Notice, Options, Presences, Quality, RoomSnapshot, State, Status, Step, Snapshot } from 'parlor-client';
import { indexedDbOutbox } from 'parlor-client/indexeddb';
import { leaderTab } from 'parlor-client/leader';
import { fakeBrowser, fakeClock, fakePage, fakeServer } from 'parlor-client/testing';

interface Waiting {
  number: number;
  waiting: string[];
}

interface Application {
  'queue.changed': { payload: Waiting };
  'queue.poke': {};
  'queue.join': { payload: { name: string }; answer: { number: number } };
  'queue.state': { answer: Waiting };
}

/** Holds only if both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<_ extends true>() {}

// --- what the application says of its own messages ---

const options: Options = {
  token: async ({ reason }) => (is<Same<typeof reason, 'first' | 'expiring' | 'rejected'>>(), 'token'),
  outbox: indexedDbOutbox(),
  backoff: { min: 100, jitter: 'none' },
  whenHidden: { afterMs: 60_000 },
  fallback: 'sse',
  tabs: leaderTab(),
};
const client = connect<Application>('/ws', options);
is<Same<typeof client, Client<Application>>>();

client.on('queue.changed', (payload) => is<Same<typeof payload, Waiting>>());
client.on('queue.poke', (payload) => is<Same<typeof payload, {}>>(), { signal: AbortSignal.timeout(1) });
const sent: boolean = client.send('queue.poke');
client.send('queue.changed', { number: 1, waiting: [] });
const joined = await client.request('queue.join', { name: 'Ada' }, { timeout: 1_000 });
is<Same<typeof joined, { number: number }>>();
const queue = await client.request('queue.state');
is<Same<typeof queue, Waiting>>();

// --- what is the client's, and the server's ---

client.on('state', (state) => {
  is<Same<typeof state, State>>();
  if (state.name === 'waiting') is<Same<typeof state.until, number>>();
  if (state.name === 'failed') is<Same<typeof state.code, number | string>>();
  if (state.name === 'online') is<Same<typeof state.via, 'sse' | undefined>>();
});
client.on('quality', (quality) => is<Same<typeof quality, Quality>>());
client.on('presence', (presences) => is<Same<typeof presences, Presences>>());
client.on('outbox', (room) => is<Same<typeof room, string>>());
client.on('stream', (name) => is<Same<typeof name, string>>());
client.on('rooms', (change) => {
  if (change?.what === 'entry') is<Same<typeof change.value, Entry>>();
  else is<Same<NonNullable<typeof change>['what'], 'read' | 'typing' | 'membership'>>();
});
client.on('notice', (notice) => {
  is<Same<typeof notice, Notice>>();
  if (notice.code === 'draining') is<Same<typeof notice.spread_ms, number>>();
});
client.on('error', ({ code, close }) => is<Same<[typeof code, typeof close], [string, number | undefined]>>());
client.on('room:invited', ({ room, by }) => is<Same<[typeof room, typeof by], [string, string]>>());
const list = await client.request('room:list', { open: true });
is<Same<(typeof list.rooms)[number]['room'], string>>();
await client.request('ping');
await client.request('admin:users', { limit: 3 });
const hello: Hello | null = client.hello;
const steps: Step[] = client.why();
const snapshot: Snapshot = client.snapshot();
const rooms: RoomSnapshot[] = snapshot.rooms;

// --- rooms ---

const room = client.room('tea');
room.on('message', (message) => {
  is<Same<typeof message, MessageEntry>>();
  if (message.deleted) is<Same<typeof message.text, undefined>>();
  else is<Same<typeof message.text, string>>();
}, { from: 'resume' });
room.on('reacted', ({ target, emoji, on, by }) => is<Same<[typeof target, typeof emoji, typeof on, typeof by], [number, string, boolean, string]>>());
room.on('joined', ({ user, type }) => is<Same<[typeof user, typeof type], [string, 'joined']>>(), { from: { seq: 3 } });
room.on('gap', (gap) => is<Same<typeof gap, Gap>>());
room.on('typing', ({ user, typing }) => is<Same<[typeof user, typeof typing], [string, boolean]>>());
room.on('refused', (error) => is<Same<typeof error, ParlorError>>());
for await (const entry of room.entries({ from: 'now' })) {
  switch (entry.type) {
    case 'message': is<Same<typeof entry.from, string>>(); break;
    case 'edited': case 'deleted': is<Same<typeof entry.target, number>>(); break;
    case 'reacted': is<Same<typeof entry.on, boolean>>(); break;
    case 'joined': case 'left': is<Same<typeof entry.user, string>>(); break;
    default: is<Same<typeof entry, never>>();
  }
}
const ticket = room.send('hello', { data: { mood: 1 }, replyTo: 3 });
const status: Status = ticket.status;
const { seq } = await ticket;
is<Same<typeof seq, number>>();
const { members } = await room.members();
is<Same<(typeof members)[number]['role'], 'owner' | 'member'>>();

// --- streams ---

const degrees = client.stream<{ degrees: number }>('machine:m1', { maxRate: 2, whenHidden: 'pause' });
degrees.on((data, event) => is<Same<[typeof data, typeof event.data, typeof event.seq], [{ degrees: number }, { degrees: number }, number]>>());
degrees.on('gap', ({ after }) => is<Same<typeof after, number>>());
degrees.on('refused', ({ code }) => is<Same<typeof code, string>>());
await degrees.publish({ degrees: 20 });
const again: true | undefined = (await degrees.publish({ degrees: 20 }, { id: 'a' })).duplicate;
void again;

// --- without a map, and where one is wanted that has none ---

const plain = connect('/ws', { outbox: memoryOutbox(), tabs: eachTab() });
plain.on('anything.at.all', (payload) => payload.of.any.shape);
plain.on('state', (state) => is<Same<typeof state, State>>());
plain.send('anything', { at: 'all' });
const answer = await plain.request('anything');
answer.of.any.shape;
const anyOf = (one: Client) => one.state.name;
anyOf(client);
anyOf(plain);
const typed: Client<Application> = connect('/ws');
type State2 = Events['state'];
is<Same<State2, State>>();

// --- a WebSocket that is not the browser's ---

/** As that of `ws` is declared. */
declare class NodeSocket {
  binaryType: 'nodebuffer' | 'arraybuffer' | 'fragments';
  readonly readyState: 0 | 1 | 2 | 3;
  onopen: ((event: { type: string; target: NodeSocket }) => void) | null;
  onmessage: ((event: { data: string | ArrayBuffer; target: NodeSocket }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: { error: any; message: string }) => void) | null;
  constructor(address: null);
  constructor(address: string | URL, options?: { origin?: string });
  send(data: string | ArrayBufferView, done?: (error?: Error) => void): void;
  close(code?: number, reason?: string): void;
}
connect('ws://host/ws', { env: { WebSocket: NodeSocket } });

// --- for tests ---

const server = fakeServer({ clock: fakeClock(), keep: 3 });
connect('ws://host/ws?user=ada', { env: { ...server.env, ...fakePage() } });
connect('ws://host/ws?user=ada', { env: fakeBrowser(server).tab().env });
await server.clock.advance(100);

export { hello, rooms, sent, status, steps, typed };
