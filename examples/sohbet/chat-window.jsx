// One conversation: what was said is read over HTTP, as the application does, and what is said comes by its hook. That a message
// has not gone out yet, and who has got and read it, comes from the hooks of parlor's own beside it.

import { useEffect, useState } from 'react';
import { useChatWebSocket } from 'parlor-client/compat/sohbet';
import { useOutbox, useReceipts, useRoom } from 'parlor-client/react';
import { apiClient } from './api-client.js';

export function ChatWindow({ conversationId, currentUserId, otherUser }) {
  const [messages, setMessages] = useState([]);
  const [newMessage, setNewMessage] = useState('');
  const room = String(conversationId);
  const { deliveredTo, readBy } = useReceipts(room);
  const { markRead, last } = useRoom(room);
  const unsent = useOutbox().messages.filter((message) => message.room === room);

  const add = (some) => setMessages((before) => {
    const known = new Set(before.map(({ id }) => id));
    return [...before, ...some.filter(({ id }) => !known.has(id))].sort((a, b) => a.id - b.id);
  });
  const { sendMessage, sendTyping, typingUsers } = useChatWebSocket(conversationId, (message) => add([message]));

  useEffect(() => {
    setMessages([]);
    void apiClient.getMessages(conversationId).then(({ data }) => data && add(data.messages));
  }, [conversationId]);
  // What stands here is read, while somebody looks.
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && last > 0 && markRead();
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [last, markRead]);

  const receipt = (id) => (readBy(id).length > 0 ? 'read' : deliveredTo(id).length > 0 ? 'delivered' : 'sent');
  const submit = (event) => {
    event.preventDefault();
    if (newMessage.trim() && sendMessage(newMessage.trim())) setNewMessage('');
  };
  return (
    <main>
      <h2>{otherUser.username}</h2>
      <ol aria-label="Messages">
        {messages.map(({ id, sender_id: sender, content }) => (
          <li key={id} className={sender === currentUserId ? 'own' : undefined}>
            {content}
            {sender === currentUserId && <small> ({receipt(id)})</small>}
          </li>
        ))}
        {unsent.map(({ id, text, status }) => (
          <li key={id} className="own">
            {text}<small> ({status === 'failed' || status === 'expired' ? 'not sent' : 'waits'})</small>
          </li>
        ))}
      </ol>
      {messages.length + unsent.length === 0 && <p className="note">Nothing was said yet.</p>}
      <p className="note" aria-live="polite">{typingUsers.includes(otherUser.id) ? `${otherUser.username} is typing…` : ''}</p>
      <form onSubmit={submit}>
        <input
          aria-label="Message"
          value={newMessage}
          onChange={(event) => {
            setNewMessage(event.target.value);
            sendTyping();
          }}
        />
        <button type="submit" disabled={!newMessage.trim()}>Send</button>
      </form>
    </main>
  );
}
