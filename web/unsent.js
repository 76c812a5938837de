// What the person wrote and the log does not show yet: the client's tickets, and for a moment those among them that
// are stored already, but have not come back as entries. The client sends them; this only says what is to be seen.

import { because } from './words.js';

export class Unsent {
  #client;
  /** Tickets by id, from when they were first seen until the log shows them. */
  #known = new Map();

  constructor(client) {
    this.#client = client;
  }

  /** Those of a room, in the order in which they go. */
  of(room) {
    const stored = [...this.#known.values()].filter((ticket) => ticket.status === 'acked' && ticket.kept.room === room.name);
    const open = this.#client.unsent.filter((ticket) => ticket.kept.room === room.name);
    return [...stored, ...open].map(shown);
  }

  /** Those of all rooms, before it is known which rooms there are. */
  all() {
    return this.#client.unsent.map((ticket) => ({ ...shown(ticket), room: ticket.kept.room }));
  }

  /** Something has changed: what became of it? `reached(room)` tells how far that room's log is. */
  changed(reached) {
    const open = this.#client.unsent;
    for (const ticket of open) this.#known.set(ticket.id, ticket);
    const still = new Set(open);
    for (const [id, ticket] of this.#known) {
      const isComing = ticket.status === 'acked' && ticket.seq > reached(ticket.kept.room);
      if (!still.has(ticket) && !isComing) this.#known.delete(id);
    }
  }

  /** The log of a room has come this far: what was stored up to there is shown, or was read long ago. */
  reached(room, seq) {
    for (const [id, ticket] of this.#known) {
      if (ticket.status === 'acked' && ticket.kept.room === room && ticket.seq <= seq) this.#known.delete(id);
    }
  }

  /** A history shows this message. */
  shown(cid) {
    if (this.#known.get(cid)?.status === 'acked') this.#known.delete(cid);
  }

  /** How many of a room wait, and whether one of them was refused. */
  waiting(room) {
    const open = this.#client.unsent.filter(({ kept, status }) => kept.room === room.name && status !== 'sent');
    return { count: open.length, isRefused: open.some(({ status }) => status !== 'queued') };
  }

  retry(cid) {
    this.#known.get(cid)?.retry();
  }

  cancel(cid) {
    this.#known.get(cid)?.cancel();
  }

  /** The room is gone, and with it the place to say these things: gives back what was never said. */
  drop(room) {
    const taken = this.#client.unsent.filter((ticket) => ticket.kept.room === room && ticket.cancel());
    return taken.map((ticket) => ticket.text);
  }
}

/** A ticket as the log shows it. */
function shown({ id, text, status, error, kept }) {
  const isRefused = status === 'failed' || status === 'expired';
  return { cid: id, text, ts: kept.at, replyTo: kept.replyTo, status: isRefused ? 'failed' : status, because: isRefused ? because(error) : undefined };
}
