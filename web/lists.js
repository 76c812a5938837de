// The two lists beside the messages: rooms and people. They draw what `rooms` and `presence` hold, and pass clicks on
// to the app.

import { arrange, avatar, counted, el, icon, isolated, setText } from './text.js';

const names = new Intl.Collator();
const TOO_MANY = 'There are too many people to list them all.';
const byId = (id) => document.getElementById(id);

/** Nodes by key, changed only when their content does. */
class Kept {
  #nodes = new Map();

  draw(list, rows) {
    const next = new Map();
    for (const { key, stamp, make } of rows) {
      const known = this.#nodes.get(key);
      const node = known?.node ?? el('li');
      if (known?.stamp !== stamp) renew(node, make());
      next.set(key, { node, stamp });
    }
    this.#nodes = next;
    arrange(list, [...next.values()].map(({ node }) => node));
  }
}

/**
 * Makes `made` the content of a row. A button stays the same one, so that neither its focus nor a click is lost; its
 * listeners, too, stay the first ones, and so must look up whatever may be replaced.
 */
function renew(row, made) {
  const old = row.firstElementChild;
  if (old?.tagName !== made.tagName) {
    row.replaceChildren(made);
    return;
  }
  for (const { name } of [...old.attributes]) if (!made.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of made.attributes) old.setAttribute(name, value);
  old.replaceChildren(...made.childNodes);
}

export class Lists {
  #app;
  #kept = { rooms: new Kept(), direct: new Kept(), joinable: new Kept(), people: new Kept(), others: new Kept() };

  constructor(app) {
    this.#app = app;
  }

  drawRooms() {
    const { rooms, presence } = this.#app;
    const all = rooms.ordered();
    this.#kept.rooms.draw(byId('room-list'), all.filter((room) => room.peer === null).map((room) => this.#room(room)));
    const direct = all.filter((room) => room.peer !== null);
    byId('direct').hidden = direct.length === 0;
    this.#kept.direct.draw(byId('direct-list'), direct.map((room) => this.#room(room, presence.name(room.peer))));
    const invited = [...rooms.invites.values()].filter(({ room }) => !rooms.get(room));
    const invitedBy = ({ by }) => (presence.names.has(by) ? `invited by ${isolated(presence.name(by))}` : 'invited');
    const invites = invited.map((room) => this.#joinable(room, invitedBy(room), 'invited'));
    const open = rooms.joinable
      .filter(({ room }) => !rooms.get(room) && !rooms.invites.has(room))
      .map((room) => this.#joinable(room, counted(room.members ?? 0, 'member')));
    byId('joinable').hidden = invites.length + open.length === 0;
    this.#kept.joinable.draw(byId('joinable-list'), [...invites, ...open]);
  }

  #room(room, name = this.#app.rooms.called(room.name)) {
    const { presence } = this.#app;
    const current = room === this.#app.room;
    const unread = current && this.#app.attentive() && this.#app.house.atEnd ? 0 : room.unread;
    const there = room.peer !== null && presence.isOnline(room.peer);
    const { count, isRefused } = this.#app.unsent.waiting(room);
    const said = isRefused ? 'not sent' : 'waiting to be sent';
    return {
      key: room.name,
      stamp: [name, unread, current, there, count, isRefused].join('\n'),
      make: () => el(
        'button',
        {
          type: 'button',
          class: 'place',
          'aria-current': current && 'true',
          dataset: { unread: unread > 0 ? 'yes' : 'no' },
          onclick: () => this.#go(this.#app.rooms.get(room.name)),
        },
        room.peer === null
          ? el('span', { class: 'hash', 'aria-hidden': 'true' }, '#')
          : avatar(room.peer, name, there && el('i', { class: 'lamp' })),
        el('bdi', { class: 'place-name' }, name),
        there && el('span', { class: 'unseen' }, ', online'),
        count > 0 && el('span', { class: 'place-unsent', title: `${count} ${said}` }, icon(isRefused ? 'alert' : 'clock'), el('span', { class: 'unseen' }, `${count} ${said}`)),
        unread > 0 && el('span', { class: 'badge' }, unread > 99 ? '99+' : String(unread), el('span', { class: 'unseen' }, ' unread')),
      ),
    };
  }

  #joinable(room, note, kind = '') {
    const name = this.#app.rooms.called(room.room);
    return {
      key: room.room,
      stamp: [name, note].join('\n'),
      make: () => el(
        'button',
        { type: 'button', class: `place open ${kind}`, onclick: () => this.#app.house.join(room.room), title: `Join ${name}` },
        icon('door'),
        el('span', { class: 'unseen' }, 'Join '),
        el('bdi', { class: 'place-name' }, name),
        el('span', { class: 'place-note' }, note),
      ),
    };
  }

  /** Goes to a room; not if it is gone, which the next frame shows. */
  #go(room) {
    if (room === undefined) return;
    this.#app.house.closeDrawers(false);
    this.#app.show(room);
    this.#app.house.focusMessage();
  }

  drawPeople() {
    const { presence, room, user } = this.#app;
    const { number } = presence;
    setText(byId('people-title'), number === null ? 'Who is here' : `${number.people.toLocaleString('en')}${number.more ? ' and more' : ''} here`);
    const members = room?.peer === null ? room.people : null;
    const here = presence.online ?? new Set();
    const others = members === null ? [] : [...here].filter((id) => !members.has(id) && id !== user?.id);
    byId('members-title').hidden = members === null;
    if (members !== null) setText(byId('members-title'), counted(room.members ?? members.size, 'member'));
    byId('others-title').hidden = others.length === 0;
    this.#kept.people.draw(byId('people-list'), this.#people([...(members ?? here)]));
    this.#kept.others.draw(byId('others-list'), this.#people(others));
    setText(byId('people-note'), this.#note(members));
  }

  /** Says what the list does not show, and why. */
  #note(members) {
    const { presence, online } = this.#app;
    const { scope, number } = presence;
    if (scope === 'off') return 'This server does not show who is online.';
    if (presence.online === null) return !online ? '' : number === null ? 'Loading…' : TOO_MANY;
    if (!online) return 'This list is from before the connection was lost.';
    if (presence.partial || (members !== null && this.#app.room.members > members.size)) return TOO_MANY;
    if (presence.online.size > 1) return '';
    return scope === 'rooms' ? 'Nobody else in your rooms is online. People are shown here when they come online.' : 'Nobody else is online. People are shown here when they come online.';
  }

  /** The user first, then people online, then the others. */
  #people(ids) {
    const { presence, user } = this.#app;
    const place = ({ id, isHere }) => (id === user?.id ? 0 : isHere ? 1 : 2);
    return ids
      .map((id) => ({ id, name: presence.names.plain(id), isHere: presence.isOnline(id) }))
      .sort((a, b) => place(a) - place(b) || names.compare(a.name, b.name) || (a.id < b.id ? -1 : 1))
      .map(({ id, name, isHere }) => ({
        key: id,
        stamp: [presence.name(id), id === user?.id, isHere].join('\n'),
        make: () => this.#person(id, name, isHere),
      }));
  }

  #person(id, name, isHere) {
    const { presence, rooms, user } = this.#app;
    const isSelf = id === user?.id;
    const inside = [
      avatar(id, name, isHere && el('i', { class: 'lamp' })),
      el('bdi', { class: 'person-name' }, name),
      isSelf ? el('span', { class: 'person-id' }, 'you') : presence.names.isAlike(id) && el('bdi', { class: 'person-id' }, `@${id}`),
    ];
    if (isSelf) return el('span', { class: 'person' }, inside);
    return el(
      'button',
      { type: 'button', class: isHere ? 'person' : 'person away', title: `Write to ${presence.name(id)}`, onclick: () => this.#go(rooms.direct(id)) },
      inside,
      el('span', { class: 'unseen' }, `${isHere ? ', online' : ''}, write a direct message`),
    );
  }
}
