//! What every function of the header does around what it is for.

use crate::abi::{
    PARLOR_E_ARGUMENT, PARLOR_E_INTERNAL, PARLOR_OK, RC_TEXTS, parlor_rc, parlor_str,
};
use crate::signals::Errno;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// What a result means.
pub(crate) fn rc_text(rc: parlor_rc) -> *const c_char {
    let index = usize::try_from(rc.unsigned_abs()).unwrap_or(usize::MAX);
    let text = if rc > 0 { None } else { RC_TEXTS.get(index) };
    text.map_or(c"there is no such result".as_ptr(), |text| text.as_ptr())
}

fn say(text: String) {
    let text: Vec<u8> = text.into_bytes().into_iter().filter(|byte| *byte != 0).collect();
    let text = CString::new(text).unwrap_or_default();
    let _ = LAST_ERROR.try_with(|last| last.replace(text));
}

/// Runs what a function of the header does: neither `errno` nor a panic of it reaches the program.
pub(crate) fn call(act: impl FnOnce() -> Result<(), Failure>) -> parlor_rc {
    let _errno = Errno::keep();
    let done = catch_unwind(AssertUnwindSafe(act));
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

/// No structure of a later version is longer.
const SIZE_MAX: usize = 4_096;

/// Fills a structure of this size, which begins with it, with defaults.
///
/// # Safety
/// The place is NULL, or has as many bytes.
pub(crate) unsafe fn fill_sized<T: Copy>(place: *mut T, size: usize, defaults: T) {
    if place.is_null() || size < size_of::<usize>() {
        return;
    }
    let known = size.min(size_of::<T>());
    // SAFETY: as the caller says; what is copied is no longer than either.
    unsafe {
        place.cast::<u8>().write_bytes(0, size);
        place.cast::<u8>().copy_from_nonoverlapping((&raw const defaults).cast(), known);
        place.cast::<usize>().write(size);
    }
}

/// Reads a structure that begins with its size: what it does not have is that of `known`, and what this library does not
/// know must be zero. It is read also where the latter is not so, which the second result says.
///
/// # Safety
/// The place is NULL, or has as many bytes as it says in the first of its members.
pub(crate) unsafe fn read_sized<T: Copy>(
    place: *const T,
    known: T,
    min: usize,
) -> Result<(T, Result<(), Failure>), Failure> {
    let bad = |what: &str| failure(PARLOR_E_ARGUMENT, what);
    if place.is_null() {
        return Err(bad("the structure is NULL"));
    }
    // SAFETY: as the caller says.
    let size = unsafe { place.cast::<usize>().read() };
    if size < min || size > SIZE_MAX {
        return Err(bad("p_size is not that of the structure"));
    }
    let mut read = known;
    let both = size.min(size_of::<T>());
    // SAFETY: both have as many bytes, and any bytes that the program has there are values of its members.
    unsafe { (&raw mut read).cast::<u8>().copy_from_nonoverlapping(place.cast(), both) };
    // SAFETY: it is within what the caller says.
    let is_set = |at| unsafe { place.cast::<u8>().add(at).read() } != 0;
    let judged = match (both..size).any(is_set) {
        false => Ok(()),
        true => Err(bad(
            "an option is set that this library does not know: it is older than the program",
        )),
    };
    Ok((read, judged))
}
