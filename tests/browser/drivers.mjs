// Windows of Firefox and of WebKit, by what a person does there. Firefox is driven over WebDriver BiDi (by
// puppeteer-core), WebKit's MiniBrowser over WebDriver (W3C). What is started here is ended here.

import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { eventually, freePort } from './support.mjs';

const ENTER = '\uE007';

function needed(paths, what, mend) {
  const path = paths.find((one) => existsSync(one));
  if (path === undefined) throw new Error(`No ${what} was found: ${mend}`);
  return path;
}

/** What every window can do; `run(script, …args)` runs the body of a function in the page. */
class Window {
  /** Waits until an element is shown that has a text, or has none of it (`isThere` false). */
  sees(selector, text = '', isThere = true, ms = undefined) {
    return eventually(`${selector} ${isThere ? 'shows' : 'does not show'} ${JSON.stringify(text)}`, async () => (await this.#shown(selector, text)) === isThere, ms);
  }

  #shown(selector, text) {
    return this.run('const [selector, text] = arguments; return [...document.querySelectorAll(selector)].some((one) => one.getClientRects().length > 0 && one.textContent.includes(text));', selector, text);
  }

  /** The texts of elements, in order. */
  texts(selector) {
    return this.run('return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent);', selector);
  }

  async has(selector, expected) {
    const wanted = JSON.stringify(expected);
    await eventually(`${selector} is ${wanted}`, async () => {
      const found = JSON.stringify(await this.texts(selector));
      if (found !== wanted) throw new Error(found);
      return true;
    });
  }
}

class FirefoxWindow extends Window {
  constructor(page) {
    super();
    this.page = page;
  }

  open(url) {
    return this.page.goto(url);
  }

  reload() {
    return this.page.reload();
  }

  run(script, ...args) {
    return this.page.evaluate(`(function () { ${script} })(...${JSON.stringify(args)})`);
  }

  async click(selector) {
    await (await this.page.waitForSelector(selector, { visible: true, timeout: 30_000 })).click();
  }

  /** Writes into a field, and sends it off by the Enter key. */
  async enter(selector, text) {
    await this.click(selector);
    // It may have a name from before.
    await this.page.$eval(selector, (field) => field.select());
    await this.page.keyboard.type(text);
    await this.page.keyboard.press('Enter');
  }

  close() {
    return this.page.close();
  }
}

/** Firefox, without a screen. */
export async function firefox() {
  const path = needed([process.env.FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox'].filter(Boolean), 'Firefox', 'apt-get install firefox-esr, or name one in FIREFOX.');
  const { default: puppeteer } = await import('puppeteer-core');
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: path, headless: true });
  return {
    window: async () => new FirefoxWindow(await browser.newPage()),
    close: () => browser.close(),
  };
}

class WebKitWindow extends Window {
  #session;
  #handle;

  constructor(session, handle) {
    super();
    this.#session = session;
    this.#handle = handle;
  }

  /** One command after the other, each to this window. */
  #ask(method, path, body) {
    return this.#session.turn(async () => {
      await this.#session.ask('POST', '/window', { handle: this.#handle });
      return this.#session.ask(method, path, body);
    });
  }

  open(url) {
    return this.#ask('POST', '/url', { url });
  }

  reload() {
    return this.#ask('POST', '/refresh', {});
  }

  run(script, ...args) {
    return this.#ask('POST', '/execute/sync', { script, args });
  }

  async #element(selector) {
    await this.sees(selector);
    return Object.values(await this.#ask('POST', '/element', { using: 'css selector', value: selector }))[0];
  }

  async click(selector) {
    await this.#ask('POST', `/element/${await this.#element(selector)}/click`, {});
  }

  async enter(selector, text) {
    const element = await this.#element(selector);
    await this.#ask('POST', `/element/${element}/clear`, {});
    await this.#ask('POST', `/element/${element}/value`, { text: text + ENTER });
  }

  close() {
    return this.#ask('DELETE', '/window');
  }
}

/** WebKit's MiniBrowser, on a screen that nobody sees. */
export async function webkit() {
  const driver = needed(['/usr/bin/WebKitWebDriver'], 'WebKitWebDriver', 'apt-get install webkit2gtk-driver.');
  const screen = needed(['/usr/bin/Xvfb'], 'Xvfb', 'apt-get install xvfb.');
  const libraries = readdirSync('/usr/lib').flatMap((one) => ['4.1', '4.0'].map((version) => `/usr/lib/${one}/webkit2gtk-${version}/MiniBrowser`));
  const binary = needed(libraries, 'MiniBrowser', 'apt-get install libwebkit2gtk-4.1-0.');
  const display = await new Promise((resolve, reject) => {
    // It looks for a free one, and says which.
    const child = spawn(screen, ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    child.stdio[3].once('data', (number) => resolve({ child, name: `:${String(number).trim()}` }));
    child.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}`)));
  });
  const port = await freePort();
  // As in a container, where there is no sandbox within the sandbox; in a language, as people have one.
  const env = { ...process.env, DISPLAY: display.name, WEBKIT_DISABLE_COMPOSITING_MODE: '1', WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', NO_AT_BRIDGE: '1', GDK_BACKEND: 'x11', LC_ALL: 'en_US.UTF-8' };
  const child = spawn(driver, [`--port=${port}`], { env, stdio: 'ignore' });
  const base = `http://127.0.0.1:${port}`;
  const ask = async (method, path, body) => {
    const response = await fetch(base + path, { method, body: body && JSON.stringify(body), signal: AbortSignal.timeout(30_000) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  };
  const end = () => {
    child.kill();
    display.child.kill();
  };
  try {
    await eventually('the driver answers', () => fetch(`${base}/status`).then(({ ok }) => ok, () => false));
    const options = { binary, args: ['--automation'] };
    const { sessionId } = await ask('POST', '/session', { capabilities: { alwaysMatch: { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': options } } });
    // The first stays: of a window that is closed no other can be opened.
    const first = await ask('GET', `/session/${sessionId}/window`);
    let last = Promise.resolve();
    const session = {
      ask: (method, path, body) => ask(method, `/session/${sessionId}${path}`, body),
      turn: (act) => {
        const own = last.then(act);
        last = own.catch(() => {});
        return own;
      },
    };
    return {
      window: async () => {
        const { handle } = await session.turn(async () => {
          await session.ask('POST', '/window', { handle: first });
          return session.ask('POST', '/window/new', { type: 'window' });
        });
        return new WebKitWindow(session, handle);
      },
      close: async () => {
        await session.ask('DELETE', '').catch(() => {});
        end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}
