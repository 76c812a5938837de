//! Messages of the program's own types, who is online, and streams.

use super::abi::*;
use super::given::{Done, Told};
use super::head::parlor_out;
use super::open_server::{Within, call_of, fault};
use super::own::object;
use crate::abi::*;
use crate::call::{Failure, bytes, failure, put, text};
use crate::user_data::UserData;
use parlor::base::ConnId;
use parlor::protocol::CloseCode;
use serde_json::Value;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// Texts of an array.
///
/// # Safety
/// There are so many, each as the header says.
pub(crate) unsafe fn texts<'a>(
    name: &str,
    all: *const parlor_str,
    count: usize,
) -> Result<Vec<&'a str>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if all.is_null() || count > isize::MAX.unsigned_abs() / size_of::<parlor_str>() {
        return Err(failure(PARLOR_E_ARGUMENT, format!("{name} is NULL, or too long")));
    }
    // SAFETY: as the caller says; it is neither NULL nor longer than a slice may be.
    let all = unsafe { std::slice::from_raw_parts(all, count) };
    // SAFETY: as the caller says.
    all.iter().map(|one| unsafe { text(name, *one) }).collect()
}

fn nothing(_: ()) -> Told {
    ("{}".to_owned(), None)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_send(
    server: *mut parlor_server,
    users: *const parlor_str,
    count: usize,
    kind: parlor_str,
    json: parlor_str,
    reached: *mut u64,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let users = unsafe { texts("p_users", users, count) }?;
        // SAFETY: as the caller says.
        let (kind, json) = unsafe { (text("p_type", kind)?, text("p_json", json)?) };
        let payload = object("p_json", json)?;
        let sent = open.handle.send_to_users(&users, kind, &payload).map_err(fault)?;
        // SAFETY: as the caller says.
        unsafe { put(reached, sent as u64) };
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_broadcast(
    server: *mut parlor_server,
    kind: parlor_str,
    json: parlor_str,
    reached: *mut u64,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let (kind, json) = unsafe { (text("p_type", kind)?, text("p_json", json)?) };
        let sent = open.handle.broadcast(kind, &object("p_json", json)?).map_err(fault)?;
        // SAFETY: as the caller says.
        unsafe { put(reached, sent as u64) };
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_send_to(
    server: *mut parlor_server,
    connection: u64,
    kind: parlor_str,
    json: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let (kind, json) = unsafe { (text("p_type", kind)?, text("p_json", json)?) };
        let (to, payload) = (ConnId::from_u64(connection), object("p_json", json)?);
        let ticket = open.handle.send_to_connection(to, kind, &payload).map_err(fault)?;
        Done::new(done, user).follow(ticket, nothing);
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_close(
    server: *mut parlor_server,
    connection: u64,
    code: i32,
    reason: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        let code = u16::try_from(code)
            .map_err(|_| failure(PARLOR_E_ARGUMENT, "p_code is no close code"))?;
        // SAFETY: as the caller says.
        let reason = unsafe { text("p_reason", reason) }?;
        let to = ConnId::from_u64(connection);
        let ticket = open.handle.close_connection(to, CloseCode(code), reason).map_err(fault)?;
        Done::new(done, user).follow(ticket, nothing);
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_is_online(
    server: *mut parlor_server,
    name: parlor_str,
) -> i32 {
    let mut is_online = false;
    let rc = call_of(server, |open| {
        // SAFETY: as the caller says.
        is_online = open.handle.is_online(unsafe { text("p_name", name) }?).map_err(fault)?;
        Ok(())
    });
    if rc == PARLOR_OK { i32::from(is_online) } else { rc }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_online(
    server: *mut parlor_server,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        let users = open.handle.online_users().map_err(fault)?;
        let users: Value = users.iter().map(|user| Value::from(user.as_str())).collect();
        Done::new(done, user).tell(Ok((users.to_string(), None)));
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_event(
    server: *mut parlor_server,
    stream: parlor_str,
    json: parlor_str,
    id: parlor_str,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let texts =
            unsafe { [text("p_stream", stream)?, text("p_json", json)?, text("p_id", id)?] };
        let [stream, json, id] = texts;
        let bad = |error| failure(PARLOR_E_ARGUMENT, format!("p_json is no JSON: {error}"));
        let data: Value = serde_json::from_str(json).map_err(bad)?;
        let done = match id {
            "" => open.handle.publish_event(stream, &data),
            id => open.handle.publish_event_once(stream, &data, id),
        };
        done.map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_event_bytes(
    server: *mut parlor_server,
    stream: parlor_str,
    data: *const c_void,
    size: usize,
) -> parlor_rc {
    call_of(server, |open| {
        let data = parlor_str { p_size: size, p_data: data.cast() };
        // SAFETY: as the caller says.
        let (stream, data) = unsafe { (text("p_stream", stream)?, bytes("p_data", data)?) };
        open.handle.publish_bytes(stream, data).map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_poll(
    server: *mut parlor_server,
    stream: parlor_str,
    is_bytes: i32,
    every: i64,
    give: Option<parlor_poll_fn>,
    user: *mut c_void,
    drop: Option<parlor_drop_fn>,
) -> parlor_rc {
    // Dropped from here on, whatever comes.
    let user = Arc::new(UserData { pointer: user, drop });
    call_of(server, |open| {
        let give = give.ok_or_else(|| failure(PARLOR_E_ARGUMENT, "p_give is NULL"))?;
        // SAFETY: as the caller says.
        let stream = unsafe { text("p_stream", stream) }?;
        let every = Duration::from_micros(u64::try_from(every).unwrap_or(0));
        if every < Duration::from_millis(1) {
            return Err(failure(PARLOR_E_ARGUMENT, "p_every is less than a millisecond"));
        }
        let ask = move |stream: &str| -> Result<Vec<u8>, String> {
            let mut out = parlor_out::default();
            let rc = {
                let _within = Within::enter();
                let stream = parlor_str::of(stream.as_bytes());
                // SAFETY: the program says that this may be called so; both are there until it returns.
                unsafe { give(user.pointer, stream, &raw mut out) }
            };
            let put = out.take();
            match rc {
                PARLOR_OK => put.ok_or_else(|| "nothing was put".to_owned()),
                rc => Err(match put {
                    Some(why) => String::from_utf8_lossy(&why).into_owned(),
                    None => format!("the result {rc}"),
                }),
            }
        };
        let done = match is_bytes {
            0 => open.handle.poll(stream, every, move |stream| {
                let put = ask(stream.as_str())?;
                serde_json::from_slice::<Value>(&put).map_err(|error| error.to_string())
            }),
            _ => open.handle.poll_bytes(stream, every, move |stream| ask(stream.as_str())),
        };
        done.map_err(fault)
    })
}
