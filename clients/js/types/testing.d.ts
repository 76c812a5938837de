export { fakeBrowser } from "./testing/browser.js";
export { fakeServer } from "./testing/server.js";
export { fakeClock, fakePage } from "./testing/page.js";
