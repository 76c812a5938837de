//! What every function of the header does around what it is for.

use crate::abi::{
    PARLOR_E_ARGUMENT, PARLOR_E_INTERNAL, PARLOR_E_MODE, PARLOR_OK, parlor_client, parlor_rc,
    parlor_str,
};
use crate::logging::Logging;
use crate::registry::{Kind, OpenClient, find, is_own_process};
use crate::signals::Errno;
use parlor::client::{Client, WebSocket};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Why a call has failed.
pub(crate) struct Failure {
    rc: parlor_rc,
    text: String,
}

pub(crate) fn failure(rc: parlor_rc, text: impl ToString) -> Failure {
    Failure { rc, text: text.to_string() }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::new(CString::default());
}

/// What the last call of this thread that failed has said.
pub(crate) fn last_error() -> *const c_char {
    let text = LAST_ERROR.try_with(|last| last.borrow().as_ptr());
    text.unwrap_or(c"".as_ptr())
}

fn say(text: String) {
    let text: Vec<u8> = text.into_bytes().into_iter().filter(|byte| *byte != 0).collect();
    let text = CString::new(text).unwrap_or_default();
    let _ = LAST_ERROR.try_with(|last| last.replace(text));
}

/// Runs what a function of the header does: neither `errno` nor a panic of it reaches the program.
pub(crate) fn call(act: impl FnOnce() -> Result<(), Failure>) -> parlor_rc {
    let _errno = Errno::keep();
    let done = catch_unwind(AssertUnwindSafe(|| is_own_process().and_then(|()| act())));
    match done {
        Ok(Ok(())) => PARLOR_OK,
        Ok(Err(failure)) => {
            say(failure.text);
            failure.rc
        }
        Err(_) => {
            say("a fault of the library's; the log has more".to_owned());
            PARLOR_E_INTERNAL
        }
    }
}

/// The same, with a client.
pub(crate) fn call_of(
    client: *mut parlor_client,
    act: impl FnOnce(&Arc<OpenClient>) -> Result<(), Failure>,
) -> parlor_rc {
    call(|| {
        let client = find(client)?;
        let _logging = Logging::to(client.sink.clone());
        act(&client)
    })
}

/// The same, with one of a parlor.
pub(crate) fn call_of_chat(
    client: *mut parlor_client,
    act: impl FnOnce(&Arc<OpenClient>, &Client) -> Result<(), Failure>,
) -> parlor_rc {
    call_of(client, |open| match &open.kind {
        Kind::Chat(client, _) => act(open, client),
        Kind::Socket(..) => Err(failure(PARLOR_E_MODE, "this is for PARLOR_MODE_CHAT")),
    })
}

/// The same, with one of any server.
pub(crate) fn call_of_socket(
    client: *mut parlor_client,
    act: impl FnOnce(&WebSocket) -> Result<(), Failure>,
) -> parlor_rc {
    call_of(client, |open| match &open.kind {
        Kind::Socket(socket, _) => act(socket),
        Kind::Chat(..) => Err(failure(PARLOR_E_MODE, "this is for PARLOR_MODE_SOCKET")),
    })
}

/// The bytes of an argument.
///
/// # Safety
/// It is empty, or points to as many bytes as it says, which nobody changes meanwhile.
pub(crate) unsafe fn bytes<'a>(name: &str, data: parlor_str) -> Result<&'a [u8], Failure> {
    if data.p_size == 0 {
        return Ok(&[]);
    }
    if data.p_data.is_null() || data.p_size > isize::MAX.unsigned_abs() {
        return Err(failure(PARLOR_E_ARGUMENT, format!("{name} is NULL, or too long")));
    }
    // SAFETY: as the caller says; it is neither NULL nor longer than a slice may be.
    Ok(unsafe { std::slice::from_raw_parts(data.p_data, data.p_size) })
}

/// The text of an argument.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(name: &str, data: parlor_str) -> Result<&'a str, Failure> {
    // SAFETY: as the caller says.
    let bytes = unsafe { bytes(name, data) }?;
    std::str::from_utf8(bytes)
        .map_err(|_| failure(PARLOR_E_ARGUMENT, format!("{name} is no UTF-8")))
}

/// Writes a result to where the program wants it, if it does.
///
/// # Safety
/// The place is NULL, or one for such a value.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as the caller says.
        unsafe { place.write(value) };
    }
}

/// A text that ends with a zero.
///
/// # Safety
/// It is NULL, or ends with one.
pub(crate) unsafe fn zero_ended(text: *const c_char) -> parlor_str {
    if text.is_null() {
        return parlor_str::EMPTY;
    }
    // SAFETY: as the caller says.
    parlor_str::of(unsafe { CStr::from_ptr(text) }.to_bytes())
}
