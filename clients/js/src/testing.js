// For the tests of those who use the client: a clock that goes when it is told to, a page, a browser with tabs, and a
// server in memory that speaks the wire's protocol, with faults on demand.

export { fakeBrowser } from './testing/browser.js';
export { fakeClock, fakePage } from './testing/page.js';
export { fakeServer } from './testing/server.js';
