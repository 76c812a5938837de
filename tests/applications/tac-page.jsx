import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import * as hooks from './app/client/src/hooks/useWebSocket.ts';

function Dashboard() {
  const [id, show] = useState('x1');
  globalThis.show = show;
  globalThis.state = {
    workflows: hooks.useWorkflowsWebSocket(),
    routes: hooks.useRoutesWebSocket(),
    history: hooks.useWorkflowHistoryWebSocket(),
    one: hooks.useADWStateWebSocket(id),
    monitor: hooks.useADWMonitorWebSocket(),
    queue: hooks.useQueueWebSocket(),
    system: hooks.useSystemStatusWebSocket(),
    webhook: hooks.useWebhookStatusWebSocket(),
    planned: hooks.usePlannedFeaturesWebSocket(),
  };
  return null;
}

createRoot(document.getElementById('root')).render(<Dashboard />);
