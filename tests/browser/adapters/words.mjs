// What the pages of all adapters show, so that one test reads them all.

export const roomText = ({ name, isMember, title, membership, refusal, typists, messages }, { readBy, deliveredTo }) => JSON.stringify({
  name, isMember, title, membership, refusal: refusal?.code, typists,
  messages: messages.map(({ text, status }) => `${text} ${status}`),
  read: messages.filter(({ seq }) => seq).map(({ seq }) => readBy(seq).join()),
  delivered: messages.filter(({ seq }) => seq).map(({ seq }) => deliveredTo(seq).join()),
});

export const houseText = ({ state, status, isOnline, users, isBobHere, count, failed, unread, typing, shown, quality }) => JSON.stringify({
  state, status, isOnline, users: users.map(({ user }) => user), isBobHere, count, failed, unread, typing, shown: shown.length, measured: quality !== null,
});

export const boardText = ({ data, seq, stale, refusal, told }) => JSON.stringify({ data, seq, stale: stale !== null, refusal: refusal?.code, told });
