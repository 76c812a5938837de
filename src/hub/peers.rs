//! Other hubs on the same store: what they tell of their users, and the rule by which several hubs
//! are as good as one. Before a hub decides something, it hears what it has been told by then: so
//! whatever a client has seen of one hub, every other one knows before it answers them.

use super::common::Common;
use super::hub::Hub;
use super::input::Input;
use super::manage::Progress;
use super::request::Requester;
use crate::base::{Effect, Effects, News, Refusal, RefusalCode, Request, UserId};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a hub knows of there being others.
#[derive(Debug)]
pub(super) struct Peers {
    /// How many changes and news it was told, whether or not it has heard them.
    told: Arc<AtomicU64>,
    /// How many it has heard.
    heard: u64,
    /// What is decided when it has heard as much as that. The server hands it that at once.
    waiting: VecDeque<(u64, KeptInput)>,
    /// A request that is being carried out must wait, too.
    comes_again: Cell<bool>,
}

#[derive(Debug)]
enum KeptInput {
    Input(Input),
    Request(KeptRequest),
}

/// A request that is to be carried out.
#[derive(Debug)]
pub(super) struct KeptRequest {
    pub(super) asker: Requester,
    pub(super) request: Request,
    /// It had waited for others of its connection, and nobody was told yet that it goes on.
    pub(super) resumes: bool,
    /// How often it was found to be behind when it held the reservations.
    pub(super) rounds: u32,
}

/// A request that is behind so often is refused: others commit faster than this hub hears of it.
const ROUNDS_MAX: u32 = 16;
const TOO_FAST: Refusal = Refusal::new(
    RefusalCode::Overloaded,
    "other threads commit faster than this one hears of it; nothing was stored",
);

impl Peers {
    fn is_behind(&self) -> bool {
        self.told.load(Ordering::Acquire) > self.heard
    }
}

/// Whether what is decided depends on what others have been told.
fn asks(input: &Input) -> bool {
    match input {
        Input::Connected { .. }
        | Input::TellPosition { .. }
        | Input::Request { .. }
        | Input::Call { .. }
        | Input::Subscribe { .. }
        | Input::Unsubscribe { .. }
        | Input::StreamAck { .. }
        | Input::QueryStreams { .. }
        | Input::Publish { .. }
        | Input::Disconnected { .. } => true,
        Input::Heard { .. }
        | Input::AgeMissed { .. }
        | Input::RightsChanged { .. }
        | Input::Redeclared
        | Input::EventMissed { .. }
        | Input::Told(_)
        | Input::Behind { .. }
        | Input::PresenceMissed { .. }
        | Input::UpdateMissed { .. }
        | Input::Drained { .. }
        | Input::Scan { .. }
        | Input::Woken => false,
    }
}

/// Whether a request may turn out to be behind only when it has the reservations.
fn reserves(request: &Request) -> bool {
    use crate::base::request::Target;
    match request {
        Request::Create { .. }
        | Request::Join(_)
        | Request::Add(..)
        | Request::Invite(..)
        | Request::Ban(..) => true,
        Request::Send { target, .. } => matches!(target, Target::User(_)),
        _ => false,
    }
}

impl Hub {
    /// Makes it the one of this number of several hubs on a store, before it has connections. They
    /// have the same `common`; `told` counts the changes and news that this one is told, before
    /// anybody else can see what they have come to.
    pub fn join_others(&mut self, common: Common, hub: usize, told: Arc<AtomicU64>) {
        let (waiting, comes_again) = (VecDeque::new(), Cell::new(false));
        self.streams = common.streams(hub);
        self.common = common;
        self.peers = Some(Box::new(Peers { told, heard: 0, waiting, comes_again }));
    }

    /// Whether it was told something that it has not heard.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.is_behind())
    }

    /// Whether it has been asked for something that it has not decided, for it is behind.
    #[must_use]
    pub fn keeps_inputs(&self) -> bool {
        self.peers.as_ref().is_some_and(|peers| !peers.waiting.is_empty())
    }

    /// It hears something that it was told.
    pub(super) fn hears(&mut self) {
        if let Some(peers) = &mut self.peers {
            peers.heard += 1;
        }
    }

    /// The input, unless it must not be decided yet, and is kept.
    pub(super) fn judged_now(&mut self, input: Input, effects: &mut Effects) -> Option<Input> {
        match &self.peers {
            Some(peers) if asks(&input) && peers.is_behind() => {
                self.keep_waiting(KeptInput::Input(input), effects);
                None
            }
            _ => Some(input),
        }
    }

    fn keep_waiting(&mut self, what: KeptInput, effects: &mut Effects) {
        if let Some(peers) = &mut self.peers {
            let until = peers.told.load(Ordering::Acquire);
            peers.waiting.push_back((until, what));
            effects.push(Effect::CatchUp);
        }
    }

    /// A request that holds the reservations is behind: it is carried out again.
    pub(super) fn comes_again(&self) -> Progress {
        if let Some(peers) = &self.peers {
            peers.comes_again.set(true);
        }
        Ok(None)
    }

    /// Carries out a request, once everything that was told is heard.
    pub(super) fn dispatch(&mut self, kept: KeptRequest, effects: &mut Effects) {
        if self.is_behind() {
            self.keep_waiting(KeptInput::Request(kept), effects);
        } else {
            self.carry_out_now(kept, effects);
        }
    }

    fn carry_out_now(&mut self, kept: KeptRequest, effects: &mut Effects) {
        let KeptRequest { asker, request, resumes, rounds } = kept;
        let again = (self.peers.is_some() && reserves(&request)).then(|| request.clone());
        if resumes && let Some(conn) = asker.origin.conn() {
            effects.push(Effect::Resume { conn });
        }
        let done = self.carry_out(&asker, request, effects);
        if let Some(peers) = &self.peers
            && peers.comes_again.take()
            && let Some(request) = again
        {
            if rounds == ROUNDS_MAX {
                return effects.answer(asker.origin, Err(TOO_FAST));
            }
            if resumes {
                // It decided nothing.
                effects.list.pop();
            }
            let kept = KeptRequest { asker, request, resumes, rounds: rounds + 1 };
            return self.keep_waiting(KeptInput::Request(kept), effects);
        }
        // Otherwise it is answered already, or will be when the store has told what became of it.
        if let Some(answer) = done.transpose() {
            effects.answer(asker.origin, answer);
        }
    }

    /// What has waited long enough.
    fn next_waiting(&mut self) -> Option<KeptInput> {
        let peers = self.peers.as_mut()?;
        let (until, _) = peers.waiting.front()?;
        if *until > peers.heard {
            return None;
        }
        peers.waiting.pop_front().map(|(_, waiting)| waiting)
    }

    /// Decides what has waited for what is heard now.
    pub(super) fn go_on(&mut self, effects: &mut Effects) {
        while let Some(waiting) = self.next_waiting() {
            effects.push(Effect::CaughtUp);
            match waiting {
                KeptInput::Input(input) => self.decide(input, effects),
                KeptInput::Request(kept) => {
                    let conn = kept.asker.origin.conn();
                    self.carry_out_now(kept, effects);
                    if let Some(conn) = conn {
                        self.tell_missed_updates(conn, effects);
                        self.settle_hold(conn, effects);
                    }
                }
            }
        }
    }

    /// Tells the other hubs.
    pub(super) fn tell_others(&self, news: impl FnOnce() -> News, effects: &mut Effects) {
        if self.peers.is_some() {
            effects.push(Effect::Tell { hub: None, news: news() });
        }
    }

    /// Another hub tells something.
    pub(super) fn heard_news(&mut self, news: News, effects: &mut Effects) {
        match news {
            News::Came { user, name } => {
                let ix = self.users.ix_or_new(&user);
                let user = &mut self.users[ix];
                let was_online = user.is_online();
                user.elsewhere += 1;
                if user.name.is_none() {
                    user.name = name;
                }
                if !was_online {
                    self.came_online(ix, effects);
                }
            }
            News::Went { user } => self.went_elsewhere(&user, effects),
            News::Typing { room, user, typing } => {
                let Some((room, of_room)) = self.room(&room) else { return };
                let Some(member) = of_room.member(&user) else { return };
                let user = member.user;
                if typing {
                    // How often is bounded where they type.
                    self.begins_to_type(room, user, effects);
                } else {
                    self.stop_typing(room, user, effects);
                }
            }
            News::Streams => self.streams.hear(effects),
        }
    }

    fn went_elsewhere(&mut self, user: &UserId, effects: &mut Effects) {
        let Some(ix) = self.users.ix(user) else { return };
        let user = &mut self.users[ix];
        user.elsewhere = user.elsewhere.saturating_sub(1);
        if !user.is_online() {
            self.went_offline(ix, effects);
        }
    }

    /// A connection of a user opens here; `false` if they have as many as they may have, at all hubs
    /// together.
    pub(super) fn may_connect(&mut self, user: &UserId, connections_max: u32) -> bool {
        if self.peers.is_none() {
            return self.connections_of(user).len() < connections_max as usize;
        }
        let mut reserved = self.common.lock();
        let is_allowed = reserved.connections(user) < connections_max;
        if is_allowed {
            reserved.connection_opened(user);
        }
        is_allowed
    }

    /// A connection of a user has closed here.
    pub(super) fn connection_ended(&self, user: &UserId) {
        if self.peers.is_some() {
            self.common.lock().connection_closed(user);
        }
    }

    /// How many connections users have at all hubs.
    #[must_use]
    pub fn connected_everywhere(&self) -> usize {
        match self.peers {
            Some(_) => self.common.lock().connected(),
            None => self.connected,
        }
    }

    /// How many connections a user has at all hubs.
    #[must_use]
    pub fn connections_everywhere(&self, user: &UserId) -> usize {
        match self.peers {
            Some(_) => self.common.lock().connections(user) as usize,
            None => self.connections_of(user).len(),
        }
    }
}
