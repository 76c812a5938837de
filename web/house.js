// The page's frame after sign-in: header, connection state, drawers, dialogs, keys, notices. chatlog.js draws the
// messages, lists.js the lists, and composer.js the box below.

import { ChatLog } from './chatlog.js';
import { Composer } from './composer.js';
import { Lists } from './lists.js';
import { nameFault, nameOf } from './names.js';
import { Notify } from './notify.js';
import { Search } from './search.js';
import { nextTheme, theme } from './theme.js';
import { because, closedBecause, wantsLink } from './words.js';
import { avatar, counted, el, icon, isolated, listed, setText } from './text.js';

const byId = (id) => document.getElementById(id);
const BLIP_MS = 1_200;
const TOAST_MS = 7_000;
const ACTION_MS = 15_000;
const TYPING_NAMES_MAX = 3;
const NEWS_MAX = 5;

const STATES = {
  idle: 'Connecting',
  connecting: 'Connecting',
  authenticating: 'Connecting',
  online: 'Live',
  waiting: 'Reconnecting',
  paused: 'Paused',
  failed: 'Stopped',
  closed: 'Signed out',
};

export class House {
  #app;
  #lists;
  #composer;
  #log;
  #search;
  #shown = null;
  #opener = null;
  #offlineSince = null;
  /** The code that ended the connection; null while there is one. */
  #closeCode = null;
  #ticking = 0;
  #narrow = matchMedia('(max-width: 47.5em)');
  #medium = matchMedia('(max-width: 67.5em)');

  constructor(app) {
    this.#app = app;
    this.#lists = new Lists(app);
    this.#composer = new Composer(app);
    this.#log = new ChatLog(app);
    this.#search = new Search(app);
    this.notify = new Notify(app);
    byId('door').hidden = true;
    byId('house').hidden = false;
    this.#buttons();
    this.#dialogs();
    this.#keys();
    for (const media of [this.#narrow, this.#medium]) media.addEventListener('change', () => this.closeDrawers(false));
    this.closeDrawers(false);
    this.#themeButton();
  }

  get atEnd() {
    return this.#log.atEnd;
  }

  draw(dirty) {
    if (dirty.has('state')) this.#state();
    if (dirty.has('state') || dirty.has('rooms') || dirty.has('people')) this.#header();
    if (dirty.has('log') || dirty.has('people')) this.#log.draw();
    if (dirty.has('rooms') || dirty.has('people')) this.#lists.drawRooms();
    if (dirty.has('people')) this.#lists.drawPeople();
    if (dirty.has('typing') || dirty.has('people')) this.#typing();
    this.#composer.draw();
  }

  title() {
    const { rooms, room } = this.#app;
    const unread = rooms.unread;
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${room === null ? '' : `${this.#nameOf(room)} · `}parlor`;
    byId('rail-badge').hidden = unread === 0 || (unread === room?.unread && room.unread > 0);
  }

  roomShown(room) {
    this.#composer.room(room, this.#shown);
    this.#shown = room;
    byId('news').replaceChildren();
    this.#search.close(true);
    this.#log.show(room);
    this.focusMessage();
  }

  /** The user has just sent a message, and wants to see it. */
  sent() {
    this.#log.toEnd();
  }

  reply(item) {
    this.#composer.reply(item);
  }

  edit(item) {
    this.#composer.edit(item);
  }

  /** Shows a message, in whichever place. */
  reveal(seq, options) {
    this.#log.reveal(seq, options);
  }

  /** Puts text that could not be sent back into the message box. */
  giveBack(text) {
    this.#composer.bring(text);
    this.toast('Your unsent text is in the message box.');
  }

  /** Focuses the message box, unless that opens an on-screen keyboard. */
  focusMessage() {
    if (matchMedia('(hover: hover) and (pointer: fine)').matches && !document.querySelector('dialog[open]')) this.#composer.focus();
  }

  /** Shows a notice for a while; `action` is what can be done about it: `{label, act}`. */
  toast(text, action = null) {
    if (byId('toasts').lastElementChild?.dataset.said === text) return;
    const act = () => {
      node.remove();
      action.act();
    };
    const node = el('p', { class: 'toast', dataset: { said: text } }, text, action && el('button', { type: 'button', onclick: act }, action.label));
    byId('toasts').append(node);
    setTimeout(() => node.remove(), action === null ? TOAST_MS : ACTION_MS);
  }

  /** Announces a new message to screen readers. The list itself is not announced, as its rows come and go. */
  hear(seq, text) {
    const news = byId('news');
    news.append(el('p', { dataset: { seq } }, text));
    while (news.childElementCount > NEWS_MAX) news.firstElementChild.remove();
  }

  /** Removes an announcement whose message was edited or deleted. */
  unhear(seq) {
    byId('news').querySelector(`[data-seq="${seq}"]`)?.remove();
  }

  /** Joins a room, or says why that is not possible. */
  async join(name) {
    const refusal = await this.#app.enter(name);
    if (refusal) this.toast(`You could not join ${isolated(this.#app.rooms.called(name))}: ${because(refusal)}.`);
    else this.closeDrawers(false);
  }

  closeDrawers(back = true) {
    const open = byId('house').dataset.drawer !== undefined;
    delete byId('house').dataset.drawer;
    this.#drawers();
    if (open && back) this.#opener?.focus();
    this.#opener = null;
  }

  #nameOf(room) {
    return room.peer === null ? this.#app.rooms.called(room.name) : this.#app.presence.name(room.peer);
  }

  #header() {
    const { room, presence, user } = this.#app;
    setText(byId('room-title'), room === null ? 'parlor' : this.#nameOf(room));
    byId('room-title').dataset.kind = room === null ? 'none' : room.peer === null ? 'room' : 'direct';
    let note = '';
    if (room?.peer && presence.isOnline(room.peer)) note = 'online';
    else if (room?.peer && presence.isOffline(room.peer, !room.draft)) note = 'not online; they will find it here';
    else if (room?.members) note = counted(room.members, 'member');
    setText(byId('room-note'), note);
    byId('leave').hidden = room === null || room.peer !== null;
    byId('search-open').hidden = room === null;
    byId('people-open').setAttribute('aria-label', presence.number === null ? 'People' : `People, ${presence.number.people}${presence.number.more ? ' and more' : ''} online`);
    if (user && byId('me').dataset.of !== user.id + user.name) {
      byId('me').dataset.of = user.id + user.name;
      byId('me').title = user.name || user.id;
      byId('me').replaceChildren(avatar(user.id, user.name || user.id), el('bdi', {}, user.name || user.id));
    }
  }

  /**
   * Shows the state as a word in the header, and as a sentence below it once it lasts: a brief loss need not move the
   * page.
   */
  #state() {
    const { state } = this.#app.client;
    const node = byId('state');
    node.dataset.state = state.name;
    setText(node, STATES[state.name]);
    clearInterval(this.#ticking);
    if (state.name === 'online') {
      this.#offlineSince = null;
      this.#closeCode = null;
      byId('banner').hidden = true;
      return;
    }
    this.#offlineSince ??= Date.now();
    // What ended the connection says more than that the next attempts fail.
    if (state.code !== undefined && (state.code !== 1006 || this.#closeCode === null)) this.#closeCode = state.code;
    this.#banner();
    this.#ticking = setInterval(() => this.#banner(), 250);
  }

  #banner() {
    const { state } = this.#app.client;
    const banner = byId('banner');
    const first = this.#app.user === null && state.name !== 'waiting';
    banner.hidden = state.name !== 'failed' && (first || Date.now() - this.#offlineSince < BLIP_MS);
    banner.dataset.state = state.name;
    const waiting = state.name === 'waiting';
    const stopped = state.name === 'failed';
    const token = wantsLink(state);
    const reason = waiting || stopped ? closedBecause(this.#closeCode ?? 1006) : 'Reconnecting…';
    setText(byId('banner-text'), token ? `${reason} Open a new link to go on.` : reason);
    const seconds = waiting ? Math.max(0, Math.ceil((state.until - Date.now()) / 1000)) : 0;
    setText(byId('banner-count'), waiting ? (seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting now') : '');
    byId('banner-retry').hidden = !(waiting || stopped) || token;
    setText(byId('banner-retry'), stopped ? 'Reconnect' : 'Retry now');
  }

  #typing() {
    const { room, presence } = this.#app;
    const who = room === null ? [] : this.#app.typists(room);
    const node = byId('typing');
    const names = who.slice(0, TYPING_NAMES_MAX).map((user) => presence.name(user));
    const text = who.length > TYPING_NAMES_MAX ? ['Several people are typing'] : [...listed(names), who.length === 1 ? ' is typing' : ' are typing'];
    const stamp = who.length > TYPING_NAMES_MAX ? '' : names.join('\n');
    if (node.dataset.stamp === `${who.length} ${stamp}`) return;
    node.dataset.stamp = `${who.length} ${stamp}`;
    const dots = () => el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i'));
    node.replaceChildren(...(who.length > 0 ? [dots(), el('span', {}, text)] : []));
  }

  #buttons() {
    byId('rail-open').addEventListener('click', (event) => this.#openDrawer('rail', event.currentTarget));
    byId('people-open').addEventListener('click', (event) => this.#openDrawer('people', event.currentTarget));
    for (const button of document.querySelectorAll('.drawer-close')) button.addEventListener('click', () => this.closeDrawers());
    byId('scrim').addEventListener('click', () => this.closeDrawers());
    byId('banner-retry').addEventListener('click', () => this.#app.client.retryNow());
    byId('theme').addEventListener('click', () => {
      nextTheme();
      this.#themeButton();
    });
    document.querySelector('.skip').addEventListener('click', (event) => {
      event.preventDefault();
      this.#composer.focus();
    });
  }

  #themeButton() {
    const choice = theme();
    const label = `Colours: ${{ system: 'like the system', light: 'light', dark: 'dark' }[choice]}`;
    byId('theme').replaceChildren(icon(choice));
    byId('theme').setAttribute('aria-label', label);
    byId('theme').title = label;
  }

  #openDrawer(which, opener) {
    if (byId('house').dataset.drawer === which) {
      this.closeDrawers();
      return;
    }
    this.#opener = opener;
    byId('house').dataset.drawer = which;
    this.#drawers();
    if (which === 'rail' && this.#app.online) this.#app.rooms.list().catch(() => {});
    byId(which).querySelector('.drawer-close').focus();
  }

  /** A closed drawer cannot be focused; while one is open, nothing else can. */
  #drawers() {
    const { drawer } = byId('house').dataset;
    byId('rail').inert = this.#narrow.matches ? drawer !== 'rail' : drawer === 'people';
    byId('people').inert = this.#medium.matches && drawer !== 'people';
    document.querySelector('.hall').inert = drawer !== undefined;
    byId('rail-open').setAttribute('aria-expanded', String(drawer === 'rail'));
    byId('people-open').setAttribute('aria-expanded', String(drawer === 'people'));
  }

  #dialogs() {
    for (const dialog of document.querySelectorAll('dialog')) {
      dialog.addEventListener('click', (event) => {
        if (event.target === dialog || event.target.closest('[data-close]')) dialog.close();
      });
    }
    const openRoom = byId('room-dialog');
    byId('new-room').addEventListener('click', () => {
      byId('room-name').value = '';
      setText(byId('room-error'), '');
      openRoom.showModal();
      byId('room-name').focus();
      this.#app.refreshRooms();
    });
    openRoom.querySelector('form').addEventListener('submit', async (event) => {
      event.preventDefault();
      const title = nameOf(byId('room-name').value.trim().replace(/^#/, ''));
      const fault = nameFault(title);
      setText(byId('room-error'), fault);
      if (fault) return;
      const refusal = await this.#app.enter(this.#app.rooms.meant(title), title);
      if (refusal) setText(byId('room-error'), `That did not work: ${because(refusal)}.`);
      else openRoom.close();
      if (!refusal) this.closeDrawers(false);
      if (!refusal) this.focusMessage();
    });
    const leave = byId('leave-dialog');
    let leaving = null;
    byId('leave').addEventListener('click', () => {
      leaving = this.#app.room;
      const again = leaving.open ? ' You can come back at any time.' : ' The room is not open: you cannot come back by yourself.';
      setText(byId('leave-text'), `You will no longer get messages from ${isolated(this.#nameOf(leaving))}.${again}`);
      leave.showModal();
    });
    leave.querySelector('form').addEventListener('submit', async (event) => {
      event.preventDefault();
      leave.close();
      // Another window, or another person, may have been faster.
      if (this.#app.rooms.get(leaving.name) !== leaving) return;
      try {
        await this.#app.rooms.leave(leaving.name);
      } catch (refusal) {
        this.toast(`You could not leave ${isolated(this.#nameOf(leaving))}: ${because(refusal)}.`);
      }
    });
    byId('help-open').addEventListener('click', () => this.#help());
    this.#signOut();
  }

  /** Signs out; asks what to do with unsent text. */
  #signOut() {
    const dialog = byId('sign-out-dialog');
    const everywhere = byId('sign-out-everywhere').querySelector('input');
    byId('sign-out').hidden = !this.#app.signsOut;
    byId('sign-out').addEventListener('click', () => {
      const { messages, drafts } = this.#app.unsaid;
      const hasUnsaid = messages + drafts > 0;
      if (!hasUnsaid && !this.#app.hasLink) {
        this.#app.signOut(false);
        return;
      }
      for (const id of ['sign-out-text', 'sign-out-hint', 'sign-out-discard']) byId(id).hidden = !hasUnsaid;
      byId('sign-out-everywhere').hidden = !this.#app.hasLink;
      everywhere.checked = false;
      setText(byId('sign-out-dialog-title'), hasUnsaid ? 'Sign out with unsent text?' : 'Sign out?');
      setText(byId('sign-out-go'), hasUnsaid ? 'Keep' : 'Sign out');
      const left = [messages > 0 && counted(messages, 'unsent message'), drafts > 0 && counted(drafts, 'draft')].filter(Boolean);
      setText(byId('sign-out-text'), `You have ${left.join(' and ')}.`);
      dialog.showModal();
    });
    const end = (keep) => {
      dialog.close();
      this.#app.signOut(keep, everywhere.checked);
    };
    byId('sign-out-discard').addEventListener('click', () => end(false));
    dialog.querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      end(true);
    });
  }

  #help() {
    setText(byId('version'), this.#app.version ? `parlor ${this.#app.version}.` : '');
    const help = byId('help');
    if (help.open) return;
    help.showModal();
    // The focused element is at its end.
    help.scrollTop = 0;
  }

  #keys() {
    document.addEventListener('keydown', (event) => {
      const writing = event.target.matches('input, textarea');
      if ((event.key === '?' && !writing) || (event.key === '/' && event.ctrlKey)) {
        event.preventDefault();
        this.#help();
      } else if (event.key === '/' && !writing) {
        event.preventDefault();
        this.#search.open();
      } else if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
        event.preventDefault();
        this.#neighbour(event.key === 'ArrowUp' ? -1 : 1);
      } else if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
        if (byId('house').dataset.drawer !== undefined) this.closeDrawers();
        else this.#composer.focus();
      }
    });
  }

  #neighbour(step) {
    const all = this.#app.rooms.ordered();
    const at = all.indexOf(this.#app.room);
    if (all.length > 0) this.#app.show(all[(at + step + all.length) % all.length]);
  }
}
