// Searches the loaded messages of the room shown, from the newest to the oldest.

import { headOf, streamSafe } from './said.js';
import { counted, setText } from './text.js';

const byId = (id) => document.getElementById(id);
const fold = (text) => streamSafe(text).normalize('NFKC').toLowerCase();

export class Search {
  #app;
  #bar = byId('search');
  #input = byId('search-input');
  #said = byId('search-said');
  #rows = byId('log-rows');
  /** The `seq`s found, newest first, and the index of the one shown. */
  #found = [];
  #at = 0;
  #frame = 0;

  constructor(app) {
    this.#app = app;
    byId('search-open').addEventListener('click', () => (this.#bar.hidden ? this.open() : this.close()));
    byId('search-close').addEventListener('click', () => this.close());
    byId('search-older').addEventListener('click', () => this.#step(1));
    byId('search-newer').addEventListener('click', () => this.#step(-1));
    this.#input.addEventListener('input', () => this.#find());
    this.#bar.addEventListener('submit', (event) => event.preventDefault());
    this.#bar.addEventListener('keydown', (event) => this.#key(event));
    // Scrolling adds and removes rows: matches in them are marked again.
    new MutationObserver(() => this.#markLater()).observe(this.#rows, { childList: true, subtree: true });
  }

  open() {
    if (this.#app.room === null) return;
    this.#bar.hidden = false;
    byId('search-open').setAttribute('aria-expanded', 'true');
    this.#input.focus();
    this.#input.select();
    this.#find();
  }

  close(isLeft = false) {
    if (this.#bar.hidden) return;
    this.#bar.hidden = true;
    byId('search-open').setAttribute('aria-expanded', 'false');
    this.#found = [];
    this.#mark();
    if (!isLeft) this.#app.house.focusMessage();
  }

  #key(event) {
    if (event.key === 'Escape') this.close();
    else if (event.key === 'Enter' && event.target === this.#input) this.#step(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #find() {
    this.#look();
    this.#at = 0;
    this.#show();
  }

  #look() {
    const words = fold(this.#input.value.trim());
    const items = words === '' ? [] : this.#app.room.log.items.filter((item) => item.kind === 'message' && fold(item.text).includes(words));
    this.#found = items.map(({ seq }) => seq).reverse();
  }

  /** Moves to the next older or newer match, wrapping around. */
  #step(by) {
    const was = this.#found[this.#at];
    // More may have been loaded or sent.
    this.#look();
    const { length } = this.#found;
    if (length === 0) return;
    this.#at = (Math.max(0, this.#found.indexOf(was)) + by + length) % length;
    this.#show();
  }

  #show() {
    const { length } = this.#found;
    const { log } = this.#app.room;
    const where = log.atStart ? '' : ` in ${counted(log.items.length, 'loaded message')}`;
    const isEmpty = this.#input.value.trim() === '';
    setText(this.#said, isEmpty ? '' : length === 0 ? `Nothing found${where}` : `${this.#at + 1} of ${length}${where}`);
    for (const id of ['search-older', 'search-newer']) byId(id).disabled = length < 2;
    if (length > 0) this.#reveal(this.#found[this.#at]);
    this.#mark();
  }

  /** Shows a match, in full if the words are not at the beginning. */
  #reveal(seq) {
    const words = fold(this.#input.value.trim());
    const isWhole = !fold(headOf(this.#app.room.log.item(seq).text)).includes(words);
    this.#app.house.reveal(seq, { focus: false, isWhole });
  }

  #markLater() {
    if (this.#bar.hidden || this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#mark();
    });
  }

  /** Highlights the words in the visible rows without changing their nodes. */
  #mark() {
    if (!('highlights' in CSS)) return;
    const words = this.#bar.hidden ? '' : this.#input.value.trim().toLowerCase();
    for (const name of ['found', 'current']) CSS.highlights.delete(name);
    if (words === '') return;
    const marked = { found: [], current: [] };
    for (const node of this.#rows.querySelectorAll('.text:not(.deleted)')) {
      const isCurrent = Number(node.closest('.msg').dataset.seq) === this.#found[this.#at];
      marked[isCurrent ? 'current' : 'found'].push(...rangesOf(node, words));
    }
    for (const [name, ranges] of Object.entries(marked)) CSS.highlights.set(name, new Highlight(...ranges));
  }
}

/** The ranges of the words in a node's text. */
function rangesOf(node, words) {
  const ranges = [];
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text !== null; text = walker.nextNode()) {
    const lower = text.data.toLowerCase();
    // In a few languages lower case changes the length: mark nothing rather than the wrong place.
    if (lower.length !== text.data.length) continue;
    for (let at = lower.indexOf(words); at >= 0; at = lower.indexOf(words, at + words.length)) {
      const range = new Range();
      range.setStart(text, at);
      range.setEnd(text, at + words.length);
      ranges.push(range);
    }
  }
  return ranges;
}
