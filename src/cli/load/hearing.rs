//! What comes to a connection of a run, and what it says of the server.

use super::crowd::Crowd;
use super::mark::{Found, LoadMark};
use super::scenario::Scenario;
use super::track::{Sighting, Track};
use super::user::UserStage;
use crate::wire::json::object;
use crate::wire::told::{ToldMessage, ToldObject};
use std::time::Duration;

/// The id of the request by which a connection enters.
const ENTER: u64 = 1;
const RESUME: u64 = 2;

impl Crowd {
    /// A text came.
    pub(super) fn heard(
        &mut self,
        index: u32,
        text: &str,
        now: Duration,
        answers: &mut Vec<String>,
    ) {
        self.figures.bytes_came += text.len() as u64;
        if self.plan.scenario.is_chat() {
            return self.heard_chat(index, text, now, answers);
        }
        match self.marks.find(text) {
            Found::Mark(mark) => self.arrived(index, mark, now),
            // Whatever else the server has to say.
            Found::Nothing => {}
            Found::Altered => self.figures.foreign += 1,
        }
    }

    /// A message came back, or to all.
    fn arrived(&mut self, index: u32, mark: LoadMark, now: Duration) {
        let is_echo = self.plan.scenario == Scenario::Echo;
        // Nobody has sent it.
        let is_sent =
            self.users.get(mark.sender as usize).is_some_and(|user| mark.number < user.sent);
        if !is_sent || (is_echo && mark.sender != index) {
            self.figures.foreign += 1;
            return;
        }
        let Some(user) = self.user(index) else { return };
        let track = match is_echo {
            true => &mut user.track,
            false => user.senders.entry(mark.sender).or_default(),
        };
        let arrival = track.take(mark.number);
        self.count(arrival);
        if arrival != Sighting::Repeat {
            self.delivered(mark, now);
        }
    }

    fn delivered(&mut self, mark: LoadMark, now: Duration) {
        self.figures.delivered(now.saturating_sub(mark.meant));
        self.figures.served(now.saturating_sub(mark.sent));
    }

    fn count(&mut self, arrival: Sighting) {
        match arrival {
            Sighting::Next | Sighting::Early(_) => {}
            Sighting::Late => self.figures.reordered += 1,
            Sighting::Repeat => self.figures.repeated += 1,
        }
    }

    fn heard_chat(&mut self, index: u32, text: &str, now: Duration, answers: &mut Vec<String>) {
        let Some(message) = ToldMessage::parse(text) else {
            return self.figures.failed("a message is not JSON");
        };
        let payload = ToldObject::parse(message.payload).unwrap_or_default();
        match &*message.kind {
            "hello" => self.greeted(index, &payload, answers),
            "reply" => self.answered(index, message.id, &payload, now),
            "error" => self.refused(index, message.id, &payload),
            "event" => self.event(index, &payload, message.payload, now),
            _ if payload.raw("ts").is_some() && payload.raw("seq").is_some() => {
                self.entry(index, &payload, message.payload, now);
            }
            _ => {}
        }
    }

    fn greeted(&mut self, index: u32, payload: &ToldObject<'_>, answers: &mut Vec<String>) {
        let (room, stream) = (self.plan.room_name(self.plan.room(index)), self.plan.stream.clone());
        let has_rooms = self.plan.scenario.has_rooms();
        let epoch = payload.text("epoch").unwrap_or_default().into_owned();
        let Some(user) = self.user(index) else { return };
        let before = user.epoch.replace(epoch.clone().into());
        if has_rooms && user.has_entered && before.as_deref() == Some(&*epoch) {
            let last = user.track.next().saturating_sub(1);
            answers.push(object(|w| {
                w.text("type", "resume");
                w.number("id", RESUME);
                w.object_in("payload", |w| {
                    w.text("epoch", &epoch);
                    w.object_in("rooms", |w| w.number(&room, last));
                });
            }));
            return;
        }
        answers.push(object(|w| {
            w.text("type", if has_rooms { "room:join" } else { "subscribe" });
            w.number("id", ENTER);
            w.object_in("payload", |w| match has_rooms {
                true => w.text("room", &room),
                false => w.text("stream", &stream),
            });
        }));
    }

    fn answered(&mut self, index: u32, id: Option<u64>, payload: &ToldObject<'_>, now: Duration) {
        let room = self.plan.room(index);
        match id {
            Some(ENTER) => {
                let head = match self.plan.scenario.has_rooms() {
                    true => payload.number("head"),
                    false => payload.objects("streams").first().and_then(|one| one.number("seq")),
                };
                let head = head.unwrap_or_default();
                self.heard_of(room, head);
                if let Some(user) = self.user(index) {
                    user.track = Track::from(head.saturating_add(1));
                }
                self.is_ready(index, now);
            }
            Some(RESUME) => {
                let refused = payload
                    .object("refused")
                    .and_then(|refused| refused.all().next().map(|(_, why)| why.to_owned()));
                match refused {
                    None => self.is_ready(index, now),
                    Some(why) => self.figures.failed(&format!("resume refused: {why}")),
                }
            }
            Some(id) => {
                let Some(user) = self.user(index) else { return };
                let at = user.under_way.iter().position(|one| one.id == id);
                let Some(sent) = at.and_then(|at| user.under_way.remove(at)) else { return };
                self.figures.acked(now.saturating_sub(sent.meant));
                if let Some(seq) = payload.number("seq") {
                    self.heard_of(room, seq);
                }
            }
            None => {}
        }
    }

    /// A room, or the stream, goes up to here.
    fn heard_of(&mut self, room: u32, seq: u64) {
        let room = if self.plan.scenario.has_rooms() { room } else { 0 };
        if let Some(head) = self.heads.get_mut(room as usize) {
            *head = seq.max(*head);
        }
    }

    fn refused(&mut self, index: u32, id: Option<u64>, payload: &ToldObject<'_>) {
        let code = payload.text("code").unwrap_or_default().into_owned();
        if let Some(user) = self.user(index)
            && let Some(at) = user.under_way.iter().position(|one| Some(one.id) == id)
        {
            user.under_way.remove(at);
        }
        self.figures.failed(&code);
    }

    /// An entry of a room.
    fn entry(&mut self, index: u32, payload: &ToldObject<'_>, raw: &str, now: Duration) {
        let room = self.plan.room(index);
        let is_its = payload.text("room").is_some_and(|name| *name == self.plan.room_name(room));
        if !is_its {
            self.figures.foreign += 1;
            return;
        }
        let seq = payload.number("seq").unwrap_or_default();
        self.heard_of(room, seq);
        let Some(user) = self.user(index) else { return };
        // Before the reply that says where it begins.
        if !user.has_entered && user.standing != UserStage::Ready {
            return;
        }
        let arrival = user.track.take(seq);
        self.numbered(arrival, raw, now);
    }

    /// An event of the stream.
    fn event(&mut self, index: u32, payload: &ToldObject<'_>, raw: &str, now: Duration) {
        if payload.text("stream").is_none_or(|name| *name != *self.plan.stream) {
            self.figures.foreign += 1;
            return;
        }
        let seq = payload.number("seq").unwrap_or_default();
        self.heard_of(0, seq);
        let Some(user) = self.user(index).filter(|user| user.has_entered) else { return };
        let arrival = user.track.take(seq);
        self.numbered(arrival, raw, now);
    }

    /// Something with a number of the server's.
    fn numbered(&mut self, arrival: Sighting, raw: &str, now: Duration) {
        self.count(arrival);
        match self.marks.find(raw) {
            Found::Mark(mark) if arrival != Sighting::Repeat => self.delivered(mark, now),
            Found::Mark(_) | Found::Nothing => {}
            Found::Altered => self.figures.foreign += 1,
        }
    }

    // --- The end ---

    /// What a connection should have seen by now, and has not.
    fn missing(&self, index: usize) -> u64 {
        let Some(user) = self.users.get(index).filter(|user| user.has_entered) else {
            return 0;
        };
        match self.plan.scenario {
            Scenario::Storm => 0,
            Scenario::Echo => user.track.missing(user.sent),
            Scenario::Broadcast => {
                let senders = (0_u32..).zip(&self.users).take(self.plan.senders as usize);
                let missing = senders.map(|(sender, one)| {
                    user.senders.get(&sender).map_or(one.sent, |track| track.missing(one.sent))
                });
                missing.fold(0, u64::saturating_add)
            }
            Scenario::Rooms | Scenario::Crowd | Scenario::Streams => {
                let room = match self.plan.scenario.has_rooms() {
                    // There are as many as u32 allows.
                    true => self.plan.room(u32::try_from(index).unwrap_or(u32::MAX)),
                    false => 0,
                };
                let head = self.heads.get(room as usize).copied().unwrap_or_default();
                user.track.missing(head.saturating_add(1))
            }
        }
    }

    /// Whether all that was under way has come.
    pub(super) fn has_all(&self) -> bool {
        let is_acked = self.users.iter().all(|user| user.under_way.is_empty());
        is_acked && (0..self.users.len()).all(|index| self.missing(index) == 0)
    }

    /// Counts what has not come.
    pub(super) fn count_lost(&mut self) {
        // A server may number as it likes.
        let missing = (0..self.users.len()).map(|index| self.missing(index));
        let lost = missing.fold(0, u64::saturating_add);
        self.figures.lost = lost;
        self.figures.expected = self.figures.came.saturating_add(lost);
        let unanswered: u64 = self.users.iter().map(|user| user.under_way.len() as u64).sum();
        if unanswered > 0 {
            *self.figures.causes.entry("not acknowledged".to_owned()).or_default() += unanswered;
        }
    }
}
