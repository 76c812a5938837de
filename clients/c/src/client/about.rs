//! What a program asks about a client, as JSON.

use super::event::micros;
use crate::abi::*;
use crate::call::{Failure, failure};
use parlor::client::{Client, Kept, RoomView};
use serde_json::{Value, json};

pub(crate) fn about(client: &Client, what: i32, name: &str) -> Result<String, Failure> {
    let value = match what {
        PARLOR_ABOUT_WHY => client
            .why()
            .iter()
            .map(|step| {
                json!({
                    "at": micros(step.at),
                    "state": step.state,
                    "cause": step.cause,
                    "code": step.code.map(|code| code.to_string()),
                    "advice": step.advice.map(|advice| advice.as_str()),
                })
            })
            .collect(),
        PARLOR_ABOUT_HELLO => client.hello().map_or(Value::Null, |hello| {
            json!({
                "server": hello.server,
                "connection": hello.connection,
                "epoch": hello.epoch,
                "at": micros(hello.ts),
                "user": hello.user.as_str(),
                "name": hello.name,
                "admin": hello.is_admin,
                "guest": hello.is_guest,
                "heartbeat_ms": hello.heartbeat_ms,
                "limits": hello.limits,
                "durable": hello.is_durable,
            })
        }),
        PARLOR_ABOUT_ROOMS => {
            let rooms = client.rooms();
            let rooms = rooms.iter().filter_map(|room| Some(of_room(room.name(), &room.view()?)));
            rooms.collect()
        }
        PARLOR_ABOUT_ROOM => {
            client.room(name).view().map_or(Value::Null, |view| of_room(name, &view))
        }
        PARLOR_ABOUT_UNSENT => client.unsent().iter().map(of_kept).collect(),
        _ => return Err(failure(PARLOR_E_ARGUMENT, "p_what is none of PARLOR_ABOUT_*")),
    };
    Ok(value.to_string())
}

fn of_room(name: &str, view: &RoomView) -> Value {
    let typists: Vec<&str> = view.typists.iter().map(|user| user.as_str()).collect();
    json!({
        "room": name,
        "membership": view.membership.name(),
        "title": view.title,
        "last": view.last,
        "read": view.read,
        "unread": view.unread,
        "typists": typists,
    })
}

fn of_kept(kept: &Kept) -> Value {
    json!({
        "id": &*kept.id,
        "user": kept.user.as_ref().map(|user| user.as_str()),
        "room": kept.room.as_str(),
        "text": kept.text,
        "data": kept.data,
        "reply_to": kept.reply_to,
        "at": micros(kept.at),
        "failed": kept.failed,
    })
}
