//! The age of streams: subscribers are told when nothing was heard of a stream for longer than it
//! declares, and when that is over.
//!
//! A stream is heard of with each event, and with each poll that found nothing new. Events set no
//! timer: when the timer fires, the hub computes the true age.

use super::stream::{StreamIx, Subscription};
use super::subscribe::{of_source, source};
use super::table::Streams;
use crate::base::subscription::{Form, Stale};
use crate::base::{ConnId, Effect, Effects, Moment, Notice, Now, StreamId, Timestamp};
use std::sync::Arc;

/// When a stream was last heard of.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastHeard {
    ts: Timestamp,
    /// Its age in ms at a moment; `None` if nobody has asked since the start. From then on the wall
    /// clock may jump.
    age: Option<(Moment, u64)>,
}

impl LastHeard {
    pub(super) fn now(now: Now) -> LastHeard {
        LastHeard { ts: now.timestamp, age: Some((now.moment, 0)) }
    }

    /// A time from before the server's start.
    pub(super) fn before(ts: Timestamp) -> LastHeard {
        LastHeard { ts, age: None }
    }

    fn age(&mut self, now: Now) -> Stale {
        let by_the_wall = || now.timestamp.0.saturating_sub(self.ts.0).max(0).unsigned_abs();
        let (at, before_ms) = *self.age.get_or_insert_with(|| (now.moment, by_the_wall()));
        Stale { since: self.ts, age_ms: before_ms.saturating_add(now.moment.millis_since(at)) }
    }
}

impl Streams {
    /// Something was heard of a stream: it is not stale.
    pub(super) fn note_heard(&mut self, ix: StreamIx, effects: &mut Effects) {
        let stream = &mut self.streams[ix];
        stream.last_heard = Some(LastHeard::now(effects.now));
        if std::mem::take(&mut stream.is_stale) {
            self.tell_age(ix, None, effects);
            if !self.streams[ix].subscribers.is_empty() {
                self.check_age(ix, effects);
            }
        }
    }

    pub(in crate::hub) fn note_news(&mut self, name: &StreamId, effects: &mut Effects) {
        if let Some(ix) = self.ix(name) {
            self.note_heard(ix, effects);
        }
    }

    /// A stream's age, if it is stale. Tells subscribers when it has just become so; otherwise sets
    /// the timer.
    pub(super) fn check_age(&mut self, ix: StreamIx, effects: &mut Effects) -> Option<Stale> {
        let stream = &mut self.streams[ix];
        let after_ms = stream.declaration.stale_after_ms()?;
        let age = stream.last_heard.get_or_insert(LastHeard::now(effects.now)).age(effects.now);
        let is_stale = age.age_ms >= after_ms;
        let was_stale = std::mem::replace(&mut stream.is_stale, is_stale);
        if is_stale {
            if !was_stale {
                self.tell_age(ix, Some(age), effects);
            }
            return Some(age);
        }
        if stream.stale_due.is_none() {
            let at = effects.now.moment.plus_millis(after_ms - age.age_ms);
            stream.stale_due = Some(at);
            self.stale_due.insert((at, ix));
            effects.push(Effect::WakeAt(at));
        }
        None
    }

    pub(super) fn wake_stale(&mut self, effects: &mut Effects) {
        while let Some(&(at, ix)) = self.stale_due.first() {
            if at > effects.now.moment {
                effects.push(Effect::WakeAt(at));
                return;
            }
            self.stale_due.pop_first();
            let stream = &mut self.streams[ix];
            stream.stale_due = None;
            self.check_age(ix, effects);
        }
    }

    /// Applies a changed declaration of a stream's age limit.
    pub(super) fn apply_age_limit(&mut self, ix: StreamIx, effects: &mut Effects) {
        self.forget_age(ix);
        let stream = &mut self.streams[ix];
        let was_stale = stream.is_stale;
        if stream.subscribers.is_empty() {
            stream.is_stale = false;
            return;
        }
        if self.check_age(ix, effects).is_none() && was_stale {
            self.streams[ix].is_stale = false;
            self.tell_age(ix, None, effects);
        }
    }

    pub(super) fn forget_age(&mut self, ix: StreamIx) {
        if let Some(at) = self.streams[ix].stale_due.take() {
            self.stale_due.remove(&(at, ix));
        }
    }

    fn tell_age(&self, ix: StreamIx, age: Option<Stale>, effects: &mut Effects) {
        let stream = &self.streams[ix];
        for form in [Form::Envelope, Form::Plain] {
            let is_told = |(_, one): &(&ConnId, &Subscription)| one.form == form;
            let conns = stream.subscribers.iter().filter(is_told).map(|(conn, _)| *conn);
            let conns: Vec<ConnId> = conns.collect();
            // A plain subscriber of a stream of bytes would take the notice for data.
            let is_for_them = form == Form::Envelope || !stream.declaration.binary;
            if is_for_them && !conns.is_empty() {
                effects.deliver(self.age_notice(effects.now, ix, age, form), conns);
            }
        }
    }

    fn age_notice(&self, now: Now, ix: StreamIx, age: Option<Stale>, form: Form) -> Notice {
        let stream = &self.streams[ix];
        Notice::Age {
            stream: stream.name.clone(),
            declaration: Arc::clone(&stream.declaration),
            age,
            at: now.timestamp,
            form,
            source: source(ix),
        }
    }

    /// A notice of a stream's age did not fit the outbox: the current age follows when there is
    /// room.
    pub(in crate::hub) fn age_missed(&mut self, conn: ConnId, source: u32) {
        let ix = of_source(source);
        if let Some(subscription) = self.subscription(conn, ix) {
            subscription.owes_age = true;
            self.queue_behind(conn, ix);
        }
    }

    /// A plain subscriber gets no answer with a stream's age: a notice follows the kept events.
    pub(super) fn owe_age(&mut self, conn: ConnId, ix: StreamIx, effects: &mut Effects) {
        let Some(stream) = self.streams.get_mut(ix.0 as usize) else { return };
        let (head, is_told) = (stream.head, stream.is_stale && !stream.declaration.binary);
        if let Some(subscription) = stream.subscribers.get_mut(&conn).filter(|_| is_told) {
            subscription.owes_age = true;
            if subscription.position >= head {
                self.tell_owed_age(conn, ix, effects);
            }
        }
    }

    pub(super) fn tell_owed_age(&mut self, conn: ConnId, ix: StreamIx, effects: &mut Effects) {
        let Some(subscription) = self.subscription(conn, ix) else { return };
        if std::mem::take(&mut subscription.owes_age) {
            let form = subscription.form;
            let age = self.check_age(ix, effects);
            effects.deliver(self.age_notice(effects.now, ix, age, form), [conn]);
        }
    }
}
