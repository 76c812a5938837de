import { createRoot } from 'react-dom/client';
import { ChatList } from './frontend/app/components/chat-list.tsx';
import { ChatWindow } from './frontend/app/components/chat-window.tsx';
import { ConnectionStatus, WebSocketProvider } from './frontend/app/components/websocket-provider.tsx';

const me = Number(new URLSearchParams(location.search).get('user'));
const other = { id: 3 - me, username: `user ${3 - me}` };
createRoot(document.getElementById('root')).render(
  <WebSocketProvider>
    <ConnectionStatus />
    <ChatList currentUserId={me} onSelectConversation={() => {}} />
    <ChatWindow conversationId={7} currentUserId={me} otherUser={other} />
  </WebSocketProvider>,
);
