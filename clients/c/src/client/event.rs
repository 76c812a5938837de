//! What is told, as the header has it.

use super::delivery::Shared;
use crate::abi::*;
use parlor::base::{Entry, EntryKind, Timestamp, UserId};
use parlor::client::{
    ClientEvent, FailCode, Mark, Membership, RequestError, State, StreamData, TicketStatus,
    WebSocketEvent, WebSocketNews, entry_to_json,
};
use serde_json::{Value, json};

const MICROS: i64 = 1_000;

pub(crate) fn micros(ts: Timestamp) -> i64 {
    ts.0.saturating_mul(MICROS)
}

fn text(text: &str) -> parlor_str {
    parlor_str::of(text.as_bytes())
}

pub(crate) fn state_number(state: &State) -> i32 {
    match state {
        State::Connecting => PARLOR_STATE_CONNECTING,
        State::Authenticating => PARLOR_STATE_AUTHENTICATING,
        State::Online { .. } => PARLOR_STATE_ONLINE,
        State::Waiting { .. } => PARLOR_STATE_WAITING,
        State::Paused { .. } => PARLOR_STATE_PAUSED,
        State::Closed => PARLOR_STATE_CLOSED,
        State::Failed { .. } => PARLOR_STATE_FAILED,
        _ => PARLOR_STATE_IDLE,
    }
}

/// An event of a client, and what is made of it for the program.
pub(crate) struct ChatSource {
    event: ClientEvent,
    made: String,
}

impl ChatSource {
    pub(crate) fn new(event: ClientEvent) -> ChatSource {
        ChatSource { event, made: String::new() }
    }

    /// Fills what the program is told; whether it is told anything. The texts are those of this, which must neither
    /// change nor move while they are in use.
    pub(crate) fn fill(&mut self, told: &mut parlor_event, shared: &Shared) -> bool {
        match &self.event {
            ClientEvent::State(state) => fill_state(told, state),
            ClientEvent::Entry(entry) => {
                self.made = entry_to_json(entry);
                fill_entry(told, entry);
                told.p_data = text(&self.made);
            }
            ClientEvent::Gap(gap) => {
                told.p_kind = PARLOR_EVENT_GAP;
                (told.p_seq, told.p_target) = (gap.after, gap.before);
                (told.p_room, told.p_message) = (text(gap.room.as_str()), text(gap.reason));
            }
            ClientEvent::Membership { room, membership } => {
                told.p_kind = PARLOR_EVENT_MEMBERSHIP;
                (told.p_room, told.p_text) = (text(room.as_str()), text(membership.name()));
                if let Membership::Refused(error) = membership {
                    fill_error(told, error);
                }
            }
            ClientEvent::Read(mark) => fill_mark(told, PARLOR_EVENT_READ, mark),
            ClientEvent::Delivered(mark) => fill_mark(told, PARLOR_EVENT_DELIVERED, mark),
            ClientEvent::Typing { room, user, typing } => {
                told.p_kind = PARLOR_EVENT_TYPING;
                (told.p_room, told.p_user) = (text(room.as_str()), text(user.as_str()));
                told.p_count = u64::from(*typing);
            }
            ClientEvent::Presence(people) => {
                let names =
                    || people.users.iter().map(|(user, name)| (user.to_string(), json!(name)));
                let users =
                    if people.is_counted { Value::Null } else { Value::Object(names().collect()) };
                self.made = users.to_string();
                (told.p_kind, told.p_count) = (PARLOR_EVENT_PRESENCE, people.count);
                told.p_data = text(&self.made);
            }
            ClientEvent::Stream(update) => {
                told.p_kind = PARLOR_EVENT_STREAM;
                (told.p_stream, told.p_seq) = (text(update.stream.as_str()), update.seq);
                told.p_time = update.ts.map_or(0, micros);
                told.p_count = u64::from(update.is_skipped);
                told.p_data = match &update.data {
                    StreamData::Json(json) => text(json),
                    StreamData::Bytes(bytes) => parlor_str::of(bytes),
                };
            }
            ClientEvent::StreamGap { stream, after, reason } => {
                (told.p_kind, told.p_seq) = (PARLOR_EVENT_STREAM_GAP, *after);
                (told.p_stream, told.p_message) = (text(stream.as_str()), text(reason));
            }
            ClientEvent::StreamStale { stream, since } => {
                (told.p_kind, told.p_stream) = (PARLOR_EVENT_STREAM_STALE, text(stream.as_str()));
                told.p_time = since.map_or(0, micros);
            }
            ClientEvent::StreamRefused { stream, error } => {
                (told.p_kind, told.p_stream) = (PARLOR_EVENT_STREAM_REFUSED, text(stream.as_str()));
                fill_error(told, error);
            }
            ClientEvent::Quality(quality) => {
                (told.p_kind, told.p_text) = (PARLOR_EVENT_QUALITY, text(quality.level.as_str()));
                told.p_time =
                    i64::try_from(quality.rtt_ms).unwrap_or(i64::MAX).saturating_mul(MICROS);
            }
            ClientEvent::Answer { call, answer } => {
                (told.p_kind, told.p_request) = (PARLOR_EVENT_ANSWER, *call);
                match answer {
                    Ok(payload) => told.p_data = text(payload),
                    Err(error) => fill_error(told, error),
                }
            }
            ClientEvent::Ticket { number, id, status } => {
                (told.p_kind, told.p_request) = (PARLOR_EVENT_SENT, *number);
                told.p_id = text(id);
                return fill_ticket(told, status, shared);
            }
            ClientEvent::TokenWanted { question, reason } => {
                (told.p_kind, told.p_request) = (PARLOR_EVENT_TOKEN, *question);
                told.p_text = text(reason.as_str());
            }
            ClientEvent::Error(error) => {
                told.p_kind = PARLOR_EVENT_ERROR;
                fill_error(told, error);
            }
            ClientEvent::Push { kind, payload } => {
                told.p_kind = PARLOR_EVENT_PUSH;
                (told.p_type, told.p_data) = (text(kind), text(payload));
            }
            ClientEvent::LeftOut(count) => {
                (told.p_kind, told.p_count) = (PARLOR_EVENT_LEFT_OUT, *count);
            }
            _ => return false,
        }
        true
    }
}

/// Whether the program is told.
fn fill_ticket(told: &mut parlor_event, status: &TicketStatus, shared: &Shared) -> bool {
    match status {
        TicketStatus::Acked { seq, ts, .. } => {
            (told.p_seq, told.p_time) = (*seq, micros(*ts));
            shared.sendings().remove(&told.p_request);
        }
        TicketStatus::Failed(error) => fill_error(told, error),
        TicketStatus::Expired => {
            (told.p_error, told.p_message) = (text("expired"), text("it was too old to be sent"));
        }
        TicketStatus::Cancelled => {
            (told.p_error, told.p_message) = (text("cancelled"), text("it was taken back"));
            shared.sendings().remove(&told.p_request);
        }
        // On its way.
        _ => return false,
    }
    true
}

fn fill_state(told: &mut parlor_event, state: &State) {
    (told.p_kind, told.p_state) = (PARLOR_EVENT_STATE, state_number(state));
    match state {
        State::Online { since } => told.p_time = micros(*since),
        State::Waiting { until, attempt, reason, code } => {
            (told.p_time, told.p_count) = (micros(*until), u64::from(*attempt));
            (told.p_code, told.p_message) = (code.map_or(0, i32::from), text(reason));
        }
        State::Paused { reason } => told.p_message = text(reason),
        State::Failed { code, reason } => {
            told.p_message = text(reason);
            match code {
                FailCode::Close(code) => told.p_code = i32::from(*code),
                FailCode::Attempts => told.p_error = text("attempts"),
                FailCode::Token => told.p_error = text("token"),
                _ => told.p_error = text("url"),
            }
        }
        _ => {}
    }
}

fn fill_entry(told: &mut parlor_event, entry: &Entry) {
    told.p_kind = PARLOR_EVENT_ENTRY;
    (told.p_seq, told.p_time) = (entry.seq, micros(entry.ts));
    told.p_room = text(entry.room.as_str());
    let mut of = |kind, user: &UserId, target| {
        (told.p_type, told.p_user, told.p_target) = (text(kind), text(user.as_str()), target);
    };
    match &entry.kind {
        EntryKind::Message { from, body, cid, .. } => {
            of("chat:message", from, body.reply_to.unwrap_or(0));
            told.p_text = text(&body.text);
            told.p_id = cid.as_deref().map_or(parlor_str::EMPTY, text);
        }
        EntryKind::Edited { target, text: edited, by } => {
            of("chat:edited", by, *target);
            told.p_text = edited.as_deref().map_or(parlor_str::EMPTY, text);
        }
        EntryKind::Deleted { target, by } => of("chat:deleted", by, *target),
        EntryKind::Reacted { target, emoji, on, by } => {
            of("chat:reacted", by, *target);
            (told.p_text, told.p_count) = (text(emoji), u64::from(*on));
        }
        EntryKind::Joined { user, .. } => of("room:joined", user, 0),
        EntryKind::Left { user, .. } => of("room:left", user, 0),
    }
}

fn fill_mark(told: &mut parlor_event, kind: i32, mark: &Mark) {
    (told.p_kind, told.p_seq) = (kind, mark.seq);
    (told.p_room, told.p_user) = (text(mark.room.as_str()), text(mark.user.as_str()));
}

fn fill_error(told: &mut parlor_event, error: &RequestError) {
    (told.p_error, told.p_message) = (text(&error.code), text(&error.message));
    let wait = error.retry_after_ms.unwrap_or(0);
    told.p_time = i64::try_from(wait).unwrap_or(i64::MAX).saturating_mul(MICROS);
    told.p_code = error.close.map_or(0, i32::from);
}

/// The same of a socket; whether the program is told anything.
pub(crate) fn fill_news(told: &mut parlor_event, news: &WebSocketNews<'_>) -> bool {
    match news {
        WebSocketNews::Opened(protocol) => {
            told.p_kind = PARLOR_EVENT_OPENED;
            told.p_text = protocol.map_or(parlor_str::EMPTY, text);
        }
        WebSocketNews::Text(data) => (told.p_kind, told.p_data) = (PARLOR_EVENT_TEXT, text(data)),
        WebSocketNews::Bytes(data) => {
            (told.p_kind, told.p_data) = (PARLOR_EVENT_BYTES, parlor_str::of(data));
        }
        WebSocketNews::Closed { code, reason } => {
            (told.p_kind, told.p_code) = (PARLOR_EVENT_LOST, code.map_or(0, i32::from));
            told.p_message = text(reason);
        }
        WebSocketNews::Lost(reason) => {
            (told.p_kind, told.p_message) = (PARLOR_EVENT_LOST, text(reason));
        }
        _ => return false,
    }
    true
}

/// Where the texts of an event lie that the program has taken.
enum EventSource {
    None,
    Chat(ChatSource),
    Socket(WebSocketEvent),
}

/// An event that the program has taken: it has its address until `parlor_event_free`.
#[repr(C)]
pub(crate) struct TakenEvent {
    event: parlor_event,
    source: EventSource,
}

impl TakenEvent {
    pub(crate) fn ended() -> Box<TakenEvent> {
        let event = parlor_event::of_kind(PARLOR_EVENT_ENDED);
        Box::new(TakenEvent { event, source: EventSource::None })
    }

    /// `None` for what the program is not told.
    pub(crate) fn of_chat(event: ClientEvent, shared: &Shared) -> Option<Box<TakenEvent>> {
        let source = EventSource::Chat(ChatSource::new(event));
        let mut taken = Box::new(TakenEvent { event: parlor_event::of_kind(0), source });
        let TakenEvent { event, source: EventSource::Chat(source) } = &mut *taken else {
            return None;
        };
        source.fill(event, shared).then_some(taken)
    }

    /// The same of a socket.
    pub(crate) fn of_socket(event: WebSocketEvent) -> Option<Box<TakenEvent>> {
        let source = EventSource::Socket(event);
        let mut taken = Box::new(TakenEvent { event: parlor_event::of_kind(0), source });
        let TakenEvent { event, source: EventSource::Socket(source) } = &mut *taken else {
            return None;
        };
        let news = match source {
            WebSocketEvent::Opened(protocol) => WebSocketNews::Opened(protocol.as_deref()),
            WebSocketEvent::Text(text) => WebSocketNews::Text(text),
            WebSocketEvent::Bytes(bytes) => WebSocketNews::Bytes(bytes),
            WebSocketEvent::Closed { code, reason } => {
                WebSocketNews::Closed { code: *code, reason }
            }
            WebSocketEvent::Lost(reason) => WebSocketNews::Lost(reason),
            _ => return None,
        };
        fill_news(event, &news).then_some(taken)
    }

    pub(crate) fn event(&self) -> &parlor_event {
        &self.event
    }

    /// The program's own from now on.
    pub(crate) fn give(taken: Box<TakenEvent>) -> *mut parlor_event {
        Box::into_raw(taken).cast()
    }

    /// Takes back what [`TakenEvent::give`] has given.
    ///
    /// # Safety
    /// It is that, and was not taken back.
    pub(crate) unsafe fn take_back(event: *mut parlor_event) {
        // SAFETY: as the caller says; the event is the first member.
        drop(unsafe { Box::from_raw(event.cast::<TakenEvent>()) });
    }
}
