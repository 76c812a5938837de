// The conversations that one has, with who is online.

import { useEffect, useState } from 'react';
import { useOnlineUsers, useWebSocketMessage } from 'parlor-client/compat/sohbet';
import { useUnread } from 'parlor-client/react';
import { apiClient } from './api-client.js';

export function ChatList({ currentUserId, selectedConversationId, onSelectConversation }) {
  const [conversations, setConversations] = useState([]);
  const [others, setOthers] = useState([]);
  const { isOnline, onlineUsers } = useOnlineUsers();

  const fetchAll = async () => {
    const { data } = await apiClient.getConversations();
    const { data: users } = await apiClient.getUsers();
    if (!data || !users) return;
    setOthers(users.users);
    setConversations(data.conversations.map((one) => {
      const other = one.user1_id === currentUserId ? one.user2_id : one.user1_id;
      return { ...one, other_user: users.users.find(({ id }) => id === other) ?? { id: other, username: String(other) } };
    }));
  };
  // Somebody who has never been here may come, or begin a conversation.
  useEffect(() => void fetchAll(), [onlineUsers.length]);
  useWebSocketMessage('chat:message', ({ payload }) => {
    if (!conversations.some(({ id }) => id === payload.conversation_id)) void fetchAll();
  }, [conversations]);

  const begin = async (id) => {
    const { data } = await apiClient.createConversation(id);
    if (!data) return;
    await fetchAll();
    onSelectConversation({ ...data, other_user: others.find((one) => one.id === id) });
  };
  const strangers = others.filter(({ id }) => !conversations.some(({ other_user: other }) => other.id === id));
  return (
    <nav aria-label="Conversations">
      <ul>
        {conversations.map((conversation) => (
          <li key={conversation.id}>
            <button type="button" aria-current={conversation.id === selectedConversationId || undefined} onClick={() => onSelectConversation(conversation)}>
              {conversation.other_user.username} {isOnline(conversation.other_user.id) ? '● online' : '○ offline'}
              <Unread conversation={conversation.id} />
            </button>
          </li>
        ))}
        {strangers.map(({ id, username }) => (
          <li key={`user ${id}`}>
            <button type="button" onClick={() => void begin(id)}>Write to {username}</button>
          </li>
        ))}
      </ul>
      {others.length === 0 && <p className="note">Nobody else is here yet: open this page in a second window.</p>}
    </nav>
  );
}

function Unread({ conversation }) {
  const count = useUnread(String(conversation));
  return count > 0 ? <strong> ({count} new)</strong> : null;
}
