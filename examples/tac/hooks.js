// A hook for each view, as the application has them: what comes by WebSocket, and by HTTP while that does not work, is one state.

import { useState } from 'react';
import { useReliableWebSocket } from 'parlor-client/compat/tac';

const { address } = await (await fetch('/parlor')).json();
const socket = (path) => `ws://${address}/api/v1/ws/${path}`;
const query = (path) => async () => {
  const response = await fetch(`/${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
};

/** The newest data of a view, whether its source is silent, and how its connection is. */
function useView(path, type, { from = (answer) => answer, enabled = true, hasQuery = true } = {}) {
  const [data, setData] = useState(null);
  const [isStale, setStale] = useState(false);
  const connection = useReliableWebSocket({
    url: enabled ? socket(path) : '',
    queryKey: [path],
    queryFn: hasQuery ? query(path) : () => Promise.reject(new Error('there is no address for it')),
    onMessage: (message) => {
      if (message.type === 'stream:stale') {
        setStale(message.data.stale);
        return;
      }
      setData(message.type === type ? message.data : from(message));
      setStale(false);
    },
    enabled,
    pollingInterval: 5_000,
  });
  return { data, isStale, ...connection };
}

export const useWorkflowsWebSocket = () => useView('workflows', 'workflows_update');
export const useRoutesWebSocket = () => useView('routes', 'routes_update', { from: ({ routes }) => routes });
export const useWorkflowHistoryWebSocket = () => useView('workflow-history', 'workflow_history_update');
export const useADWMonitorWebSocket = () => useView('adw-monitor', 'adw_monitor_update');
export const useQueueWebSocket = () => useView('queue', 'queue_update');
export const useSystemStatusWebSocket = () => useView('system-status', 'system_status_update');
export const useWebhookStatusWebSocket = () => useView('webhook-status', 'webhook_status_update', { hasQuery: false });
export const useADWStateWebSocket = (id) => useView(`adw-state/${id}`, 'adw_state_update', { enabled: id !== null });
