//! Who sends a request, as the program says; and what its functions put.

use super::abi::*;
use super::given::text;
use super::open_server::Within;
use crate::abi::*;
use crate::call::{bytes, text as text_of};
use crate::signals::Errno;
use crate::user_data::UserData;
use parlor::server::{Authenticate, Denied, Head, Proof};
use serde_json::Value;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// What a function of the program's puts.
#[derive(Default)]
pub struct parlor_out {
    put: Option<Vec<u8>>,
}

impl parlor_out {
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.put.take()
    }
}

/// # Safety
/// It is that of a function that runs; the data are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_put(out: *mut parlor_out, data: parlor_str) {
    let _errno = Errno::keep();
    // SAFETY: as the caller says.
    if let (Some(out), Ok(data)) = (unsafe { out.as_mut() }, unsafe { bytes("p_data", data) }) {
        out.put = Some(data.to_vec());
    }
}

/// The head of a request, and what was made of it for the program.
pub struct parlor_head {
    /// What it is, in this order: method, path, address.
    plain: [String; 3],
    fields: FieldsOf,
    made: RefCell<Vec<Box<str>>>,
}

/// Finds fields and parameters of the query: the head's own lifetime is hidden behind it.
struct FieldsOf {
    head: *const (),
    find: fn(*const (), bool, &str) -> Option<String>,
}

fn find(head: *const (), is_query: bool, name: &str) -> Option<String> {
    // SAFETY: it is made of a head that outlives every call, in `ask`.
    let head = unsafe { &*head.cast::<Head<'_>>() };
    match is_query {
        true => head.query(name),
        false => head.fields(name).next().map(str::to_owned),
    }
}

/// # Safety
/// The head is that of a function that runs; the name is as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_head(
    head: *const parlor_head,
    what: i32,
    name: parlor_str,
) -> parlor_str {
    let _errno = Errno::keep();
    // SAFETY: as the caller says.
    let (head, name) = unsafe { (head.as_ref(), text_of("p_name", name)) };
    let (Some(head), Ok(name)) = (head, name) else { return parlor_str::EMPTY };
    let is_query = match what {
        PARLOR_HEAD_METHOD => return text(&head.plain[0]),
        PARLOR_HEAD_PATH => return text(&head.plain[1]),
        PARLOR_HEAD_ADDRESS => return text(&head.plain[2]),
        PARLOR_HEAD_FIELD => false,
        PARLOR_HEAD_QUERY => true,
        _ => return parlor_str::EMPTY,
    };
    let Some(found) = (head.fields.find)(head.fields.head, is_query, name) else {
        return parlor_str::EMPTY;
    };
    let made = found.into_boxed_str();
    let given = text(&made);
    // Its bytes stay where they are when the list grows.
    head.made.borrow_mut().push(made);
    given
}

/// The program's function, as the server asks it.
pub(crate) fn authenticate(on_head: parlor_head_fn, user: Arc<UserData>) -> Authenticate {
    Authenticate::new(move |head| ask(on_head, &user, head))
}

fn ask(on_head: parlor_head_fn, user: &UserData, head: &Head<'_>) -> Result<Option<Proof>, Denied> {
    let told = parlor_head {
        plain: [head.method().to_owned(), head.path().to_owned(), head.address().to_string()],
        fields: FieldsOf { head: std::ptr::from_ref(head).cast(), find },
        made: RefCell::default(),
    };
    let mut out = parlor_out::default();
    let rc = {
        let _within = Within::enter();
        // SAFETY: the program says that this may be called so; both are there until it returns.
        unsafe { on_head(user.pointer, &raw const told, &raw mut out) }
    };
    match (rc, out.take()) {
        (PARLOR_OK, None) => Ok(None),
        (PARLOR_OK, Some(put)) => match proof(&put) {
            Some(proof) => Ok(Some(proof)),
            None => {
                log::error!("what p_on_head has put is no proof: a request is refused");
                Err(Denied::Unauthorized)
            }
        },
        (PARLOR_E_FORBIDDEN, _) => Err(Denied::Forbidden),
        (PARLOR_E_UNAUTHORIZED, _) => Err(Denied::Unauthorized),
        (rc, _) => {
            log::error!("p_on_head has returned {rc}: a request is refused");
            Err(Denied::Unauthorized)
        }
    }
}

fn proof(put: &[u8]) -> Option<Proof> {
    const MEMBERS: [&str; 6] = ["user", "name", "admin", "publish", "subscribe", "expires_in"];
    let value: Value = serde_json::from_slice(put).ok()?;
    let object = value.as_object()?;
    // A right that is misspelt must not be one that is not there.
    if object.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
        return None;
    }
    let patterns = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| item.as_str().map(str::to_owned));
            Some(Some(items.collect::<Option<Vec<String>>>()?))
        }
        Some(_) => None,
    };
    Some(Proof {
        user: object.get("user")?.as_str()?.to_owned(),
        name: match object.get("name") {
            None | Some(Value::Null) => None,
            Some(name) => Some(name.as_str()?.to_owned()),
        },
        admin: match object.get("admin") {
            None => false,
            Some(admin) => admin.as_bool()?,
        },
        publish: patterns("publish")?,
        subscribe: patterns("subscribe")?,
        expires_in: match object.get("expires_in") {
            None | Some(Value::Null) => None,
            Some(micros) => Some(Duration::from_micros(micros.as_u64()?)),
        },
    })
}
