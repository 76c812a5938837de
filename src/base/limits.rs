//! Every limit in one place, with its unit, default and reason.
//!
//! A value in [`Limits`] is a configuration key, so that it can be set, and made tiny in tests. The
//! constants above it follow from the machine or the design. Numbers that an RFC fixes are next to
//! the code for that clause.

/// Bytes read in one call, from one connection, in one turn of the loop; so also the input handled
/// before the other connections' turn. Not a power of two, so that sixteen messages of 16 KiB fit
/// with their headers.
pub const READ_BUFFER_BYTES: usize = 260 * 1024;
/// What the system may hold for one connection's peer to read (Linux doubles it).
pub const SOCKET_SEND_BYTES: usize = 256 * 1024;
/// The buffer for answers, and for joining small frames, so that one call sends many. As large as a
/// read, so that all of it can be answered at once.
pub const SEND_BUFFER_BYTES: usize = 260 * 1024;
/// The smallest of both.
pub const BUFFER_BYTES_MIN: usize = 64 * 1024;
/// Answers up to this size wait until all input of a turn was read, because reading all and then
/// sending all is faster than alternating. Larger ones leave at once, while they are in the
/// processor's cache.
pub const ANSWERS_HELD_BYTES_MAX: usize = 1_024;
/// Frames up to this size are joined (copied) as they leave; larger ones go by reference.
pub const JOINED_FRAME_BYTES_MAX: usize = 1_024;
/// Pieces in one `sendmsg`; Linux takes at most 1,024.
pub const SEND_PIECES_MAX: usize = 64;
/// Messages and control frames of one connection handled in one turn; the rest of a read waits.
pub const EVENTS_PER_READ: usize = 1_024;
/// Bytes of one connection's messages handled in one turn; the rest of a read waits. Decompressed,
/// a read may be a thousand times larger.
pub const MESSAGE_BYTES_PER_READ: usize = 1024 * 1024;
/// Pipelined HTTP requests of one connection handled in one turn; the rest of a read waits. Few
/// clients send more than one; sixteen connections full of them take less than a millisecond.
pub const REQUESTS_PER_READ: usize = 16;
/// What all incomplete bodies of HTTP requests may hold together.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The same for one address when half of that is used, unless one body alone is larger.
pub const BODIES_PER_ADDRESS_BYTES_MAX: usize = BODIES_BYTES_MAX / 4;
/// A chunk's size and extensions, in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// The extensions of all chunks of a body, in bytes: each one-byte chunk could have as many.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 4 * 1024;
/// The lines after the last chunk of a body, in bytes. They are ignored.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;
/// How long sending the answer may take for a connection beyond its address's limit or the
/// server's.
pub const REFUSED_END_MS: u64 = 250;
/// Pages that the store reads between two batches of records.
pub const READS_PER_BATCH: usize = 8;
/// What a read counts while it waits for the store: a quarter of its largest page.
pub const READ_WEIGHT_SHARE: usize = 4;
/// Rooms whose places at a time the store looks up in one query.
pub const SEEK_ROOMS_MAX: usize = 64;
/// What each of them counts while it waits for the store, in bytes: it is some twenty rows.
pub const SEEK_WEIGHT: usize = 4 * 1024;
/// How often an idle store checks that its files are still there, in ms.
pub const FILES_CHECKED_MS: u64 = 1_000;
/// After this long, in ms, a change in the directory of a store has another time than the change before:
/// Linux may count it in ticks of up to 10 ms.
pub const DIRECTORY_SETTLES_MS: u64 = 100;
/// The space on the disk is measured at most this often, in ms.
pub const SPACE_MEASURED_MS: u64 = 50;
/// A failure of the store is logged at most this often, with their number.
pub const FAILURE_LOG_EVERY_MS: i64 = 1_000;
/// Log lines per second about new connections, and as many about closed ones. The next line says
/// how many were left out.
pub const LOG_ARRIVALS_PER_SECOND: u32 = 1_000;
/// Log lines per second about rate-limited requests, and as many about refused upgrades and
/// connections.
pub const LOG_REFUSALS_PER_SECOND: u32 = 20;
/// A message in the log, in bytes. Longer ones are cut.
pub const LOG_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// A field's value in a log line, in bytes. Longer ones are cut.
pub const LOG_VALUE_BYTES_MAX: usize = 256;
/// How far all outboxes may exceed `limits.all_outboxes_bytes` before the connection that holds
/// most is closed: by a quarter, because even an empty outbox takes one frame.
pub const OUTBOXES_BEYOND_SHARE: usize = 4;
/// And by at least this many bytes: a few of the largest pages.
pub const OUTBOXES_BEYOND_BYTES: usize = 1024 * 1024;
/// How long all outboxes may be full before the connection that holds most is closed, in ms.
pub const OUTBOXES_FULL_MS: u64 = 2_000;
/// Such closing is logged at most this often, in ms, with the number of connections.
pub const FULL_LOGGED_EVERY_MS: u64 = 1_000;
/// What all outboxes may hold by default, in bytes, if there is memory for it.
pub const ALL_OUTBOXES_BYTES: usize = 256 * 1024 * 1024;
/// Their share of the memory that is free at the start.
pub const ALL_OUTBOXES_SHARE: usize = 4;
/// Address space that a server takes by itself, a little more than measured: the C library reserves
/// 64 MiB for each of the first threads (here four beside the loop), at unpredictable moments.
pub const ADDRESS_SPACE_TAKEN_BYTES: u64 = 320 * 1024 * 1024;
/// How long a start waits before it looks again at an address space that is limited, in ms: to align
/// its 64 MiB, the C library takes 128 for a moment.
pub const ARENA_MS: u64 = 20;
/// What they may hold in any case: a page for each of a few connections.
pub const ALL_OUTBOXES_BYTES_MIN: usize = 4 * 1024 * 1024;
/// Connections accepted in one turn before the established ones have theirs.
pub const ACCEPTS_PER_TURN: usize = 64;
/// TLS handshakes that are carried on in one turn. The server's part of one takes 0.2 ms of the
/// processor, with RSA 0.4 ms.
pub const TLS_HANDSHAKES_PER_TURN: usize = 16;
/// Reads in one turn from a TLS connection that bring nothing for its reader.
pub const TLS_READS_PER_TURN: usize = 4;
/// What a TLS connection keeps of a record, or of a handshake message, that has arrived in part. A
/// record has at most 16,645 bytes (RFC 8446 §5.2); a message with a chain of certificates may
/// have more.
pub const TLS_ARRIVED_BYTES_MAX: usize = 32 * 1024;
/// What all TLS connections may keep of that: this part of `limits.all_outboxes_bytes`. One that
/// goes beyond it fails.
pub const TLS_ARRIVED_SHARE: usize = 4;
/// How often the files of the certificate are looked at for a change.
pub const CERTIFICATE_LOOK_MS: u64 = 10_000;
/// How many days before its end the log and `/healthz` begin to warn of it.
pub const CERTIFICATE_WARNING_DAYS: i64 = 30;
/// How often the log warns of it.
pub const CERTIFICATE_WARNING_MS: i64 = 24 * 60 * 60 * 1_000;
/// Connections flushed in one turn. A fan-out to more continues in the next one, in order.
pub const FLUSHES_PER_TURN: usize = 1_024;
/// The queue of connections to flush keeps room for eight times as many as there were last, or these.
pub const FLUSHES_KEPT: usize = 64;
/// Deliveries after which the store's further answers wait for the next turn. This bounds what is
/// queued before the last turn's frames are sent, so a busy large room does not delay others.
pub const DELIVERIES_PER_TURN: usize = 16_384;
/// The same of what a thread is told by others and of its own records, whoever it concerns.
pub const TOLD_PER_TURN: usize = 4_096;
/// Bytes of events scanned in one turn for subscribers behind in filtered logs: each missed
/// event is read for one subscriber alone.
pub const SCANNED_PER_TURN_BYTES: usize = 256 * 1024;
/// Calls from other threads handled in one turn.
pub const CALLS_PER_TURN: usize = 1_024;
/// Calls from other threads that wait for the reactor. One more is refused.
pub const CALLS_WAITING_MAX: usize = 65_536;
/// Bytes of those calls.
pub const CALL_BYTES_WAITING_MAX: usize = 64 * 1024 * 1024;
/// Connections for which the tables reserve unused memory from the start, so that a growing table
/// leaves no holes.
pub const CONNECTIONS_RESERVED: usize = 16 * 1024;
/// When less than one in this many places for connections is free, each new connection closes an
/// idle one.
pub const CONNECTIONS_KEPT_FREE_SHARE: usize = 8;
/// How many idle connections are looked at for each new one, if those before have asked for something.
pub const LOOKS_FOR_A_PLACE: usize = 8;
/// Certificates of a server, beside the first.
pub const CERTIFICATES_MAX: usize = 64;
/// A file that proves a host to a certificate authority, in bytes; they have less than 200.
pub const CHALLENGE_BYTES_MAX: u64 = 4 * 1024;
/// Requests for such files that wait to be read. One more is refused.
pub const CHALLENGES_WAITING_MAX: usize = 64;
/// How long a server may take to drain and close its data for another one that takes its place.
pub const HANDOVER_MS_MAX: u64 = 2 * STOP_MS_MAX + COMMANDS_END_MS;
/// How long a server has to close its own sockets when it has passed them, or to be gone when it broke
/// off while it drained.
pub const HANDOVER_END_MS: u64 = 2_000;
/// How long a process that connects to replace a server has to say so.
pub const HANDOVER_REQUEST_MS: u64 = 1_000;
/// How long `parlor admin` and `parlor health` wait for an answer.
pub const LINK_TIMEOUT_MS: u64 = 10_000;
/// How long `parlor doctor` waits for each answer.
pub const DOCTOR_STEP_MS: u64 = 3_000;
/// The largest answer that they take: a page of connections has far less.
pub const LINK_ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest list that `parlor admin` takes, of all pages: as many as there may be connections.
pub const LINK_ROWS_MAX: usize = 1_000_000;
/// Listeners of a server.
pub const LISTENERS_MAX: usize = 16;
/// How long binding a Unix socket waits for other processes that bind one in the same directory.
pub const SOCKET_TURN_MS: u64 = 1_000;
/// A Unix socket's path (`unix(7)`).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Connections that wait to be accepted at each; Linux takes `net.core.somaxconn` if that is less.
pub const ACCEPT_BACKLOG: i32 = 4_096;
/// How long at least a connection that is over its rate is not read: what it sends meanwhile stays in its sockets,
/// and costs others no time. Timers have ticks of 32 ms.
pub const LIMITED_PAUSE_MS: u64 = 20;
/// Requests over HTTP in a row that are refused for a rate, the last of which ends their connection.
pub const REFUSALS_IN_A_ROW_MAX: u8 = 100;
/// Bytes that may come after the server's Close and are read as frames: the peer may not have seen it. With
/// more, the connection ends without the peer's Close.
pub const LATE_BYTES_MAX: u32 = 64 * 1024;
/// How long accepting pauses when the process has no file descriptor left.
pub const ACCEPT_PAUSE_MS: u64 = 250;
/// Connections beyond the maximum that are being refused at once. More wait in the backlog.
pub const TURNED_AWAY_MAX: usize = 32;
/// File descriptors not for connections: of the store, the reactor, standard streams, threads that
/// call backends, and refused connections.
pub const FILES_RESERVED: u64 = 128 + TURNED_AWAY_MAX as u64;
/// The same for each thread beside the first.
pub const FILES_OF_THREAD: u64 = 8 + (TURNED_AWAY_MAX + DEALT_MAX) as u64;
/// With fewer places for connections than this, because of the limit on open files, the server says
/// so at the start.
pub const FILES_FEW: u64 = 256;
/// What a peer may still send after the server has closed a connection, before it is cut: it may be
/// in the middle of a message refused for its size, and must read the reason before a reset. The
/// closing timeout bounds it too.
pub const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Input of a closing connection discarded at once. Over loopback, each read makes the system copy
/// the peer's waiting data in this thread.
pub const DRAIN_READ_BYTES: usize = 32 * 1024;
/// Input of all closing connections discarded in one turn: clients closed for sending too much keep
/// sending, and must not take the others' time.
pub const DRAIN_BYTES_PER_TURN: usize = 128 * 1024;
/// Input of all closing connections discarded in [`DRAIN_PERIOD_MS`]: some 15 MB a second.
/// Otherwise clients that keep flooding would make this machine copy as fast as it can.
pub const DRAIN_BYTES_PER_PERIOD: usize = 512 * 1024;
/// See [`DRAIN_BYTES_PER_PERIOD`]. Timers have ticks of 32 ms.
pub const DRAIN_PERIOD_MS: u64 = 30;
/// What waits for a peer must move by this much (or to its end) within the stall timeout.
pub const STALL_BYTES: u64 = 64 * 1024;
/// A wall clock that moves by more than this against the monotonic one, in ms, has jumped. Normal
/// adjustments are smaller, and no retention by age is that exact.
pub const CLOCK_JUMP_MS: i64 = 60_000;
/// A wall clock is trusted when it has not jumped for this long since the start or a jump. Until
/// then nothing is removed for an age that only this clock shows, and no entry is dated by how far
/// it went ahead.
pub const CLOCK_HELD_MS: u64 = 60 * 60 * 1_000;
/// Records committed in one transaction.
pub const BATCH_RECORDS_MAX: usize = 512;
/// For so long, in µs, the thread of a store on a disk looks for the next command before it sleeps, if each of
/// the last [`POLLED_AFTER`] came alone, and within that time since the thread had done its work.
pub const POLLED_US: u64 = 250;
/// See [`POLLED_US`].
pub const POLLED_AFTER: u32 = 8;
/// It looks no more often than this, even if its clock stands still.
pub const POLLS_MAX: usize = 4_096;
/// A reactor that waits for so many answers of a store on a disk looks for what comes next for a while
/// before it sleeps,
pub const AWAITED_MIN: usize = 8;
/// unless it has waited for the oldest for longer than this, in ms: then the disk is slow.
pub const AWAITED_MS_MAX: u64 = 3;
/// For so long, in µs. To wake it costs whoever does so more than what they bring takes.
pub const STAYS_AWAKE_US: u64 = 100;
/// With more commands than these that wait for a store on a disk, its thread is called before the turn ends.
pub const UNCALLED_MAX: usize = 32;
/// So many records that wait for a store in memory a reactor carries out itself, so that nobody is
/// woken for them.
pub const HELPED_MAX: usize = 8;
/// As much as they may weigh together, in bytes: 256 for each, texts and data, and 80 for each mark.
pub const HELPED_BYTES_MAX: usize = 16 * 1024;
/// Entries and marks that are in the store's journal and in no table of rooms. When there are more,
/// a slice of them is merged after each commit, if no thread merges; with twice as many nothing more is taken.
pub const UNMERGED_MAX: usize = 16_384;
/// Such an entry counts once more for so many bytes of its text and data.
pub const UNMERGED_UNIT_BYTES: usize = 512;
/// A room with more of them has a slice merged, too, so that a request that needs it in the tables does
/// not wait for long; with more than half of that it comes first.
pub const ROOM_UNMERGED_MAX: usize = 2_048;
/// Commits of the journal: after so many a slice is merged after each one, until the oldest are.
pub const JOURNAL_ROWS_MAX: u64 = 65_536;
/// Rows of the journal that nothing needs stay until there are so many, or the store merges.
pub const ROWS_KEPT_MAX: u64 = 256;
/// If a commit has so many records, a store on a disk merges in a thread of its own, beside its commits.
/// Where fewer write at once, they have the processors for themselves.
pub const MERGES_BESIDE_MIN: usize = 8;
/// It does so if more of these entries and marks wait. Of a room it writes as much at once.
pub const KEPT_UNMERGED: usize = 4_096;
/// If the rooms have fewer each, on average, all wait until a slice is due: a page is then changed for more
/// of them at once.
pub const MERGED_PER_ROOM_MIN: usize = 16;
/// Where all is to be merged, the last of them are left to a slice.
pub const SLICE_UNMERGED: usize = 512;
/// So many are lent to that thread at once, with the rest of the last room: of the rooms that have most,
/// and as many of others. If all is to be merged, it is [`KEPT_UNMERGED`] of each.
pub const LENT_MAX: usize = 1_024;
/// If a commit or a page has had that thread end early, no other begins for so long, in ms.
pub const LENT_AGAIN_MS: u64 = 100;
/// How long that thread waits for another process that writes to the database, in ms.
pub const MERGE_BUSY_MS: u64 = 100;
/// How long a slice takes, in ms, during which no commit begins.
pub const SLICE_MS: u64 = 2;
/// Entries that are merged between two looks at the clock, or two times that a thread lets others run.
pub const MERGE_CHUNK: usize = 8;
/// An idle store begins to merge after so long, in ms.
pub const MERGE_IDLE_MS: u64 = 1_000;
/// When the tail of the store's journal has so many bytes, all of it is merged, and it is written
/// from its start again.
pub const TAIL_BYTES: u64 = 8 * 1024 * 1024;
/// With so many more slices do that, during which no commit begins, and no thread beside them.
pub const TAIL_OVER_BYTES: u64 = TAIL_BYTES / 8;
/// With so many, as while it is read for a long backup, commits go to the database.
pub const TAIL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// By how many bytes it is lengthened at once.
pub const TAIL_AHEAD_BYTES: u64 = 128 * 1024;
/// Rooms and members that the store looks up before it forgets those with nothing to merge.
pub const HOT_LOOKUPS_MAX: usize = 16_384;
/// The mark beside the database is rewritten when it has this many bytes, or twice what the last
/// rewrite began with.
pub const MARK_BYTES: u64 = 1024 * 1024;
/// A line of the mark: a full batch of records that each move a head, with the longest names, takes
/// less.
pub const MARK_LINE_BYTES_MAX: usize = 256 * BATCH_RECORDS_MAX;
/// Log lines that say which entries were lost, at a start.
pub const LOSSES_SHOWN_MAX: usize = 20;
/// Threads of a server: the id of a connection has six bits for its thread.
pub const THREADS_MAX: usize = 64;
/// How long one thread waits for others to answer what concerns all, in ms: those that do not are left
/// out.
pub const SURVEY_MS: u64 = 2_000;
/// How much later than a thread's turn another's may have begun, where a revocation is of all that was
/// issued until now.
pub const ISSUED_AHEAD_MS: i64 = 5_000;
/// Questions of one thread that wait for others.
pub const SURVEYS_MAX: usize = 1_024;
/// Connections that were accepted for one of several reactors and that it has not taken: beyond that,
/// others get them.
pub const DEALT_MAX: usize = 64;
/// Commands that wait for the store's thread. One more is `overloaded`.
pub const STORE_QUEUE_MAX: usize = 16_384;
/// Bytes of the commands that wait for the store's thread.
pub const STORE_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What the store has told one of several hubs that is not heard there, in number and in bytes of its
/// records: beyond that, nothing is committed for any of them until it is heard, and nobody new is let in.
pub const TOLD_QUEUE_MAX: usize = 65_536;
/// See [`TOLD_QUEUE_MAX`].
pub const TOLD_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What streams have for the connections of one of several hubs and it has not taken, in number and in
/// bytes of events: beyond that, its connections are fed when it takes that, as slow ones are.
pub const STREAM_INBOX_MAX: usize = 16_384;
/// See [`STREAM_INBOX_MAX`].
pub const STREAM_INBOX_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often the store looks whether it may go on then, in ms.
pub const TOLD_LOOK_EVERY_MS: u64 = 1;
/// After how long it logs which hub it waits for, and how often then, in ms.
pub const HELD_UP_TOLD_MS: u64 = 1_000;
/// See [`HELD_UP_TOLD_MS`].
pub const HELD_UP_TOLD_EVERY_MS: u64 = 10_000;
/// Requests of one connection that may wait for the store or a handler, before nothing more is read
/// from it.
pub const REQUESTS_IN_FLIGHT_MAX: u16 = 64;
/// Those that may each return a page of history: together less than an outbox.
pub const PAGES_IN_FLIGHT_MAX: u16 = 2;
/// Subprotocols that a WebSocket request may offer, because they are compared with each other.
pub const SUBPROTOCOLS_MAX: usize = 64;
/// Deeper nested JSON is refused. The envelope's braces are the first level.
pub const JSON_DEPTH_MAX: usize = 32;
/// The maximum of `limits.cid_bytes`, `limits.emoji_bytes` and `limits.title_bytes`, and so of what
/// a sound store holds, whatever the limits were.
pub const SHORT_TEXT_BYTES_MAX: u32 = 4_096;
/// A client's id for a request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// The type of an application's push, in bytes: a name, which is in every recipient's outbox.
pub const PUSH_TYPE_BYTES_MAX: usize = 64;
/// Direct rooms in which the user never wrote, in a `hello`: only the newest.
pub const UNWRITTEN_DIRECT_ROOMS_MAX: usize = 100;
/// Others' marks (read and delivered) are sent only in rooms of up to this many members.
pub const MARKS_MEMBERS_MAX: usize = 50;
/// Different reactions to one message.
pub const REACTIONS_PER_MESSAGE_MAX: usize = 20;
/// Users named per reaction in a history: the first ones.
pub const REACTION_USERS_MAX: usize = 20;
/// Reactions to one message that are all read and counted. Beyond, an index is used, which does not
/// reveal if one is missing.
pub const REACTIONS_COUNTED_MAX: u64 = 400;
/// Entries that the store removes from the beginning of a log in one transaction.
pub const TRIM_ENTRIES_MAX: u64 = 4_096;
/// Rooms that a user may create in a day, unless they may be in more: a room that was left or has
/// ended stays, as does its name.
pub const ROOMS_MADE_A_DAY: u32 = 1_000;
/// Users who were never here to whom a user may write in a day: each gets a room.
pub const FIRST_MESSAGES_A_DAY: u32 = 200;
/// What each stored request counts beside its payload, in bytes, for rows, indexes and the log.
pub const STORED_BYTES_PER_REQUEST: usize = 256;
/// Users, and addresses of guests, whose stored bytes are counted.
pub const STORERS_MAX: usize = 65_536;
/// Bytes of a `room:create` (its payload names users) that make a unit of work.
pub const NAMED_BYTES_PER_WORK: usize = 512;
/// Bytes in the store for which each byte of it counts: each named user has rows of their own.
pub const NAMED_BYTES_STORED: usize = 16;
/// A pool is reported as filling at this percentage.
pub const POOL_FILLS_PERCENT: u64 = 80;
/// A pool is reported as having room again at this percentage.
pub const POOL_HAS_ROOM_PERCENT: u64 = 70;
/// As [`POOL_FILLS_PERCENT`], for the disk. It has room again at ten less.
pub const DISK_FILLS_PERCENT: u64 = 90;
/// How often the pools are checked at most, in ms.
pub const POOLS_CHECKED_MS: u64 = 1_000;
/// How often the server publishes its own state to `parlor:vitals`, in ms: what an operator waits for
/// at most.
pub const VITALS_EVERY_MS: u64 = 5_000;
/// How many of these are kept: those of an hour.
pub const VITALS_KEPT: u32 = 720;
/// Largest of these, in bytes: with all limits and pools it has less than half of that.
pub const VITALS_BYTES_MAX: u32 = 8_192;
/// How many actions of admins `parlor:audit` keeps.
pub const AUDIT_KEPT: u32 = 10_000;
/// How many refused requests of admins are among them for each second, beyond a burst: they take the
/// place of what was done.
pub const AUDITED_REFUSALS_PER_SECOND: u32 = 1;
/// That burst.
pub const AUDITED_REFUSALS_BURST: u32 = 100;
/// Largest of these, in bytes: names have their own bounds.
pub const AUDIT_BYTES_MAX: u32 = 4_096;
/// How often a pool is reported as filling at most, in ms: some fill with every burst.
pub const POOL_LOGGED_EVERY_MS: u64 = 60_000;
/// Users who created rooms within the last day, and those who wrote to users who were never here.
pub const MAKERS_MAX: usize = 100_000;
/// Typing is not told in rooms with more members.
pub const TYPING_MEMBERS_MAX: usize = 200;
/// A user's typing in a room is told at most this often.
pub const TYPING_EVERY_MS: u64 = 3_000;
/// Typing that is not repeated is over after this time.
pub const TYPING_LASTS_MS: u64 = 6_000;
/// Conditions of a filter: each operator is one.
pub const FILTER_CONDITIONS_MAX: usize = 16;
/// What an event takes in memory beside its data, and counts: measured, an empty one takes 126
/// bytes.
pub const EVENT_BYTES: usize = 128;
/// What a publisher's id of an event takes beside its text: two allocations and a map entry.
pub const PUBLICATION_ID_BYTES: usize = 128;
/// Bytes of a filter's JSON. They bound the memory and the comparing of its values.
pub const FILTER_BYTES_MAX: usize = 4_096;
/// Streams that a configuration declares: each name is looked up among all patterns.
pub const DECLARATIONS_MAX: usize = 1_000;
/// Events that a log may be declared to keep.
pub const STREAM_EVENTS_MAX: u32 = 1_000_000;
/// Events a second that a rate may allow.
pub const STREAM_RATE_MAX: u32 = 1_000;
/// Errors to requests without an `id` are sent at most this often, with a count.
pub const ANONYMOUS_ERROR_EVERY_MS: u64 = 1_000;
/// Users named in one push by an admin.
pub const PUSH_USERS_MAX: usize = 1_000;
/// HTTP requests that wait for the store or a handler.
pub const HTTP_CALLS_MAX: usize = 16_384;
/// Segments of the JSON pointer that picks a source's data.
pub const POINTER_DEPTH_MAX: usize = 8;
/// Header fields that an answer of the embedding program may add.
pub const PATH_ANSWER_FIELDS_MAX: usize = 32;
/// How long a ticket for Server-Sent Events is valid, and how many unused ones there may be.
pub const TICKET_MS: u64 = 30_000;
/// See [`TICKET_MS`].
pub const TICKETS_MAX: usize = 10_000;
/// Of these, those of one user: a page asks for one at each connect.
pub const TICKETS_PER_USER_MAX: usize = 64;
/// Of these, those of one address, whatever the user.
pub const TICKETS_PER_ADDRESS_MAX: usize = TICKETS_MAX / 4;
/// Streams that one request for Server-Sent Events names in its URL: an event's `id` has a place
/// for each.
pub const LISTENED_STREAMS_MAX: usize = 32;
/// An event's `id` is shorter than this, because it comes back in a request's head.
pub const EVENT_ID_BYTES_MAX: usize = 512;
/// A larger event has no `id` of its own for listeners with streams: all of them are sent the same
/// bytes.
pub const EVENT_WITH_PLACES_BYTES_MAX: usize = 4 << 10;
/// The spread of the first reconnects of Server-Sent Events clients, in ms.
pub const RETRY_MS: u64 = 2_000;
/// When a client that may not watch a stream reconnects, in ms.
pub const RETRY_REFUSED_MS: u64 = 30_000;
/// Users whose HTTP requests are counted at one time, and as many addresses.
pub const HTTP_RATES_MAX: usize = 65_536;
/// Users whose requests over all connections are counted at one time: more than a machine has
/// connections for, within the seconds for which each is remembered.
pub const USER_RATES_MAX: usize = 1_000_000;
/// Addresses whose failed proofs are counted at one time. All others then share one budget.
pub const FAILED_PROOF_ADDRESSES_MAX: usize = 65_536;
/// Users whose work is counted at one time, and as many addresses.
pub const WORKERS_MAX: usize = 65_536;
/// Bytes of a request that make a unit of work: they are parsed, written to disk and delivered.
pub const WRITTEN_BYTES_PER_WORK: usize = 4 * 1024;
/// Bytes of an answer that make a unit of work.
pub const ANSWER_BYTES_PER_WORK: usize = 16 * 1024;
/// What a request for the metrics costs, in units of work.
pub const METRICS_WORK: u32 = 4;
/// A failed proof counts once more for each this many bytes that it signs.
pub const SIGNED_BYTES_PER_PROOF: usize = 16 * 1024;
/// What checking a signature counts in [`REQUESTS_PER_READ`]: all of it.
pub const REQUESTS_PER_PROOF: usize = REQUESTS_PER_READ;
/// How long the content of a token is remembered after its signature was checked, in ms: at most
/// three times this.
pub const TOKEN_CACHE_MS: u64 = 60_000;
/// How many tokens are remembered this way, valid ones and bad ones; twice as many within twice
/// that time.
pub const TOKEN_CACHE_MAX: usize = 4_096;
/// Bytes of these tokens.
pub const TOKEN_CACHE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Users with limits of their own in a configuration.
pub const USER_EXCEPTIONS_MAX: usize = 10_000;
/// How long a store that refused to write counts as unable to, if it is not asked again.
pub const STORE_REFUSED_MS: u64 = 5_000;
/// A token, in bytes: several times what people's claims take.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Tokens in one request, however they are presented: each costs a signature check.
pub const TOKENS_PER_REQUEST_MAX: usize = 4;
/// A token's own id (`jti`), in bytes: twice a hash in hexadecimal digits.
pub const JTI_BYTES_MAX: usize = 128;
/// Patterns of streams in a token's claim: each name is looked up among all of them.
pub const CLAIM_PATTERNS_MAX: usize = 256;
/// Revocations kept, of tokens and users together.
pub const REVOCATIONS_MAX: usize = 100_000;
/// Longest sign-in of a browser, in ms: browsers keep no cookie longer than 400 days (RFC 6265bis
/// §5.5).
pub const SIGN_IN_MS_MAX: i64 = 400 * 24 * 60 * 60 * 1_000;
/// Largest sign-in cookie, name and value, in bytes: browsers need not keep more (RFC 6265 §6.1).
pub const SIGN_IN_COOKIE_BYTES_MAX: usize = 4_096;
/// How long the revocation of a token with an expiry is kept after it, in ms: setting a clock back
/// by less does not make a token valid again.
pub const FORGOTTEN_AFTER_MS: i64 = 24 * 60 * 60 * 1_000;
/// How many of those are removed with each new revocation, so that a batch of the store stays
/// short.
pub const FORGOTTEN_PER_REVOCATION: u32 = 64;
/// A file with a key or a set of keys, in bytes.
pub const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Files with keys.
pub const KEY_FILES_MAX: usize = 16;
/// Keys of all files together: a token's is looked up among all.
pub const KEYS_MAX: usize = 64;
/// A key's name (`kid`), in bytes.
pub const KID_BYTES_MAX: usize = 128;
/// A PROXY protocol header, in bytes: several times what addresses and TLS fields take.
pub const PROXY_HEADER_BYTES_MAX: usize = 2 * 1024;
/// Addresses and networks in a list of proxies: each connection's is looked up among all of them.
pub const PROXIES_MAX: usize = 256;
/// Addresses whose connections of the last minutes are counted at one time. Further ones are not
/// counted: a client with more addresses than these already gets each one's share.
pub const ADDRESSES_COUNTED_MAX: usize = 65_536;
/// The configuration file, in bytes: ten times the commented example.
pub const CONFIG_FILE_BYTES_MAX: u64 = 256 * 1024;
/// Errors of a configuration that are listed. Of more, only the number is told.
pub const CONFIG_FAULTS_MAX: usize = 100;
/// How often a source may be polled, in ms: the shortest interval.
pub const EVERY_MS_MIN: u64 = 10;
/// The longest time without news before a stream is stale, in ms: a week.
pub const STALE_MS_MAX: u32 = 7 * 24 * 3_600 * 1_000;
/// A source is stale after this many missed polls, and the time of one more, if nothing else is
/// declared.
pub const POLLS_MISSED_MAX: u64 = 3;
/// See [`EVERY_MS_MIN`]: a day. It is also the longest wait for a backend.
pub const EVERY_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// A polled program and its arguments.
pub const COMMAND_PARTS_MAX: usize = 64;
/// A URL of the application's backend, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// A polled source's answer, in bytes, unless its stream takes larger data: a pointer may pick a
/// smaller part.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// What a publishing request's body may have beside the data, in bytes.
pub const AROUND_DATA_BYTES_MAX: usize = 4 * 1024;
/// How long a stream is remembered after its last subscriber, so that one that returns at once
/// causes no new poll.
pub const POLL_LINGER_MS: u64 = 1_000;
/// How long `/readyz` repeats the same states of streams before it checks again, in ms.
pub const READINESS_STREAMS_MS: u64 = 250;
/// Handlers in a configuration: a type is looked up among all.
pub const HANDLERS_MAX: usize = 100;
/// Types of a handler.
pub const HANDLER_TYPES_MAX: usize = 100;
/// Longest timeout of a handler, in ms.
pub const HANDLER_TIMEOUT_MS_MAX: u32 = 60_000;
/// Most requests of a handler in progress.
pub const HANDLER_CONCURRENCY_MAX: u32 = 1_024;
/// Most bytes of a handler's answer: it is a reply, which no outbox refuses.
pub const HANDLER_ANSWER_BYTES_MAX: u32 = 1024 * 1024;
/// Most requests that may wait for a place at a handler's backend.
pub const HANDLER_WAITING_MAX: u32 = 1_000;
/// Bytes of the waiting requests of one handler.
pub const HANDLER_WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest time that one may wait, in ms.
pub const HANDLER_WAITING_MS_MAX: u32 = 60_000;
/// A stream is late when it was not polled for this many intervals, plus `timeout_ms`.
pub const LATE_POLLS: u64 = 3;
/// How often the server checks for late polls, in ms.
pub const LATE_POLLS_CHECKED_MS: u64 = 1_000;
/// Requests that wait for `auth.url` to be asked; one more gets 503. Their connections bound their
/// bodies.
pub const PROOFS_WAITING_MAX: usize = 1_024;
/// How long an idle thread for the application's backend waits before it ends.
pub const BACKEND_THREAD_IDLE_MS: u64 = 10_000;
/// How long an idle connection to the backend is kept.
pub const BACKEND_IDLE_CONNECTION_MS: u64 = 10_000;
/// The head of a backend's answer, in bytes.
pub const BACKEND_HEAD_BYTES_MAX: usize = 16 * 1024;
/// The message about why a backend failed, in bytes.
pub const BACKEND_REASON_BYTES_MAX: usize = 200;
/// Deliveries that a webhook remembers, so that a repeat is not published again. The oldest is
/// forgotten.
pub const DELIVERIES_MAX: usize = 1_024;
/// How long it remembers them, in ms. GitHub's may be resent by hand for three days; others repeat
/// within hours.
pub const DELIVERY_MEMORY_MS: u64 = 24 * 3_600 * 1_000;
/// The id of a delivery, in bytes.
pub const DELIVERY_ID_BYTES_MAX: usize = 128;
/// The declared answer of a webhook, in bytes.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 4_096;
/// The application's message for a refused request, in bytes; the rest is cut.
pub const REFUSAL_MESSAGE_BYTES_MAX: usize = 1_024;
/// The data of such a refusal, in bytes; larger data are left out. An error may wait for the end of
/// its second.
pub const REFUSAL_DATA_BYTES_MAX: usize = 16 * 1024;
/// The code of such a refusal, in bytes.
pub const REFUSAL_CODE_BYTES_MAX: usize = 64;
/// The longest wait before a retry, in ms.
pub const BACKOFF_MS_MAX: u64 = 10_000;
/// How long an orderly end waits for polled programs, which it terminates.
pub const COMMANDS_END_MS: u64 = 500;
/// Longest orderly end of the server, from the signal on.
pub const STOP_MS_MAX: u64 = 4_000;
/// How long a restart is announced before connections are closed; a part of that time.
pub const DRAIN_NOTICE_MS: u64 = 500;
/// Clients that should return per second after a restart. Several times as many could, while the
/// machine still serves the others.
pub const RETURNS_PER_SECOND: u64 = 500;
/// The shortest time over which they are spread.
pub const SPREAD_MS_MIN: u64 = 1_000;
/// The longest time.
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
    /// Most fragments of one message.
    fragments: u32 = 1_024;
    /// Head of an HTTP request, in bytes.
    head_bytes: u32 = 8 * 1024;
    /// Lines in a request head.
    headers: u32 = 64;
    /// Text of a chat message after unescaping, in bytes.
    text_bytes: u32 = 16 * 1024;
    /// `data` of a chat message, in bytes.
    data_bytes: u32 = 16 * 1024;
    /// Client id of a message or publication, in bytes.
    cid_bytes: u32 = 64;
    /// Reaction, in bytes.
    emoji_bytes: u32 = 32;
    /// Title of a room, and display name of a user, in bytes.
    title_bytes: u32 = 128;
    /// Requests per second of a connection.
    requests_per_second: u32 = 10;
    /// Requests of a connection in one burst.
    burst: u32 = 30;
    /// Messages per minute of a connection, and calls of a user over HTTP; 0: only the rate
    /// applies.
    messages_per_minute: u32 = 0;
    /// Requests per second of a user, over all connections and HTTP together; 0: only the rate of
    /// each applies.
    user_requests_per_second: u32 = 0;
    /// Requests of a user at once after a pause, over all connections.
    user_burst: u32 = 100;
    /// Units of work per second for a user, over all connections and HTTP; 0: no limit beside that
    /// of requests.
    user_work_per_second: u32 = 50;
    /// Units of work at once after a pause.
    user_work_burst: u32 = 500;
    /// The same for all guests of an address; 0: no limit beside that of requests.
    address_work_per_second: u32 = 500;
    /// Units of work at once after a pause.
    address_work_burst: u32 = 5_000;
    /// Bytes per second read from a WebSocket; 0: no limit. Beyond it, reading pauses: nothing is
    /// lost, and TCP slows the peer down.
    bytes_per_second: u32 = 0;
    /// Bytes read at once after a pause. One read more may come with them.
    bytes_burst: u32 = 1024 * 1024;
    /// Connections of a user.
    connections_per_user: u32 = 20;
    /// Connections of an address (IPv6: of a /64).
    connections_per_address: u32 = 100;
    /// Connections that one address (IPv6: a /64) may open per minute; 0: no limit. 0 by default,
    /// because any number is wrong for users behind a shared address, and open connections are
    /// limited anyway.
    connections_per_address_minute: u32 = 0;
    /// Failed proofs per second of an address: tokens, codes, cookies and signatures of webhooks.
    failed_proofs_per_second: u32 = 10;
    /// Failed proofs at once after a pause.
    failed_proofs_burst: u32 = 300;
    /// Connections in all; the file limit may leave fewer.
    connections: u32 = 1_000_000;
    /// Rooms that a user created or joined.
    rooms: u32 = 1_000;
    /// Bytes of requests that a user may store in a day; the guests of an address count as one. 0:
    /// no limit.
    stored_bytes_per_day: u32 = 256 * 1024 * 1024;
    /// Bytes left free on the disk. Below it only admins may store.
    disk_reserve_bytes: u64 = 64 * 1024 * 1024;
    /// Direct rooms in which a user wrote.
    direct_rooms: u32 = 10_000;
    /// Rooms to which others added a user, except direct rooms.
    added_rooms: u32 = 1_000;
    /// Rooms in all, including direct rooms.
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
    /// Rooms listed in a greeting; clients ask for the others.
    listed_rooms: u32 = 500;
    /// Newest entries of a room kept in memory, for cursors that are slightly behind.
    tail_entries: u32 = 16;
    /// Most bytes of these entries.
    tail_bytes: u32 = 32 * 1024;
    /// Bytes that may wait for one connection.
    outbox_bytes: u32 = 1024 * 1024;
    /// An outbox is fed again when it has fewer bytes than this.
    outbox_low_bytes: u32 = 64 * 1024;
    /// Bytes that may wait in all outboxes together; 0 for as much as there is memory for.
    all_outboxes_bytes: usize = 0;
    /// What waits for a connection must move by 64 KiB, or to its end, in this time, in ms.
    stall_timeout_ms: u64 = 30_000;
    /// From accept, or from the first byte of a later request, to the end of the request head, in
    /// ms.
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
    /// A ping is sent after this time without a complete frame, in ms.
    heartbeat_interval_ms: u64 = 25_000;
    /// How long the peer then has to answer, in ms.
    heartbeat_timeout_ms: u64 = 10_000;
    /// How long a message may take from its first frame to its last, in ms.
    message_timeout_ms: u64 = 30_000;
    /// For the peer's Close and the drain after it, together, in ms.
    closing_timeout_ms: u64 = 5_000;
    /// From the end of a user's last connection to the announcement, in ms.
    presence_grace_ms: u64 = 5_000;
    /// Above this many people in an audience, only their number is told; below nine tenths of it,
    /// lists again.
    presence_listed_people: u32 = 500;
    /// Guests in all.
    guests: u32 = 10_000;
    /// Requests per second of a guest's connection.
    guest_requests_per_second: u32 = 2;
    /// Requests of a guest's connection in one burst.
    guest_burst: u32 = 10;
    /// Malformed requests of a connection within the abuse window after which it is closed with
    /// 4000.
    malformed_requests: u32 = 50;
    /// Rate-limited requests of a connection within the abuse window after which it is closed with
    /// 4103.
    limited_requests: u32 = 100;
    /// The abuse window, in ms.
    abuse_window_ms: u64 = 10_000;
    /// Most streams that a connection can watch.
    subscriptions: u32 = 100;
    /// Of these, those with a filter.
    filters: u32 = 16;
    /// Different filters of a stream: each is evaluated for each event.
    stream_filters: u32 = 256;
    /// Values in a filter's `in`.
    filter_values: u32 = 64;
    /// Reference tokens in a filter's JSON pointer.
    filter_depth: u32 = 8;
    /// Most streams on the server, including those of families.
    streams: u32 = 10_000;
    /// Most streams of families polled because one user watches them.
    polled_streams_per_user: u32 = 200;
    /// Most streams of families polled because guests of one address watch them.
    polled_streams_per_address: u32 = 500;
    /// Bytes of one stream's kept events, unless the newest alone is larger.
    stream_bytes: u32 = 16 * 1024 * 1024;
    /// Bytes of all streams' kept events together.
    all_streams_bytes: usize = 256 * 1024 * 1024;
    /// Shortest time between two announcements of presence, in ms; grows with the audience.
    presence_window_ms: u64 = 250;
    /// Threads that poll streams' sources.
    backend_poll_threads: u32 = 8;
    /// Threads that call the application's backend for waiting clients.
    backend_call_threads: u32 = 32;
    /// Threads that ask who sends requests.
    auth_url_threads: u32 = 16;
    /// Timeout of such a call, in ms.
    auth_url_timeout_ms: u64 = 5_000;
    /// How often a failed call is retried.
    backend_retries: u32 = 3;
    /// The longest wait before the first retry, in ms; then twice that.
    backend_backoff_ms: u64 = 100;
    /// Failures in a row after which a backend is not called for a while.
    backend_circuit_failures: u32 = 10;
    /// The length of that while, in ms.
    backend_circuit_open_ms: u64 = 30_000;
}

/// The longest window of presence, for a large audience.
pub const PRESENCE_WINDOW_MS_MAX: u64 = 2_000;

const _: () =
    assert!(DRAIN_READ_BYTES <= BUFFER_BYTES_MIN && BUFFER_BYTES_MIN <= READ_BUFFER_BYTES);
const _: () =
    assert!(JOINED_FRAME_BYTES_MAX < BUFFER_BYTES_MIN && BUFFER_BYTES_MIN <= SEND_BUFFER_BYTES);
const _: () = assert!(TYPING_EVERY_MS < TYPING_LASTS_MS);
const _: () = assert!(SEND_PIECES_MAX <= 1_024);
const _: () = assert!(STOP_MS_MAX + COMMANDS_END_MS < 5_000);
const _: () = assert!(DRAIN_NOTICE_MS < STOP_MS_MAX / 2);
