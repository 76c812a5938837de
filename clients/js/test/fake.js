// What tests of a client alone begin with.

import { connect } from '../src/index.js';
import { fakePage, fakeServer } from '../src/testing.js';

/** A client of a fake server, and what it says. */
export function begin(options = {}, server = fakeServer()) {
  const page = fakePage();
  const client = connect('http://host/ws?user=ada', { ...options, env: { ...server.env, ...page, ...options.env } });
  const states = [];
  client.on('state', ({ name }) => states.push(name));
  return { client, server, page, states, clock: server.clock };
}

/** All entries of a room, as text. */
export function transcript(room) {
  const seen = [];
  room.on('entry', ({ seq, type, text }) => seen.push(type === 'message' ? `${seq} ${text}` : `${seq} ${type}`));
  room.on('gap', ({ after, before, reason }) => seen.push(`gap ${after}-${before} ${reason}`));
  return seen;
}
