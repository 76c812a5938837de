//! Rooms, with every right.

use super::abi::*;
use super::given::{Done, Told};
use super::messages::texts;
use super::open_server::{OpenServer, call_of, fault};
use crate::abi::*;
use crate::call::{Failure, failure, text};
use parlor::base::RoomId;
use parlor::base::request::Part;
use parlor::client::entry_to_json;
use parlor::server::{Handle, HandleError, History, Members, NewRoom, RoomChange, Ticket, Unread};
use serde_json::{Value, json};
use std::ffi::c_void;
use std::sync::Arc;

/// What is told of a place in a room.
fn place((room, seq): (RoomId, u64)) -> Told {
    let told = json!({ "room": room.as_str(), "seq": seq }).to_string();
    (told, Some((room.as_str().to_owned(), seq)))
}

/// Asks for something that ends in a place of a room.
fn change(
    server: *mut parlor_server,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
    ask: impl FnOnce(&Handle) -> Result<Result<Ticket, HandleError>, Failure>,
) -> parlor_rc {
    call_of(server, |open: &Arc<OpenServer>| {
        let ticket = ask(&open.handle)?.map_err(fault)?;
        Done::new(done, user).follow(ticket, place);
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_publish(
    server: *mut parlor_server,
    room: parlor_str,
    name: parlor_str,
    said: parlor_str,
    id: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    change(server, done, user, |handle| {
        // SAFETY: as the caller says.
        let texts = unsafe {
            [text("p_room", room)?, text("p_name", name)?, text("p_text", said)?, text("p_id", id)?]
        };
        let [room, name, said, id] = texts;
        Ok(handle.publish(room, name, said, (!id.is_empty()).then_some(id)))
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_create(
    server: *mut parlor_server,
    room: parlor_str,
    owner: parlor_str,
    title: parlor_str,
    is_open: i32,
    members: *const parlor_str,
    count: usize,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    change(server, done, user, |handle| {
        // SAFETY: as the caller says.
        let members = unsafe { texts("p_members", members, count) }?;
        // SAFETY: as the caller says.
        let texts =
            unsafe { [text("p_room", room)?, text("p_owner", owner)?, text("p_title", title)?] };
        let [room, owner, title] = texts;
        let new = NewRoom { title, open: is_open != 0, members: &members };
        Ok(handle.create(room, owner, new))
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_update(
    server: *mut parlor_server,
    room: parlor_str,
    title: *const parlor_str,
    is_open: i32,
    owner: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    change(server, done, user, |handle| {
        // SAFETY: as the caller says.
        let (room, owner) = unsafe { (text("p_room", room)?, text("p_owner", owner)?) };
        // SAFETY: as the caller says.
        let title = unsafe { title.as_ref() }.map(|title| unsafe { text("p_title", *title) });
        let change = RoomChange {
            title: title.transpose()?,
            open: (is_open >= 0).then_some(is_open > 0),
            owner: (!owner.is_empty()).then_some(owner),
        };
        Ok(handle.update(room, change))
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_member(
    server: *mut parlor_server,
    what: i32,
    room: parlor_str,
    name: parlor_str,
    by: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    change(server, done, user, |handle| {
        // SAFETY: as the caller says.
        let texts = unsafe { [text("p_room", room)?, text("p_name", name)?, text("p_by", by)?] };
        let [room, name, by] = texts;
        Ok(match what {
            PARLOR_MEMBER_JOIN => handle.join(room, name),
            PARLOR_MEMBER_INVITE => handle.invite(room, name, by),
            PARLOR_MEMBER_REMOVE => handle.remove(room, name),
            PARLOR_MEMBER_BAN => handle.ban(room, name, by),
            PARLOR_MEMBER_UNBAN => handle.unban(room, name),
            _ => return Err(failure(PARLOR_E_ARGUMENT, "p_do is none of PARLOR_MEMBER_*")),
        })
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_end(
    server: *mut parlor_server,
    room: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    // SAFETY: as the caller says.
    change(server, done, user, |handle| Ok(handle.end(unsafe { text("p_room", room) }?)))
}

fn members(page: Members) -> Told {
    let all = page.members.iter().map(|member| {
        json!({
            "user": member.user.as_str(),
            "name": member.name.as_deref(),
            "online": member.online,
            "owner": member.owner,
            "read": member.read,
            "delivered": member.delivered,
        })
    });
    (json!({ "members": all.collect::<Value>(), "more": page.more }).to_string(), None)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_members(
    server: *mut parlor_server,
    room: parlor_str,
    after: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let (room, after) = unsafe { (text("p_room", room)?, text("p_after", after)?) };
        let ticket = open.handle.members(room, (!after.is_empty()).then_some(after));
        Done::new(done, user).follow(ticket.map_err(fault)?, members);
        Ok(())
    })
}

fn history(page: History) -> Told {
    let entries: Vec<String> = page.entries.iter().map(entry_to_json).collect();
    let (entries, head, more) = (entries.join(","), page.head, page.more);
    (format!("{{\"entries\":[{entries}],\"head\":{head},\"more\":{more}}}"), None)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_history(
    server: *mut parlor_server,
    room: parlor_str,
    after: u64,
    before: u64,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let room = unsafe { text("p_room", room) }?;
        let part = match (after, before) {
            (0, 0) => Part::Newest,
            (after, 0) => Part::After(after),
            (0, before) => Part::Before(before),
            _ => return Err(failure(PARLOR_E_ARGUMENT, "p_after and p_before exclude each other")),
        };
        let ticket = open.handle.history(room, part).map_err(fault)?;
        Done::new(done, user).follow(ticket, history);
        Ok(())
    })
}

fn unread(read: Unread) -> Told {
    (json!({ "read": read.read, "unread": read.unread }).to_string(), None)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_unread(
    server: *mut parlor_server,
    room: parlor_str,
    name: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let (room, name) = unsafe { (text("p_room", room)?, text("p_name", name)?) };
        let ticket = open.handle.unread(room, name).map_err(fault)?;
        Done::new(done, user).follow(ticket, unread);
        Ok(())
    })
}
