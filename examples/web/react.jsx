// A chat in React: a room, who is here and who types, and the connection's state.

import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ConnectionBadge, ParlorProvider, usePresence, useRoom } from 'parlor-client/react';

const query = new URLSearchParams(location.search);
const user = query.get('user') ?? `guest${Math.floor(Math.random() * 1_000)}`;
const parlor = query.get('parlor') ?? 'http://127.0.0.1:8080';

function Chat() {
  const room = useRoom('tea', { join: true });
  const { users } = usePresence();
  const [text, setText] = useState('');

  const say = (event) => {
    event.preventDefault();
    room.send(text);
    setText('');
  };

  return (
    <>
      <h1>Tea <ConnectionBadge /></h1>
      <p>Here: {users.map(({ name }) => name).join(', ')}</p>
      {room.hasOlder && <button onClick={room.loadOlder}>Older</button>}
      <ol id="messages" aria-live="polite">
        {room.messages.map((message) => <Message key={message.key} {...message} room={room} />)}
      </ol>
      <p id="typists">{room.typists.length > 0 ? `${room.typists.join(', ')} …` : '\u00a0'}</p>
      <form onSubmit={say}>
        <input aria-label="Message" required value={text} onChange={({ target }) => { setText(target.value); room.typing(target.value !== ''); }} />
        <button>Send</button>
      </form>
    </>
  );
}

function Message({ from, text, deleted, status, id, room }) {
  if (deleted) return null;
  return (
    <li className={status === 'acked' ? '' : 'unsent'}>
      {from}: {text}
      {status === 'failed' || status === 'expired' ? <button onClick={() => room.retry(id)}>Send again</button> : null}
    </li>
  );
}

createRoot(document.getElementById('root')).render(
  <ParlorProvider url={`${parlor}/ws?user=${encodeURIComponent(user)}`}>
    <Chat />
  </ParlorProvider>,
);
