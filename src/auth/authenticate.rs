//! The embedding program's function that authenticates requests.

use crate::http1::RequestHead;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The head of a request, for the function that authenticates it.
#[derive(Debug)]
pub struct Head<'a> {
    head: &'a RequestHead<'a>,
    peer: IpAddr,
}

impl<'a> Head<'a> {
    pub(crate) fn new(head: &'a RequestHead<'a>, peer: IpAddr) -> Head<'a> {
        Head { head, peer }
    }

    /// The method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.head.method
    }

    /// The path without its query, still percent-encoded.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.head.path
    }

    /// The values of a field, in order; `name` in any case. Values that are not visible ASCII are
    /// left out.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.head.all(name)
    }

    /// The first value of a parameter of the query, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        Some(self.head.query_value(name)?.ok()?.into_owned())
    }

    /// The peer's address; with a proxy, the proxy's.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.peer
    }
}

/// Who sends a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Their user id.
    pub user: String,
    /// Their display name.
    pub name: Option<String>,
    /// Whether they have an admin's rights.
    pub admin: bool,
    /// Patterns of streams that they may publish to. `None`: none, or all for admins.
    pub publish: Option<Vec<String>>,
    /// Patterns of streams that they may watch. `None`: all that the declarations allow.
    pub subscribe: Option<Vec<String>>,
    /// How long the proof is valid. After that and `auth.leeway_ms`, a WebSocket is closed with
    /// 4200. `None`: until the connection ends.
    pub expires_in: Option<Duration>,
}

impl Proof {
    /// A user without special rights.
    #[must_use]
    pub fn user(id: &str) -> Proof {
        Proof { user: id.to_owned(), ..Proof::default() }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The sender does not prove who they are: 401.
    Unauthorized,
    /// They are known, but not allowed: 403.
    Forbidden,
}

type HookFn = dyn Fn(&Head<'_>) -> Result<Option<Proof>, Denied> + Send + Sync;

/// A function that authenticates requests.
#[derive(Clone)]
pub struct Authenticate(Arc<HookFn>);

impl Authenticate {
    /// Calls `run` for each request that needs authentication: an upgrade, an API call, the
    /// metrics. `Ok(None)` leaves it to tokens, or to guests. `run` is called on the reactor's
    /// thread, where everybody waits for it, so it must not block.
    pub fn new(
        run: impl Fn(&Head<'_>) -> Result<Option<Proof>, Denied> + Send + Sync + 'static,
    ) -> Authenticate {
        Authenticate(Arc::new(run))
    }

    pub(crate) fn ask(&self, head: &Head<'_>) -> Result<Option<Proof>, Denied> {
        (self.0)(head)
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticate(…)")
    }
}
