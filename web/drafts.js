// A user's drafts by room, kept in this browser across reloads. Limited to the rooms written in last, and in each room
// to the length of a message.

const ROOMS_MAX = 50;
const CHARS_MAX = 16_384;
const WRITE_MS = 300;
const NONE = { text: '', replyTo: undefined };

export class Drafts {
  user;
  #key;
  /** Changes not yet stored, by room. */
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

  /** Removes everything. */
  forget() {
    clearTimeout(this.#timer);
    this.#changed.clear();
    try {
      localStorage.removeItem(this.#key);
    } catch {
      // Storage is forbidden, so nothing was kept.
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

  /** The stored drafts with newer changes from here: another window may have stored drafts of other rooms. */
  #all() {
    return Object.entries({ ...this.#read(), ...Object.fromEntries(this.#changed) });
  }

  write() {
    if (this.#changed.size === 0) return;
    const kept = this.#all().filter(([, { text, replyTo }]) => text !== '' || replyTo !== undefined).sort(([, one], [, other]) => other.at - one.at).slice(0, ROOMS_MAX);
    try {
      // Without drafts not even the user's name is kept.
      if (kept.length === 0) localStorage.removeItem(this.#key);
      else localStorage.setItem(this.#key, JSON.stringify(Object.fromEntries(kept)));
      this.#changed.clear();
    } catch {
      // Storage is full or forbidden: the drafts last as long as the page.
    }
  }
}
