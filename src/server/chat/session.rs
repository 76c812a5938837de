//! What the server remembers of a WebSocket or an endless answer: who it is, how much it may ask,
//! and what it did wrong.

use crate::auth::{Identity, TokenFacts};
use crate::base::limits::{ANONYMOUS_ERROR_EVERY_MS, LIMITED_PAUSE_MS};
use crate::base::{Limits, Moment, PerMinute, Rate, StreamRights, Timestamp, UserId, UserLimits};
use crate::server::events::Places;
use crate::server::http::{ListenTarget, Visitor};
use crate::wire::error::ErrorReply;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) phase: SessionPhase,
    rate: Rate,
    /// The hub takes no more requests for now.
    pub(super) is_held: bool,
    /// The URL announced a `resume`.
    pub(super) is_announcing_resume: bool,
    /// It counts among its user's connections beside the chat.
    pub(super) is_counted_visitor: bool,
    /// It counts among those online.
    pub(super) is_counted: bool,
    /// Calls of handlers that have not been answered.
    pub(super) calls: u16,
    /// Most connections have none.
    seldom: Option<Box<Seldom>>,
}

#[derive(Debug)]
pub(super) enum SessionPhase {
    /// It must say who it is before the deadline. `visitor` is what it is for, if not the chat.
    Anonymous { deadline: Moment, visitor: Option<Box<Visitor>> },
    /// The request's head said who it is; it is not open yet.
    Arriving(Box<Arrival>),
    /// It is open, and its user is known, or it is a guest's.
    Known(SignedIn),
}

/// Somebody who is admitted when the WebSocket or the endless answer is open.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) known: SignedIn,
    /// Their display name.
    pub(super) name: Option<Arc<str>>,
    /// What it asked for, if that is events.
    pub(super) listen_target: Option<ListenTarget>,
}

/// A user, or a guest. Their display name is the hub's.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) user: UserId,
    /// As [`Identity::rights`].
    pub(super) rights: StreamRights,
    /// As [`Identity::token`].
    pub(super) token: Option<Arc<TokenFacts>>,
    pub(super) is_admin: bool,
    /// As [`Identity::is_named`].
    pub(super) is_named: bool,
    /// A guest, whom the hub does not know. The user is made up.
    pub(super) is_guest: bool,
    /// What it is for, if not for the chat; then the hub does not know it.
    pub(super) visitor: Option<Box<Visitor>>,
    /// How large its messages may be, in bytes, if they may be larger than others'; else 0.
    pub(super) widened_to: u32,
    /// The token's expiry was announced.
    pub(super) is_expiry_told: bool,
}

impl SignedIn {
    /// Somebody with this identity, and their display name.
    pub(super) fn of(identity: Identity) -> (SignedIn, Option<Arc<str>>) {
        let Identity { user, name, admin: is_admin, is_named, rights, token } = identity;
        let (is_guest, visitor, widened_to, is_expiry_told) = (false, None, 0, false);
        let known = SignedIn {
            user,
            rights,
            token,
            is_admin,
            is_named,
            is_guest,
            visitor,
            widened_to,
            is_expiry_told,
        };
        (known, name)
    }

    /// The limits that their token asks for.
    pub(super) fn limits(&self) -> Option<&UserLimits> {
        self.token.as_ref()?.limits.as_deref()
    }

    /// When their token expires.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.token.as_ref()?.expires
    }
}

impl Session {
    pub(super) fn new(phase: SessionPhase) -> Session {
        Session {
            phase,
            rate: Rate::default(),
            is_held: false,
            is_announcing_resume: false,
            is_counted_visitor: false,
            is_counted: false,
            calls: 0,
            seldom: None,
        }
    }

    pub(super) fn signed_in(&self) -> Option<&SignedIn> {
        match &self.phase {
            SessionPhase::Anonymous { .. } | SessionPhase::Arriving(_) => None,
            SessionPhase::Known(known) => Some(known),
        }
    }

    pub(super) fn visitor_mut(&mut self) -> Option<&mut Visitor> {
        match &mut self.phase {
            SessionPhase::Anonymous { .. } | SessionPhase::Arriving(_) => None,
            SessionPhase::Known(known) => known.visitor.as_deref_mut(),
        }
    }

    /// Whether it is a guest's.
    pub(super) fn is_guest(&self) -> bool {
        match &self.phase {
            SessionPhase::Anonymous { .. } => false,
            SessionPhase::Arriving(arriving) => arriving.known.is_guest,
            SessionPhase::Known(known) => known.is_guest,
        }
    }

    /// Counts a request. Over the rate, the error is in how many ms the next one may come.
    pub(super) fn take_request(
        &mut self,
        now: Moment,
        per_second: u32,
        burst: u32,
    ) -> Result<(), u64> {
        self.rate.take(now, 1, per_second, burst)
    }

    /// The streams that it watches beside its user's pushes, as Server-Sent Events.
    pub(super) fn places(&self) -> Option<&Places> {
        self.seldom.as_ref()?.places.as_deref()
    }

    pub(super) fn places_mut(&mut self) -> Option<&mut Places> {
        self.seldom.as_mut()?.places.as_deref_mut()
    }

    /// It watches streams from now on, as Server-Sent Events.
    pub(super) fn watches(&mut self) {
        self.seldom.get_or_insert_default().places = Some(Box::default());
    }

    /// The limits that hold for it, if they differ from those of all.
    pub(super) fn own_limits(&self) -> Option<&Arc<Limits>> {
        self.seldom.as_ref()?.own.as_ref()
    }

    /// Sets the limits that hold for it, if they differ from those of all.
    pub(super) fn set_limits(&mut self, own: Option<Arc<Limits>>) {
        if self.seldom.is_some() || own.is_some() {
            self.seldom.get_or_insert_default().own = own;
        }
    }

    /// Counts a malformed request. Returns whether it was one too many.
    pub(super) fn malformed(&mut self, now: Moment, limits: &Limits) -> bool {
        let abuse = self.abuse(now, limits);
        abuse.malformed = abuse.malformed.saturating_add(1);
        abuse.malformed >= limits.malformed_requests
    }

    /// Counts a request over the rate: its connection is not read for a while. Returns whether it was one too
    /// many.
    pub(super) fn over_rate(&mut self, now: Moment, limits: &Limits) -> bool {
        let seldom = self.seldom.get_or_insert_default();
        seldom.unread_until = seldom.unread_until.max(now.plus_millis(LIMITED_PAUSE_MS));
        let abuse = self.abuse(now, limits);
        abuse.over_rate = abuse.over_rate.saturating_add(1);
        abuse.over_rate >= limits.limited_requests
    }

    fn abuse(&mut self, now: Moment, limits: &Limits) -> &mut Abuse {
        let abuse = &mut self.seldom.get_or_insert_default().abuse;
        if now.millis_since(abuse.since) >= limits.abuse_window_ms {
            *abuse = Abuse { since: now, ..Abuse::default() };
        }
        abuse
    }

    /// Counts a message towards those of a minute, if they are limited. Over the limit, the error
    /// is in how many ms the next one may come.
    pub(super) fn take_message(&mut self, now: Moment, per_minute: u32) -> Result<(), u64> {
        if per_minute == 0 {
            return Ok(());
        }
        self.seldom.get_or_insert_default().minute.take(now, per_minute)
    }

    /// Counts bytes that were read. Returns whether it is not read for a while because of them.
    pub(super) fn spend_bytes(
        &mut self,
        now: Moment,
        bytes: usize,
        per_second: u32,
        burst: u32,
    ) -> bool {
        let seldom = self.seldom.get_or_insert_default();
        let wait_ms = seldom.bytes.spend(now, bytes as u64, per_second, burst);
        if wait_ms > 0 {
            seldom.unread_until = seldom.unread_until.max(now.plus_millis(wait_ms));
        }
        wait_ms > 0
    }

    /// Lets it be read again, if that time has come.
    pub(super) fn end_pause(&mut self, now: Moment) {
        if let Some(seldom) = &mut self.seldom
            && seldom.unread_until <= now
        {
            seldom.unread_until = Moment::ZERO;
        }
    }

    /// Until when it is not read, because it sent too much; it may be over. `ZERO` if it is read.
    pub(super) fn unread_until(&self) -> Moment {
        self.seldom.as_ref().map_or(Moment::ZERO, |seldom| seldom.unread_until)
    }

    /// Whether to send an error without an `id` now. If not, the newest is kept for the end of the
    /// second, with a count.
    pub(super) fn anonymous_error(&mut self, now: Moment, error: &ErrorReply) -> bool {
        match &mut self.seldom.get_or_insert_default().anonymous {
            Some(anonymous) if anonymous.until > now => {
                anonymous.count += 1;
                anonymous.newest = error.clone();
                false
            }
            anonymous => {
                let until = now.plus_millis(ANONYMOUS_ERROR_EVERY_MS);
                *anonymous = Some(Box::new(Anonymous { until, ..Anonymous::default() }));
                true
            }
        }
    }

    /// The error that was kept, when its second is over.
    pub(super) fn due_anonymous(&mut self, now: Moment) -> Option<ErrorReply> {
        let kept = &mut self.seldom.as_mut()?.anonymous;
        let anonymous = kept.as_mut().filter(|anonymous| anonymous.until <= now)?;
        if anonymous.count == 0 {
            *kept = None;
            return None;
        }
        let mut due = std::mem::take(&mut anonymous.newest);
        due.detail.count = Some(std::mem::take(&mut anonymous.count));
        anonymous.until = now.plus_millis(ANONYMOUS_ERROR_EVERY_MS);
        Some(due)
    }

    /// When the error that was kept is due.
    pub(super) fn anonymous_deadline(&self) -> Moment {
        match self.seldom.as_ref().and_then(|seldom| seldom.anonymous.as_ref()) {
            Some(anonymous) if anonymous.count > 0 => anonymous.until,
            _ => Moment::NEVER,
        }
    }
}

/// What most connections do not need.
#[derive(Debug, Default)]
struct Seldom {
    /// The streams that it watches beside its user's pushes, as Server-Sent Events.
    places: Option<Box<Places>>,
    anonymous: Option<Box<Anonymous>>,
    abuse: Abuse,
    minute: PerMinute,
    bytes: Rate,
    /// It is not read before then, because it sent too much.
    unread_until: Moment,
    /// The limits that hold for it, if they differ from those of all.
    own: Option<Arc<Limits>>,
}

#[derive(Debug, Default)]
struct Abuse {
    since: Moment,
    malformed: u32,
    over_rate: u32,
}

#[derive(Debug, Default)]
struct Anonymous {
    until: Moment,
    count: u32,
    newest: ErrorReply,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RefusalCode::{BadJson, BadRequest};

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn session() -> Session {
        let phase = SessionPhase::Anonymous { deadline: Moment::NEVER, visitor: None };
        Session::new(phase)
    }

    #[test]
    fn a_quiet_connection_owns_no_tally() {
        let mut session = session();
        assert_eq!(session.take_message(at(0), 0), Ok(()));
        assert!(session.seldom.is_none() && session.unread_until() == Moment::ZERO);
        assert_eq!(session.take_message(at(0), 1), Ok(()));
        assert!(session.take_message(at(0), 1).is_err());
    }

    #[test]
    fn abuse_is_counted_within_its_window() {
        let mut session = session();
        let limits =
            Limits { malformed_requests: 50, abuse_window_ms: 10_000, ..Limits::default() };
        let mut malformed = |millis| session.malformed(at(millis), &limits);
        for _ in 1..50 {
            assert!(!malformed(20_000));
        }
        assert!(!malformed(30_000), "a new window");
        for _ in 2..50 {
            assert!(!malformed(30_001));
        }
        assert!(malformed(30_002));
    }

    #[test]
    fn whoever_is_over_a_rate_is_not_read_for_a_while_however_few_bytes_it_was() {
        let (mut session, limits) = (session(), Limits::default());
        assert!(!session.over_rate(at(7), &limits));
        assert_eq!(session.unread_until(), at(7 + LIMITED_PAUSE_MS));
        assert!(!session.spend_bytes(at(7), 10, 1_000, 1_000));
        assert_eq!(session.unread_until(), at(7 + LIMITED_PAUSE_MS));
        assert!(session.spend_bytes(at(7), 2_000, 1_000, 1_000));
        assert!(session.unread_until() > at(900));
        assert!(!session.over_rate(at(8), &limits));
        assert!(session.unread_until() > at(900), "the longer wait holds");
        let many: Vec<_> = (1..100).map(|_| session.over_rate(at(8), &limits)).collect();
        assert_eq!(many.iter().position(|is_one_too_many| *is_one_too_many), Some(97));
    }

    #[test]
    fn anonymous_errors_come_once_a_second_with_a_count() {
        let error = |code, message: &'static str| ErrorReply::new(code, message);
        let due = |code, message, count| {
            let mut due = error(code, message);
            due.detail.count = Some(count);
            Some(due)
        };
        let mut session = session();
        assert!(session.anonymous_error(at(0), &error(BadJson, "a")));
        assert!(!session.anonymous_error(at(1), &error(BadJson, "b")));
        assert!(!session.anonymous_error(at(2), &error(BadRequest, "c")));
        assert_eq!(session.anonymous_deadline(), at(1_000));
        assert_eq!(session.due_anonymous(at(999)), None);
        assert_eq!(session.due_anonymous(at(1_000)), due(BadRequest, "c", 2));
        assert!(!session.anonymous_error(at(1_500), &error(BadJson, "d")));
        assert_eq!(session.due_anonymous(at(2_000)), due(BadJson, "d", 1));
        assert_eq!(session.due_anonymous(at(3_000)), None);
        assert!(session.anonymous_error(at(3_001), &error(BadJson, "e")));
    }
}
