// Sentences for the client's codes (docs/protocol.md, "Closing" and "Refusals"). The server's own message beside a code
// is for programs, and is not shown.

import { verdict } from './client/errors.js';

const CLOSED = {
  1001: 'The server was stopped.',
  1002: 'The server and this page do not understand each other.',
  1003: 'The server did not accept what this page sent.',
  1006: 'The connection was lost.',
  1007: 'The server did not accept what this page sent.',
  1009: 'A message was too large for the server.',
  1012: 'The server is restarting.',
  4000: 'The server treated this page as a faulty client.',
  4001: 'The server did not accept who you are.',
  4002: 'Signing in took too long.',
  4004: 'This name already has as many windows open as the server allows.',
  4101: 'The connection was too slow to keep up.',
  4102: 'The connection stopped responding.',
  4103: 'Too many requests were sent in a short time.',
  4104: 'The server could not keep up.',
  4200: 'Your sign-in has expired.',
  4201: 'You were signed out.',
};

/** Why a connection ended, as a sentence. */
export function closedBecause(code) {
  return CLOSED[code] ?? {
    ends: `The server ended the connection for good (code ${code}).`,
    'asks for a token': 'You are no longer signed in.',
    'comes back': 'The connection was lost.',
  }[verdict(code)];
}

/** Whether a connection has ended for good because the user is no longer signed in. */
export function wantsLink({ name, code }) {
  return name === 'failed' && (code === 4001 || verdict(code) === 'asks for a token');
}

/** Why the user is no longer in a room, as a sentence without its end. */
export function removedBecause(reason, room) {
  switch (reason) {
    case 'deleted':
      return `${room} was deleted`;
    case 'banned':
      return `You were banned from ${room}`;
    case 'removed':
      return `You were removed from ${room}`;
    default:
      return `You are no longer in ${room}`;
  }
}

const REFUSED = {
  bad_request: 'the server did not accept it',
  closed: 'the connection was closed for good',
  conflict: 'that name is taken, or was used by a room that is gone',
  disconnected: 'there is no connection at the moment',
  duplicate_mismatch: 'it was sent before with another text',
  expired: 'it is too old to be sent without asking you',
  forbidden: 'you may not do that here',
  gone: 'it is no longer kept',
  internal: 'the server had a problem',
  not_member: 'you are not in this room',
  outbox_full: 'too many messages are waiting to be sent',
  overloaded: 'the server is overloaded',
  quota: 'the server\'s limit for that is reached',
  rate_limited: 'you are sending too fast',
  timeout: 'the server did not answer in time',
  too_large: 'it is too long',
  unconfirmed: 'it was written before the server had confirmed who you are',
  unavailable: 'the server cannot store anything at the moment',
};

/** Why something was refused, as the second half of a sentence. */
export function because(error) {
  return REFUSED[error?.code] ?? error?.message ?? 'the server did not say why';
}
