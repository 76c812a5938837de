// The adapters for Vue, Svelte and React Native, as they are used.

import { createApp, ref, type Ref } from 'vue';
import { connect } from 'parlor-client';
import { nativeEnv, storageOutbox } from 'parlor-client/native';
import { connect as connectStreams } from 'parlor-client/streams';
import * as svelte from 'parlor-client/svelte';
import * as vue from 'parlor-client/vue';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>() => void 0 as T | undefined;

interface Application {
  'queue.changed': { payload: { waiting: number } };
  'queue.join': { payload: { name: string }; answer: { number: number } };
}

// --- Vue ---

createApp({}).use(vue.parlor, connect<Application>('/ws'));
createApp({}).use(vue.parlor, connectStreams('/ws')).use(vue.parlor, null);
const room = vue.useRoom(ref('tea'), { join: true });
is<Same<[typeof room.isMember.value, typeof room.unread.value, typeof room.last.value], [boolean, number, number]>>();
vue.useUnread(() => null as string | null);
is<Same<(typeof room.messages.value)[number]['seq'], number | undefined>>();
room.send('hello').id.length;
const board = vue.useStream<{ degrees: number }>(() => 'machine:m1');
is<Same<typeof board.data.value, { degrees: number } | undefined>>();
void board.publish({ degrees: 3 });
const unread: Ref<number> = vue.useUnread();
void unread;
vue.useReceipts('tea').readBy(3).join();
const { useOnMessage, useParlor } = vue.composablesFor<Application>();
useOnMessage('queue.changed', ({ waiting }) => is<Same<typeof waiting, number>>());
void useParlor()?.request('queue.join', { name: 'Ada' }).then(({ number }) => is<Same<typeof number, number>>());
// @ts-expect-error: there is no such message.
useOnMessage('queue.chnaged', () => {});
// @ts-expect-error: it is degrees.
board.data.value?.degres;

// --- Svelte ---

svelte.setParlor(connectStreams('/ws'));
const tea = svelte.useRoom('tea');
tea.subscribe(({ messages, isMember }) => is<Same<typeof isMember, boolean>>() ?? messages[0]?.text?.length);
tea.send('hello').cancel();
svelte.useStream<{ degrees: number }>('machine:m1').subscribe(({ data }) => is<Same<typeof data, { degrees: number } | undefined>>());
svelte.useConnection().subscribe(({ status }) => status === 'live');
svelte.storesFor<Application>().useOnMessage('queue.changed', ({ waiting }) => is<Same<typeof waiting, number>>());
// @ts-expect-error: a store has no such member.
svelte.useUnread().value;

// --- React Native ---

const AppState = { currentState: 'active' as string | null, addEventListener: (_type: 'change', _fn: (state: string) => void) => ({ remove() {} }) };
const storage = { getItem: async () => null, setItem: async () => {}, removeItem: async () => {}, getAllKeys: async () => [] as readonly string[] };
const outbox = storageOutbox(storage);
connect('wss://host/ws', { env: nativeEnv({ AppState }), outbox, user: 'ada' });
void outbox.signOut({ keep: true });
// @ts-expect-error: it wants the application's state.
nativeEnv({});
