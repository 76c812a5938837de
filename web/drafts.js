// What one user has begun and not sent, by room: kept in this browser, so that it is there after a reload. Only so much
// of it: the rooms that were written in last, and of each no more than a message may have.

const ROOMS_MAX = 50;
const CHARS_MAX = 16_384;
const WRITE_MS = 300;
const NONE = { text: '', replyTo: undefined };

export class Drafts {
  user;
  #key;
  /** By room, what is newer than what is stored. */
  #changed = new Map();
  #timer = 0;

  constructor(user) {
    this.user = user;
    this.#key = `parlor.drafts.${user}`;
    window.addEventListener('pagehide', () => this.write());
  }

  /** `{text, replyTo}` */
  get(room) {
    return this.#changed.get(room) ?? this.#read()[room] ?? NONE;
  }

  set(room, { text, replyTo }) {
    this.#changed.set(room, { text: text.slice(0, CHARS_MAX), replyTo, at: Date.now() });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.write(), WRITE_MS);
  }

  /** Nothing is left behind. */
  forget() {
    clearTimeout(this.#timer);
    this.#changed.clear();
    try {
      localStorage.removeItem(this.#key);
    } catch {
      // Nothing was kept, then.
    }
  }

  #read() {
    try {
      return JSON.parse(localStorage.getItem(this.#key)) ?? {};
    } catch {
      return {};
    }
  }

  /** The rooms in which a text was begun. */
  get rooms() {
    return this.#all().filter(([, { text }]) => text.trim() !== '').map(([room]) => room);
  }

  /** What is kept, and newer than that here: another window may have written of other rooms. */
  #all() {
    return Object.entries({ ...this.#read(), ...Object.fromEntries(this.#changed) });
  }

  write() {
    if (this.#changed.size === 0) return;
    const kept = this.#all().filter(([, { text, replyTo }]) => text !== '' || replyTo !== undefined).sort(([, one], [, other]) => other.at - one.at).slice(0, ROOMS_MAX);
    try {
      // Of whoever has begun nothing not even the name is kept.
      if (kept.length === 0) localStorage.removeItem(this.#key);
      else localStorage.setItem(this.#key, JSON.stringify(Object.fromEntries(kept)));
      this.#changed.clear();
    } catch {
      // No room, or no storage: then they last as long as the page.
    }
  }
}
