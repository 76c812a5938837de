// For tests of applications: a clock that advances on command, a page, a browser with tabs, and a server in memory that
// speaks the wire's protocol, with faults on demand.

export { fakeBrowser } from './testing/browser.js';
export { fakeClock, fakePage } from './testing/page.js';
export { fakeServer } from './testing/server.js';
