//! The program's functions, and how they are called.

use super::abi::{PARLOR_CALL_DONE, parlor_call, parlor_call_fn};
use super::open_server::{Within, not_done};
use crate::abi::{parlor_drop_fn, parlor_str};
use crate::user_data::UserData;
use libc::c_void;
use parlor::server::{Caller, HandleError, Ticket};

/// A function for the program's own requests, paths or WebSockets.
pub(crate) struct Given {
    see: parlor_call_fn,
    user: UserData,
}

impl Given {
    pub(crate) const fn new(
        see: parlor_call_fn,
        user: *mut c_void,
        drop: Option<parlor_drop_fn>,
    ) -> Given {
        Given { see, user: UserData { pointer: user, drop } }
    }

    pub(crate) fn call(&self, told: &parlor_call) {
        let _within = Within::enter();
        // SAFETY: the program says that this may be called so; the call and what it points to are there until it returns.
        unsafe { (self.see)(self.user.pointer, told) };
    }
}

pub(crate) fn text(text: &str) -> parlor_str {
    parlor_str::of(text.as_bytes())
}

/// Who sends it.
pub(crate) fn fill_caller(told: &mut parlor_call, caller: Option<&Caller>) {
    if let Some(caller) = caller {
        told.p_user = text(caller.user.as_str());
        told.p_name = caller.name.as_deref().map_or(parlor_str::EMPTY, text);
        told.p_is_admin = i32::from(caller.admin);
    }
}

/// What is told then: JSON, and perhaps a room and a number in it.
pub(crate) type Told = (String, Option<(String, u64)>);

/// What is called when something is done: once.
pub(crate) struct Done(Option<Given>);

impl Done {
    pub(crate) fn new(see: Option<parlor_call_fn>, user: *mut c_void) -> Done {
        Done(see.map(|see| Given::new(see, user, None)))
    }

    /// Tells what has come of it, as JSON, and perhaps where.
    pub(crate) fn tell(self, done: Result<Told, HandleError>) {
        let Some(given) = self.0 else { return };
        let mut told = parlor_call::of_kind(PARLOR_CALL_DONE);
        match &done {
            Ok((json, place)) => {
                told.p_data = text(json);
                if let Some((room, seq)) = place {
                    (told.p_room, told.p_seq) = (text(room), *seq);
                }
                given.call(&told);
            }
            Err(error) => {
                let sentence = error.to_string();
                told.p_rc = not_done(error);
                told.p_error = match error {
                    HandleError::Refused { code, .. } => text(code),
                    _ => parlor_str::EMPTY,
                };
                told.p_message = match error {
                    HandleError::Refused { message, .. } => text(message),
                    _ => text(&sentence),
                };
                given.call(&told);
            }
        }
    }

    /// Tells what comes of a ticket, when it does.
    pub(crate) fn follow<T: 'static>(self, ticket: Ticket<T>, read: fn(T) -> Told) {
        // Without it nobody asks.
        if self.0.is_some() {
            ticket.then(move |done| self.tell(done.map(read)));
        }
    }
}
