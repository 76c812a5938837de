// What must not compile: each line with a marker, and no other.

import { connect } from 'parlor-client';
import { useChatWebSocket } from 'parlor-client/compat/sohbet';
import { useReliableWebSocket } from 'parlor-client/compat/tac';
import * as hooks from 'parlor-client/react';
import { hooksFor, useReceipts, type Connected, type Connection, type Draw, type Quality, type StreamOptions, type StreamStale } from 'parlor-client/react';
import * as dashboard from 'parlor-client/react/streams';
import * as streams from 'parlor-client/streams';

interface Application {
  'queue.changed': { payload: { waiting: number } };
  'queue.join': { payload: { name: string }; answer: { number: number } };
}

const client = connect<Application>('/ws');
client.on('queue.chnaged', () => {}); // error: TS2345
client.on('queue.changed', ({ wating }) => wating); // error: TS2339
client.on('state', ({ nam }) => nam); // error: TS2339
client.on('presence', ({ users }) => users[0].nme); // error: TS2551
client.send('queue.changed', { waiting: 'three' }); // error: TS2322
client.send('queue.changed'); // error: TS2554
client.send('queue.unheard', {}); // error: TS2345
await client.request('queue.join', { nmae: 'Ada' }); // error: TS2353
await client.request('queue.join'); // error: TS2554
// It has no answer.
await client.request('queue.changed', { waiting: 1 }); // error: TS2345
(await client.request('queue.join', { name: 'Ada' })).nmber; // error: TS2551
await client.request('room:lst'); // error: TS2345
await client.request('room:join', {}); // error: TS2345

const room = client.room('tea');
room.on('messge', () => {}); // error: TS2345
room.on('message', ({ emoji }) => emoji); // error: TS2339
// It may be deleted.
room.on('message', ({ text }) => text.length); // error: TS18048
room.on('entry', (entry) => entry.emoji); // error: TS2339
room.on('joined', ({ from }) => from); // error: TS2339
room.on('message', () => {}, { from: 'begining' }); // error: TS2322
room.send(3); // error: TS2345

const stream = client.stream<{ degrees: number }>('machine:m1');
stream.on(({ degres }) => degres); // error: TS2339
stream.on('gone', () => {}); // error: TS2769
stream.publish({ degrees: 'warm' }); // error: TS2322

connect('/ws', { backof: {} }); // error: TS2561
connect('/ws', { fallback: 'polling' }); // error: TS2322
connect('/ws', { whenHidden: { after: 3 } }); // error: TS2561
// What of a message is known has a name.
connect<{ 'queue.changed': { paylod: number } }>('/ws'); // error: TS2344

const { useOnMessage, useParlor } = hooksFor<Application>();
useOnMessage('queue.chnaged', () => {}); // error: TS2345
useOnMessage('queue.changed', ({ wating }) => wating); // error: TS2339
useParlor()?.send('queue.unheard', {}); // error: TS2345
useReceipts('tea').readby(3); // error: TS2551
useChatWebSocket('seven').sendMessage('x'); // error: TS2345
useReliableWebSocket<number, number>({ url: '', queryKey: [], queryFn: () => 'text', onMessage: () => {} }); // error: TS2322
useReliableWebSocket({ url: '', queryKey: [], queryFn: () => 1, onMessage: () => {} }).conectionQuality; // error: TS2551

hooks.ParlorProvider({ client: streams.connect('/ws') }); // error: TS2740
const alone = streams.connect<Application>('/ws');
alone.on('queue.chnaged', () => {}); // error: TS2345
alone.room('tea'); // error: TS2339
alone.snapshot().rooms; // error: TS2339
alone.listeners; // error: TS2445
streams.connect('/ws', { outbox: undefined }); // error: TS2353
dashboard.useParlor()?.room('tea'); // error: TS2339
dashboard.useStream<{ degrees: number }>('machine:m1').data?.degres; // error: TS2551
const known: [Connected['status'], Connection['why'], Draw, Quality['level'], StreamOptions['maxRate'], StreamStale['since']] | undefined = undefined;
void known;
