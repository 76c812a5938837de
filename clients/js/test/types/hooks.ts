// The hooks: those of the package, typed by an application's map, and those of the applications that were there before.

import websocketService, {
  useChatWebSocket, useOnlineUsers, useWebSocket, useWebSocketMessage, websocketService as named, type ChatMessagePayload, type MessageHandler, type WebSocketMessage,
} from 'parlor-client/compat/sohbet';
import useReliable, { useReliableWebSocket, type ConnectionState } from 'parlor-client/compat/tac';
import * as parlor from 'parlor-client/react';
import * as dashboard from 'parlor-client/react/streams';
import { connect as connectStreams } from 'parlor-client/streams';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>() => void 0 as T | undefined;

interface Application {
  'queue.changed': { payload: { waiting: number } };
  'queue.join': { payload: { name: string }; answer: { number: number } };
}
const { useOnMessage, useParlor } = parlor.hooksFor<Application>();

export function Queue() {
  useOnMessage('queue.changed', ({ waiting }) => is<Same<typeof waiting, number>>());
  useOnMessage('chat:typing', ({ user, typing }) => is<Same<[typeof user, typeof typing], [string, boolean]>>());
  const client = useParlor();
  void client?.request('queue.join', { name: 'Ada' }).then(({ number }) => is<Same<typeof number, number>>());
  const { readBy, deliveredTo, marks } = parlor.useReceipts('tea');
  is<Same<[ReturnType<typeof readBy>, ReturnType<typeof deliveredTo>, (typeof marks)[number]['read']], [string[], string[], number]>>();
  return null;
}

/** Those for streams alone take both clients. */
export function Board() {
  const { data, stale } = dashboard.useStream<{ degrees: number }>('machine:m1');
  is<Same<[typeof data, typeof stale], [{ degrees: number } | undefined, { since: number; ageMs: number } | null]>>();
  dashboard.hooksFor<Application>().useOnMessage('queue.changed', ({ waiting }) => is<Same<typeof waiting, number>>());
  void connectStreams<Application>('/ws').request('queue.join', { name: 'Ada' }).then(({ number }) => is<Same<typeof number, number>>());
  return dashboard.ParlorProvider({ client: connectStreams('/ws'), children: parlor.ParlorProvider({ url: '/ws', options: { outbox: undefined } }) });
}

// --- as Sohbet's own components use theirs ---

interface Message extends ChatMessagePayload {
  id: number;
  created_at: string;
}

export function Chat({ conversationId, otherUser }: { conversationId: number | null; otherUser: { id: number } }) {
  const messages: Message[] = [];
  const { connected } = useWebSocket(null as string | null);
  const handler: MessageHandler = (message: WebSocketMessage) => {
    const payload = message.payload;
    if ('conversation_id' in payload && payload.conversation_id === conversationId) messages.push(payload as Message);
  };
  useWebSocketMessage('chat:message', handler, [conversationId]);
  useWebSocketMessage('user:online', (message) => {
    if ('user_id' in message.payload) is<Same<number, number>>();
  });
  const { sendMessage, sendTyping, typingUsers } = useChatWebSocket(conversationId, (message) => message.content.length);
  const { isOnline, onlineUsers } = useOnlineUsers();
  const sent: boolean = sendMessage('hello') && sendTyping();
  const isTyping: boolean = typingUsers.includes(otherUser.id) && isOnline(otherUser.id) && onlineUsers.includes(2);
  websocketService.on('chat:message', handler);
  websocketService.off('chat:message', handler);
  const ended: () => void = named.onConnectionChange((isThere: boolean) => isThere);
  const taken: boolean = websocketService.send('voice:join', { channel_id: 3 });
  return [connected, sent, isTyping, ended, taken, websocketService.sendChatMessage(7, 'x')].length;
}

// --- as the dashboards of tac-webbuilder use theirs ---

interface Update {
  type: 'queue_update';
  data: { phases: string[] };
}
const getQueue = async () => ({ phases: ['one'], paused: false });

export function Dashboard() {
  const state = useReliableWebSocket<{ phases: string[]; paused: boolean }, Update>({
    url: 'ws://host/api/v1/ws/queue',
    queryKey: ['queue'],
    queryFn: getQueue,
    onMessage: (message) => is<Same<typeof message.data.phases, string[]>>(),
    maxReconnectAttempts: 5,
  });
  is<Same<typeof state, ConnectionState>>();
  is<Same<typeof useReliable, typeof useReliableWebSocket>>();
  const quality: 'excellent' | 'good' | 'poor' | 'disconnected' = state.connectionQuality;
  return [quality, state.lastUpdated?.getTime(), state.reconnectAttempts + 1].length;
}
