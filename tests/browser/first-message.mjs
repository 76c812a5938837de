// The person at the browser of tests/dist/test_first_message.py: node first-message.mjs LINK URL; the URL is the plain one.

import { eventually, launch, live, say, texts } from './support.mjs';

const [link, plain] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(link);
  await live(page);
  const user = await page.evaluate(async () => (await (await fetch('/api/v1/sign-in')).json()).user);
  console.log(`Chromium: the link leads to ${page.url()}, signed in as ${user.id}`);
  await say(page, 'Hello!');
  await eventually('the message is there', async () => (await texts(page)).includes('Hello!'));
  console.log(`Chromium: "Hello!" is in the room ${await page.locator('#room-title').textContent()}`);
  const other = await browser.newPage();
  await other.goto(plain);
  console.log(`Chromium: ${plain} leads to ${other.url()}`);
} finally {
  await browser.close();
}
