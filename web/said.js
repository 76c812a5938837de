// Messages as nodes and as short texts. Others choose the content, and some texts cost a browser far more than their
// length suggests: each text shown here is bounded, and a message is shown in full only on request.

import { el } from './text.js';

/** The cost of a message that may be shown at once: in plain text, so many characters. */
const COST_MAX = 3_000;
/** A costlier message is cut here, so that the rest is worth a click. */
const SHOWN_COST = 2_000;
/** The cost of a line, which takes height however short it is. */
const LINE_COST = 80;
/** Invisible characters and marks cost most where many follow one another, and fill no line. */
const STACKED_COST = 8;
/** Most of them in a row in ordinary text (Unicode UAX #15, "Stream-Safe Text Format", has 30 marks). */
const STACK_MAX = 30;
/** Left-to-right and right-to-left text are measured separately at each change of direction. */
const TURN_COST = 8;
/** A longer word may be broken after so many characters. */
const WORD_MAX = 256;
/** A cut is made at a word's end if there is one within so many characters. */
const CUT_CHARS_MAX = 80;
/** Most links in one message; later addresses stay text. */
const LINKS_MAX = 50;
/** A longer address stays text. */
const ADDRESS_CHARS_MAX = 2_048;

const STACKED = /[\p{M}\p{Default_Ignorable_Code_Point}]/u;
const LETTER = /[\p{L}\p{N}]/u;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const STACK = new RegExp(`${STACKED.source}{${STACK_MAX + 1},}`, 'gu');
const COSTLY = new RegExp(`${STACKED.source}{${STACK_MAX + 1}}|\\S{${WORD_MAX + 1}}`, 'u');
const SPACE = /\s/;
const LINK = /\bhttps?:\/\/[^\s<>"]+/gi;

/** The part of a message shown before it is expanded: all of it, if that does not cost too much. */
export function headOf(text) {
  // No character costs more than a line.
  if (text.length * LINE_COST <= COST_MAX) return text;
  let cost = 0;
  let [stacked, isTurned, at, end] = [0, false, 0, 0];
  for (const char of text) {
    stacked = STACKED.test(char) ? stacked + 1 : 0;
    cost += char === '\n' ? LINE_COST : stacked > 2 ? STACKED_COST : char.length;
    if (LETTER.test(char) && RIGHT_TO_LEFT.test(char) !== isTurned) {
      isTurned = !isTurned;
      cost += TURN_COST;
    }
    if (cost > COST_MAX) return text.slice(0, cutBefore(text, end));
    at += char.length;
    if (cost <= SHOWN_COST) end = at;
  }
  return text;
}

/** Where to cut, at `end` or a little before it: between words, or else between characters as a reader sees them. */
function cutBefore(text, end) {
  const from = Math.max(0, end - CUT_CHARS_MAX);
  const word = text.slice(from, end).search(/\s\S*$/);
  if (word > 0) return from + word;
  const { index } = new Intl.Segmenter().segment(text.slice(from, end + CUT_CHARS_MAX)).containing(end - from);
  return index > 0 ? from + index : end;
}

/** The first `max` characters, for mentions of a text. */
export function excerpt(text, max) {
  let end = 0;
  let count = 0;
  for (const char of text) {
    if ((count += 1) > max) return `${text.slice(0, end)}…`;
    end += char.length;
  }
  return text;
}

/** A text that can be normalized in linear, not quadratic, time. */
export function streamSafe(text) {
  return text.replace(STACK, (stack) => [...stack].map((char, at) => (at > 0 && at % STACK_MAX === 0 ? `\u034f${char}` : char)).join(''));
}

/**
 * A text as nodes, with `http` and `https` addresses as links; `isCut`: the text continues, so its end is no address.
 */
export function linked(text, isCut = false) {
  const nodes = [];
  let end = 0;
  let links = 0;
  for (const match of text.matchAll(LINK)) {
    if ((links += 1) > LINKS_MAX) break;
    if (match[0].length > ADDRESS_CHARS_MAX || (isCut && match.index + match[0].length === text.length)) continue;
    const address = withoutTail(match[0]);
    const href = safeAddress(address);
    if (href === null) continue;
    nodes.push(...plain(text.slice(end, match.index)));
    nodes.push(el('a', { href, target: '_blank', rel: 'noopener noreferrer', dir: 'ltr' }, plain(address)));
    end = match.index + address.length;
  }
  nodes.push(...plain(text.slice(end)));
  return nodes;
}

/**
 * Text nodes. A browser's time grows with the square of the marks stacked in one place and of a word's length, so the
 * text is split into pieces.
 */
function plain(text) {
  if (!COSTLY.test(text)) return [document.createTextNode(text)];
  const nodes = [];
  let piece = '';
  let isStack = false;
  const end = () => {
    if (piece !== '') nodes.push(isStack ? el('span', { class: 'stack' }, piece) : document.createTextNode(piece));
    piece = '';
  };
  let [stacked, length, isJoined] = [0, 0, false];
  for (const char of text) {
    const isStacked = STACKED.test(char);
    stacked = isStacked ? stacked + 1 : 0;
    length = SPACE.test(char) ? 0 : length + 1;
    if (stacked > STACK_MAX && stacked % STACK_MAX === 1) {
      end();
      isStack = true;
    } else if (!isStacked && isStack) {
      end();
      isStack = false;
    } else if (length > WORD_MAX && !isStacked && !isJoined) {
      end();
      nodes.push(el('wbr'));
      length = 1;
    }
    piece += char;
    isJoined = char === '\u200d';
  }
  end();
  return nodes;
}

/** Removes punctuation after an address, which belongs to the sentence, and brackets that the address did not open. */
function withoutTail(address) {
  let open = 0;
  for (const char of address) open += char === '(' ? 1 : char === ')' ? -1 : 0;
  let length = address.length;
  while (length > 0) {
    const last = address[length - 1];
    if (last === ')' && open < 0) open += 1;
    else if (!/[.,;:!?'*_~\]}]/.test(last)) break;
    length -= 1;
  }
  return address.slice(0, length);
}

function safeAddress(address) {
  try {
    const url = new URL(address);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}
