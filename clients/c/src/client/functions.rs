//! The functions of the header.

use super::about::about;
use super::delivery::is_on_a_clients_thread;
use super::event::{TakenEvent, state_number};
use super::open_client::{CLIENTS, Kind, OpenClient, call_of, call_of_chat, call_of_socket};
use super::opening::open_client;
use crate::abi::*;
use crate::call::{
    Failure, bytes, call, failure, fill_sized, last_error, put, rc_text, read_sized, text,
    zero_ended,
};
use crate::signals::Errno;
use parlor::base::{RoomId, StreamId};
use parlor::client::{
    Client, Hint, Reply, RequestError, Room, SendError, State, Ticket, TicketStatus, TokenFailure,
    WatchOptions, WebSocket, threads_left,
};
use parlor::protocol::CloseCode;
use serde::de::IgnoredAny;
use std::ffi::{c_char, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long a client's end is waited for, which waits for nothing itself.
const END: Duration = Duration::from_secs(60);

/// A close code that says that all is well (RFC 6455 §7.4.1).
const NORMAL: u16 = 1_000;

const fn duration(micros: i64) -> Duration {
    // Less than nothing is nothing.
    Duration::from_micros(if micros > 0 { micros.unsigned_abs() } else { 0 })
}

// --- The library ---

#[unsafe(no_mangle)]
pub extern "C" fn parlor_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_rc_text(rc: parlor_rc) -> *const c_char {
    rc_text(rc)
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_last_error() -> *const c_char {
    last_error()
}

/// # Safety
/// The text is NULL, or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_text(text: *const c_char) -> parlor_str {
    // SAFETY: as the caller says.
    unsafe { zero_ended(text) }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_threads_left() -> u32 {
    u32::try_from(threads_left()).unwrap_or(u32::MAX)
}

// --- A client's life ---

/// # Safety
/// The place is NULL, or has so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_config_init(config: *mut parlor_config, size: usize) {
    // SAFETY: as the caller says.
    unsafe { fill_sized(config, size, parlor_config::DEFAULT) };
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_open(
    config: *const parlor_config,
    client: *mut *mut parlor_client,
) -> parlor_rc {
    // SAFETY: as the caller says.
    call(|| unsafe { open_client(config, client) })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_stop(client: *mut parlor_client, drain: i64) -> parlor_rc {
    call_of(client, |open| {
        match &open.kind {
            Kind::Chat(client, _) => client.stop(duration(drain)),
            Kind::Socket(socket, _) => socket.stop(NORMAL, "", duration(drain)),
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_free(client: *mut parlor_client) {
    if client.is_null() {
        return;
    }
    call_of(client, |open| {
        // Its own function may ask about it until it has ended. Somebody else may free it, too: the first does it.
        if open.is_being_freed.swap(true, Ordering::AcqRel) {
            return Err(failure(PARLOR_E_FREED, "another thread frees the client"));
        }
        open.shared.ends.store(true, Ordering::Release);
        let must_not_wait = is_on_a_clients_thread() && open.has_callback;
        if must_not_wait {
            // Two clients whose functions free each other would wait for ever.
            open.shared.is_freed.store(true, Ordering::Release);
            let left = open.shared.left.lock();
            *left.unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(open));
        }
        match &open.kind {
            Kind::Chat(client, _) if must_not_wait => client.stop(Duration::ZERO),
            // `close` would copy what was not stored.
            Kind::Chat(client, _) => {
                client.stop(Duration::ZERO);
                let _ = client.wait_closed(END);
            }
            Kind::Socket(socket, _) if must_not_wait => socket.stop(NORMAL, "", Duration::ZERO),
            Kind::Socket(socket, _) => _ = socket.close(NORMAL, "", Duration::ZERO),
        }
        CLIENTS.remove(open.name);
        Ok(())
    });
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_next(
    client: *mut parlor_client,
    wait: i64,
    event: *mut *mut parlor_event,
) -> parlor_rc {
    call_of_queue(client, |open| {
        if event.is_null() {
            return Err(failure(PARLOR_E_ARGUMENT, "p_event is NULL"));
        }
        if wait > 0 && is_on_a_clients_thread() {
            return Err(failure(PARLOR_E_MODE, "p_on_event must not wait"));
        }
        let taken = next(open, duration(wait))?;
        // SAFETY: as the caller says; it is not NULL.
        unsafe { event.write(TakenEvent::give(taken)) };
        Ok(())
    })
}

/// Does something with a client whose events the program takes.
fn call_of_queue(
    client: *mut parlor_client,
    act: impl FnOnce(&OpenClient) -> Result<(), Failure>,
) -> parlor_rc {
    call_of(client, |open| match open.has_callback {
        true => Err(failure(PARLOR_E_MODE, "p_on_event is told what comes")),
        false => act(open),
    })
}

/// # Safety
/// The function may be called with what it is to be handed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_drain(
    client: *mut parlor_client,
    most: u32,
    see: Option<parlor_event_fn>,
    user: *mut c_void,
) -> parlor_rc {
    let Some(see) = see else {
        return call(|| Err(failure(PARLOR_E_ARGUMENT, "p_see is NULL")));
    };
    for _ in 0..most {
        let mut taken = None;
        let rc = call_of_queue(client, |open| {
            taken = Some(next(open, Duration::ZERO)?);
            Ok(())
        });
        let Some(taken) = taken else { return rc };
        // Outside of the call: it is the program's code, which may free the client, and set `errno`.
        // SAFETY: as the caller says; the event is there until it returns.
        unsafe { see(user, taken.event()) };
        let _errno = Errno::keep();
        drop(taken);
    }
    PARLOR_OK
}

/// The next event that the program is told.
fn next(open: &OpenClient, wait: Duration) -> Result<Box<TakenEvent>, Failure> {
    let begun = std::time::Instant::now();
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        let taken = match &open.kind {
            Kind::Chat(_, events) => {
                let event = match left.is_zero() {
                    true => events.try_recv().map_err(timed_out),
                    false => events.recv_timeout(left),
                };
                event.map(|event| TakenEvent::of_chat(event, &open.shared))
            }
            Kind::Socket(_, events) => {
                let event = match left.is_zero() {
                    true => events.try_recv().map_err(timed_out),
                    false => events.recv_timeout(left),
                };
                event.map(TakenEvent::of_socket)
            }
        };
        match taken {
            Ok(Some(taken)) => return Ok(taken),
            Ok(None) => {}
            Err(RecvTimeoutError::Timeout) => {
                return Err(failure(PARLOR_E_TIMEOUT, "nothing came in time"));
            }
            Err(RecvTimeoutError::Disconnected) if open.has_ended.swap(true, Ordering::AcqRel) => {
                return Err(failure(PARLOR_E_CLOSED, "the client has ended"));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(TakenEvent::ended()),
        }
    }
}

fn timed_out(error: TryRecvError) -> RecvTimeoutError {
    match error {
        TryRecvError::Empty => RecvTimeoutError::Timeout,
        TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
    }
}

/// # Safety
/// It is NULL, or one that `parlor_next` gave and that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_event_free(event: *mut parlor_event) {
    if !event.is_null() {
        let _errno = Errno::keep();
        // SAFETY: as the caller says.
        unsafe { TakenEvent::take_back(event) };
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_wait_handle(client: *mut parlor_client) -> isize {
    let mut handle = -1;
    call_of_queue(client, |open| {
        let make = || match &open.kind {
            Kind::Chat(_, events) => events.descriptor().ok(),
            Kind::Socket(_, events) => events.descriptor().ok(),
        };
        let given = open.wait_handle.get_or_init(make).as_ref().map(OwnedFd::as_raw_fd);
        let given =
            given.ok_or_else(|| failure(PARLOR_E_SYSTEM, "the system gives no descriptor"))?;
        handle = isize::try_from(given).unwrap_or(-1);
        Ok(())
    });
    handle
}

fn state_of(open: &OpenClient) -> State {
    match &open.kind {
        Kind::Chat(client, _) => client.state(),
        Kind::Socket(socket, _) => socket.state(),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_state(client: *mut parlor_client) -> i32 {
    let mut state = 0;
    let rc = call_of(client, |open| {
        state = state_number(&state_of(open));
        Ok(())
    });
    if rc == PARLOR_OK { state } else { rc }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_wait_online(client: *mut parlor_client, wait: i64) -> parlor_rc {
    call_of(client, |open| {
        if is_on_a_clients_thread() {
            return Err(failure(PARLOR_E_MODE, "p_on_event must not wait"));
        }
        let waited = match &open.kind {
            Kind::Chat(client, _) => client.wait_online(duration(wait)),
            Kind::Socket(socket, _) => socket.wait_open(duration(wait)),
        };
        waited.map_err(|state| match state {
            State::Closed => failure(PARLOR_E_CLOSED, "the client is closed"),
            State::Failed { reason, .. } => failure(PARLOR_E_CLOSED, reason),
            State::Waiting { reason, .. } => failure(PARLOR_E_TIMEOUT, reason),
            _ => failure(PARLOR_E_TIMEOUT, "it is not online in time"),
        })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_wait_ended(client: *mut parlor_client, wait: i64) -> parlor_rc {
    call_of(client, |open| {
        if is_on_a_clients_thread() {
            return Err(failure(PARLOR_E_MODE, "p_on_event must not wait"));
        }
        let has_ended = match &open.kind {
            Kind::Chat(client, _) => client.wait_closed(duration(wait)),
            Kind::Socket(socket, _) => socket.wait_closed(duration(wait)),
        };
        let late = || failure(PARLOR_E_TIMEOUT, "it has not ended in time");
        has_ended.then_some(()).ok_or_else(late)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_retry_now(client: *mut parlor_client) -> parlor_rc {
    call_of(client, |open| {
        if state_of(open) == State::Closed {
            return Err(failure(PARLOR_E_CLOSED, "the client has ended"));
        }
        match &open.kind {
            Kind::Chat(client, _) => client.retry_now(),
            Kind::Socket(socket, _) => socket.retry_now(),
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_pause(client: *mut parlor_client) -> parlor_rc {
    call_of_going(client, |_, client| {
        client.pause();
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_hint(client: *mut parlor_client, hint: i32) -> parlor_rc {
    call_of_going(client, |_, client| {
        client.hint(match hint {
            PARLOR_HINT_ONLINE => Hint::Online,
            PARLOR_HINT_OFFLINE => Hint::Offline,
            PARLOR_HINT_SLEEP => Hint::Sleep,
            PARLOR_HINT_WAKE => Hint::Wake,
            _ => return Err(failure(PARLOR_E_ARGUMENT, "p_hint is none of PARLOR_HINT_*")),
        });
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_token(
    client: *mut parlor_client,
    request: u64,
    token: parlor_str,
    why_not: parlor_str,
    is_final: i32,
) -> parlor_rc {
    call_of_going(client, |_, client| {
        // SAFETY: as the caller says.
        let (token, why_not) = unsafe { (text("p_token", token)?, text("p_failure", why_not)?) };
        if !token.is_empty() && !why_not.is_empty() {
            let message = "a token, and why there is none: one of them";
            return Err(failure(PARLOR_E_ARGUMENT, message));
        }
        let given = match why_not {
            "" => Ok((!token.is_empty()).then(|| token.to_owned())),
            why => Err(TokenFailure { message: why.into(), is_final: is_final != 0 }),
        };
        match client.give_token(request, given) {
            true => Ok(()),
            false => Err(failure(PARLOR_E_REQUEST, "no token is wanted for this number")),
        }
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_about(
    client: *mut parlor_client,
    what: i32,
    name: parlor_str,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> parlor_rc {
    call_of_chat(client, |_, client| {
        if buffer.is_null() && size > 0 {
            return Err(failure(PARLOR_E_ARGUMENT, "p_buffer is NULL, and p_size is more than 0"));
        }
        // SAFETY: as the caller says.
        let told = about(client, what, unsafe { text("p_name", name) }?)?;
        // SAFETY: as the caller says.
        unsafe { put(needed, told.len()) };
        if told.len() > size || buffer.is_null() {
            return Err(failure(PARLOR_E_FULL, format!("it has {} bytes", told.len())));
        }
        // SAFETY: as the caller says; it has at least as many bytes.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(told.as_ptr(), told.len()) };
        Ok(())
    })
}

// --- PARLOR_MODE_CHAT ---

fn room_id(name: &str) -> Result<RoomId, Failure> {
    RoomId::parse(name).map_err(|error| failure(PARLOR_E_ARGUMENT, format!("p_room: {error}")))
}

/// Does something with a client of a parlor that has not ended.
fn call_of_going(
    client: *mut parlor_client,
    act: impl FnOnce(&Arc<OpenClient>, &Client) -> Result<(), Failure>,
) -> parlor_rc {
    call_of_chat(client, |open, client| match client.state() {
        State::Closed => Err(failure(PARLOR_E_CLOSED, "the client has ended")),
        _ => act(open, client),
    })
}

const fn message_of_nothing() -> parlor_message {
    let none = parlor_str::EMPTY;
    parlor_message {
        p_size: size_of::<parlor_message>(),
        p_room: none,
        p_text: none,
        p_data: none,
        p_id: none,
        p_reply_to: 0,
    }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_send(
    client: *mut parlor_client,
    message: *const parlor_message,
    request: *mut u64,
) -> parlor_rc {
    call_of_going(client, |open, client| {
        const SIZE_MIN: usize = std::mem::offset_of!(parlor_message, p_data);
        // SAFETY: as the caller says.
        let (message, judged) = unsafe { read_sized(message, message_of_nothing(), SIZE_MIN) }?;
        judged?;
        // SAFETY: as the caller says.
        let texts = unsafe {
            [
                text("p_room", message.p_room)?,
                text("p_text", message.p_text)?,
                text("p_data", message.p_data)?,
                text("p_id", message.p_id)?,
            ]
        };
        let [room, said, data, id] = texts;
        room_id(room)?;
        let mut sending = client.room(room).message(said);
        if !data.is_empty() {
            sending = sending.data(data);
        }
        if !id.is_empty() {
            sending = sending.id(id);
        }
        if message.p_reply_to != 0 {
            sending = sending.reply_to(message.p_reply_to);
        }
        // SAFETY: as the caller says.
        unsafe { follow(open, sending.send(), request) }
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_send_text(
    client: *mut parlor_client,
    room: parlor_str,
    said: parlor_str,
    request: *mut u64,
) -> parlor_rc {
    let message = parlor_message { p_room: room, p_text: said, ..message_of_nothing() };
    // SAFETY: as the caller says.
    unsafe { parlor_send(client, &message, request) }
}

/// Has what becomes of a message told to the program, unless it has failed here.
///
/// # Safety
/// The place is NULL, or one for a number.
unsafe fn follow(open: &Arc<OpenClient>, ticket: Ticket, request: *mut u64) -> Result<(), Failure> {
    if let TicketStatus::Failed(error) = ticket.status()
        && let Some(rc) = refused_here(&error)
    {
        return Err(failure(rc, error));
    }
    open.shared.sendings().insert(ticket.number(), ticket.clone());
    // Before the event: what the program does then needs it.
    // SAFETY: as the caller says.
    unsafe { put(request, ticket.number()) };
    let number = ticket.number();
    ticket.into_events().map_err(|error| {
        open.shared.sendings().remove(&number);
        failure(PARLOR_E_FULL, error)
    })
}

/// What a message fails with before it is on its way.
fn refused_here(error: &RequestError) -> Option<parlor_rc> {
    Some(match &*error.code {
        "outbox_full" | "overloaded" => PARLOR_E_FULL,
        "outbox_failed" => PARLOR_E_OUTBOX,
        "bad_json" | "bad_name" | "conflict" => PARLOR_E_ARGUMENT,
        "closed" => PARLOR_E_CLOSED,
        _ => return None,
    })
}

fn sending(open: &OpenClient, number: u64) -> Result<Ticket, Failure> {
    let found = open.shared.sendings().get(&number).cloned();
    // That it was taken back may not be told yet.
    let found = found.filter(|ticket| ticket.status() != TicketStatus::Cancelled);
    found.ok_or_else(|| failure(PARLOR_E_REQUEST, "there is no such message, or it is stored"))
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_cancel(client: *mut parlor_client, request: u64) -> parlor_rc {
    call_of_chat(client, |open, _| {
        sending(open, request)?.cancel();
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_retry(client: *mut parlor_client, request: u64) -> parlor_rc {
    call_of_chat(client, |open, _| {
        sending(open, request)?.retry();
        Ok(())
    })
}

/// Has the answer told to the program.
///
/// # Safety
/// The place is NULL, or one for a number.
unsafe fn expect<T>(reply: Reply<T>, request: *mut u64) -> Result<(), Failure> {
    // Before the event: what the program does then needs it.
    // SAFETY: as the caller says.
    unsafe { put(request, reply.number()) };
    reply.into_event().map(drop).map_err(|error| failure(PARLOR_E_FULL, error))
}

/// Does something about a room.
///
/// # Safety
/// As the header says.
unsafe fn call_of_room(
    client: *mut parlor_client,
    name: parlor_str,
    act: impl FnOnce(&Room) -> Result<(), Failure>,
) -> parlor_rc {
    call_of_going(client, |_, client| {
        // SAFETY: as the caller says.
        let name = room_id(unsafe { text("p_room", name) }?)?;
        act(&client.room(name.as_str()))
    })
}

fn is_object(json: &str) -> Result<(), Failure> {
    let is_one =
        json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok();
    is_one.then_some(()).ok_or_else(|| failure(PARLOR_E_ARGUMENT, "p_json is no object of JSON"))
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_request(
    client: *mut parlor_client,
    kind: parlor_str,
    json: parlor_str,
    timeout: i64,
    request: *mut u64,
) -> parlor_rc {
    call_of_going(client, |_, client| {
        // SAFETY: as the caller says.
        let (kind, json) = unsafe { (text("p_type", kind)?, text("p_json", json)?) };
        is_object(json)?;
        let reply = client.request_within(kind, json, (timeout > 0).then(|| duration(timeout)));
        // SAFETY: as the caller says.
        unsafe { expect(reply, request) }
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_say(
    client: *mut parlor_client,
    kind: parlor_str,
    json: parlor_str,
) -> parlor_rc {
    call_of_going(client, |_, client| {
        // SAFETY: as the caller says.
        let (kind, json) = unsafe { (text("p_type", kind)?, text("p_json", json)?) };
        is_object(json)?;
        client.say(kind, json);
        Ok(())
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_join(
    client: *mut parlor_client,
    room: parlor_str,
    request: *mut u64,
) -> parlor_rc {
    // SAFETY: as the caller says.
    unsafe { call_of_room(client, room, |room| expect(room.join(), request)) }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_leave(
    client: *mut parlor_client,
    room: parlor_str,
    request: *mut u64,
) -> parlor_rc {
    // SAFETY: as the caller says.
    unsafe { call_of_room(client, room, |room| expect(room.leave(), request)) }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_go_on_from(
    client: *mut parlor_client,
    room: parlor_str,
    seq: u64,
) -> parlor_rc {
    // SAFETY: as the caller says.
    unsafe {
        call_of_room(client, room, |room| {
            room.go_on_from(seq);
            Ok(())
        })
    }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_mark_read(
    client: *mut parlor_client,
    room: parlor_str,
    seq: u64,
) -> parlor_rc {
    // SAFETY: as the caller says.
    unsafe {
        call_of_room(client, room, |room| {
            room.mark_read((seq != 0).then_some(seq));
            Ok(())
        })
    }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_typing(
    client: *mut parlor_client,
    room: parlor_str,
    types: i32,
) -> parlor_rc {
    // SAFETY: as the caller says.
    unsafe {
        call_of_room(client, room, |room| {
            room.typing(types != 0);
            Ok(())
        })
    }
}

fn stream_id(name: &str) -> Result<StreamId, Failure> {
    StreamId::parse(name).map_err(|error| failure(PARLOR_E_ARGUMENT, format!("p_stream: {error}")))
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_watch(
    client: *mut parlor_client,
    stream: parlor_str,
    filter: parlor_str,
    rate: u32,
) -> parlor_rc {
    call_of_going(client, |_, client| {
        // SAFETY: as the caller says.
        let (stream, filter) = unsafe { (text("p_stream", stream)?, text("p_filter", filter)?) };
        stream_id(stream)?;
        let filter = (!filter.is_empty()).then(|| filter.into());
        let options = WatchOptions { filter, max_rate: (rate != 0).then_some(rate) };
        let watched = client.stream(stream, options);
        watched.map(drop).map_err(|error| failure(PARLOR_E_ARGUMENT, format!("p_filter: {error}")))
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_unwatch(
    client: *mut parlor_client,
    stream: parlor_str,
) -> parlor_rc {
    call_of_going(client, |_, client| {
        // SAFETY: as the caller says.
        let stream = stream_id(unsafe { text("p_stream", stream) }?)?;
        client.unwatch(stream);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_watch_presence(client: *mut parlor_client) -> parlor_rc {
    call_of_going(client, |_, client| {
        client.watch_presence();
        Ok(())
    })
}

// --- PARLOR_MODE_SOCKET ---

fn not_sent(error: SendError) -> Failure {
    let rc = match error {
        SendError::NotOpen => PARLOR_E_NOT_OPEN,
        _ => PARLOR_E_FULL,
    };
    failure(rc, error)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_socket_text(
    client: *mut parlor_client,
    said: parlor_str,
) -> parlor_rc {
    call_of_socket(client, |socket: &WebSocket| {
        // SAFETY: as the caller says.
        socket.send(unsafe { text("p_text", said) }?).map_err(not_sent)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_socket_bytes(
    client: *mut parlor_client,
    data: *const c_void,
    size: usize,
) -> parlor_rc {
    call_of_socket(client, |socket| {
        let data = parlor_str { p_size: size, p_data: data.cast() };
        // SAFETY: as the caller says.
        socket.send_bytes(unsafe { bytes("p_data", data) }?).map_err(not_sent)
    })
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_socket_close(
    client: *mut parlor_client,
    code: i32,
    reason: parlor_str,
    drain: i64,
) -> parlor_rc {
    call_of_socket(client, |socket| {
        let code = u16::try_from(code).ok().filter(|code| CloseCode(*code).may_be_sent());
        let code = code.ok_or_else(|| {
            failure(PARLOR_E_ARGUMENT, "p_code is none that a Close may have (RFC 6455 §7.4)")
        })?;
        // SAFETY: as the caller says.
        socket.stop(code, unsafe { text("p_reason", reason) }?, duration(drain));
        Ok(())
    })
}
