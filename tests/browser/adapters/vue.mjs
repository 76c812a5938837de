// What the tests of the adapters have in a page, in Vue.

import { createApp, createSSRApp, defineComponent, effectScope, h, ref } from 'vue';
import * as parlor from '../../../clients/js/src/vue.js';
import Sample from './sample.vue';
import { boardText, houseText, roomText } from './words.mjs';

const Chat = defineComponent({
  props: ['room', 'join', 'leaves'],
  setup(props) {
    const room = parlor.useRoom(() => props.room, { join: props.join, leaveOnUnmount: props.leaves });
    const receipts = parlor.useReceipts(() => props.room);
    Object.assign(globalThis, { room });
    const all = () => ({ name: room.name.value, isMember: room.isMember.value, title: room.title.value, membership: room.membership.value, refusal: room.refusal.value, typists: room.typists.value, messages: room.messages.value });
    return () => h('pre', { id: 'room' }, roomText(all(), receipts));
  },
});

const House = defineComponent({
  props: ['room'],
  setup(props) {
    const { state, status, isOnline, why, retryNow, pause } = parlor.useConnection();
    const { users, isOnline: isHere } = parlor.usePresence();
    const { count, failed, messages, retry, cancel } = parlor.useOutbox();
    const total = parlor.useUnread();
    const typing = parlor.useTyping(() => props.room);
    const shown = parlor.useMessages(() => props.room);
    const quality = parlor.useQuality();
    Object.assign(globalThis, { connection: { why, retryNow, pause }, outbox: { retry, cancel, messages: () => messages.value }, client: parlor.useParlor() });
    return () => h('pre', { id: 'house' }, houseText({
      state: state.value, status: status.value, isOnline: isOnline.value, users: users.value, isBobHere: isHere('bob'), count: count.value, failed: failed.value,
      unread: total.value, typing: typing.value, shown: shown.value, quality: quality.value,
    }));
  },
});

const Board = defineComponent({
  setup() {
    const board = parlor.useStream('board');
    const fed = parlor.useStream('fed', { whenHidden: 'pause' });
    const staff = parlor.useStream('staff');
    const told = ref([]);
    parlor.useOnMessage('hello.you', (payload) => told.value.push(payload));
    Object.assign(globalThis, { board });
    return () => h('pre', { id: 'board' }, boardText({ data: board.data.value, seq: board.seq.value, stale: fed.stale.value, refusal: staff.refusal.value, told: told.value }));
  },
});

export const Root = defineComponent({
  props: ['begin'],
  setup(props) {
    const shown = ref(props.begin);
    globalThis.show = (next) => (shown.value = { ...shown.value, ...next });
    return () => {
      const { room, join, leaves, chat, board, house } = shown.value;
      return h('main', [house && h(House, { room }), chat && h(Chat, { room, join, leaves }), board && h(Board)]);
    };
  },
});

/** Draws it; `isDrawn`: a server has drawn it. Returns what takes it away. */
export function mount(client, begin, isDrawn = false) {
  const app = (isDrawn ? createSSRApp : createApp)(Root, { begin });
  app.use(parlor.parlor, client);
  app.config.warnHandler = (message) => console.error(message);
  app.mount('#root');
  return () => app.unmount();
}

/** The component that stands in the README. */
export function mountSample(client, name) {
  createApp(Sample, { name }).use(parlor.parlor, client).mount('#root');
}

/** Two components with a client of their own each, below one that has another. */
export function mountTwo(client, other) {
  const Who = (id) => defineComponent({
    setup() {
      const { data } = parlor.useStream('board');
      const mine = parlor.useParlor();
      return () => h('i', { id }, `${data.value} ${mine === client} ${mine === other}`);
    },
  });
  const [Above, Below] = [Who('above'), Who('below')];
  const Gives = defineComponent({
    setup() {
      parlor.provideParlor(other);
      return () => h(Below);
    },
  });
  createApp({ render: () => h('div', [h(Above), h(Gives)]) }).use(parlor.parlor, client).mount('#root');
}

/** Two components that share what the first of them asked for, as a server has drawn them; returns what takes the first away. */
export function mountShared(client) {
  const scope = effectScope(true);
  let shared;
  const useBoard = () => (shared ??= scope.run(() => parlor.useStream('board')));
  const One = (id) => defineComponent({
    setup() {
      const { data } = useBoard();
      return () => h('i', { id }, data.value);
    },
  });
  const [First, Second] = [One('first'), One('second')];
  const isFirst = ref(true);
  const root = document.getElementById('root');
  root.innerHTML = '<div><i id="first"></i><i id="second"></i></div>';
  createSSRApp({ render: () => h('div', [isFirst.value ? h(First) : null, h(Second)]) }).use(parlor.parlor, client).mount(root);
  return () => (isFirst.value = false);
}
