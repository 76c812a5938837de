// Connects for all below it, and says how it stands, as the application's own components do.

import { useEffect, useState } from 'react';
import websocketService, { useWebSocket } from 'parlor-client/compat/sohbet';
import { apiClient } from './api-client.js';

export function WebSocketProvider({ children }) {
  const [token] = useState(() => apiClient.getToken());
  useWebSocket(token);
  return <>{children}</>;
}

export function ConnectionStatus() {
  const [connected, setConnected] = useState(() => websocketService.isConnected());
  useEffect(() => websocketService.onConnectionChange(setConnected), []);
  return <span role="status">{connected ? 'Connected' : 'Reconnecting…'}</span>;
}
