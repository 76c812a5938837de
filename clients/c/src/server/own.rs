//! The program's own requests, paths and WebSockets.

use super::abi::*;
use super::given::Given;
use super::open_server::{OpenServer, call_of, fault, lock};
use super::replies::Waiting;
use super::told::{SocketCalls, tell_path, tell_request};
use crate::abi::*;
use crate::call::{Failure, bytes, failure, text};
use crate::user_data::UserData;
use parlor::http1::Status;
use parlor::protocol::Message;
use parlor::server::{Access, PathAnswer, RequestRefusal, Socket, SocketPath};
use serde_json::Value;
use std::ffi::c_void;

fn access(number: i32) -> Result<Access, Failure> {
    Ok(match number {
        PARLOR_ACCESS_PUBLIC => Access::Public,
        PARLOR_ACCESS_USERS => Access::User,
        PARLOR_ACCESS_ADMINS => Access::Admin,
        _ => return Err(failure(PARLOR_E_ARGUMENT, "p_access is none of PARLOR_ACCESS_*")),
    })
}

/// A function, and what it is handed: dropped from here on, whatever comes.
fn given(
    see: Option<parlor_call_fn>,
    user: *mut c_void,
    drop: Option<parlor_drop_fn>,
) -> Result<Given, Failure> {
    match see {
        Some(see) => Ok(Given::new(see, user, drop)),
        None => {
            let _dropped = UserData { pointer: user, drop };
            Err(failure(PARLOR_E_ARGUMENT, "p_see is NULL"))
        }
    }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_handle(
    server: *mut parlor_server,
    kind: parlor_str,
    who: i32,
    see: Option<parlor_call_fn>,
    user: *mut c_void,
    drop: Option<parlor_drop_fn>,
) -> parlor_rc {
    let given = given(see, user, drop);
    call_of(server, |open| {
        let (given, access) = (given?, access(who)?);
        // SAFETY: as the caller says.
        let kind = unsafe { text("p_type", kind) }?;
        let name = server.addr();
        let run = move |call, reply| tell_request(name, &given, &call, reply);
        open.handle.handle(kind, access, run).map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_path(
    server: *mut parlor_server,
    method: parlor_str,
    path: parlor_str,
    who: i32,
    see: Option<parlor_call_fn>,
    user: *mut c_void,
    drop: Option<parlor_drop_fn>,
) -> parlor_rc {
    let given = given(see, user, drop);
    call_of(server, |open| {
        let (given, access) = (given?, access(who)?);
        // SAFETY: as the caller says.
        let (method, path) = unsafe { (text("p_method", method)?, text("p_path", path)?) };
        let name = server.addr();
        let run = move |request, reply| tell_path(name, &given, &request, reply);
        open.handle.answer_path(method, path, access, run).map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_socket_path(
    server: *mut parlor_server,
    path: parlor_str,
    who: i32,
    protocol: parlor_str,
    bytes: u64,
    see: Option<parlor_call_fn>,
    user: *mut c_void,
    drop: Option<parlor_drop_fn>,
) -> parlor_rc {
    let given = given(see, user, drop);
    call_of(server, |open| {
        let (given, access) = (given?, access(who)?);
        // SAFETY: as the caller says.
        let (path, protocol) = unsafe { (text("p_path", path)?, text("p_protocol", protocol)?) };
        let mut path = SocketPath::new(path).access(access);
        if !protocol.is_empty() {
            path = path.subprotocol(protocol);
        }
        if bytes != 0 {
            path = path.message_bytes(bytes);
        }
        let handler = SocketCalls { server: server.addr(), given };
        open.handle.own_socket_path(path, handler).map_err(fault)
    })
}

fn value(name: &str, json: &str) -> Result<Value, Failure> {
    serde_json::from_str(json)
        .map_err(|error| failure(PARLOR_E_ARGUMENT, format!("{name} is no JSON: {error}")))
}

pub(crate) fn object(name: &str, json: &str) -> Result<Value, Failure> {
    let value = value(name, json)?;
    let bad = || failure(PARLOR_E_ARGUMENT, format!("{name} is no object of JSON"));
    if value.is_object() { Ok(value) } else { Err(bad()) }
}

/// A request that waits for the program, as one that is answered by JSON.
fn request(open: &OpenServer, number: u64) -> Result<parlor::server::Reply, Failure> {
    let mut replies = lock(&open.replies);
    match replies.take(number)? {
        Waiting::Request(reply) => Ok(reply),
        other => {
            replies.put_back(number, other);
            Err(failure(PARLOR_E_MODE, "parlor_server_answer answers PARLOR_CALL_PATH"))
        }
    }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_reply(
    server: *mut parlor_server,
    number: u64,
    json: parlor_str,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let payload = object("p_json", unsafe { text("p_json", json) }?)?;
        request(open, number)?.ok(payload).map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_refuse(
    server: *mut parlor_server,
    number: u64,
    code: parlor_str,
    message: parlor_str,
    data: parlor_str,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let texts =
            unsafe { [text("p_code", code)?, text("p_message", message)?, text("p_data", data)?] };
        let [code, message, data] = texts;
        let refusal = match data {
            "" => RequestRefusal::new(code, message),
            data => RequestRefusal::with(code, message, &value("p_data", data)?),
        };
        // What is wrong with it can be put right: the request still waits.
        let refusal = refusal.map_err(fault)?;
        request(open, number)?.refuse(refusal).map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_answer(
    server: *mut parlor_server,
    number: u64,
    status: i32,
    kind: parlor_str,
    content: parlor_str,
    fields: parlor_str,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        let (kind, fields) = unsafe { (text("p_type", kind)?, text("p_fields", fields)?) };
        // SAFETY: as the caller says.
        let content = unsafe { bytes("p_content", content) }?;
        let is_it = |one: &&Status| one.line().split(' ').next() == Some(&status.to_string());
        let status = Status::ALL.iter().find(is_it);
        let status = status
            .ok_or_else(|| failure(PARLOR_E_ARGUMENT, "p_status is none that the server sends"))?;
        let mut answer = PathAnswer::new(*status, kind, content).map_err(fault)?;
        for line in fields.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                failure(PARLOR_E_ARGUMENT, "a line of p_fields is no \"name: value\"")
            })?;
            answer = answer.with(name.trim(), value.trim()).map_err(fault)?;
        }
        let mut replies = lock(&open.replies);
        match replies.take(number)? {
            Waiting::Path(reply) => {
                drop(replies);
                reply.send(answer).map_err(fault)
            }
            other => {
                replies.put_back(number, other);
                Err(failure(PARLOR_E_MODE, "parlor_server_reply answers PARLOR_CALL_REQUEST"))
            }
        }
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_socket_text(
    server: *mut parlor_server,
    connection: u64,
    said: parlor_str,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        open.socket(connection)?.text(unsafe { text("p_text", said) }?).map_err(fault)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_socket_bytes(
    server: *mut parlor_server,
    connection: u64,
    data: *const c_void,
    size: usize,
) -> parlor_rc {
    call_of(server, |open| {
        let data = parlor_str { p_size: size, p_data: data.cast() };
        // SAFETY: as the caller says.
        open.socket(connection)?.binary(unsafe { bytes("p_data", data) }?).map_err(fault)
    })
}

/// Sends to those that are open.
///
/// # Safety
/// There are so many numbers.
unsafe fn to_many(
    open: &OpenServer,
    connections: *const u64,
    count: usize,
    message: Message<'_>,
) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    if connections.is_null() || count > isize::MAX.unsigned_abs() / size_of::<u64>() {
        return Err(failure(PARLOR_E_ARGUMENT, "p_connections is NULL, or too long"));
    }
    // SAFETY: as the caller says; it is neither NULL nor longer than a slice may be.
    let numbers = unsafe { std::slice::from_raw_parts(connections, count) };
    let sockets: Vec<Socket> =
        numbers.iter().filter_map(|number| open.socket(*number).ok()).collect();
    open.handle.send_to_sockets(&sockets, message).map_err(fault)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_sockets_text(
    server: *mut parlor_server,
    connections: *const u64,
    count: usize,
    said: parlor_str,
) -> parlor_rc {
    call_of(server, |open| {
        // SAFETY: as the caller says.
        unsafe { to_many(open, connections, count, Message::Text(text("p_text", said)?)) }
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_sockets_bytes(
    server: *mut parlor_server,
    connections: *const u64,
    count: usize,
    data: *const c_void,
    size: usize,
) -> parlor_rc {
    call_of(server, |open| {
        let data = parlor_str { p_size: size, p_data: data.cast() };
        // SAFETY: as the caller says.
        unsafe { to_many(open, connections, count, Message::Binary(bytes("p_data", data)?)) }
    })
}
