// The two lists beside the messages: rooms on one side, people on the other.
// They draw what `rooms` and `presence` hold, and turn a press into a wish to the app.

import { because } from './words.js';
import { arrange, avatar, counted, el, icon, isolated, setText } from './text.js';

const names = new Intl.Collator();
const TOO_MANY = 'There are too many people to list them all.';
const byId = (id) => document.getElementById(id);

/** Nodes by key, made anew only when what they show has changed, so that focus stays where it is. */
class Kept {
  #nodes = new Map();

  draw(list, rows) {
    const next = new Map();
    for (const { key, stamp, make } of rows) {
      const known = this.#nodes.get(key);
      const node = known?.node ?? el('li');
      if (known?.stamp !== stamp) {
        const focused = node.contains(document.activeElement);
        node.replaceChildren(make());
        if (focused) node.querySelector('button')?.focus();
      }
      next.set(key, { node, stamp });
    }
    this.#nodes = next;
    arrange(list, [...next.values()].map(({ node }) => node));
  }
}

export class Lists {
  #app;
  #kept = { rooms: new Kept(), direct: new Kept(), joinable: new Kept(), people: new Kept() };

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
    const invites = invited.map((room) => this.#joinable(room, `invited by ${isolated(presence.name(room.by))}`, 'invited'));
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
    const said = isRefused ? 'not sent' : 'waits to be sent';
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
          onclick: () => this.#go(room),
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
        { type: 'button', class: `place open ${kind}`, onclick: () => this.#join(room.room), title: `Join ${name}` },
        icon('door'),
        el('span', { class: 'unseen' }, 'Join '),
        el('bdi', { class: 'place-name' }, name),
        el('span', { class: 'place-note' }, note),
      ),
    };
  }

  #go(room) {
    this.#app.house.closeDrawers(false);
    this.#app.show(room);
    this.#app.house.focusMessage();
  }

  async #join(name) {
    const refusal = await this.#app.enter(name);
    if (refusal) this.#app.house.toast(`You could not join ${isolated(this.#app.rooms.called(name))}: ${because(refusal)}.`);
    else this.#app.house.closeDrawers(false);
  }

  drawPeople() {
    const { presence, online, user, rooms } = this.#app;
    const note = byId('people-note');
    const title = byId('people-title');
    const { number, scope } = presence;
    setText(title, number === null ? 'Who is here' : `${number.people.toLocaleString('en')}${number.more ? ' and more' : ''} here`);
    if (presence.online === null) {
      if (scope === 'off') setText(note, 'This server does not tell who is here.');
      else if (!online) setText(note, '');
      else setText(note, number === null ? 'Looking around…' : TOO_MANY);
      this.#kept.people.draw(byId('people-list'), []);
      return;
    }
    const self = user?.id;
    const people = [...presence.online]
      .map((id) => ({ id, name: presence.names.plain(id) }))
      .sort((a, b) => (b.id === self) - (a.id === self) || names.compare(a.name, b.name) || (a.id < b.id ? -1 : 1));
    let said = '';
    if (!online) said = 'As it was when the connection was lost.';
    else if (presence.partial) said = TOO_MANY;
    else if (people.length === 1 && scope === 'rooms') said = 'Nobody else of your rooms is online. Whoever comes in is shown here.';
    else if (people.length === 1) said = 'Nobody else is online. Whoever comes in is shown here.';
    setText(note, said);
    this.#kept.people.draw(byId('people-list'), people.map(({ id, name }) => ({
      key: id,
      stamp: [name, id === self].join('\n'),
      make: () => this.#person(id, name, id === self, rooms),
    })));
  }

  #person(id, name, self, rooms) {
    const inside = [
      avatar(id, name, el('i', { class: 'lamp' })),
      el('bdi', { class: 'person-name' }, name),
      self ? el('span', { class: 'person-id' }, 'you') : name !== id && el('bdi', { class: 'person-id' }, `@${id}`),
    ];
    if (self) return el('span', { class: 'person' }, inside);
    return el(
      'button',
      { type: 'button', class: 'person', title: `Write to ${name}`, onclick: () => this.#go(rooms.direct(id)) },
      inside,
      el('span', { class: 'unseen' }, ', write a direct message'),
    );
  }
}
