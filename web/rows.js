// The log's rows as nodes: messages, people coming and going, and the area above the first one. It does not decide
// which rows exist.

import { because } from './words.js';
import { excerpt, headOf, linked } from './said.js';
import { avatar, counted, el, icon, isolated, listed, sentence, timeNode } from './text.js';

const QUOTE_LENGTH = 90;
const NAMES_MAX = 5;
const READERS_MAX = 6;
const DELETED = 'This message was deleted.';

/** The children of a message's row; `isWhole`: it is shown in full, whatever its length, and `fold` changes that. */
export function messageRow(app, item, continued, reply, { isWhole, fold }) {
  const name = app.presence.names.plain(item.from);
  return [
    continued ? el('span', { class: 'gutter' }, timeNode(item.ts)) : avatar(item.from, name),
    el(
      'div',
      { class: 'body' },
      el(
        'header',
        { class: continued ? 'unseen' : 'head' },
        el('bdi', { class: 'author' }, name),
        app.presence.names.isAlike(item.from) && el('bdi', { class: 'author-id' }, `@${item.from}`),
        !continued && timeNode(item.ts),
      ),
      item.replyTo && quote(app, item.replyTo, reply),
      item.deleted ? el('div', { class: 'text deleted' }, DELETED) : said(item, isWhole, fold),
      el('ul', { class: 'reactions', 'aria-label': 'Reactions', 'aria-live': 'off', hidden: true }),
      el('p', { class: 'readers', hidden: true }),
      item.seq === null && status(app, item),
    ),
  ];
}

/** The text of a message, a mark if it was edited, and a way to expand it if it is cut. */
function said({ text, edited }, isWhole, fold) {
  const head = headOf(text);
  const isLong = head !== text;
  const isCut = isLong && !isWhole;
  const props = { class: isCut ? 'text cut' : 'text', dir: edited ? null : 'auto' };
  const words = linked(isCut ? head : text, isCut);
  // A part with its own direction does not affect the direction of the whole.
  const mark = () => el('span', { class: 'edited', dir: 'ltr' }, 'edited');
  return [
    edited ? el('div', { class: 'said', dir: 'auto' }, el('span', props, words), ' ', mark()) : el('div', props, words),
    isLong && el(
      'button',
      { type: 'button', class: 'fold link', tabindex: '-1', 'aria-expanded': String(!isCut), onclick: fold },
      isCut ? `Show all (${counted(text.length, 'character')})` : 'Show less',
    ),
  ];
}

/** Each reaction, with its count and users. */
export function reactionNodes(app, item) {
  return [...item.reactions].map(([emoji, { users, more }]) => {
    const names = users.map((user) => app.presence.name(user));
    const title = `${isolated(emoji)} from ${sentence([...names.map(isolated), ...(more ? ['perhaps others'] : [])])}`;
    const count = `${users.length}${more ? '+' : ''}`;
    const isGiven = users.includes(app.user.id);
    const inside = [el('span', { class: 'unseen' }, title), el('span', { 'aria-hidden': 'true' }, el('bdi', {}, emoji), ` ${count}`)];
    return el('li', { title }, el('button', { type: 'button', tabindex: '-1', 'aria-pressed': String(isGiven), onclick: () => app.react(item, emoji) }, inside));
  });
}

/** Users who have read up to here: their avatars, with their names on request. */
export function readerNodes(app, users) {
  if (users.length === 0) return [];
  const names = users.map((user) => app.presence.name(user));
  const title = `Read by ${sentence(names.map(isolated))}`;
  const few = users.length > READERS_MAX ? users.slice(0, READERS_MAX - 1) : users;
  return [
    el('span', { class: 'unseen' }, title),
    el(
      'span',
      { class: 'reader-list', 'aria-hidden': 'true', title },
      few.map((user) => avatar(user, app.presence.name(user))),
      few.length < users.length && `+${users.length - few.length}`,
    ),
  ];
}

/** The children of a row about people who came or went. */
export function notesRow(app, notes) {
  const names = [...new Set(notes.map((note) => app.presence.name(note.from)))];
  const shown = names.length > NAMES_MAX ? [...names.slice(0, NAMES_MAX - 1), `${names.length - NAMES_MAX + 1} others`] : names;
  return [...listed(shown), notes[0].kind === 'joined' ? ' joined' : ' left'];
}

/** The area above the first message: a welcome, the beginning, a way to load more, or an error. */
export function topContent(app, room, phase, up) {
  const name = room && el('bdi', {}, room.peer ? app.presence.name(room.peer) : app.rooms.called(room.name));
  switch (phase) {
    case 'none':
      return [el('p', { class: 'top-title' }, 'You are not in any room.'), el('p', {}, 'Pick one from the list, or open one of your own.')];
    case 'waiting':
      return [el('p', { class: 'top-title' }, 'Not sent yet'), ...app.unsent.all().map((message) => waitingRow(app, message))];
    case 'loading':
      return [el('div', { class: 'skeletons', 'aria-label': 'Loading messages', role: 'img' }, Array.from({ length: 5 }, skeleton))];
    case 'empty':
      return [
        el('img', { src: '/icon.svg', alt: '', width: 64, height: 64 }),
        el('p', { class: 'top-title' }, 'It is quiet in here.'),
        room.peer
          ? el('p', {}, 'You and ', name, ' have not written to each other yet.')
          : el('p', {}, 'Be the first to say something in ', name, '.'),
      ];
    case 'start':
      return [room.log.first > 1
        ? el('p', { class: 'beginning' }, 'Older messages are no longer kept.')
        : el('p', { class: 'beginning' }, 'This is the start of ', room.peer ? 'your conversation with ' : '', name, '.')];
    case 'more':
      return [el('button', { type: 'button', class: 'secondary', onclick: up }, 'Show earlier messages')];
    case 'more-loading':
      return [el('p', { class: 'beginning' }, 'Fetching earlier messages…')];
    default:
      return [
        el('p', { role: 'alert' }, `These messages could not be fetched: ${because(room.problem)}.`),
        el('button', { type: 'button', class: 'secondary', onclick: () => app.rooms.older(room) }, 'Try again'),
      ];
  }
}

/** A waiting message whose room cannot be shown yet. */
function waitingRow(app, message) {
  const { room, text, ts, status: now } = message;
  const name = room.startsWith('dm:') ? room.slice(3).split(':').find((user) => user !== app.drafts?.user) ?? app.drafts.user : room;
  const head = el('header', { class: 'head' }, el('bdi', { class: 'author' }, name), timeNode(ts));
  return el('article', { class: `msg ${now}` }, el('div', { class: 'body' }, head, el('div', { class: 'text', dir: 'auto' }, linked(text)), status(app, message)));
}

function skeleton() {
  return el('div', { class: 'skeleton' }, el('i'), el('span', {}, el('b'), el('b')));
}

/** The message replied to, or that there is one; a click leads to it. */
function quote(app, seq, reply) {
  const props = { type: 'button', class: 'quote', dir: 'auto', tabindex: '-1', title: 'Go to that message', onclick: () => app.goTo(seq) };
  if (reply === undefined) return el('button', props, 'An earlier message');
  const text = reply.deleted ? DELETED : excerpt(reply.text ?? '', QUOTE_LENGTH);
  return el('button', props, el('bdi', {}, app.presence.name(reply.from)), `: ${text}`);
}

/** The progress of a message that the server has not confirmed. */
function status(app, { cid, status: now, because }) {
  if (now === 'failed') {
    return el(
      'div',
      { class: 'status', role: 'alert' },
      icon('alert'),
      el('span', {}, `Not sent: ${because}.`),
      el('button', { type: 'button', class: 'link', onclick: () => app.unsent.retry(cid) }, 'Try again'),
      el('button', { type: 'button', class: 'link', onclick: () => app.unsent.cancel(cid) }, 'Discard'),
    );
  }
  if (now === 'acked') return null;
  if (now === 'queued') {
    return el(
      'div',
      { class: 'status' },
      icon('clock'),
      el('span', {}, 'Waiting to be sent'),
      el('button', { type: 'button', class: 'link', onclick: () => app.unsent.cancel(cid) }, 'Cancel'),
    );
  }
  return el('span', { class: 'status', title: 'On its way' }, icon('clock'), el('span', { class: 'unseen' }, 'On its way'));
}
