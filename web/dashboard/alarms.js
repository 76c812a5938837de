// What an operator should look at: each alarm is a sentence, and what to do about it. The thresholds are those of the
// server's log and of docs/metrics.md.

import { counted, sentence } from '../text.js';
import { bytes, micros, span } from './format.js';

const MINUTE_MS = 60_000;
const CERTIFICATE_MS = 30 * 24 * 60 * MINUTE_MS;
const POOL_PERCENT = 80;
const DISK_PERCENT = 90;
const TURN_US = 100_000;
const COMMIT_US = 250_000;
const MEMORY_PERCENT = 90;

const NAMED_MAX = 3;

/** What is done about a pool that fills. */
const DOES = {
  connections: 'Raise limits.connections and the limit on open files, or look below for an address that has many.',
  disk: 'Free room on the disk: below the reserve nothing is stored.',
  outbox_bytes: 'Clients read too slowly: look below for those with the most waiting.',
  store_queue: 'The disk is too slow for what is written.',
  guests: 'Raise limits.guests; more are refused.',
  rooms: 'Raise limits.all_rooms, or delete rooms; more are refused.',
  streams: 'Raise limits.streams; after that the longest idle ones are forgotten.',
  stream_bytes: 'Raise limits.all_streams_bytes; after that the oldest events are forgotten.',
  polls: 'Raise backend.poll_threads, or poll less often; more polls wait.',
  handler_calls: 'The backend is slow, or has too few of backend.call_threads; more calls wait.',
  proofs: 'The backend that knows the users is slow, or has too few of auth.url_threads; more sign-ins wait.',
};

/**
 * The alarms of the newest events.
 * @param {{ data: any, ts: number }[]} events of `parlor:vitals`, oldest first
 * @param {number} now in ms since 1970
 * @param {{ stream: string, state?: string, required?: true }[]} sources the declared streams
 * @returns {{ id: string, level: 'bad' | 'warn', text: string, advice: string }[]}
 */
export function alarms(events, now, sources) {
  const newest = events.at(-1)?.data;
  if (!newest) return [];
  const minute = events.filter(({ ts }) => ts > now - MINUTE_MS).map(({ data }) => data);
  const sum = (name) => minute.reduce((all, data) => all + data[name], 0);
  const slowest = (name) => Math.max(0, ...minute.map((data) => data[name].p99_us ?? 0));
  const found = [];
  const add = (id, level, text, advice) => found.push({ id, level, text, advice });
  if (sum('store_failures') > 0) add('failures', 'bad', `${counted(sum('store_failures'), 'transaction')} failed within a minute.`, 'The log has the error of the disk.');
  if (sum('store_refusals') > 0) add('refusals', 'bad', `The store did not take ${counted(sum('store_refusals'), 'request')} within a minute.`, 'The log says why: the queue was full, the disk failed, or data is damaged.');
  if (sum('cut') > 0) add('cut', 'bad', `Connections cut as the outboxes were full: ${sum('cut')}.`, DOES.outbox_bytes);
  for (const [pool, [taken, size]] of Object.entries(newest.pools)) {
    const percent = size === 0 ? 0 : Math.floor((taken * 100) / size);
    const most = pool === 'disk' ? DISK_PERCENT : POOL_PERCENT;
    if (percent >= most) add(`pool-${pool}`, percent >= 95 ? 'bad' : 'warn', `${pool.replaceAll('_', ' ')}: ${percent} % are taken.`, DOES[pool] ?? 'When it is full, more waits or is refused.');
  }
  if (newest.memory_bytes && newest.resident_bytes * 100 > newest.memory_bytes * MEMORY_PERCENT) {
    add('memory', 'bad', `The process has ${bytes(newest.resident_bytes)} of ${bytes(newest.memory_bytes)}.`, 'Lower limits.all_outboxes_bytes and limits.all_streams_bytes, or give it more.');
  }
  if (slowest('turns') > TURN_US) add('turns', 'warn', `A turn of the loop took up to ${micros(slowest('turns'))}: everybody waited.`, 'The processor is busy, or one request is very large.');
  if (slowest('commits') > COMMIT_US) add('commits', 'warn', `A commit took up to ${micros(slowest('commits'))}.`, 'The disk is slow: see what else writes to it.');
  if (newest.certificate_expires && newest.certificate_expires - now < CERTIFICATE_MS) {
    const left = newest.certificate_expires - now;
    add('certificate', left < 3 * 24 * 60 * MINUTE_MS ? 'bad' : 'warn', left <= 0 ? 'The certificate has ended.' : `The certificate ends in ${span(left)}.`, 'Renew it; the server takes the new file by itself.');
  }
  const failing = sources.filter(({ state }) => state === 'open' || state === 'half-open');
  if (failing.length > 0) {
    const names = failing.slice(0, NAMED_MAX).map(({ stream }) => stream);
    if (failing.length > NAMED_MAX) names.push(`${failing.length - NAMED_MAX} more`);
    add('sources', failing.some(({ required }) => required) ? 'bad' : 'warn', `The ${failing.length === 1 ? 'source' : 'sources'} of ${sentence(names)} ${failing.length === 1 ? 'fails' : 'fail'}.`, 'The table of streams and the log have the error. The server tries again by itself.');
  }
  if (sum('connections_refused') > 0) add('refused', 'warn', `Connections refused by a limit within a minute: ${sum('connections_refused')}.`, 'The pools and limits below say which.');
  return found.sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

/** The limits that applied, with how often and when last. @param {{ data: any, ts: number }[]} events */
export function limitsOf(events) {
  const limits = new Map();
  for (const { data, ts } of events) {
    for (const [name, times] of Object.entries(data.limits)) limits.set(name, { times: (limits.get(name)?.times ?? 0) + times, ts });
  }
  return [...limits].sort((a, b) => b[1].ts - a[1].ts);
}
