// A dashboard of seven views, and of one workflow that is looked at.

import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import * as hooks from './hooks.js';

const post = (path, value) => fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) });

function View({ title, of, children }) {
  const { isConnected, isStale, connectionQuality, reconnectAttempts, data } = of;
  const how = !isConnected ? `reconnecting (${reconnectAttempts})` : isStale ? 'stale' : connectionQuality === 'disconnected' ? 'quiet' : connectionQuality;
  return (
    <section aria-label={title}>
      <h2>{title} <small role="status">{how}</small></h2>
      {data === null ? <p>Nothing yet.</p> : children(data)}
    </section>
  );
}

const List = ({ all, empty, item }) => (all.length === 0 ? <p>{empty}</p> : <ul>{all.map((one, at) => <li key={one.adw_id ?? at}>{item(one)}</li>)}</ul>);

function Dashboard() {
  const [chosen, choose] = useState(null);
  const [error, setError] = useState('');
  const monitor = hooks.useADWMonitorWebSocket();
  const one = hooks.useADWStateWebSocket(chosen);
  const queue = hooks.useQueueWebSocket();
  const act = async (path, value) => {
    const response = await post(path, value).catch(() => null);
    setError(response?.ok ? '' : 'The application does not take it; try again.');
  };
  const submit = (event) => {
    event.preventDefault();
    void act('/requests', { title: new FormData(event.target).get('title') });
    event.target.reset();
  };
  return (
    <>
      <h1>Workflows</h1>
      <form onSubmit={submit}>
        <input name="title" aria-label="What is to be done" maxLength={200} required />
        <button type="submit">Request</button>
        <button type="button" onClick={() => void act('/pause', { paused: !queue.data?.paused })}>{queue.data?.paused ? 'Go on' : 'Pause'}</button>
        <button type="button" onClick={() => void act('/pushes', { ref: `refs/heads/at-${Date.now()}` })}>Push</button>
      </form>
      <p role="alert">{error}</p>
      <div className="views">
        <View title="Active" of={hooks.useWorkflowsWebSocket()}>
          {(all) => <List all={all} empty="None." item={({ adw_id: id, title, status }) => <button type="button" onClick={() => choose(id)}>{title}: {status}</button>} />}
        </View>
        <View title="Monitor" of={monitor}>
          {({ summary }) => <p>{summary.queued} queued, {summary.running} running, {summary.completed} completed</p>}
        </View>
        <View title="Queue" of={queue}>
          {({ phases, paused }) => <List all={phases} empty={paused ? 'Paused.' : 'Nobody waits.'} item={({ title }) => title} />}
        </View>
        <View title="History" of={hooks.useWorkflowHistoryWebSocket()}>
          {({ workflows }) => <List all={workflows} empty="Nothing is done yet." item={({ title }) => title} />}
        </View>
        <View title="System" of={hooks.useSystemStatusWebSocket()}>{({ overall_status: status }) => <p>{status}</p>}</View>
        <View title="Webhook" of={hooks.useWebhookStatusWebSocket()}>{({ ref }) => <p>{ref}</p>}</View>
        <View title="Routes" of={hooks.useRoutesWebSocket()}>{(all) => <List all={all} empty="None." item={({ method, path }) => `${method} ${path}`} />}</View>
        {chosen && (
          <View title="Chosen" of={one}>
            {({ title, status, step }) => <p>{title}: {status}{step && `, ${step}`} <button type="button" onClick={() => choose(null)}>Close</button></p>}
          </View>
        )}
      </div>
    </>
  );
}

createRoot(document.getElementById('root')).render(<Dashboard />);
