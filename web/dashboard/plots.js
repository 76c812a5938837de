// The plots of the last hour: one card each, drawn by uPlot. What each shows is a row of the table below.

import { el, setText } from '../text.js';
import { bytes, clock, count, micros, minute, rate } from './format.js';

const { uPlot } = globalThis;
const HOUR_S = 3600;
/** As long as less is known, so much is drawn. */
const LEAST_S = 300;
/** Where nothing came for so long, the line is broken. */
const GAP_S = 16;
const HEIGHT = 112;
const POWERS = Array.from({ length: 48 }, (_, n) => 2 ** n);
const WHOLE = Array.from({ length: 36 }, (_, n) => [1, 2, 5][n % 3] * 10 ** Math.floor(n / 3));
/** Steps of an axis, where not every one will do. */
const STEPS = new Map([[bytes, POWERS], [count, WHOLE]]);

const perSecond = (name) => (data) => (data[name] * 1000) / Math.max(1, data.ms);
const time = (name, of) => (data) => data[name][of] ?? null;
const times = (name) => [['half within', time(name, 'p50_us')], ['99 % within', time(name, 'p99_us')]];

const PLOTS = [
  ['Connections', count, [['WebSockets', (data) => data.websockets], ['event streams', (data) => data.events], ['HTTP', (data) => data.http]]],
  ['Users online', count, [['online', (data) => data.online]]],
  ['Messages a second', rate, [['received', perSecond('received')], ['sent', perSecond('sent')]]],
  ['Durable commits', micros, times('commits')],
  ['Delivery of what is stored', micros, times('deliveries')],
  ['Round trips of pings', micros, times('round_trips')],
  ['Waiting in outboxes', bytes, [['waiting', (data) => data.outbox_bytes]]],
  ['Memory of the process', bytes, [['resident', (data) => data.resident_bytes ?? null]]],
  ['Traffic a second', bytes, [['received', perSecond('received_bytes')], ['sent', perSecond('sent_bytes')]]],
  ['Turns of the loop', micros, times('turns')],
  ['Rooms and streams', count, [['rooms', (data) => data.rooms], ['streams', (data) => data.streams], ['subscriptions', (data) => data.subscriptions]]],
  ['Refused and dropped', count, [['requests refused', (data) => data.refused], ['pushes dropped', (data) => data.dropped], ['not stored', (data) => data.store_refusals]]],
];

const probe = el('span', { hidden: true });

/** A colour of the style sheet as a canvas takes it. */
function colour(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

const COLOURS = ['--plot-1', '--plot-2', '--plot-3'];

class Plot {
  #title;
  #format;
  #series;
  #values;
  #time = el('span', { class: 'plot-time' });
  #frame;
  #u;
  #data = [[]];

  constructor([title, format, series]) {
    this.#title = title;
    this.#format = format;
    this.#series = series;
    this.#values = series.map(([name], place) => el('span', { class: 'plot-value', dataset: { place: String(place + 1) } }, `${name} `, el('b')));
    this.#frame = el('div', { class: 'plot-frame', role: 'img', 'aria-label': title });
    this.card = el('article', { class: 'card-of-plot' }, el('h3', {}, title), el('p', { class: 'plot-values' }, ...this.#values, this.#time), this.#frame);
  }

  /** Draws what is known. @param {number[]} xs in s @param {(number | null)[][]} columns */
  draw(xs, columns) {
    const width = this.#frame.clientWidth;
    if (width === 0) return;
    const now = xs.at(-1) ?? Date.now() / 1000;
    this.#data = [xs, ...columns];
    // The library does not start where the browser's language has no tag (RFC 5646), as "C" is none: then there are the values alone.
    if (uPlot) this.#u ??= this.#make(width);
    this.#u?.setData(this.#data, false);
    const span = Math.min(HOUR_S, Math.max(LEAST_S, now - (xs[0] ?? now)));
    this.#u?.setScale('x', { min: now - span, max: now });
    if ((this.#u?.cursor.idx ?? null) === null) this.#show(xs.length - 1);
    const most = (column) => this.#format(Math.max(...column.filter((value) => value !== null)));
    const said = this.#series.map(([name], place) => (columns[place].some((value) => value !== null) ? `${name} now ${this.#format(columns[place].at(-1))}, at most ${most(columns[place])}` : `${name} unknown`));
    this.#frame.setAttribute('aria-label', `${this.#title}, the last hour: ${said.join('; ')}`);
  }

  resize() {
    if (this.#u && this.#frame.clientWidth > 0) this.#u.setSize({ width: this.#frame.clientWidth, height: HEIGHT });
  }

  repaint() {
    this.#u?.redraw(false);
  }

  #make(width) {
    const axis = { stroke: () => colour('--ink-soft'), grid: { stroke: () => colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const series = this.#series.map(([label], place) => ({ label, width: 1.5, stroke: () => colour(COLOURS[place]), points: { show: false }, spanGaps: false }));
    const options = {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'hour' } },
      scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
      axes: [{ ...axis, size: 24, values: (_, ticks) => ticks.map((tick) => minute(tick * 1000)) }, { ...axis, size: 66, incrs: STEPS.get(this.#format), values: (_, ticks) => ticks.map((tick) => this.#format(tick)) }],
      series: [{}, ...series],
      hooks: { setCursor: [(u) => this.#show(u.cursor.idx ?? this.#data[0].length - 1)] },
    };
    return new uPlot(options, [[], ...this.#series.map(() => [])], this.#frame);
  }

  /** Writes the values at a place: under the pointer, or the newest. */
  #show(place) {
    const data = this.#data;
    for (const [one, node] of this.#values.entries()) setText(node.querySelector('b'), this.#format(data[one + 1][place] ?? null));
    const isNewest = place >= data[0].length - 1;
    setText(this.#time, isNewest || data[0][place] === undefined ? '' : clock(data[0][place] * 1000));
  }
}

export class Plots {
  #plots = PLOTS.map((row) => new Plot(row));
  #isDue = false;
  #events = [];

  constructor(place) {
    place.append(...this.#plots.map(({ card }) => card));
    new ResizeObserver(() => this.#plots.forEach((plot) => plot.resize())).observe(place);
    document.addEventListener('visibilitychange', () => this.show(this.#events));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.repaint());
  }

  /** Shows these events of `parlor:vitals`, at most once a frame, and not while nobody looks. */
  show(events) {
    this.#events = events;
    if (this.#isDue || document.hidden) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  /** The colours are others. */
  repaint() {
    this.#plots.forEach((plot) => plot.repaint());
  }

  #draw() {
    const xs = [];
    const rows = [];
    for (const { data, ts } of this.#events) {
      const x = ts / 1000;
      if (xs.length > 0 && x - xs.at(-1) > GAP_S) {
        xs.push(xs.at(-1) + 1);
        rows.push(null);
      }
      xs.push(x);
      rows.push(data);
    }
    for (const [place, [, , series]] of PLOTS.entries()) this.#plots[place].draw(xs, series.map(([, of]) => rows.map((data) => (data === null ? null : of(data)))));
  }
}
