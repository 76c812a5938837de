// What an administrator does here: the buttons of `parlor admin`. Each asks first, says what it will do, and shows the
// server's answer or refusal. The server writes each into its audit log.

import { counted, el, setText } from '../text.js';
import { Refused } from './link.js';

const byId = (id) => document.getElementById(id);

const text = (name, label, value = '', hint = null) => ({ name, label, value, hint });
const PUSH = [text('type', 'Type of the message', 'app:news', 'One of your application, which alone shows it. The chat page of this server does not.'), text('payload', 'Payload, a JSON object', '{}')];

/** A push to somebody: `to` is `{connection}`, `{users}`, `{room}` or `{all}`. */
const push = (whom, to) => ({
  label: 'Push',
  about: whom,
  title: `Push to ${whom}`,
  what: 'A message of your application to whoever is connected now. It is not stored.',
  fields: PUSH,
  go: 'Push',
  request: ({ type, payload }) => ['admin:push', { ...to, type, payload: JSON.parse(payload) }],
  refused: ({ field }) => (field === 'type' ? 'This type is parlor\'s own, or too long; use one of your application, as app:news.' : null),
  done: ({ reached }) => `Reached ${counted(reached, 'connection')}.`,
});

const disconnect = (whom, payload, what) => ({
  label: 'Disconnect',
  about: whom,
  title: `Disconnect ${whom}?`,
  what: `${what} closed. Whoever has a valid token can come back.`,
  go: 'Disconnect',
  isDanger: true,
  request: () => ['admin:disconnect', payload],
  done: ({ closed }) => `Disconnected ${counted(closed, 'connection')}.`,
});

/** The buttons of a row, by table. */
export const ACTIONS = {
  connections: ({ connection, user }) => [disconnect(`connection ${connection} of ${user}`, { connection }, 'It is'), push(`connection ${connection} of ${user}`, { connection })],
  users: ({ user }) => [
    disconnect(`all connections of ${user}`, { user }, 'They are'),
    {
      label: 'Revoke',
      about: `all tokens of ${user}`,
      title: `Revoke all tokens of ${user}?`,
      what: 'All tokens and sign-ins of this user until now end, with their connections. New tokens are valid.',
      go: 'Revoke',
      isDanger: true,
      request: () => ['auth:revoke', { user }],
      done: ({ closed }) => `Revoked; disconnected ${counted(closed, 'connection')}.`,
    },
    push(`all connections of ${user}`, { users: [user] }),
  ],
  rooms: ({ room }) => [
    {
      label: 'Invite',
      about: `somebody into ${room}`,
      title: `Make somebody a member of ${room}`,
      what: 'The user is a member from then on, whether or not the room is open.',
      fields: [text('user', 'User id')],
      go: 'Invite',
      request: ({ user }) => ['admin:add', { room, user: user.trim() }],
      done: (_, { user }) => `${user.trim()} is a member of ${room}.`,
    },
    push(`the connections that follow ${room}`, { room }),
  ],
  streams: ({ stream, source }) => source === undefined ? [] : [{
    label: source.state === 'paused' ? 'Resume' : 'Pause',
    about: `the source of ${stream}`,
    title: `${source.state === 'paused' ? 'Resume' : 'Pause'} the source of ${stream}?`,
    what: 'Its subscribers stay.',
    go: source.state === 'paused' ? 'Resume' : 'Pause',
    request: () => [source.state === 'paused' ? 'admin:resume' : 'admin:pause', { stream: source.declared ?? stream }],
    done: ({ state }) => `The source of ${stream} is ${state}.`,
  }],
  audit: () => [],
};

export const PUSH_TO_ALL = push('all connections', { all: true });

/** Asks, then does it. `ask(type, payload)` sends a request; `told(sentence)` shows what came of it. */
export function carryOut(action, ask, told) {
  const dialog = byId('act');
  const form = dialog.querySelector('form');
  const go = byId('act-go');
  setText(byId('act-title'), action.title);
  setText(byId('act-what'), action.what);
  setText(byId('act-error'), '');
  setText(go, action.go);
  go.classList.toggle('danger', action.isDanger === true);
  go.disabled = false;
  const inputs = (action.fields ?? []).map(({ name, label, value, hint }) => {
    const described = hint ? `act-${name}-hint` : null;
    const input = el('input', { id: `act-${name}`, name, type: 'text', value, required: true, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', 'aria-describedby': described });
    return [input, el('label', { for: `act-${name}` }, label), input, hint && el('p', { id: described, class: 'hint' }, hint)];
  });
  byId('act-fields').replaceChildren(...inputs.flatMap(([, ...nodes]) => nodes.filter(Boolean)));
  const ended = new AbortController();
  const { signal } = ended;
  dialog.addEventListener('close', () => ended.abort(), { once: true });
  dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close(), { signal });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(inputs.map(([input]) => [input.name, input.value]));
    let request;
    try {
      request = action.request(values);
    } catch {
      return setText(byId('act-error'), 'The payload is not JSON.');
    }
    go.disabled = true;
    try {
      const answer = await ask(...request);
      if (signal.aborted) return;
      dialog.close();
      told(action.done(answer, values));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) setText(byId('act-error'), action.refused?.(error) ?? `Refused: ${error.message}`);
      else setText(byId('act-error'), 'The server does not answer: whether it was done is not known.');
    } finally {
      go.disabled = false;
    }
  }, { signal });
  dialog.showModal();
}
