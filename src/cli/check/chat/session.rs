//! Two users, what they have made, and the list of what is tried.

use super::talker::Talker;
use super::{connection, messages, rooms, streams};
use crate::client::{BlockingWebSocket, Tls};
use std::time::Duration;

/// How the two users connect.
pub(in crate::cli::check) struct Visitors {
    pub(in crate::cli::check) url: String,
    pub(in crate::cli::check) tls: Option<Tls>,
    pub(in crate::cli::check) fields: Vec<(String, String)>,
    pub(in crate::cli::check) timeout: Duration,
    /// Tokens of two users; none at a server in open mode.
    pub(in crate::cli::check) tokens: Vec<String>,
    /// What makes the names of users and rooms those of this run.
    pub(in crate::cli::check) run: String,
}

impl Visitors {
    /// The name of a user, at a server in open mode.
    pub(in crate::cli::check) fn name(&self, which: usize) -> String {
        format!("check-{}-{which}", self.run)
    }

    /// Whether the first user is let in; what cannot be tried is no finding.
    pub(in crate::cli::check) fn can_come_in(&self) -> Result<(), String> {
        self.connect(0, "").map(|mut talker| talker.close())
    }

    /// Connects as the first user or the second; `query` is added to the URL.
    pub(super) fn connect(&self, which: usize, query: &str) -> Result<Talker, String> {
        let mut url = self.url.clone();
        let mut add = |member: &str| {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(member);
        };
        let token = self.tokens.get(which);
        if token.is_none() {
            add(&format!("user={}", self.name(which)));
        }
        if !query.is_empty() {
            add(query);
        }
        let mut builder = BlockingWebSocket::builder(&url);
        if let Some(token) = token {
            builder = builder.field("Authorization", &format!("Bearer {token}"));
        }
        for (name, value) in &self.fields {
            builder = builder.field(name, value);
        }
        if let Some(tls) = &self.tls {
            builder = builder.tls(tls.clone());
        }
        Talker::connect(builder, self.timeout)
    }
}

/// A session of both.
pub(in crate::cli::check) struct Session {
    pub(super) visitors: Visitors,
    pub(super) ada: Talker,
    pub(super) bob: Talker,
    /// A room of Ada's, in which Bob is, too.
    pub(super) room: String,
    /// Why the last trial could say nothing.
    pub(in crate::cli::check) open: Option<&'static str>,
}

impl Session {
    /// # Errors
    /// Why there is none, as a sentence.
    pub(in crate::cli::check) fn begin(visitors: Visitors) -> Result<Session, String> {
        let ada = visitors.connect(0, "")?;
        let bob = visitors.connect(1, "")?;
        if ada.user() == bob.user() {
            return Err("both tokens are of one user; the contract needs two".to_owned());
        }
        let room = format!("check-{}", visitors.run);
        Ok(Session { visitors, ada, bob, room, open: None })
    }

    /// A trial cannot say anything.
    pub(super) fn leave_open(&mut self, why: &'static str) -> TrialResult {
        self.open = Some(why);
        Ok(())
    }

    /// Ends it, and leaves no room behind.
    pub(in crate::cli::check) fn end(mut self) {
        let _ = self.ada.ask("room:delete", serde_json::json!({"room": self.room}));
        self.ada.close();
        self.bob.close();
    }
}

/// What came of one trial.
type TrialResult = Result<(), String>;
/// A trial: its name, where `docs/protocol.md` has it, what must hold.
pub(in crate::cli::check) type ContractRow =
    (&'static str, &'static str, &'static str, fn(&mut Session) -> TrialResult);

/// In an order in which each finds what it needs.
pub(in crate::cli::check) const CONTRACT: &[ContractRow] = &[
    ("hello", "hello", "the first push says who one is, and what holds", connection::hello),
    ("ping", "ping", "it has the server's time", connection::ping),
    ("info", "info", "it says what hello says, and what one may do", connection::info),
    ("ids", "Messages", "the id of a request comes back as it was written", connection::ids),
    ("without-id", "Messages", "a request without an id has no reply", connection::without_id),
    ("bad-json", "Messages", "what is not JSON is told, and ends nothing", connection::bad_json),
    (
        "unknown-type",
        "Errors",
        "a request that nobody knows is unknown_type",
        connection::unknown_type,
    ),
    ("bad-request", "Errors", "a payload that is wrong is bad_request", connection::bad_request),
    ("bytes", "Messages", "binary messages are bad_request", connection::bytes),
    (
        "unknown-members",
        "Messages",
        "members that nobody knows are passed over",
        connection::unknown_members,
    ),
    ("no-admin", "For admins", "what is for admins is forbidden for others", connection::no_admin),
    ("create", "room:create", "a room is made, once, and is its maker's", rooms::create),
    ("not-member", "room:info", "who is not in a room does not learn of it", rooms::not_member),
    ("invite", "room:invite", "who is invited is told, and may join", rooms::invite),
    ("update", "room:update", "a change is pushed to every member", rooms::update),
    ("members", "room:members", "the members are listed, page by page", rooms::members),
    ("list", "room:list", "one's rooms are listed", rooms::list),
    ("open", "room:join", "an open room is joined by whoever wants", rooms::open),
    ("send", "chat:send", "a message comes to all members, numbered without a gap", messages::send),
    ("repeat", "chat:send", "a repeat with the same cid is stored once", messages::repeat),
    ("mismatch", "chat:send", "a cid means one message", messages::mismatch),
    ("reply", "chat:send", "a reply names an entry of the room", messages::reply),
    ("data", "chat:send", "data comes as it was written", messages::data),
    ("too-large", "chat:send", "a text over the limit is too_large", messages::too_large),
    ("edit", "chat:edit", "its author changes a message, and nobody else", messages::edit),
    ("react", "chat:react", "a reaction is given and taken back", messages::react),
    ("delete", "chat:delete", "a message is deleted, and is gone", messages::delete),
    ("history", "chat:history", "the log is read in pages, without a hole", messages::history),
    ("typing", "chat:typing", "the others are told who types", messages::typing),
    ("read", "chat:read", "a read mark moves forward, and is told", messages::read),
    ("ack", "chat:ack", "how far one has received is told", messages::ack),
    (
        "direct",
        "chat:send",
        "a direct conversation begins with its first message",
        messages::direct,
    ),
    ("presence", "presence:list", "who is online is listed", connection::presence),
    (
        "resume",
        "Resuming",
        "who comes back has what was missed, once and in order",
        connection::resume,
    ),
    (
        "resume-refused",
        "Resuming",
        "what cannot go on is refused with the reason",
        connection::resume_refused,
    ),
    ("streams", "Streams", "a stream that is not declared is no_such_stream", streams::undeclared),
    ("watch", "Streams", "what is published comes to who watches, numbered", streams::watch),
    (
        "rate",
        "Limits",
        "requests over the rate are rate_limited, and say for how long",
        connection::rate,
    ),
    ("remove", "room:remove", "who is removed is told, and is out", rooms::remove),
    ("ban", "room:ban", "who is banned does not come back until that ends", rooms::ban),
    ("leave", "room:leave", "who leaves is told nothing more of the room", rooms::leave),
    (
        "room-delete",
        "room:delete",
        "a deleted room is gone, and its name stays taken",
        rooms::delete,
    ),
];
