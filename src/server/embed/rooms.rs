//! What the embedding program does in rooms with its [`Handle`]: with every right, and in nobody's
//! name unless a method takes one.

use super::call_queue::Command;
use super::handle::Handle;
use super::handle_error::HandleError;
use super::ticket::{Answered, History, Members, NOT_ASKED, Ticket, TicketState, Unread};
use crate::base::request::Part;
use crate::base::{RefusalCode, Request, RoomId, UserId};
use crate::wire::display_name;
use std::sync::Arc;

const NOT_MEMBER: HandleError =
    HandleError::refused(RefusalCode::NotMember, "the user is not a member of this room");

/// A room to create. By default it is closed, has no title, and no member but its owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRoom<'a> {
    /// For people; at most `limits.title_bytes`.
    pub title: &'a str,
    /// Whether anybody may join.
    pub open: bool,
    /// Members beside the owner.
    pub members: &'a [&'a str],
}

/// Changes of a room; by default none.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoomChange<'a> {
    /// For people; at most `limits.title_bytes`.
    pub title: Option<&'a str>,
    /// Whether anybody may join.
    pub open: Option<bool>,
    /// The new owner, a member.
    pub owner: Option<&'a str>,
}

impl Handle {
    /// Creates a room, with its owner and members in it.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `conflict` for a name that is or was another room's,
    /// `quota` for more than `limits.room_members`.
    pub fn create(&self, room: &str, owner: &str, new: NewRoom<'_>) -> Result<Ticket, HandleError> {
        let title = self.checked_title(new.title)?;
        let members = new.members.iter().map(|member| UserId::parse(member));
        let request = Request::Create {
            room: Some(RoomId::parse(room)?),
            title: Some(title),
            open: new.open,
            members: members.collect::<Result<_, _>>()?,
        };
        self.change(UserId::parse(owner)?, request)
    }

    /// Changes a room. Its members are pushed `room:updated`.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`, or `no_such_user` for an owner who is no
    /// member.
    pub fn update(&self, room: &str, change: RoomChange<'_>) -> Result<Ticket, HandleError> {
        let title = change.title.map(|title| self.checked_title(title)).transpose()?;
        let owner = change.owner.map(UserId::parse).transpose()?;
        let (room, open) = (RoomId::parse(room)?, change.open);
        let request = Request::Update { room, title, open, owner };
        self.ask(UserId::program(), request, |answered| match answered {
            Answered::Room(room) => Ok((room.room, room.head)),
            _ => Err(NOT_ASKED),
        })
    }

    fn checked_title(&self, title: &str) -> Result<Arc<str>, HandleError> {
        let refused = |why| HandleError::refused(RefusalCode::BadRequest, why);
        let title = display_name::asked(title).map_err(refused)?;
        let limit = self.shared.limits().title_bytes as usize;
        if title.len() > limit {
            return Err(HandleError::Size { what: "title", limit });
        }
        Ok(title.into())
    }

    /// Makes a user a member of a room that exists, whether or not it is open.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`, or `forbidden` for a banned user.
    pub fn join(&self, room: &str, user: &str) -> Result<Ticket, HandleError> {
        let user = UserId::parse(user)?;
        self.change(user.clone(), Request::Add(RoomId::parse(room)?, user))
    }

    /// Invites a user to a room, in the name of `by`, who need not be a member.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`, `conflict` for a banned user, `quota` for
    /// too many invitations.
    pub fn invite(&self, room: &str, user: &str, by: &str) -> Result<Ticket, HandleError> {
        let (room, user) = (RoomId::parse(room)?, UserId::parse(user)?);
        self.change(UserId::parse(by)?, Request::Invite(room, user))
    }

    /// Ends a user's membership of a room, or withdraws an invitation.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`, `not_member`.
    pub fn remove(&self, room: &str, user: &str) -> Result<Ticket, HandleError> {
        let user = UserId::parse(user)?;
        self.change(user.clone(), Request::Remove(RoomId::parse(room)?, user))
    }

    /// Ends a user's membership of a room and keeps them from joining again, in the name of `by`,
    /// who is another user and need not be a member.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`, or `bad_request` if `by` is the user.
    pub fn ban(&self, room: &str, user: &str, by: &str) -> Result<Ticket, HandleError> {
        let (room, user) = (RoomId::parse(room)?, UserId::parse(user)?);
        self.change(UserId::parse(by)?, Request::Ban(room, user))
    }

    /// Lets a banned user join a room again.
    ///
    /// # Errors
    /// As [`Handle::ban`].
    pub fn unban(&self, room: &str, user: &str) -> Result<Ticket, HandleError> {
        let user = UserId::parse(user)?;
        self.change(user.clone(), Request::Unban(RoomId::parse(room)?, user))
    }

    /// Ends a room: all memberships end, its log is removed, and its name stays taken.
    ///
    /// # Errors
    /// As [`Handle::ban`].
    pub fn end(&self, room: &str) -> Result<Ticket, HandleError> {
        self.change(UserId::program(), Request::End(RoomId::parse(room)?))
    }

    /// The members of a room, in the order of ids, from the one after `after`: at most
    /// `limits.page`.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`.
    pub fn members(&self, room: &str, after: Option<&str>) -> Result<Ticket<Members>, HandleError> {
        let after = after.map(UserId::parse_any).transpose()?;
        let request = Request::ListMembers { room: RoomId::parse(room)?, after, limit: usize::MAX };
        self.ask(UserId::program(), request, |answered| match answered {
            Answered::Members(members) => Ok(members),
            _ => Err(NOT_ASKED),
        })
    }

    /// A page of a room's log: at most `limits.page` entries and `limits.page_bytes`.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `no_such_room`, or `gone` for entries that are no longer
    /// kept.
    pub fn history(&self, room: &str, part: Part) -> Result<Ticket<History>, HandleError> {
        let request = Request::History { room: RoomId::parse(room)?, part, limit: usize::MAX };
        self.ask(UserId::program(), request, |answered| match answered {
            Answered::History(history) => Ok(history),
            _ => Err(NOT_ASKED),
        })
    }

    /// How far a member has read a room, and how many messages are unread.
    ///
    /// # Errors
    /// [`HandleError`]; from the ticket, `not_member`, also for a room that does not exist.
    pub fn unread(&self, room: &str, user: &str) -> Result<Ticket<Unread>, HandleError> {
        let request = Request::Room(RoomId::parse(room)?);
        self.ask(UserId::parse(user)?, request, |answered| match answered {
            Answered::Room(room) => {
                let (read, unread) = room.read.ok_or(NOT_MEMBER)?;
                Ok(Unread { read, unread })
            }
            _ => Err(NOT_ASKED),
        })
    }

    /// Makes a request that is answered with a room and a `seq`.
    pub(crate) fn change(&self, user: UserId, request: Request) -> Result<Ticket, HandleError> {
        self.ask(user, request, |answered| match answered {
            Answered::Place(room, seq) => Ok((room, seq)),
            _ => Err(NOT_ASKED),
        })
    }

    fn ask<T>(
        &self,
        user: UserId,
        request: Request,
        read: fn(Answered) -> Result<T, HandleError>,
    ) -> Result<Ticket<T>, HandleError> {
        let state = Arc::new(TicketState::default());
        self.shared.call(Command::Ask { user, request, ticket: Arc::clone(&state) })?;
        Ok(Ticket { state, shared: Arc::clone(&self.shared), read })
    }
}
