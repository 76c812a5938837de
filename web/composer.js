// The message box: keys, height, remaining length, drafts by room, replying to and editing messages, and typing
// notices. Sent text goes to the outbox; nothing here waits for the server.

import { excerpt } from './said.js';
import { byteLength, el, sendable, setText } from './text.js';

const NEAR = 0.8;
const ABOUT_LENGTH = 200;

export class Composer {
  #app;
  #form = document.getElementById('composer');
  #box = document.getElementById('message');
  #counter = document.getElementById('counter');
  #send = document.getElementById('send');
  #about = document.getElementById('about');
  /** The message that the text refers to: `{kind, seq, from, text}`, `kind` is `reply` or `edit`. */
  #mode = null;

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
      this.#keep();
      this.#types();
    });
    // Its width depends on the window, and its font size on the browser's base font.
    new ResizeObserver(() => this.#fit()).observe(document.getElementById('send'));
    window.addEventListener('resize', () => this.#fit());
    document.getElementById('about-end').addEventListener('click', () => {
      this.#end();
      this.focus();
    });
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  /** Switches to another room and its draft. */
  room(room, before) {
    this.#box.disabled = room === null;
    // Text given back while there was no room moves to the next room.
    const carried = before === null ? this.#box.value : '';
    this.#restore(room, carried);
  }

  #restore(room, carried = '') {
    const { text, replyTo } = room === null ? { text: '' } : this.#app.drafts.get(room.name);
    this.#set(replyTo === undefined ? null : { kind: 'reply', seq: replyTo, ...room.log.item(replyTo) });
    this.#box.value = [carried, text].filter(Boolean).join('\n');
    this.#fit();
    if (carried !== '') this.#keep();
  }

  /** Inserts a text before the current one. */
  bring(text) {
    this.#box.value = [text, this.#box.value].filter(Boolean).join('\n');
    this.#fit();
    this.#keep();
  }

  /** Makes the next text a reply to a message. */
  reply({ seq, from, text }) {
    if (this.#mode?.kind === 'edit') this.#end();
    this.#set({ kind: 'reply', seq, from, text });
    this.#keep();
    this.focus();
  }

  /** Edits the user's own message; the current draft waits until that is done. */
  edit({ seq, from, text }) {
    this.#set({ kind: 'edit', seq, from, text });
    this.#box.value = text;
    this.#fit();
    this.focus();
  }

  #set(mode) {
    this.#mode = mode;
    this.#about.hidden = mode === null;
    if (mode === null) return;
    const { kind, from, text } = mode;
    const name = from === undefined ? 'an earlier message' : this.#app.presence.name(from);
    const said = kind === 'edit' ? ['Editing your message'] : ['Replying to ', el('bdi', {}, name), text ? `: ${excerpt(text, ABOUT_LENGTH)}` : ''];
    document.getElementById('about-text').replaceChildren(...said);
  }

  /** Ends replying or editing. */
  #end() {
    const was = this.#mode?.kind;
    this.#set(null);
    if (was === 'edit') this.#restore(this.#app.room);
    else this.#keep();
  }

  #keep() {
    const { room } = this.#app;
    if (room !== null && this.#mode?.kind !== 'edit') this.#app.drafts.set(room.name, { text: this.#box.value, replyTo: this.#mode?.seq });
  }

  draw() {
    const { room } = this.#app;
    const to = room === null ? 'Message' : `Message ${room.peer !== null ? this.#app.presence.name(room.peer) : this.#app.rooms.called(room.name)}`;
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
    } else if (event.key === 'Escape' && this.#mode !== null) {
      event.stopPropagation();
      this.#end();
    } else if (event.key === 'ArrowUp' && this.#box.value === '' && this.#mode === null && !event.altKey) {
      const own = this.#app.room?.log.items.findLast((item) => item.kind === 'message' && item.from === this.#app.user.id && !item.deleted);
      if (own === undefined) return;
      event.preventDefault();
      this.edit(own);
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
    const mode = this.#mode;
    if (mode?.kind === 'edit') {
      this.#end();
      if (text !== mode.text) this.#app.change('chat:edit', room, { seq: mode.seq, text }, 'This could not be changed');
      return;
    }
    this.#box.value = '';
    this.#set(null);
    this.#keep();
    this.#fit();
    this.#app.say(room, text, mode?.seq);
    this.#app.house.sent();
  }

  get #limit() {
    return this.#app.limits.text_bytes ?? 16_384;
  }

  /** Fits the height to the text, within the limits of style.css. */
  #fit() {
    const { form, style } = this.#box;
    // Without a room there is nobody to write to, but text given back must be visible.
    form.hidden = this.#app.room === null && this.#box.value === '';
    // A minimum height keeps the messages in place while the text is measured.
    form.style.minHeight = `${form.offsetHeight}px`;
    style.height = 'auto';
    style.height = `${this.#box.scrollHeight}px`;
    form.style.minHeight = '';
    this.#measure();
  }

  #measure() {
    const text = this.#box.value;
    // A string of n units has at most 3n bytes: text far from the limit need not be counted.
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
    if (room !== null && !room.draft && online && this.#mode?.kind !== 'edit') this.#app.channel(room).typing(this.#box.value.trim() !== '');
  }
}
