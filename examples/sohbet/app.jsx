// A small chat application, with its own sign-in, users and conversations.

import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import websocketService from 'parlor-client/compat/sohbet';
import { indexedDbOutbox } from 'parlor-client/indexeddb';
import { apiClient } from './api-client.js';
import { ChatList } from './chat-list.jsx';
import { ChatWindow } from './chat-window.jsx';
import { ConnectionStatus, WebSocketProvider } from './websocket-provider.jsx';

// What is not sent yet is there after a reload.
websocketService.configure({ outbox: indexedDbOutbox() });

function Login({ onLogin }) {
  const [error, setError] = useState('');
  const submit = async (event) => {
    event.preventDefault();
    const { error: why } = await apiClient.login(new FormData(event.target).get('username'));
    setError(why ?? '');
    if (!why) onLogin();
  };
  return (
    <form onSubmit={submit}>
      <input name="username" aria-label="Your name" maxLength={64} required autoFocus />
      <button type="submit">Come in</button>
      <span role="alert">{error}</span>
    </form>
  );
}

function App() {
  const [user, setUser] = useState(apiClient.user);
  const [selected, setSelected] = useState(null);
  if (!user) return <Login onLogin={() => setUser(apiClient.user)} />;
  const leave = () => {
    websocketService.disconnect();
    apiClient.logout();
    setSelected(null);
    setUser(null);
  };
  return (
    <WebSocketProvider>
      <header>
        <h1>Sohbet</h1>
        <span>{user.username}</span>
        <ConnectionStatus />
        <button type="button" onClick={leave}>Sign out</button>
      </header>
      <div className="chat">
        <ChatList currentUserId={user.id} selectedConversationId={selected?.id} onSelectConversation={setSelected} />
        {selected && <ChatWindow key={selected.id} conversationId={selected.id} currentUserId={user.id} otherUser={selected.other_user} />}
      </div>
    </WebSocketProvider>
  );
}

createRoot(document.getElementById('root')).render(<App />);
