// Names of people and rooms: names in any script, the ids that stand for them on the wire, and how to distinguish
// similar names.

import { streamSafe } from './said.js';
import { byteLength } from './text.js';

const ID_BASE_LENGTH = 40;
/** The server's default limit for a name (`limits.title_bytes`). */
export const NAME_BYTES_MAX = 128;
// Characters that break a line or change the direction of neighbouring text. The server refuses them, too.
// eslint-disable-next-line no-control-regex
const NONE_OF_A_NAME = /[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/u;
const SEEN = /[^\s\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Typed text as a name: in normal form C, without spaces at its ends. */
export function nameOf(text) {
  return text.trim().normalize('NFC');
}

/** Why this is not a valid name, as a sentence; empty if it is. */
export function nameFault(name) {
  if (!SEEN.test(name)) return 'A name needs at least one visible character.';
  if (NONE_OF_A_NAME.test(name)) return 'A name may not contain control characters, line breaks or characters that change the text direction.';
  if (byteLength(name) > NAME_BYTES_MAX) return `This is too long: a name may have at most ${NAME_BYTES_MAX} bytes.`;
  return '';
}

const isId = (text) => /^[A-Za-z0-9_.@-]{1,64}$/.test(text) && !/^\.+$/.test(text);

/** Whether the server accepts this as the id of a new room. */
const isRoomId = (text) => /^[A-Za-z0-9_.@:-]{1,64}$/.test(text) && !/^\.+$/.test(text) && !text.startsWith('dm:');

/**
 * The id for a name: the name itself if it is a valid id; otherwise its valid part and a number that depends on the
 * name.
 */
export function userIdOf(name) {
  return isId(name) ? name : madeId(name);
}

/** The id of a room with this title. */
export function roomIdOf(title) {
  return isRoomId(title) ? title : madeId(title);
}

function madeId(name) {
  const letters = name.normalize('NFKD').replace(/\p{M}/gu, '');
  const base = letters.replace(/[^A-Za-z0-9]+/g, '-').slice(0, ID_BASE_LENGTH).replace(/^-+|-+$/g, '');
  return `${base}${base && '-'}${number(name)}`;
}

/** A 53-bit hash of a name. */
function number(name) {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (const byte of new TextEncoder().encode(name)) {
    high = Math.imul(high ^ byte, 2654435761);
    low = Math.imul(low ^ byte, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return (4294967296 * (2097151 & low) + (high >>> 0)).toString(36);
}

// Letters of other scripts that look like Latin ones; part of Unicode's table of confusables (UTS #39).
const LIKE = new Map(
  [
    ['аαɑ', 'a'], ['вβ', 'b'], ['сϲ', 'c'], ['ԁ', 'd'], ['еє', 'e'], ['ɡ', 'g'], ['һнη', 'h'], ['іιıӏl1|', 'i'], ['јϳ', 'j'], ['кκ', 'k'],
    ['мμ', 'm'], ['ո', 'n'], ['оοօ0', 'o'], ['рρ', 'p'], ['ԛ', 'q'], ['ѕ', 's'], ['тτ', 't'], ['υս', 'u'], ['ѵν', 'v'], ['ԝѡω', 'w'], ['хχ', 'x'],
    ['уγү', 'y'], ['ζ', 'z'],
  ].flatMap(([others, letter]) => [...others].map((other) => [other, letter])),
);

const CAPITALS = new Map([...'ΑaΒbΕeΖzΗhΙiΚkΜmΝnΟoΡpΤtΥyΧxϹc'.matchAll(/(.)(.)/gu)].map(([, capital, letter]) => [capital, letter]));

/** The visual form of a name: equal for names that a reader may confuse. */
export function looks(name) {
  const letters = [...name.normalize('NFKD').replace(/[\p{M}\p{Default_Ignorable_Code_Point}\u2800]/gu, '')];
  // Some capitals resemble other letters than their small letters do.
  const small = letters.map((letter) => CAPITALS.get(letter) ?? letter.toLowerCase()).join('');
  return [...small.replace(/[\s_.\p{Pd}]+/gu, ' ').replace(/[’‘ʼʻ`´]/gu, "'").trim()].map((letter) => LIKE.get(letter) ?? letter).join('');
}

/** The names of users or rooms, by id. */
export class Names {
  #names = new Map();
  /** @type {Map<string, Set<string>>} ids by what their names look like */
  #alike = new Map();

  has(id) {
    return this.#names.has(id);
  }

  /** An id without a name is its own name. */
  set(id, name) {
    const before = this.#names.get(id);
    if (before === (name || id)) return;
    if (before !== undefined) this.#alike.get(looks(before))?.delete(id);
    this.#names.set(id, name || id);
    const look = looks(name || id);
    if (!this.#alike.has(look)) this.#alike.set(look, new Set());
    this.#alike.get(look).add(id);
  }

  /** Only the name, for places that also show the id. */
  plain(id) {
    return this.#names.get(id) ?? id;
  }

  /** Whether another has the same or a similar name, so that the id must be shown. */
  isAlike(id) {
    const name = this.plain(id);
    // A name with brackets could imitate another name with its id.
    return name !== id && (this.#alike.get(looks(name)).size > 1 || /\p{Ps}/u.test(name));
  }

  /** The name, with the id if another has the same or a similar name. */
  get(id) {
    return this.isAlike(id) ? `${this.plain(id)} (${id})` : this.plain(id);
  }

  /** The only id with this name; `undefined` if there is none, or more than one. */
  only(name) {
    const ids = [...(this.#alike.get(looks(name)) ?? [])].filter((id) => this.plain(id) === name);
    return ids.length === 1 ? ids[0] : undefined;
  }
}

// Scripts without spaces between words.
const UNSPACED = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

/** The characters examined after a name, whatever the length of the text. */
const NEAR = 8;

/** Whether a text mentions a name, with an `@` or without. */
export function speaksOf(text, name) {
  if (!name) return false;
  const words = streamSafe(text).normalize('NFC').toLowerCase();
  const wanted = name.normalize('NFC').toLowerCase();
  const last = [...wanted].at(-1);
  for (let at = words.indexOf(wanted); at >= 0; at = words.indexOf(wanted, at + 1)) {
    const before = [...words.slice(Math.max(0, at - 2), at)].at(-1) ?? ' ';
    const end = at + wanted.length;
    // Points and dashes may be inside an id, or end a sentence.
    const after = words.slice(end, end + NEAR).replace(/^[.@-]*/, '');
    const opens = !/[\p{L}\p{M}\p{N}_.-]/u.test(before);
    const ends = !/^[\p{L}\p{M}\p{N}_]/u.test(after) || (before === '@' && UNSPACED.test(last));
    if (opens && ends) return true;
  }
  return false;
}
