// A long list that keeps only the rows near the viewport in the page. It uses measured row heights, or estimates for
// rows never shown; visible rows stay in place when the heights above them change.

import { arrange } from './text.js';

/** Pixels above and below the viewport that are also in the page. */
const SPARE_PX = 500;
/** Rows whose height differs from the estimate shift the view: how often to recompute the visible ones. */
const LOOKS_MAX = 4;

export class Virtual {
  /** The rows, each with a `key`, and the index of each key. */
  rows = [];
  #places = new Map();
  /** The top of each row, and the bottom of the last one. */
  #tops = new Float64Array(1);
  #heights = new Map();
  #scroller;
  #list;
  #guess;
  #node;
  #shown = [];

  /** `guess(row)`: its estimated height; `node(row, at)`: the node of a row that enters the page, or was in it. */
  constructor(scroller, list, { guess, node }) {
    this.#scroller = scroller;
    this.#list = list;
    this.#guess = guess;
    this.#node = node;
  }

  /** Sets the rows; measured heights of known rows stay valid. */
  set(rows) {
    this.rows = rows;
    this.#places = new Map(rows.map(({ key }, at) => [key, at]));
    this.#add();
  }

  /** Discards all measurements: the width has changed, or the list. */
  forget() {
    this.#heights.clear();
    this.#add();
  }

  /** The keys of the rows in the page. */
  get shown() {
    return this.#shown;
  }

  placeOf(key) {
    return this.#places.get(key);
  }

  /** The row at the top of the viewport and its distance, with some rows after it. */
  anchor() {
    const from = this.#seenFrom;
    // If a change removes rows, the nearest remaining one below is found.
    const at = this.#at(from);
    return this.rows.slice(at, at + 20).map(({ key }, step) => ({ key, away: this.#tops[at + step] - from }));
  }

  /**
   * Draws with one of these rows in its place (`anchor`), the end in view (`end`), or a row in the middle (`middle`).
   */
  draw({ anchor = [], end = false, middle = null }) {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      const from = this.#wanted(anchor, end, middle);
      this.#fill(from);
      const isMeasured = this.#measure();
      if (isMeasured) this.#pad();
      const to = this.#wanted(anchor, end, middle);
      const top = end ? this.#scroller.scrollHeight : to + this.#offset;
      if (Math.abs(this.#scroller.scrollTop - top) >= 1) this.#scroller.scrollTop = top;
      if (!isMeasured && Math.abs(from - this.#seenFrom) < SPARE_PX / 2) return;
    }
  }

  /** The list's offset within the scrolled element. */
  get #offset() {
    return this.#list.offsetTop;
  }

  get #seenFrom() {
    return this.#scroller.scrollTop - this.#offset;
  }

  #wanted(anchor, end, middle) {
    const height = this.#scroller.clientHeight;
    if (end) return this.#tops[this.rows.length] - height;
    const at = middle === null ? undefined : this.placeOf(middle);
    if (at !== undefined) return (this.#tops[at] + this.#tops[at + 1] - height) / 2;
    const kept = anchor.find(({ key }) => this.#places.has(key));
    return kept === undefined ? this.#seenFrom : this.#tops[this.placeOf(kept.key)] - kept.away;
  }

  /** Puts the rows near `from` into the page. */
  #fill(from) {
    const first = this.#at(from - SPARE_PX);
    const last = Math.min(this.rows.length, this.#at(from + this.#scroller.clientHeight + SPARE_PX) + 1);
    const rows = this.rows.slice(first, last);
    const nodes = rows.map((row, at) => this.#node(row, first + at));
    this.#shown = rows.map(({ key }, at) => ({ key, node: nodes[at], at: first + at }));
    this.#pad();
    arrange(this.#list, nodes);
  }

  /** Reserves the space of rows that are not in the page. */
  #pad() {
    const [first, last] = [this.#shown[0]?.at ?? 0, (this.#shown.at(-1)?.at ?? -1) + 1];
    const { style } = this.#list;
    style.paddingTop = `${this.#tops[first]}px`;
    style.paddingBottom = `${this.#tops[this.rows.length] - this.#tops[last]}px`;
  }

  /** Returns whether a row's height differs from the known one. */
  #measure() {
    let isOther = false;
    for (const { key, node } of this.#shown) {
      const { height } = node.getBoundingClientRect();
      if (Math.abs((this.#heights.get(key) ?? -1) - height) < 0.1) continue;
      this.#heights.set(key, height);
      isOther = true;
    }
    if (isOther) this.#add();
    return isOther;
  }

  #add() {
    const { rows } = this;
    const tops = new Float64Array(rows.length + 1);
    for (let at = 0; at < rows.length; at += 1) tops[at + 1] = tops[at] + (this.#heights.get(rows[at].key) ?? this.#guess(rows[at]));
    this.#tops = tops;
  }

  /** The row at so many pixels from the beginning of the list. */
  #at(px) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= px) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
