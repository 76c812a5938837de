//! Declarations of streams, by the configuration or the embedding program.

use super::pattern::Pattern;
use super::refusal::{Refusal, RefusalCode};
use super::{Data, Priority, Tree};
use std::borrow::Borrow;
use std::sync::Arc;

/// Prefix of the names of the server's own streams, which fit no pattern.
const OWN_STREAMS_PREFIX: &str = "parlor:";

/// A declared stream, or a family of streams if the name is an open pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// Its name.
    pub pattern: Pattern,
    /// Which events are kept.
    pub keep: Keep,
    /// The path for plain subscribers, with the placeholders of its name.
    pub path: Option<Arc<str>>,
    /// The `type` of its events there; `None` for its name.
    pub kind: Option<Arc<str>>,
    /// Whether its data are bytes instead of JSON.
    pub binary: bool,
    /// Whether its subscribers acknowledge events (`stream:ack`).
    pub ack: bool,
    /// Whether events are stored before anybody receives them, so that they survive a restart.
    pub durable: bool,
    /// Who may watch it.
    pub read: Readers,
    /// Whether clients may publish: those whose token names the stream, and admins.
    pub publish: bool,
    /// Whether the embedding program publishes.
    pub program: bool,
    /// Whether a source of the server feeds it: a poll or a webhook.
    pub has_feed: bool,
    /// Its priority in outboxes.
    pub priority: Priority,
    /// Most events a second for a subscriber that asks for no rate; `None` for all.
    pub max_rate: Option<u32>,
    /// Most events a second for any subscriber; `None` for all.
    pub max_rate_ceiling: Option<u32>,
    /// Largest data, in bytes.
    pub max_bytes: u32,
    /// Members that its data must have.
    pub members: Vec<DataMember>,
    /// Subscribers are told that it is stale when nothing was heard of it for this long, in ms;
    /// `None` or 0 for never.
    pub stale_ms: Option<u32>,
}

/// The declaration for a name: the one with exactly this name, or else the first whose pattern
/// fits, but for a name of the server's own.
pub fn declared<'d, D: Borrow<Declaration>>(declarations: &'d [D], name: &str) -> Option<&'d D> {
    let pattern = |one: &'d D| -> &'d Pattern { &one.borrow().pattern };
    let exact = declarations.iter().find(|one| pattern(one).as_str() == name);
    if exact.is_some() || name.starts_with(OWN_STREAMS_PREFIX) {
        return exact;
    }
    declarations.iter().find(|one| pattern(one).fits(name))
}

/// Which events of a stream are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The newest event: a state.
    Latest,
    /// The newest events, up to this number: a log.
    Log(u32),
}

impl Keep {
    /// The number of events.
    #[must_use]
    pub const fn events(self) -> usize {
        match self {
            Keep::Latest => 1,
            Keep::Log(events) => events as usize,
        }
    }
}

/// Who may watch a stream, unless their token allows less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Everybody, guests included.
    Public,
    /// Signed-in users.
    #[default]
    Users,
    /// Admins.
    Admin,
}

/// A member that a stream's data must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMember {
    /// Its name, for the error when it is missing.
    pub name: Arc<str>,
    /// The kind of value that it must have.
    pub kind: Kind,
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any value.
    Any,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// All kinds, with their names in the configuration.
    pub const ALL: &[(&str, Kind)] = &[
        ("any", Kind::Any),
        ("boolean", Kind::Bool),
        ("number", Kind::Number),
        ("integer", Kind::Integer),
        ("string", Kind::Text),
        ("array", Kind::Array),
        ("object", Kind::Object),
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(_, kind)| *kind == self).map_or("any", |(name, _)| name)
    }

    /// Whether a value is of this kind.
    #[must_use]
    pub fn has(self, value: &Tree) -> bool {
        match self {
            Kind::Any => true,
            Kind::Bool => matches!(value, Tree::Bool(_)),
            Kind::Number => {
                matches!(value, Tree::Integer(_) | Tree::Natural(_) | Tree::Double(_))
            }
            Kind::Integer => match value {
                Tree::Integer(_) | Tree::Natural(_) => true,
                Tree::Double(number) => number.fract() == 0.0,
                _ => false,
            },
            Kind::Text => matches!(value, Tree::Text(_)),
            Kind::Array => matches!(value, Tree::Array(_)),
            Kind::Object => matches!(value, Tree::Object(_)),
        }
    }
}

impl Declaration {
    /// A state that users may watch and nothing feeds yet.
    #[must_use]
    pub fn new(pattern: Pattern) -> Declaration {
        Declaration {
            pattern,
            keep: Keep::Latest,
            path: None,
            kind: None,
            binary: false,
            ack: false,
            durable: false,
            read: Readers::Users,
            publish: false,
            program: false,
            has_feed: false,
            priority: Priority::Normal,
            max_rate: None,
            max_rate_ceiling: None,
            max_bytes: 64 * 1024,
            members: Vec::new(),
            stale_ms: None,
        }
    }

    /// Whether it is one of the server's own streams, which no list has: they are asked for by name.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        self.pattern.as_str().starts_with(OWN_STREAMS_PREFIX)
    }

    /// Whether anything can feed it.
    #[must_use]
    pub fn has_source(&self) -> bool {
        self.publish || self.program || self.has_feed
    }

    /// After how many ms without an event its subscribers are told; `None` for never.
    #[must_use]
    pub fn stale_after_ms(&self) -> Option<u64> {
        self.stale_ms.filter(|ms| *ms > 0).map(u64::from)
    }

    /// Whether it may be polled while watched, so that its source must know whether it is.
    pub fn tells_watchers(&self) -> bool {
        self.has_feed || self.program
    }

    /// The first member that the data lack, or have with another kind.
    #[must_use]
    pub fn missing(&self, data: &Tree) -> Option<&DataMember> {
        self.members
            .iter()
            .find(|member| !data.member(&member.name).is_some_and(|value| member.kind.has(value)))
    }

    /// Whether the newest event is never dropped for others: for durable streams and those declared
    /// by name.
    pub fn is_permanent(&self) -> bool {
        self.durable || !self.pattern.is_open()
    }

    /// This declaration, if the embedding program may publish to it.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn of_program(&self) -> Result<&Declaration, Refusal> {
        let message = "the stream is not declared with program";
        if self.program { Ok(self) } else { Err(Refusal::new(RefusalCode::Forbidden, message)) }
    }

    /// Checks data against the declaration. Returns JSON parsed.
    ///
    /// # Errors
    /// `too_large`; `bad_request` with the member that is missing or of another kind.
    pub fn judge(
        &self,
        data: &Data,
        read_json: fn(&str) -> Option<Tree>,
    ) -> Result<Option<Tree>, Refusal> {
        if data.len() > self.max_bytes as usize {
            let refusal = Refusal::new(RefusalCode::TooLarge, "this is larger than it may be");
            let limit = Some(u64::from(self.max_bytes));
            return Err(Refusal { field: Some("data".into()), limit, ..refusal });
        }
        match (data, self.binary) {
            (Data::Json(text), false) => {
                let unread = Refusal::bad_request("data", "a number in it is too large");
                let tree = read_json(text).ok_or(unread)?;
                let Some(member) = self.missing(&tree) else { return Ok(Some(tree)) };
                let message = "the stream wants this member, of the kind that it declares";
                let refusal = Refusal::new(RefusalCode::BadRequest, message);
                Err(Refusal { field: Some(member.name.to_string().into()), ..refusal })
            }
            (Data::Binary(_), true) => Ok(None),
            (Data::Json(_), true) => {
                Err(Refusal::bad_request("data", "this stream is one of bytes, not of JSON"))
            }
            (Data::Binary(_), false) => {
                Err(Refusal::bad_request("data", "this stream is one of JSON, not of bytes"))
            }
        }
    }

    /// The rate of a subscriber that asks for `asked` events a second.
    pub fn rate(&self, asked: Option<u32>) -> Option<u32> {
        let wanted = asked.or(self.max_rate);
        match (wanted, self.max_rate_ceiling) {
            (Some(wanted), Some(ceiling)) => Some(wanted.min(ceiling)),
            (None, ceiling) => ceiling,
            (wanted, None) => wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_gets_the_rate_that_they_ask_for_up_to_the_ceiling() {
        let mut state = Declaration::new(Pattern::parse("state").unwrap());
        assert_eq!((state.rate(None), state.rate(Some(30))), (None, Some(30)));
        state.max_rate = Some(10);
        assert_eq!((state.rate(None), state.rate(Some(30))), (Some(10), Some(30)));
        state.max_rate_ceiling = Some(20);
        assert_eq!((state.rate(None), state.rate(Some(30))), (Some(10), Some(20)));
        state.max_rate = None;
        assert_eq!((state.rate(None), state.rate(Some(5))), (Some(20), Some(5)));
    }

    #[test]
    fn an_exact_name_goes_before_a_pattern_wherever_it_stands() {
        let all = ["a:{x}", "a:b", "{x}:{y}"];
        let all = all.map(|name| Declaration::new(Pattern::parse(name).unwrap()));
        let found = |name| declared(&all, name).map(|one| one.pattern.as_str());
        assert_eq!(found("a:b"), Some("a:b"));
        assert_eq!(found("a:c"), Some("a:{x}"));
        assert_eq!(found("c:b"), Some("{x}:{y}"));
        assert_eq!(found("a"), None);
        assert_eq!(found("parlor:b"), None);
    }

    #[test]
    fn data_has_the_members_that_it_must_have() {
        let mut state = Declaration::new(Pattern::parse("state").unwrap());
        let member = |name: &str, kind| DataMember { name: name.into(), kind };
        state.members = vec![member("x", Kind::Integer), member("on", Kind::Bool)];
        let missing = |members: Vec<(Box<str>, Tree)>| {
            state.missing(&Tree::object(members)).map(|member| member.name.to_string())
        };
        let on = || ("on".into(), Tree::Bool(true));
        assert_eq!(missing(vec![("x".into(), Tree::Integer(1)), on()]), None);
        assert_eq!(missing(vec![("x".into(), Tree::Double(2.0)), on()]), None);
        assert_eq!(missing(vec![("x".into(), Tree::Double(2.5)), on()]), Some("x".into()));
        assert_eq!(missing(vec![on()]), Some("x".into()));
        assert_eq!(missing(vec![("x".into(), Tree::Integer(1))]), Some("on".into()));
        assert!(state.missing(&Tree::Array(Vec::new())).is_some());
    }
}
