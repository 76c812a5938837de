// Numbers, sizes and times as people read them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const NUMBER = new Intl.NumberFormat('en');
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Three digits are enough for people. */
function rounded(value) {
  return value >= 100 || Number.isInteger(value) ? NUMBER.format(Math.round(value)) : String(Number(value.toPrecision(2)));
}

/** A rate may be less than one, a count not: so the axes of the two differ. */
export const rate = (value) => count(value);
export const count = (value) => (value === null || value === undefined ? '–' : rounded(value));

export function bytes(value) {
  if (value === null || value === undefined) return '–';
  let unit = 0;
  let left = value;
  while (left >= 1024 && unit < UNITS.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${rounded(left)} ${UNITS[unit]}`;
}

/** A duration in µs. */
export function micros(value) {
  if (value === null || value === undefined) return '–';
  if (value < 1000) return `${rounded(value)} µs`;
  return value < 1_000_000 ? `${rounded(value / 1000)} ms` : `${rounded(value / 1_000_000)} s`;
}

/** A duration in ms, as its largest two units. */
export function span(ms) {
  if (ms === null || ms === undefined) return '–';
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

export const clock = (ts) => CLOCK.format(new Date(ts));
export const minute = (ts) => MINUTE.format(new Date(ts));
export const date = (ts) => DATE.format(new Date(ts));
