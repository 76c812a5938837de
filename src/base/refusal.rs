//! Refusals of requests: the wire's codes and their details.

use super::limits::REACTIONS_PER_MESSAGE_MAX;
use super::record::Outcome;
use std::borrow::Cow;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The wire's code.
    pub code: RefusalCode,
    /// A sentence for people.
    pub message: &'static str,
    /// The member of the payload that is wrong.
    pub field: Option<Cow<'static, str>>,
    /// The value of the limit, if one was reached.
    pub limit: Option<u64>,
    /// The limit's name: the last part of its key, or its own name.
    pub limit_name: Option<&'static str>,
    /// The oldest kept entry, if older ones were asked for.
    pub first: Option<u64>,
    /// In how many ms the request would succeed, if known.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal with a code and a sentence, and no details.
    #[must_use]
    pub const fn new(code: RefusalCode, message: &'static str) -> Refusal {
        Refusal {
            code,
            message,
            field: None,
            limit: None,
            limit_name: None,
            first: None,
            retry_after_ms: None,
        }
    }

    /// An entry that is not in the log.
    pub const NO_SUCH_MESSAGE: Refusal =
        Refusal::new(RefusalCode::NoSuchMessage, "there is no such message, or not any more");

    /// For everybody else.
    pub const FOR_ADMINS: Refusal = Refusal::new(RefusalCode::Forbidden, "this is for admins");

    /// For admins and the embedding program. Others get [`Refusal::NOT_MEMBER`].
    pub const NO_SUCH_ROOM: Refusal =
        Refusal::new(RefusalCode::NoSuchRoom, "there is no such room");

    /// For members who do not own the room, and are no admins.
    pub const NOT_OWNER: Refusal =
        Refusal::new(RefusalCode::Forbidden, "only the room's owner may do this");

    /// For direct rooms.
    pub const DIRECT: Refusal =
        Refusal::new(RefusalCode::Forbidden, "a direct conversation always has its two members");

    /// The room's owner has banned the user.
    pub const BANNED: Refusal = Refusal::new(RefusalCode::Forbidden, "banned from this room");

    /// The sentence, after the member that is wrong if there is one.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.field {
            Some(field) => format!("{field}: {}", self.message),
            None => self.message.to_owned(),
        }
    }

    /// A member of the payload is wrong.
    #[must_use]
    pub fn bad_request(field: &'static str, message: &'static str) -> Refusal {
        let field = Some(Cow::Borrowed(field));
        Refusal { field, ..Refusal::new(RefusalCode::BadRequest, message) }
    }

    /// The user has stored as much as they may in a day.
    #[must_use]
    pub fn stored_too_much(limit: u64) -> Refusal {
        let message = "you have stored as much as a user may store in a day";
        Refusal::quota("stored_bytes_per_day", message, limit)
    }

    /// A limit is reached; `name` is the last part of its key.
    #[must_use]
    pub fn quota(name: &'static str, message: &'static str, limit: u64) -> Refusal {
        let (limit, limit_name) = (Some(limit), Some(name));
        Refusal { limit, limit_name, ..Refusal::new(RefusalCode::Quota, message) }
    }

    /// A page begins before `first`, the oldest kept entry.
    #[must_use]
    pub fn gone(first: u64) -> Refusal {
        let message = "entries this old are no longer kept";
        Refusal { first: Some(first), ..Refusal::new(RefusalCode::Gone, message) }
    }

    /// The same for every non-member, whether or not the room exists.
    pub const NOT_MEMBER: Refusal =
        Refusal::new(RefusalCode::NotMember, "you are not a member of this room");
}

macro_rules! codes {
    ($($name:ident, $text:literal, $doc:literal;)+) => {
        /// The wire's codes of refusals.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RefusalCode { $(#[doc = $doc] $name,)+ }

        impl RefusalCode {
            /// The code's name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(RefusalCode::$name => $text,)+ }
            }

            /// All codes.
            pub const ALL: &[RefusalCode] = &[$(RefusalCode::$name),+];
        }
    };
}

codes! {
    BadJson, "bad_json", "Not JSON, or ambiguous JSON.";
    BadRequest, "bad_request", "JSON, but not the payload that this request needs.";
    UnknownType, "unknown_type", "There is no request with this name.";
    Unauthorized, "unauthorized", "The client must sign in first.";
    Forbidden, "forbidden", "The user's rights do not allow it.";
    NotMember, "not_member", "Not a member of this room, whether or not it exists.";
    NoSuchRoom, "no_such_room", "There is no such room: for admins and the embedding program.";
    NoSuchUser, "no_such_user", "No such user is meant here.";
    NoSuchStream, "no_such_stream", "No stream with this name is declared.";
    NoSuchConnection, "no_such_connection", "There is no such connection.";
    NoSuchMessage, "no_such_message", "The room has no such message.";
    TooLarge, "too_large", "More than a limit allows.";
    RateLimited, "rate_limited", "Too many requests; try again later.";
    Quota, "quota", "As many as one may have.";
    Conflict, "conflict", "It exists already, or this is not the time for it.";
    DuplicateMismatch, "duplicate_mismatch", "The same `cid`, or the same `id` of a publication, was used for something else.";
    EpochChanged, "epoch_changed", "The positions are from another epoch of the store.";
    Gone, "gone", "Not in the log.";
    Unavailable, "unavailable", "The store cannot write at the moment; nothing was stored.";
    Overloaded, "overloaded", "Too much waits; nothing was stored.";
    Internal, "internal", "A fault of this server.";
}

/// The refusal for an outcome that is not a success.
impl From<&Outcome> for Refusal {
    fn from(outcome: &Outcome) -> Refusal {
        use RefusalCode::{
            Conflict, DuplicateMismatch, Forbidden, Internal, Overloaded, Unavailable,
        };
        let (code, message) = match outcome {
            Outcome::NoSuchMessage => return Refusal::NO_SUCH_MESSAGE,
            Outcome::Banned => return Refusal::BANNED,
            Outcome::NotMember => return Refusal::NOT_MEMBER,
            Outcome::TooManyReactions => {
                let message = "the message has as many different reactions as it may have, or leaves the rest to other users";
                return Refusal::quota("reactions", message, REACTIONS_PER_MESSAGE_MAX as u64);
            }
            Outcome::OverQuota { limit, retry_after_ms } => {
                let retry_after_ms = Some(*retry_after_ms);
                return Refusal { retry_after_ms, ..Refusal::stored_too_much(*limit) };
            }
            Outcome::NotAuthor => (Forbidden, "the message is somebody else's"),
            Outcome::NotOwner => return Refusal::NOT_OWNER,
            Outcome::Damaged => (Internal, "data needed for this is damaged on the server's disk"),
            Outcome::Mismatch => {
                (DuplicateMismatch, "this cid was used before for another message")
            }
            Outcome::RoomExists => (Conflict, "a room of this name exists"),
            Outcome::AlreadyRevoked => (Conflict, "this was used before"),
            Outcome::Overloaded => (Overloaded, "the store is overloaded; nothing was stored"),
            Outcome::Unavailable => (Unavailable, "the store is unavailable; nothing was stored"),
            Outcome::Done | Outcome::Earlier { .. } | Outcome::Page(_) | Outcome::Positions(_) => {
                (Internal, "the store answered what was not asked")
            }
        };
        Refusal::new(code, message)
    }
}
