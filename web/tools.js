// The actions on a message: a bar in the row under the pointer or with the focus. A single bar moves from row to row;
// keys do the same without it.

import { el, icon } from './text.js';

const EMOJI = ['👍', '❤️', '😂', '🎉', '😮', '🙏'];
// Further focusable elements of a row: reachable by keyboard only in the focused row, as there are many.
const INNER = '.quote, .fold, .reactions button';
const byId = (id) => document.getElementById(id);

export class Tools {
  #app;
  #rows;
  #bar = el('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Actions for this message' });
  #row = null;
  #deleting = null;

  /** `log`: the messages, with `step(row, by)` to move between them. */
  constructor(app, rows, log) {
    this.#app = app;
    this.#rows = rows;
    rows.addEventListener('pointerover', (event) => event.pointerType === 'mouse' && this.#show(event.target.closest('.msg')));
    rows.addEventListener('pointerleave', () => this.#show(null));
    rows.addEventListener('focusin', (event) => this.#show(event.target.closest('.msg')));
    rows.addEventListener('focusout', (event) => !rows.contains(event.relatedTarget) && this.#show(null, true));
    rows.addEventListener('keydown', (event) => this.#key(event, log));
    byId('delete-dialog').querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      byId('delete-dialog').close();
      app.change('chat:delete', this.#deleting.room, { seq: this.#deleting.seq }, 'This could not be deleted');
    });
  }

  /** Moves to a row, unless the bar has the focus. */
  #show(row, isLeft = false) {
    if (!isLeft && this.#bar.contains(document.activeElement) && this.#row?.isConnected) return;
    if (row === this.#row && (row === null || this.#bar.parentNode === row)) return;
    for (const one of this.#row?.querySelectorAll(INNER) ?? []) one.tabIndex = -1;
    for (const one of row?.querySelectorAll(INNER) ?? []) one.tabIndex = 0;
    this.#row = row;
    this.#bar.remove();
    const item = row && this.#item(row);
    if (!item) return;
    this.#bar.replaceChildren(...this.#buttons(item));
    row.append(this.#bar);
  }

  /** The message of a row; undefined if it is not stored yet, or was deleted. */
  #item(row) {
    const item = this.#app.room?.log.item(Number(row.dataset.seq));
    return item?.kind === 'message' && !item.deleted ? item : undefined;
  }

  #buttons(item) {
    const { room, house } = this.#app;
    const button = (label, name, act) => el('button', { type: 'button', 'aria-label': label, title: label, onclick: act }, icon(name));
    return [
      button('Reply', 'reply', () => house.reply(item)),
      button('React', 'smile', () => this.#palette(item)),
      this.#isOwn(item) && button('Edit', 'edit', () => house.edit(item)),
      this.#mayDelete(item, room) && button('Delete', 'bin', () => this.#ask(item)),
    ].filter(Boolean);
  }

  #isOwn(item) {
    return item.from === this.#app.user.id;
  }

  #mayDelete(item, room) {
    return this.#isOwn(item) || this.#app.user.admin || room.role === 'owner';
  }

  #palette(item) {
    const given = (emoji) => item.reactions.get(emoji)?.users.includes(this.#app.user.id) ?? false;
    // The row keeps the focus when its button disappears.
    this.#row.focus({ preventScroll: true });
    this.#bar.replaceChildren(...EMOJI.map((emoji) => el('button', {
      type: 'button',
      'aria-pressed': String(given(emoji)),
      'aria-label': `React with ${emoji}`,
      onclick: () => {
        this.#app.react(item, emoji);
        if (this.#row !== null) this.#back(this.#row);
      },
    }, emoji)));
    this.#bar.firstElementChild.focus();
  }

  /** Back from the bar to its row; the bar has its first buttons again. */
  #back(row) {
    const item = this.#item(row);
    row.focus({ preventScroll: true });
    if (item !== undefined) this.#bar.replaceChildren(...this.#buttons(item));
  }

  #ask(item) {
    this.#deleting = { room: this.#app.room, seq: item.seq };
    byId('delete-dialog').showModal();
  }

  #key(event, log) {
    const row = event.target.closest('.msg');
    if (row === null || event.ctrlKey || event.altKey || event.metaKey) return;
    const done = event.target === row ? this.#ofRow(event.key, row, log) : this.#ofBar(event.key, event.target, row);
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Returns whether the key was handled. */
  #ofRow(key, row, log) {
    const item = this.#item(row);
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    if (key in steps) log.step(row, steps[key]);
    else if (item === undefined) return false;
    else if (key === 'Enter') this.#bar.firstElementChild?.focus();
    else if (key.toLowerCase() === 'r') this.#app.house.reply(item);
    else if (key.toLowerCase() === 'e' && this.#isOwn(item)) this.#app.house.edit(item);
    else if (key === 'Delete' && this.#mayDelete(item, this.#app.room)) this.#ask(item);
    else return false;
    return true;
  }

  #ofBar(key, target, row) {
    if (!this.#bar.contains(target)) return false;
    const all = [...this.#bar.children];
    const at = all.indexOf(target);
    if (key === 'ArrowRight') all[(at + 1) % all.length].focus();
    else if (key === 'ArrowLeft') all.at(at - 1).focus();
    else if (key === 'Escape') this.#back(row);
    else return false;
    return true;
  }
}
