// The browser's WebSocket, which tells of entries of rooms that the client passes over: those of a kind that it does
// not know. They have a number in the log like all others.

const KNOWN = /^\{"type":"(?:chat:(?:message|edited|deleted|reacted|read|delivered|typing)|room:|user:|event|reply|error|notice|hello)/;

/** `seen(room, seq)` is called before the client gets the message. */
export function socketThatSees(seen) {
  return class extends WebSocket {
    constructor(url) {
      super(url);
      this.addEventListener('message', ({ data }) => {
        if (typeof data !== 'string' || KNOWN.test(data)) return;
        const { room, seq, ts } = JSON.parse(data).payload ?? {};
        if (typeof room === 'string' && Number.isInteger(seq) && Number.isInteger(ts)) seen(room, seq);
      });
    }
  };
}
