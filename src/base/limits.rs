//! Every limit in one place: its unit, its default and its reason.
//!
//! A value in [`Limits`] is a configuration key, so that it can be set, and made tiny in tests.
//! The constants above it are relations of the machine or of the design that nobody needs to set;
//! protocol numbers that a clause of an RFC fixes stand beside the code that keeps the clause.

/// Read in one call, from one connection, in one turn of the loop; also the bound on how much of
/// one connection's input is handled before the others have theirs. Not a power of two: sixteen
/// messages of 16 KiB come with their headers.
pub const READ_BUFFER_BYTES: usize = 260 * 1024;
/// What the system may hold for one connection's peer to read (Linux doubles it).
pub const SOCKET_SEND_BYTES: usize = 256 * 1024;
/// Answers are written here, and small frames joined as they leave, so that one call sends many. As
/// much as is read at once, so that all of it can be answered at once.
pub const SEND_BUFFER_BYTES: usize = 260 * 1024;
/// Answers up to this size wait until everybody's input of a turn was read: to read from all and
/// then to send to all is faster than to do both for each. Larger ones leave at once, as long as
/// they are in the processor's cache.
pub const ANSWERS_HELD_BYTES_MAX: usize = 1_024;
/// Frames up to this size are joined (copied) as they leave, larger ones go by reference.
pub const JOINED_FRAME_BYTES_MAX: usize = 1_024;
/// Pieces in one `sendmsg`; Linux takes at most 1,024.
pub const SEND_PIECES_MAX: usize = 64;
/// Messages and control frames of one connection that are handled in one turn; the rest of what was
/// read waits for the next one.
pub const EVENTS_PER_READ: usize = 1_024;
/// Bytes of one connection's messages after which the rest of what was read waits for the next turn:
/// compressed, a read may be a thousand times as large as it came.
pub const MESSAGE_BYTES_PER_READ: usize = 1024 * 1024;
/// Requests of HTTP that one connection has sent at once and that are handled in one turn; the rest of
/// what was read waits for the next one. Few clients send more than one: sixteen connections full of
/// them take less than a millisecond of everybody's time.
pub const REQUESTS_PER_READ: usize = 16;
/// What all bodies of HTTP requests that are not whole may hold together.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The same of one address when half of that is taken, if it is more than one body.
pub const BODIES_PER_ADDRESS_BYTES_MAX: usize = BODIES_BYTES_MAX / 4;
/// A chunk's size and its extensions, in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// The extensions of all chunks of a body, in bytes: a chunk of one byte could have as many again and
/// again.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 4 * 1024;
/// The lines behind the last chunk of a body, in bytes. They mean nothing here.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;
/// How long the answer to a connection that its address, or the server, may not have is waited for.
pub const REFUSED_END_MS: u64 = 250;
/// Pages that the store reads between two batches of records.
pub const READS_PER_BATCH: usize = 8;
/// What a read is counted as while it waits for the store: a quarter of its largest page.
pub const READ_WEIGHT_SHARE: usize = 4;
/// Rooms whose places at a time the store looks up at once.
pub const SEEK_ROOMS_MAX: usize = 64;
/// What each of them is counted as while it waits for the store, in bytes: it is some twenty rows.
pub const SEEK_WEIGHT: usize = 4 * 1024;
/// How often a store that has nothing to do looks whether its files are still there, in ms.
pub const FILES_LOOKED_AT_MS: u64 = 1_000;
/// A failure of the store is logged at most this often; how many there were is told.
pub const FAILURE_LOG_EVERY_MS: i64 = 1_000;
/// Lines of the log in a second about connections that come, and as many about those that go. How many more
/// there were is told with the next one.
pub const LOG_ARRIVALS_PER_SECOND: u32 = 1_000;
/// Lines of the log in a second about requests that were refused for a rate, and as many about upgrades and
/// connections that were refused.
pub const LOG_REFUSALS_PER_SECOND: u32 = 20;
/// A message of the log, in bytes; what is longer is cut.
pub const LOG_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// A field's value in a line of the log, in bytes; what is longer is cut.
pub const LOG_VALUE_BYTES_MAX: usize = 256;
/// What may wait in all outboxes beyond `limits.all_outboxes_bytes` before whoever holds most has to go:
/// a quarter more, as an outbox that is empty still takes one frame.
pub const OUTBOXES_BEYOND_SHARE: usize = 4;
/// And at least so many bytes: a few of the largest pages.
pub const OUTBOXES_BEYOND_BYTES: usize = 1024 * 1024;
/// For how long all outboxes may be full before whoever holds most has to go, in ms.
pub const OUTBOXES_FULL_MS: u64 = 2_000;
/// That somebody had to go is logged at most this often, in ms; how many there were is told.
pub const FULL_TOLD_EVERY_MS: u64 = 1_000;
/// What all outboxes may hold where nothing else is set, in bytes, if there is memory for it.
pub const ALL_OUTBOXES_BYTES: usize = 256 * 1024 * 1024;
/// Their share of the memory that is left at the start.
pub const ALL_OUTBOXES_SHARE: usize = 4;
/// Address space that a server takes by itself, a little more than it was seen to: the C library reserves
/// 64 MiB for each of the first threads, at a moment of their own.
pub const ADDRESS_SPACE_TAKEN_BYTES: u64 = 256 * 1024 * 1024;
/// What they may hold in any case: a page for each of a few connections.
pub const ALL_OUTBOXES_BYTES_MIN: usize = 4 * 1024 * 1024;
/// Connections accepted in one turn before the established ones have theirs.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections flushed in one turn; a fan-out to more goes on in the next one, in order.
pub const FLUSHES_PER_TURN: usize = 1_024;
/// Deliveries after which the store's further answers wait for the next turn: so many frames are
/// queued at most before those of the turn before are sent, and a busy large room does not keep
/// the others waiting.
pub const DELIVERIES_PER_TURN: usize = 16_384;
/// Bytes of events after which those who are behind in logs that they watch by a filter wait for the next turn: each
/// event that they have not had is read for them alone.
pub const LOOKED_INTO_PER_TURN_BYTES: usize = 256 * 1024;
/// Calls from other threads handled in one turn.
pub const CALLS_PER_TURN: usize = 1_024;
/// Calls from other threads that wait for the reactor; one more is refused.
pub const CALLS_WAITING_MAX: usize = 65_536;
/// Bytes of those calls.
pub const CALL_BYTES_WAITING_MAX: usize = 64 * 1024 * 1024;
/// Connections that the tables have room for from the beginning: memory that is reserved and not
/// used, so that a table that grows leaves no holes behind.
pub const CONNECTIONS_RESERVED: usize = 16 * 1024;
/// When fewer places for connections than this part of all are free, an idle one ends for each that comes.
pub const CONNECTIONS_KEPT_FREE_SHARE: usize = 8;
/// How long accepting pauses when the process has no file descriptor left.
pub const ACCEPT_PAUSE_MS: u64 = 250;
/// Connections beyond all that there may be that are being told so at once; more wait in the backlog.
pub const TURNED_AWAY_MAX: usize = 32;
/// File descriptors that are not for connections: the store's, the reactor's own, standard ones, those of the
/// threads that ask backends, and those of connections that are turned away.
pub const FILES_RESERVED: u64 = 128 + TURNED_AWAY_MAX as u64;
/// Where the limit on open files leaves fewer places for connections than these, a start says so.
pub const FILES_FEW: u64 = 256;
/// What a peer may still send after we have ended a connection, before it is cut: it may be in the
/// middle of a message that was refused for its size, and must hear why before it is reset. The
/// closing timeout bounds it, too.
pub const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What is thrown away of an ending connection's input at once. Over loopback each read has the system bring, in this
/// thread, what the peer has waiting.
pub const DRAIN_READ_BYTES: usize = 32 * 1024;
/// What is thrown away of the input of all ending connections together in one turn: those who were ended for sending
/// too much send on, and shall not take the time of the others.
pub const DRAIN_BYTES_PER_TURN: usize = 128 * 1024;
/// What is thrown away of the input of all ending connections together in [`DRAIN_PERIOD_MS`]: some 15 MB a second.
/// Those who were ended for flooding, and flood on, would else have this machine copy as fast as it can.
pub const DRAIN_BYTES_PER_PERIOD: usize = 512 * 1024;
/// See [`DRAIN_BYTES_PER_PERIOD`]. Timers have ticks of 32 ms.
pub const DRAIN_PERIOD_MS: u64 = 30;
/// What waits for a peer must move by so much (or to its end) within the stall timeout.
pub const STALL_BYTES: u64 = 64 * 1024;
/// A wall clock that moves by more than this against the monotonic one, in ms, has jumped. One that is adjusted does
/// not, and no age by which something is kept is that exact.
pub const CLOCK_JUMP_MS: i64 = 60_000;
/// A wall clock that has jumped, or with which the server began, is believed when it has not jumped for so long: until
/// then nothing is removed for an age that it alone says, and no entry is dated by how far it went ahead.
pub const CLOCK_HELD_MS: u64 = 60 * 60 * 1_000;
/// Records that one transaction commits together.
pub const BATCH_RECORDS_MAX: usize = 512;
/// The mark beside the database is begun anew when it has so many bytes, or twice what it then begins with.
pub const MARK_BYTES: u64 = 1024 * 1024;
/// A line of the mark: a batch of records that each move a head with the longest name take less.
pub const MARK_LINE_BYTES_MAX: usize = 256 * BATCH_RECORDS_MAX;
/// Lines of the log that say which entries a start has lost.
pub const LOST_TOLD_MAX: usize = 20;
/// Commands that wait for the store's thread; one more is `overloaded`.
pub const STORE_QUEUE_MAX: usize = 16_384;
/// Bytes of the commands that wait for the store's thread.
pub const STORE_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Requests of one connection that may wait for the store or for a handler; while so many do,
/// nothing more is read from it.
pub const REQUESTS_IN_FLIGHT_MAX: u16 = 64;
/// Of those, the ones that may bring a page of history each: together less than an outbox.
pub const PAGES_IN_FLIGHT_MAX: u16 = 2;
/// Subprotocols that a request for a WebSocket may offer: they are compared with each other.
pub const SUBPROTOCOLS_MAX: usize = 64;
/// JSON nested deeper is refused; the envelope's braces are the first level.
pub const JSON_DEPTH_MAX: usize = 32;
/// What `limits.cid_bytes`, `limits.emoji_bytes` and `limits.title_bytes` may be set to at most, and
/// so what is sound of a store at most, whatever the limits were when it came.
pub const SHORT_TEXT_BYTES_MAX: u32 = 4_096;
/// A user's id for a request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// The type of a push of the application's, in bytes: it is a name, and is in every recipient's outbox.
pub const PUSH_TYPE_BYTES_MAX: usize = 64;
/// A direct message's rooms in which one never wrote, as `hello` lists them: the newest so many.
pub const UNWRITTEN_DIRECT_ROOMS_MAX: usize = 100;
/// Others' marks, of reading and of delivery, are told in rooms of up to so many members.
pub const MARKS_MEMBERS_MAX: usize = 50;
/// Different reactions to one message.
pub const REACTIONS_PER_MESSAGE_MAX: usize = 20;
/// Users of each reaction that a message in a history names: the first ones.
pub const REACTION_USERS_MAX: usize = 20;
/// A message with more reactions is shown by an index, which does not tell if one of them is
/// missing; up to so many are all read and counted.
pub const REACTIONS_COUNTED_MAX: u64 = 400;
/// Entries that the store removes from the beginning of a log in one transaction.
pub const TRIM_ENTRIES_MAX: u64 = 4_096;
/// Rooms that a user may make in a day, if they may not be in more of them: a room that is left, or has
/// ended, stays, as its name does.
pub const ROOMS_MADE_A_DAY: u32 = 1_000;
/// People who were never here to whom a user may write in a day: each gets a room.
pub const FIRST_MESSAGES_A_DAY: u32 = 200;
/// What each request that is stored weighs beside its payload, in bytes: rows, indexes and the log have more than text.
pub const STORED_BYTES_PER_REQUEST: usize = 256;
/// Users, and addresses of guests, whose stored bytes are counted.
pub const STORERS_MAX: usize = 65_536;
/// Of a `room:create`, whose payload names people, so many bytes are a unit of work.
pub const NAMED_BYTES_PER_WORK: usize = 512;
/// And each byte of it stands for so many in the store, where each of those people has rows of their own.
pub const NAMED_BYTES_STORED: usize = 16;
/// Parts of a hundred of a pool that are taken when it is said to fill.
pub const POOL_FILLS_PERCENT: u64 = 80;
/// The same when it is said to have room again.
pub const POOL_HAS_ROOM_PERCENT: u64 = 70;
/// As [`POOL_FILLS_PERCENT`], of the disk; it has room again at ten less.
pub const DISK_FILLS_PERCENT: u64 = 90;
/// How often it is looked whether a pool fills, at most, in ms.
pub const POOLS_LOOKED_AT_MS: u64 = 1_000;
/// How often it is told of one that it fills, at most, in ms: some come and go with every burst.
pub const POOL_TOLD_EVERY_MS: u64 = 60_000;
/// Users who have made rooms within the last day, and those who have written to people who were never here.
pub const MAKERS_MAX: usize = 100_000;
/// Nobody's typing is told in rooms of more members.
pub const TYPING_MEMBERS_MAX: usize = 200;
/// A user's typing in a room is told at most this often.
pub const TYPING_EVERY_MS: u64 = 3_000;
/// Typing that is not told again is over after this time.
pub const TYPING_LASTS_MS: u64 = 6_000;
/// Conditions of a filter: each operator is one.
pub const FILTER_CONDITIONS_MAX: usize = 16;
/// What an event of a stream takes in memory beside its data, counted with them: measured, 126 bytes of the process
/// for an empty one.
pub const EVENT_BYTES: usize = 128;
/// What the name that a publisher gives an event takes beside its letters: two allocations, and a place among others.
pub const PUBLICATION_ID_BYTES: usize = 128;
/// Bytes of a filter's JSON: what its values take in memory, and to compare, follows from it.
pub const FILTER_BYTES_MAX: usize = 4_096;
/// Streams that a configuration declares: a name is looked for among all patterns.
pub const DECLARATIONS_MAX: usize = 1_000;
/// Events that a log may be declared to keep.
pub const STREAM_EVENTS_MAX: u32 = 1_000_000;
/// Events a second that a rate may allow; more is no rate.
pub const STREAM_RATE_MAX: u32 = 1_000;
/// Errors to requests without an `id` are sent at most this often, with a count.
pub const ANONYMOUS_ERROR_EVERY_MS: u64 = 1_000;
/// Users named in one push of an admin's.
pub const PUSH_USERS_MAX: usize = 1_000;
/// Requests of HTTP that wait for the store or for a handler.
pub const HTTP_CALLS_MAX: usize = 16_384;
/// Segments of the JSON pointer that picks a source's data.
pub const POINTER_DEPTH_MAX: usize = 8;
/// Header fields that an answer of the embedding program may have beside the server's.
pub const PATH_ANSWER_FIELDS_MAX: usize = 32;
/// How long a ticket for Server-Sent Events is good, and how many may wait to be used.
pub const TICKET_MS: u64 = 30_000;
/// See [`TICKET_MS`].
pub const TICKETS_MAX: usize = 10_000;
/// Of these, those of one user: a page asks for one each time that it connects.
pub const TICKETS_PER_USER_MAX: usize = 64;
/// Of these, those of one address, of whichever users.
pub const TICKETS_PER_ADDRESS_MAX: usize = TICKETS_MAX / 4;
/// Streams that one request for Server-Sent Events names in its address: the `id` of an event has a place
/// for each.
pub const LISTENED_STREAMS_MAX: usize = 32;
/// An `id` of an event is shorter: it comes back in a request's head.
pub const EVENT_ID_BYTES_MAX: usize = 512;
/// An event that is larger has no `id` of its own for those that streams come along to: all of them are
/// sent the same bytes.
pub const EVENT_WITH_PLACES_BYTES_MAX: usize = 4 << 10;
/// The spread of the first return of whoever is sent Server-Sent Events, in ms.
pub const RETRY_MS: u64 = 2_000;
/// When whoever may not watch a stream comes back, in ms.
pub const RETRY_REFUSED_MS: u64 = 30_000;
/// Users whose requests of HTTP are counted at one time, and as many addresses.
pub const HTTP_RATES_MAX: usize = 65_536;
/// Users whose requests over all of their connections are counted at one time: more than a machine has
/// connections for, within the seconds for which each is remembered.
pub const USER_RATES_MAX: usize = 1_000_000;
/// Addresses whose failed proofs are counted at one time. All others share one budget then.
pub const FAILED_PROOF_ADDRESSES_MAX: usize = 65_536;
/// Users whose work is counted at one time, and as many addresses.
pub const WORKERS_MAX: usize = 65_536;
/// Bytes of a request that are a unit of work: they are parsed, written to the disk and handed on.
pub const WRITTEN_BYTES_PER_WORK: usize = 4 * 1024;
/// Bytes of an answer that are a unit of work.
pub const ANSWER_BYTES_PER_WORK: usize = 16 * 1024;
/// The metrics, in units of work.
pub const METRICS_WORK: u32 = 4;
/// A proof that fails weighs as much again for each so many bytes that it signs.
pub const SIGNED_BYTES_PER_PROOF: usize = 16 * 1024;
/// What a signature that is looked at counts as in [`REQUESTS_PER_READ`]: all of it.
pub const REQUESTS_PER_PROOF: usize = REQUESTS_PER_READ;
/// For how long it is remembered what a token says whose signature was looked at, in ms: at most three times this.
pub const JUDGED_MS: u64 = 60_000;
/// How many tokens are remembered so, of the good ones and of the bad; twice as many within twice that time.
pub const JUDGED_MAX: usize = 4_096;
/// Bytes of these tokens.
pub const JUDGED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Users for whom other limits hold than for all, in a configuration.
pub const USER_EXCEPTIONS_MAX: usize = 10_000;
/// How long a store that has refused to write is taken for one that cannot, if it is not asked again.
pub const STORE_REFUSED_MS: u64 = 5_000;
/// A token, in bytes: several times what the claims of people come to.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Tokens of one request, in whichever ways they are presented: each costs a signature to check.
pub const TOKENS_PER_REQUEST_MAX: usize = 4;
/// A token's own id (`jti`), in bytes: twice a hash in hexadecimal digits.
pub const JTI_BYTES_MAX: usize = 128;
/// Patterns of streams in a claim of a token: a name is looked for among all of them.
pub const CLAIM_PATTERNS_MAX: usize = 256;
/// Revocations that are kept, of tokens and of users together.
pub const REVOCATIONS_MAX: usize = 100_000;
/// Longest sign-in of a browser, in ms: browsers keep no cookie for longer than 400 days (RFC 6265bis §5.5).
pub const SIGN_IN_MS_MAX: i64 = 400 * 24 * 60 * 60 * 1_000;
/// Largest cookie of a sign-in, name and value, in bytes: more than this no browser has to keep (RFC 6265 §6.1).
pub const SIGN_IN_COOKIE_BYTES_MAX: usize = 4_096;
/// How long the revocation of a token that says its end is kept beyond that, in ms: a clock that is set back by less
/// lets none in again.
pub const FORGOTTEN_AFTER_MS: i64 = 24 * 60 * 60 * 1_000;
/// How many of those are forgotten with each new revocation: a batch of the store stays short.
pub const FORGOTTEN_PER_REVOCATION: u32 = 64;
/// A file with a key or a set of keys, in bytes.
pub const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Files with keys.
pub const KEY_FILES_MAX: usize = 16;
/// Keys of all files together: a token's is looked for among all.
pub const KEYS_MAX: usize = 64;
/// A key's name (`kid`), in bytes.
pub const KID_BYTES_MAX: usize = 128;
/// A header of the PROXY protocol, in bytes: several times what addresses and the fields of TLS come to.
pub const PROXY_HEADER_BYTES_MAX: usize = 2 * 1024;
/// Addresses and networks in a list of proxies: each connection's is looked for among all of them.
pub const PROXIES_MAX: usize = 256;
/// Addresses whose connections of the last minutes are counted at one time. One for which there is no
/// room is not: whoever has more addresses than these has what each of them may have in any case.
pub const ADDRESSES_COUNTED_MAX: usize = 65_536;
/// The configuration's file, in bytes: ten times the commented example.
pub const CONFIG_FILE_BYTES_MAX: u64 = 256 * 1024;
/// What is wrong with a configuration is told up to so many times; of more their number.
pub const CONFIG_FAULTS_MAX: usize = 100;
/// How often a source may be polled, in ms: at most and at least.
pub const EVERY_MS_MIN: u64 = 10;
/// After so many ms at most it is told that nothing was heard of a stream: a week.
pub const STALE_MS_MAX: u32 = 7 * 24 * 3_600 * 1_000;
/// A source that has missed so many polls, and the time of one more, is taken for stale if nothing else is declared.
pub const POLLS_MISSED_MAX: u64 = 3;
/// See [`EVERY_MS_MIN`]: a day. A backend is not waited for any longer, either.
pub const EVERY_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// A program that is polled, and its arguments.
pub const COMMAND_PARTS_MAX: usize = 64;
/// A URL of the application's backend, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// What comes of a source that is polled, in bytes, if its stream takes no larger data: a pointer may pick the
/// data out of it, which are smaller.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// What a content that publishes may have beside the data, in bytes.
pub const AROUND_DATA_BYTES_MAX: usize = 4 * 1024;
/// How long a stream that nobody watches any more is remembered, so that who comes back at once does not
/// have it polled again.
pub const POLL_LINGER_MS: u64 = 1_000;
/// For how long `/readyz` tells the same states of streams before it looks again, in ms.
pub const READINESS_STREAMS_MS: u64 = 250;
/// Handlers that a configuration declares: a type is looked for among all.
pub const HANDLERS_MAX: usize = 100;
/// Types of a handler.
pub const HANDLER_TYPES_MAX: usize = 100;
/// How long a handler may be waited for at most, in ms.
pub const HANDLER_TIMEOUT_MS_MAX: u32 = 60_000;
/// Requests of a handler that may be under way at most.
pub const HANDLER_CONCURRENCY_MAX: u32 = 1_024;
/// What a handler's answer may be set to at most, in bytes: it is a reply, which no outbox refuses.
pub const HANDLER_ANSWER_BYTES_MAX: u32 = 1024 * 1024;
/// Most requests that may wait for a place at a handler's backend.
pub const HANDLER_WAITING_MAX: u32 = 1_000;
/// Bytes that those of one handler may come to.
pub const HANDLER_WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest that one may be told to wait, in ms.
pub const HANDLER_WAITING_MS_MAX: u32 = 60_000;
/// A stream that was not polled for so many of its intervals, and `timeout_ms`, is late.
pub const LATE_POLLS: u64 = 3;
/// How often it is looked whether streams are polled as often as they are to be, in ms.
pub const LATE_POLLS_LOOKED_AT_MS: u64 = 1_000;
/// Requests that wait for a place to have `auth.url` asked who sends them; one more is 503. With their contents
/// they are bounded by their connections.
pub const PROOFS_WAITING_MAX: usize = 1_024;
/// How long a thread for the application's backend waits for something to do before it ends.
pub const BACKEND_THREAD_IDLE_MS: u64 = 10_000;
/// How long a connection to the backend is kept for the next request.
pub const BACKEND_IDLE_CONNECTION_MS: u64 = 10_000;
/// The head of a backend's answer, in bytes.
pub const BACKEND_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Why a backend failed, as people are told it, in bytes.
pub const BACKEND_REASON_BYTES_MAX: usize = 200;
/// Deliveries that a webhook remembers, so that one that comes again is not published again; the oldest is forgotten.
pub const DELIVERIES_MAX: usize = 1_024;
/// How long it remembers them, in ms: GitHub's may be sent again by hand for three days, others come again within hours.
pub const DELIVERY_MEMORY_MS: u64 = 24 * 3_600 * 1_000;
/// The id of a delivery, in bytes.
pub const DELIVERY_ID_BYTES_MAX: usize = 128;
/// What a webhook is declared to answer, in bytes.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 4_096;
/// What the application says of a request that it refuses, in bytes; the rest is cut.
pub const REFUSAL_MESSAGE_BYTES_MAX: usize = 1_024;
/// The data of such a refusal, in bytes; larger ones are left out. An error may wait for the end of its second.
pub const REFUSAL_DATA_BYTES_MAX: usize = 16 * 1024;
/// The code of such a refusal, in bytes.
pub const REFUSAL_CODE_BYTES_MAX: usize = 64;
/// The longest wait before something that failed is tried again, in ms.
pub const BACKOFF_MS_MAX: u64 = 10_000;
/// How long an orderly end waits for the programs that are polled, which are ended.
pub const COMMANDS_END_MS: u64 = 500;
/// An orderly end of the server takes at most this time, from the signal on.
pub const STOP_MS_MAX: u64 = 4_000;
/// Of that, how long a restart is announced before anybody is closed.
pub const DRAIN_NOTICE_MS: u64 = 500;
/// Clients that are to come back in a second after a restart: several times as many could, while the
/// others that a machine serves have theirs.
pub const RETURNS_PER_SECOND: u64 = 500;
/// The shortest time over which they are spread.
pub const SPREAD_MS_MIN: u64 = 1_000;
/// The longest one.
pub const SPREAD_MS_MAX: u64 = 60_000;

macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident: $kind:ty = $default:expr;)+) => {
        /// The limits that a configuration sets.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits { $($(#[$doc])+ pub $name: $kind,)+ }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)+ }
            }
        }
    };
}

// Each with its default.
limits! {
    /// Largest message of a client, in bytes.
    message_bytes: u64 = 64 * 1024;
    /// Most fragments that one message may have.
    fragments: u32 = 1_024;
    /// Request head of HTTP, in bytes.
    head_bytes: u32 = 8 * 1024;
    /// Lines in a request head.
    headers: u32 = 64;
    /// Text of a chat message after unescaping, in bytes.
    text_bytes: u32 = 16 * 1024;
    /// `data` of a chat message, in bytes.
    data_bytes: u32 = 16 * 1024;
    /// Client id of a message, and of a publication, in bytes.
    cid_bytes: u32 = 64;
    /// Reaction, in bytes.
    emoji_bytes: u32 = 32;
    /// Title of a room, and display name of a user, in bytes.
    title_bytes: u32 = 128;
    /// Requests that a connection may send per second.
    requests_per_second: u32 = 10;
    /// Requests that a connection may send in one burst.
    burst: u32 = 30;
    /// Messages of a connection in a minute, and calls of a user over HTTP; 0: as many as their rate
    /// lets pass.
    messages_per_minute: u32 = 0;
    /// Requests of a user a second, over all of their connections and over HTTP together; 0: as many as
    /// each of these may.
    user_requests_per_second: u32 = 0;
    /// Requests that a user may send at once after a pause, over all of their connections.
    user_burst: u32 = 100;
    /// Units of work that are done for a user in a second, over all connections and HTTP; 0: as many as their requests
    /// come to.
    user_work_per_second: u32 = 50;
    /// Those that are done at once after a pause.
    user_work_burst: u32 = 500;
    /// The same for all at an address who have not said who they are; 0: as many as their requests come to.
    address_work_per_second: u32 = 500;
    /// Those that are done at once after a pause.
    address_work_burst: u32 = 5_000;
    /// Bytes of a WebSocket that are read in a second; 0: as many as come. Beyond it the connection is
    /// left unread for a while: nothing is lost, and TCP tells its peer.
    bytes_per_second: u32 = 0;
    /// Bytes that are read at once after a pause. A read more may come with them.
    bytes_burst: u32 = 1024 * 1024;
    /// Connections of a user.
    connections_per_user: u32 = 20;
    /// Connections of an address (IPv6: of a /64).
    connections_per_address: u32 = 100;
    /// Connections that one address (IPv6: a /64) may open per minute. 0: no limit. None by
    /// default: any number is wrong for somebody behind an address that many share, and how many are
    /// open at once is limited anyhow.
    connections_per_address_minute: u32 = 0;
    /// Proofs of an address that may fail in a second: tokens, codes, cookies and signatures of webhooks.
    failed_proofs_per_second: u32 = 10;
    /// Those that may fail at once after a pause.
    failed_proofs_burst: u32 = 300;
    /// Connections in all; the file limit may leave fewer.
    connections: u32 = 1_000_000;
    /// Rooms that a user created or joined.
    rooms: u32 = 1_000;
    /// What a user may store in a day, in bytes of their requests; guests of an address are one. 0: no limit.
    stored_bytes_per_day: u32 = 256 * 1024 * 1024;
    /// What is left free on the disk, in bytes: beyond it admins alone store something.
    disk_reserve_bytes: u64 = 64 * 1024 * 1024;
    /// Direct messages' rooms in which a user wrote.
    direct_rooms: u32 = 10_000;
    /// Rooms that others brought a user into, those of direct messages apart.
    added_rooms: u32 = 1_000;
    /// Rooms in all, those of direct messages included.
    all_rooms: u32 = 1_000_000;
    /// Members of a room.
    room_members: u32 = 10_000;
    /// Most open invitations of a user.
    invites: u32 = 100;
    /// Most members that one `room:create` may name.
    create_members: u32 = 200;
    /// Entries of a page, of history or of a list.
    page: u32 = 200;
    /// Bytes of such a page, unless its first entry alone is larger.
    page_bytes: u32 = 256 * 1024;
    /// Rooms that are listed in a greeting; the others are asked for.
    listed_rooms: u32 = 500;
    /// Newest entries of a room that are kept in memory for cursors that are slightly behind.
    tail_entries: u32 = 16;
    /// Most bytes of these entries.
    tail_bytes: u32 = 32 * 1024;
    /// What may wait for one connection, in bytes.
    outbox_bytes: u32 = 1024 * 1024;
    /// Below this an outbox is fed again, in bytes.
    outbox_low_bytes: u32 = 64 * 1024;
    /// What may wait in all outboxes together, in bytes; 0 for as much as there is memory for.
    all_outboxes_bytes: usize = 0;
    /// What waits for a connection must move by 64 KiB, or to its end, in this time, in ms.
    stall_timeout_ms: u64 = 30_000;
    /// From accept, or from the first byte of a later request, to the end of the request head, in ms.
    handshake_timeout_ms: u64 = 10_000;
    /// Body of an HTTP request, in bytes.
    http_body_bytes: u32 = 1024 * 1024;
    /// From the end of an HTTP request's head to that of its body, in ms.
    http_body_timeout_ms: u64 = 30_000;
    /// From an HTTP answer to the next request's first byte, in ms.
    http_idle_timeout_ms: u64 = 75_000;
    /// From the upgrade to a valid `auth`, in ms.
    auth_timeout_ms: u64 = 10_000;
    /// How far a token's times may be off, in ms.
    auth_leeway_ms: u64 = 30_000;
    /// Time without a complete frame after which a ping is sent, in ms.
    heartbeat_interval_ms: u64 = 25_000;
    /// Time that the peer then has, in ms.
    heartbeat_timeout_ms: u64 = 10_000;
    /// Time in which a message that has begun must end, in ms.
    message_timeout_ms: u64 = 30_000;
    /// For the other's Close and the drain after it, together, in ms.
    closing_timeout_ms: u64 = 5_000;
    /// From a user's last connection's end to the announcement, in ms.
    presence_grace_ms: u64 = 5_000;
    /// People of an audience above which only their number is told; below nine tenths of it the
    /// lists are back.
    presence_listed_people: u32 = 500;
    /// Guests in all.
    guests: u32 = 10_000;
    /// Requests that a guest's connection may send per second.
    guest_requests_per_second: u32 = 2;
    /// Requests that a guest's connection may send in one burst.
    guest_burst: u32 = 10;
    /// Malformed requests of a connection within the window of abuse that end it with 4000.
    malformed_requests: u32 = 50;
    /// Requests of a connection that are refused for its rate, within the window of abuse, that end it
    /// with 4103.
    limited_requests: u32 = 100;
    /// The window of abuse, in ms.
    abuse_window_ms: u64 = 10_000;
    /// Most streams that a connection can watch.
    subscriptions: u32 = 100;
    /// Of these, those that have a filter.
    filters: u32 = 16;
    /// Different filters of a stream: each is asked for each event.
    stream_filters: u32 = 256;
    /// Values in a filter's `in`.
    filter_values: u32 = 64;
    /// Reference tokens in a filter's JSON pointer.
    filter_depth: u32 = 8;
    /// Most streams on the server, including those of families.
    streams: u32 = 10_000;
    /// Most streams of families that are polled because one user watches them.
    polled_streams_per_user: u32 = 200;
    /// Most streams of families that are polled because guests from one address watch them.
    polled_streams_per_address: u32 = 500;
    /// What is kept of one stream's events, in bytes, unless the newest alone is larger.
    stream_bytes: u32 = 16 * 1024 * 1024;
    /// What is kept of all streams' events together, in bytes.
    all_streams_bytes: usize = 256 * 1024 * 1024;
    /// Shortest time between two announcements of presence, in ms; grows with the audience.
    presence_window_ms: u64 = 250;
    /// Threads that poll streams' sources.
    backend_poll_threads: u32 = 8;
    /// Threads that ask the application's backend what somebody waits for.
    backend_call_threads: u32 = 32;
    /// Threads that ask who sends requests.
    auth_url_threads: u32 = 16;
    /// How long an answer to that is waited for, in ms.
    auth_url_timeout_ms: u64 = 5_000;
    /// How often what failed is tried again.
    backend_retries: u32 = 3;
    /// The longest wait before it is tried again for the first time, in ms; then twice that.
    backend_backoff_ms: u64 = 100;
    /// Failures in a row after which a backend is left alone.
    backend_circuit_failures: u32 = 10;
    /// For how long, in ms.
    backend_circuit_open_ms: u64 = 30_000;
}

/// The window of presence grows to this with the audience.
pub const PRESENCE_WINDOW_MS_MAX: u64 = 2_000;

const _: () = assert!(DRAIN_READ_BYTES <= READ_BUFFER_BYTES);
const _: () = assert!(JOINED_FRAME_BYTES_MAX < SEND_BUFFER_BYTES);
const _: () = assert!(TYPING_EVERY_MS < TYPING_LASTS_MS);
const _: () = assert!(SEND_PIECES_MAX <= 1_024);
const _: () = assert!(STOP_MS_MAX + COMMANDS_END_MS < 5_000);
const _: () = assert!(DRAIN_NOTICE_MS < STOP_MS_MAX / 2);
