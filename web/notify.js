// Notifies a user who looks elsewhere of messages to them: in a direct conversation, with their name, or in reply to
// their message. It asks the browser for permission only when the user requests it.

import { speaksOf } from './names.js';
import { excerpt } from './said.js';

const KEY = 'parlor.notify';
const BODY_LENGTH = 140;
// Older messages were sent while the user was away: they are unread, but no news.
const NEWS_MS = 60_000;

export class Notify {
  #app;
  #switch = document.getElementById('notify');
  #isOn = false;
  /** Notifications that may still be visible. */
  #shown = new Set();

  constructor(app) {
    this.#app = app;
    try {
      this.#isOn = localStorage.getItem(KEY) === 'on';
    } catch {
      // Storage can be forbidden; then the setting must be made again.
    }
    this.#switch.hidden = !('Notification' in window);
    this.#switch.addEventListener('click', () => this.#toggle());
    this.#draw();
  }

  get #mayTell() {
    return this.#isOn && 'Notification' in window && Notification.permission === 'granted';
  }

  async #toggle() {
    const isOn = !this.#mayTell;
    if (isOn && Notification.permission === 'default') await Notification.requestPermission();
    if (isOn && Notification.permission !== 'granted') {
      this.#app.house.toast('The browser does not allow notifications from this page. You can allow them in its settings.');
    }
    this.#isOn = isOn && Notification.permission === 'granted';
    try {
      localStorage.setItem(KEY, this.#isOn ? 'on' : 'off');
    } catch {
      // Storage is forbidden: the setting lasts as long as the page.
    }
    this.#draw();
  }

  #draw() {
    this.#switch.setAttribute('aria-checked', String(this.#mayTell));
    this.#switch.title = this.#mayTell ? 'Notifications are on' : 'Notifications are off';
  }

  /** Handles a message. */
  entry(room, entry) {
    const { user, presence, rooms, house } = this.#app;
    if (!this.#mayTell || this.#app.attentive() || entry.from === user.id || entry.deleted) return;
    if (Date.now() - entry.ts > NEWS_MS || !this.#isFor(room, entry)) return;
    const name = presence.name(entry.from);
    const title = room.peer === null ? `${name} in ${rooms.called(room.name)}` : name;
    // Two windows of one user show one notification.
    const note = new Notification(title, { body: excerpt(entry.text, BODY_LENGTH), tag: `${room.name} ${entry.seq}`, icon: '/icon.svg' });
    this.#shown.add(note);
    note.onclose = () => this.#shown.delete(note);
    note.onclick = () => {
      window.focus();
      this.#app.show(room);
      house.focusMessage();
      note.close();
    };
  }

  /** Closes all, so that none is left for the next user. */
  end() {
    for (const note of this.#shown) note.close();
    this.#isOn = false;
  }

  /** Whether a message is addressed to the user. */
  #isFor(room, { text, reply_to: answered }) {
    const { user } = this.#app;
    if (room.peer !== null || (answered && room.log.item(answered)?.from === user.id)) return true;
    return [user.id, user.name].some((name) => speaksOf(text, name));
  }
}
