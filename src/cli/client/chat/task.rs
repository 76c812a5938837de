//! What the chat wants done, and what came of it.

use crate::base::{RoomId, UserId};
use crate::client::{
    Client, HistoryPage, Logged, MembersPage, Part, Reply, RequestError, Step, Stored, Ticket,
};
use crate::wire::json::object;
use crate::wire::told::ToldObject;
use std::pin::Pin;
use std::sync::Arc;

/// How many entries a page of history has.
const PAGE: u32 = 100;
/// How many members and rooms are listed.
const LIST: u32 = 200;

/// What the chat wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChatTask {
    Send {
        room: RoomId,
        text: String,
        reply_to: Option<u64>,
    },
    Direct {
        user: UserId,
        text: String,
    },
    Edit {
        room: RoomId,
        seq: u64,
        text: String,
    },
    Delete {
        room: RoomId,
        seq: u64,
    },
    React {
        room: RoomId,
        seq: u64,
        emoji: String,
        on: bool,
    },
    Page {
        room: RoomId,
        part: Part,
    },
    Join(RoomId),
    Leave(RoomId),
    Members {
        room: RoomId,
        is_asked: bool,
    },
    Rooms {
        is_asked: bool,
    },
    MarkRead(RoomId),
    Typing {
        room: RoomId,
        typing: bool,
    },
    /// Of a message that was refused.
    Retry {
        room: RoomId,
        id: Arc<str>,
    },
    Drop(Arc<str>),
    Why,
    RetryNow,
    Suspend,
    Redraw,
    Quit,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum ChatAnswer {
    Settled {
        room: RoomId,
        id: Arc<str>,
        answer: Result<Stored, RequestError>,
    },
    /// The room that it is in.
    Direct(Result<Option<RoomId>, RequestError>),
    Changed(Result<(), RequestError>),
    Page {
        room: RoomId,
        part: Part,
        answer: Result<HistoryPage, RequestError>,
    },
    Joined {
        room: RoomId,
        answer: Result<(), RequestError>,
    },
    Left {
        room: RoomId,
        answer: Result<(), RequestError>,
    },
    Members {
        room: RoomId,
        is_asked: bool,
        answer: Result<MembersPage, RequestError>,
    },
    Rooms {
        is_asked: bool,
        answer: Result<JoinableRooms, RequestError>,
    },
    Why(Vec<Step>),
}

/// Rooms that a user may join, and those to which they are invited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JoinableRooms {
    pub(super) open: Vec<JoinableRoom>,
    /// And by whom.
    pub(super) invites: Vec<(RoomId, UserId)>,
}

/// A room of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JoinableRoom {
    pub(super) name: RoomId,
    pub(super) title: String,
    pub(super) members: u64,
}

/// An answer that is waited for.
pub(super) type Answering = Pin<Box<dyn Future<Output = ChatAnswer> + Send>>;

/// Asks for what the chat wants; `None` for what has no answer.
pub(super) fn perform(client: &Client, task: ChatTask) -> Option<Answering> {
    Some(match task {
        ChatTask::Edit { room, seq, text } => changed(client.room(room.as_str()).edit(seq, &text)),
        ChatTask::Delete { room, seq } => changed(client.room(room.as_str()).delete(seq)),
        ChatTask::React { room, seq, emoji, on } => {
            changed(client.room(room.as_str()).react(seq, &emoji, on))
        }
        ChatTask::Direct { user, text } => {
            let payload = object(|w| {
                w.text("to", user.as_str());
                w.text("text", &text);
            });
            let reply = client.request("chat:send", &payload);
            Box::pin(async {
                let answer = reply.await;
                ChatAnswer::Direct(
                    answer.map(|raw| ToldObject::parse(&raw).and_then(|told| told.room())),
                )
            })
        }
        ChatTask::Page { room, part } => {
            let reply = client.room(room.as_str()).history(part, PAGE);
            Box::pin(async move { ChatAnswer::Page { room, part, answer: reply.await } })
        }
        ChatTask::Join(room) => {
            let reply = client.room(room.as_str()).join();
            Box::pin(async move {
                let answer = reply.await.map(drop);
                ChatAnswer::Joined { room, answer }
            })
        }
        ChatTask::Leave(room) => {
            let reply = client.room(room.as_str()).leave();
            Box::pin(async move {
                let answer = reply.await.map(drop);
                ChatAnswer::Left { room, answer }
            })
        }
        ChatTask::Members { room, is_asked } => {
            let reply = client.room(room.as_str()).members(None, LIST);
            Box::pin(async move {
                let answer = reply.await;
                ChatAnswer::Members { room, is_asked, answer }
            })
        }
        ChatTask::Rooms { is_asked } => {
            let payload = object(|w| {
                w.flag("open", true);
                w.number("limit", LIST);
            });
            let open = client.request("room:list", &payload);
            let invites = client.request("info", "{}");
            Box::pin(async move {
                let (open, invites) = (open.await, invites.await);
                let answer = open.and_then(|open| Ok(read_rooms(&open, &invites?)));
                ChatAnswer::Rooms { is_asked, answer }
            })
        }
        ChatTask::Why => {
            let steps = client.why();
            Box::pin(async { ChatAnswer::Why(steps) })
        }
        ChatTask::MarkRead(_)
        | ChatTask::Typing { .. }
        | ChatTask::Drop(_)
        | ChatTask::RetryNow
        | ChatTask::Send { .. }
        | ChatTask::Retry { .. }
        | ChatTask::Suspend
        | ChatTask::Redraw
        | ChatTask::Quit => return None,
    })
}

fn changed(reply: Reply<Logged>) -> Answering {
    Box::pin(async { ChatAnswer::Changed(reply.await.map(drop)) })
}

/// Waits for what becomes of a message.
pub(super) fn settle(room: RoomId, ticket: Ticket) -> Answering {
    let id = ticket.id().into();
    Box::pin(async move { ChatAnswer::Settled { room, id, answer: ticket.await } })
}

fn read_rooms(open: &str, info: &str) -> JoinableRooms {
    let (open, info) = (ToldObject::parse(open), ToldObject::parse(info));
    let listed = |room: ToldObject<'_>| {
        let title = room.text("title").unwrap_or_default().into_owned();
        let members = room.number("members").unwrap_or_default();
        Some(JoinableRoom { name: room.room()?, title, members })
    };
    let open = open.map(|told| told.objects("rooms").into_iter().filter_map(listed).collect());
    let invite = |told: ToldObject<'_>| Some((told.room()?, told.user("by")?));
    let invites = info.map(|told| told.objects("invites").into_iter().filter_map(invite).collect());
    JoinableRooms { open: open.unwrap_or_default(), invites: invites.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::super::for_tests::{room, user};
    use super::*;

    #[test]
    fn rooms_and_invitations_are_read() {
        let open = r#"{"rooms":[{"room":"tea","title":"Tea","members":3,"head":9},{"room":"a b"}],"more":false}"#;
        let info = r#"{"invites":[{"room":"attic","title":"","by":"cy"}]}"#;
        let tea = JoinableRoom { name: room("tea"), title: "Tea".to_owned(), members: 3 };
        let invites = vec![(room("attic"), user("cy"))];
        assert_eq!(read_rooms(open, info), JoinableRooms { open: vec![tea], invites });
        assert_eq!(read_rooms("", "[]"), JoinableRooms::default());
    }
}
