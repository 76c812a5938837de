// The screen before sign-in: picking a name, how to get a link, or that the server does not answer. It does not sign
// in; it only finds out who wants to.

import { session } from './session.js';
import { looks, nameFault, nameOf } from './names.js';
import { el, setText } from './text.js';

const byId = (id) => document.getElementById(id);
const WAIT_MS_MAX = 30_000;

const LEADS = {
  name: 'What is your name?',
  link: 'You need a personal link to come in.',
  unreachable: 'The server does not answer.',
};

/**
 * Shows the door. Resolves with the picked name for `name`, and when it is time to retry for `unreachable`. Never
 * resolves for `link`, since the way in is another address.
 */
export function showDoor(kind, lead = LEADS[kind], attempt = 0) {
  byId('house').hidden = true;
  document.title = 'parlor';
  byId('door').hidden = false;
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  setText(byId('door-command'), `parlor token --user ID --secret-file FILE --url ${location.origin}/`);
  setText(byId('door-lead'), lead);
  byId('door-name').hidden = kind !== 'name';
  byId('door-link').hidden = kind !== 'link';
  byId('door-retry').hidden = kind !== 'unreachable';
  return { name: pickName, link: () => new Promise(() => {}), unreachable: () => waitOrRetry(attempt) }[kind]();
}

/** Asks whether to use a link for a user other than the one signed in; resolves to the decision. */
export function askWhoGoesOn(now, coming) {
  const dialog = byId('other-dialog');
  for (const [where, { id, name }] of [['other-now', now], ['other-coming', coming]]) {
    byId(where).replaceChildren(el('bdi', {}, name), ' (', el('bdi', { class: 'id' }, id), ')');
  }
  // Only their ids distinguish two users with similar names.
  const isAlike = looks(now.name) === looks(coming.name);
  byId('other-alike').hidden = !isAlike;
  byId('other-go').replaceChildren('Go on as ', el('bdi', {}, isAlike ? coming.id : coming.name));
  dialog.showModal();
  return new Promise((resolve) => {
    let goesOn = false;
    dialog.querySelector('form').addEventListener('submit', (event) => {
      event.preventDefault();
      goesOn = true;
      dialog.close();
    }, { once: true });
    dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close(), { once: true });
    dialog.addEventListener('close', () => resolve(goesOn), { once: true });
  });
}

function pickName() {
  const input = byId('name');
  input.value ||= session.lastName ?? '';
  input.focus();
  input.select();
  return new Promise((resolve) => {
    input.addEventListener('input', () => input.setCustomValidity(''));
    byId('door-name').addEventListener('submit', (event) => {
      event.preventDefault();
      const name = nameOf(input.value);
      const fault = nameFault(name);
      if (fault === '') {
        resolve(name);
        return;
      }
      input.setCustomValidity(fault);
      input.reportValidity();
    });
  });
}

function waitOrRetry(attempt) {
  const button = byId('door-retry');
  return new Promise((resolve) => {
    const timer = setTimeout(done, 1000 + Math.random() * Math.min(WAIT_MS_MAX, 1000 * 2 ** attempt));
    button.addEventListener('click', done, { once: true });
    function done() {
      clearTimeout(timer);
      button.removeEventListener('click', done);
      resolve();
    }
  });
}
