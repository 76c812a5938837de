// Text that the user wrote and the log does not show yet: the client's tickets, and briefly those already stored whose
// entries have not arrived. The client sends them; this only says what to show.

import { because } from './words.js';

export class Unsent {
  #client;
  /** Tickets by id, from when they first appear until the log shows them. */
  #known = new Map();

  constructor(client) {
    this.#client = client;
  }

  /** The tickets of a room, in sending order. */
  of(room) {
    const stored = [...this.#known.values()].filter((ticket) => ticket.status === 'acked' && ticket.kept.room === room.name);
    const open = this.#client.unsent.filter((ticket) => ticket.kept.room === room.name);
    return [...stored, ...open].map(shown);
  }

  /** The tickets of all rooms, for the time before the rooms are known. */
  all() {
    return this.#client.unsent.map((ticket) => ({ ...shown(ticket), room: ticket.kept.room }));
  }

  /** Handles a change of the outbox. `reached(room)` returns how far that room's log is. */
  changed(reached) {
    const open = this.#client.unsent;
    for (const ticket of open) this.#known.set(ticket.id, ticket);
    const still = new Set(open);
    for (const [id, ticket] of this.#known) {
      const isComing = ticket.status === 'acked' && ticket.seq > reached(ticket.kept.room);
      if (!still.has(ticket) && !isComing) this.#known.delete(id);
    }
  }

  /** The log of a room has reached `seq`: messages stored up to there are shown, or were read long ago. */
  reached(room, seq) {
    for (const [id, ticket] of this.#known) {
      if (ticket.status === 'acked' && ticket.kept.room === room && ticket.seq <= seq) this.#known.delete(id);
    }
  }

  /** A history contains this message. */
  shown(cid) {
    if (this.#known.get(cid)?.status === 'acked') this.#known.delete(cid);
  }

  /** How many of a room's tickets wait, and whether one of them was refused. */
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

  /** The room is gone: returns the texts that were never sent. */
  drop(room) {
    const taken = this.#client.unsent.filter((ticket) => ticket.kept.room === room && ticket.cancel());
    return taken.map((ticket) => ticket.text);
  }
}

/** A ticket in the form that the log shows. */
function shown({ id, text, status, error, kept }) {
  const isRefused = status === 'failed' || status === 'expired';
  return { cid: id, text, ts: kept.at, replyTo: kept.replyTo, status: isRefused ? 'failed' : status, because: isRefused ? because(error) : undefined };
}
