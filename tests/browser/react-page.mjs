// What the tests of the React bindings have in their pages, bundled once with React 18 and once with 19.

import * as React from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import * as sohbet from '../../clients/js/src/compat/sohbet.js';
import * as tac from '../../clients/js/src/compat/tac.js';
import { connect } from '../../clients/js/src/index.js';
import * as streams from '../../clients/js/src/react-streams.js';
import * as parlor from '../../clients/js/src/react.js';
import { webSocketService } from '../../clients/js/src/service.js';
import { fakeServer } from '../../clients/js/src/testing.js';

const h = React.createElement;

/** A fake server that goes by the page's clock. */
const server = () =>
  fakeServer({
    clock: {
      now: () => Date.now(),
      setTimeout: (fn, ms) => setTimeout(fn, ms),
      clearTimeout: (timer) => clearTimeout(timer),
    },
  });

/** How often the server's connections were told something of a type. */
function heard(of, type) {
  of.all ??= new Set();
  for (const socket of of.sockets) of.all.add(socket);
  return [...of.all].flatMap((socket) => socket.heard).filter((message) => message.type === type).length;
}

/** Something that is not there yet: whoever reads it is suspended. */
function later() {
  let isThere = false;
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return {
    read() {
      if (!isThere) throw promise;
    },
    come() {
      isThere = true;
      resolve();
    },
  };
}

function mount(element) {
  const root = createRoot(document.getElementById('root'));
  root.render(element);
  return root;
}

/** Messages as a list, one for each row. */
function List({ room, ...options }) {
  const { messages, isMember } = parlor.useRoom(room, { join: true, ...options });
  const items = messages.map(({ key, text, status, edited }) => h('li', { key, 'data-status': status, 'data-edited': edited > 0 }, text));
  return h('ul', { 'data-member': isMember }, items);
}

globalThis.kit = { React, h, connect, createRoot, hydrateRoot, parlor, streams, sohbet, tac, webSocketService, server, heard, later, mount, List };
