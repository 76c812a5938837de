// The box one writes in: keys, its height, the room left, drafts by room, and telling that one types.
// What is sent goes to the outbox; nothing here waits for the server.

import { byteLength, sendable, setText } from './text.js';

const NEAR = 0.8;

export class Composer {
  #app;
  #form = document.getElementById('composer');
  #box = document.getElementById('message');
  #counter = document.getElementById('counter');
  #send = document.getElementById('send');
  #drafts = new Map();

  constructor(app) {
    this.#app = app;
    this.#box.disabled = true;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#box.addEventListener('keydown', (event) => this.#key(event));
    this.#box.addEventListener('input', () => {
      this.#fit();
      this.#types();
    });
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /** Another room is shown: its draft comes with it. */
  room(room, before) {
    if (before) this.#drafts.set(before.name, this.#box.value);
    this.#box.disabled = room === null;
    // What was given back while there was no room goes along into the next one.
    const carried = before === null ? this.#box.value : '';
    this.#box.value = [carried, room && this.#drafts.get(room.name)].filter(Boolean).join('\n');
    this.#fit();
  }

  /** Puts a text before what is being written. */
  bring(text) {
    this.#box.value = [text, this.#box.value].filter(Boolean).join('\n');
    this.#fit();
  }

  draw() {
    const { room } = this.#app;
    const to = room === null ? 'Message' : `Message ${room.peer !== null ? this.#app.presence.name(room.peer) : room.title || room.name}`;
    if (this.#box.placeholder !== to) {
      this.#box.placeholder = to;
      this.#box.setAttribute('aria-label', to);
    }
    this.#measure();
  }

  #key(event) {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === 'PageUp' || event.key === 'PageDown') {
      const log = document.getElementById('log');
      log.scrollBy({ top: (event.key === 'PageUp' ? -0.85 : 0.85) * log.clientHeight });
      event.preventDefault();
    }
  }

  #submit() {
    const text = sendable(this.#box.value);
    const { room } = this.#app;
    if (text === '' || room === null || byteLength(text) > this.#limit) return;
    this.#box.value = '';
    this.#fit();
    this.#app.say(room, text);
    this.#app.house.sent();
  }

  get #limit() {
    return this.#app.limits.text_bytes ?? 16_384;
  }

  /** As high as its text, within what style.css allows. */
  #fit() {
    this.#box.style.height = 'auto';
    this.#box.style.height = `${this.#box.scrollHeight}px`;
    this.#measure();
  }

  #measure() {
    const text = this.#box.value;
    // A string of n units has at most 3n bytes: no need to count what is far from the limit.
    const bytes = text.length * 3 < this.#limit * NEAR ? 0 : byteLength(text.trim());
    const left = this.#limit - bytes;
    const near = bytes >= this.#limit * NEAR;
    const said = `${Math.abs(left).toLocaleString('en')} bytes ${left < 0 ? 'too long' : 'left'}`;
    setText(this.#counter, near ? said : '');
    this.#counter.classList.toggle('over', left < 0);
    this.#send.disabled = text.trim() === '' || left < 0 || this.#app.room === null;
    this.#box.toggleAttribute('aria-invalid', left < 0);
  }

  #types() {
    const { room, online } = this.#app;
    if (room !== null && !room.draft && online) this.#app.channel(room).typing(this.#box.value.trim() !== '');
  }
}
