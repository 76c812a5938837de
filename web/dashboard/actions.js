// What an administrator does here: the buttons of `parlor admin`. Each asks first, says what it will do, and shows the
// server's answer or refusal. The server writes each into its audit log.

import { el, setText } from '../text.js';

const byId = (id) => document.getElementById(id);

const text = (name, label, value = '', hint = null) => ({ name, label, value, hint });
const PUSH = [text('type', 'Type of the message', 'app:news', 'The application\'s own; it is not stored'), text('payload', 'Payload, a JSON object', '{}')];

/** A push to somebody: `to` is `{connection}`, `{users}`, `{room}` or `{all}`. */
const push = (whom, to) => ({
  label: 'Push',
  about: whom,
  title: `Push to ${whom}`,
  what: 'A message of the application to whoever is connected now.',
  fields: PUSH,
  go: 'Push',
  request: ({ type, payload }) => ['admin:push', { ...to, type, payload: JSON.parse(payload) }],
  done: ({ reached }) => `Reached ${reached} connections.`,
});

const kick = (whom, payload) => ({
  label: 'Kick',
  about: whom,
  title: `End ${whom}?`,
  what: 'It is closed with 4003. Whoever has a good token can come back.',
  go: 'Kick',
  isDanger: true,
  request: () => ['admin:disconnect', payload],
  done: ({ closed }) => `Ended ${closed} connections.`,
});

/** The buttons of a row, by table. */
export const ACTIONS = {
  connections: ({ connection, user }) => [kick(`connection ${connection} of ${user}`, { connection }), push(`connection ${connection} of ${user}`, { connection })],
  users: ({ user }) => [
    kick(`all connections of ${user}`, { user }),
    {
      label: 'Revoke',
      about: `all tokens of ${user}`,
      title: `Revoke all tokens of ${user}?`,
      what: 'All tokens and sign-ins of this user until now end, with their connections. New tokens are good.',
      go: 'Revoke',
      isDanger: true,
      request: () => ['auth:revoke', { user }],
      done: ({ closed }) => `Revoked; ended ${closed} connections.`,
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
      if (!signal.aborted) setText(byId('act-error'), `Refused: ${error.message || error.code}`);
    } finally {
      go.disabled = false;
    }
  }, { signal });
  dialog.showModal();
}
