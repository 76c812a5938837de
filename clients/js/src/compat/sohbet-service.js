// The page's connection under the names of the application's own service: typed messages, booleans for whether a call
// was accepted, conversations as numbers.

import { webSocketService } from '../service.js';
import { onSohbetMessage, say, type } from './sohbet-messages.js';

/** @typedef {import('./sohbet-messages.js').MessageHandler} MessageHandler */
/** @typedef {import('./sohbet-messages.js').MessagePayload} MessagePayload */
/** @typedef {import('./sohbet-messages.js').WebSocketMessageType} WebSocketMessageType */
/** @typedef {import('./ids.js').Id} Id */

/** Where the application's own setting says the server is: bundlers put the value in its place. */
function urlOfSetting() {
  try {
    // @ts-ignore: there is no such thing in a browser.
    const setting = process.env.NEXT_PUBLIC_WS_URL;
    const url = new URL(setting);
    if (url.pathname === '/') url.pathname = '/ws';
    return { url: url.href };
  } catch {
    return {};
  }
}

export class WebSocketService {
  #service;
  /** They stay when the connection is another. @type {{ type: string, handler: MessageHandler, off: () => void }[]} */
  #handlers = [];

  /** @param {import('../service.js').WebSocketService} [service] */
  constructor(service = webSocketService) {
    this.#service = service;
    service.configure(urlOfSetting());
    service.onClientChange(() => this.#handlers.forEach((entry) => this.#begin(entry)));
  }

  /** The page's service, with all that it can. */
  get service() {
    return this.#service;
  }

  /** For the next `connect`. @param {import('../service.js').ServiceOptions} options */
  configure(options) {
    this.#service.configure(options);
  }

  /** @param {string} token @returns {Promise<void>} */
  connect(token) {
    return this.#service.connect(token);
  }

  disconnect() {
    this.#service.disconnect();
  }

  isConnected() {
    return this.#service.isConnected();
  }

  /** @param {(connected: boolean) => void} listener @returns {() => void} ends it */
  onConnectionChange(listener) {
    return this.#service.onConnectionChange(listener);
  }

  /**
   * Sends a message: now or never, but what is said in a conversation, which waits for a connection.
   * @param {WebSocketMessageType} kind
   * @param {MessagePayload} payload
   * @returns {boolean} whether it was taken
   */
  send(kind, payload) {
    const { conversation_id: conversation, content } = /** @type {Record<string, any>} */ (payload ?? {});
    if (kind === 'chat:send' && conversation !== undefined) return this.sendChatMessage(conversation, content);
    if (kind === 'chat:typing' && conversation !== undefined) return this.sendTypingIndicator(conversation);
    return this.#service.send(kind, payload);
  }

  /** Each handler counts once. @param {string} type @param {MessageHandler} handler @returns {() => void} ends it */
  on(type, handler) {
    if (!this.#find(type, handler)) {
      const entry = { type, handler, off: () => {} };
      this.#handlers.push(entry);
      this.#begin(entry);
    }
    return () => this.off(type, handler);
  }

  /** @param {string} type @param {MessageHandler} handler */
  off(type, handler) {
    const entry = this.#find(type, handler);
    entry?.off();
    this.#handlers = this.#handlers.filter((one) => one !== entry);
  }

  /** @param {Id | null | undefined} conversation @param {string} content @returns {boolean} whether it was taken */
  sendChatMessage(conversation, content) {
    return say(this.#service.client, conversation, content);
  }

  /** @param {Id | null | undefined} conversation @returns {boolean} whether it is connected */
  sendTypingIndicator(conversation) {
    return type(this.#service.client, conversation);
  }

  /** @param {string} type @param {MessageHandler} handler */
  #find(type, handler) {
    return this.#handlers.find((entry) => entry.type === type && entry.handler === handler);
  }

  /** @param {{ type: string, handler: MessageHandler, off: () => void }} entry */
  #begin(entry) {
    entry.off();
    const { client } = this.#service;
    entry.off = client ? onSohbetMessage(client, entry.type, entry.handler) : () => {};
  }
}

/** The page's own. */
export const websocketService = new WebSocketService();
