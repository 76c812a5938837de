//! A function of the embedding program that says who sends a request.

use crate::http1::RequestHead;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The head of a request, for whoever says who sends it.
#[derive(Debug)]
pub struct Head<'a> {
    head: &'a RequestHead<'a>,
    peer: IpAddr,
}

impl<'a> Head<'a> {
    pub(crate) fn new(head: &'a RequestHead<'a>, peer: IpAddr) -> Head<'a> {
        Head { head, peer }
    }

    /// The method, as `GET`.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.head.method
    }

    /// The path, without its query; still percent-encoded.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.head.path
    }

    /// The values of a field, in order; `name` in any case. Values that are no visible ASCII are left
    /// out.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.head.named(name)
    }

    /// The first value of a parameter of the query, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        Some(self.head.query_value(name)?.ok()?.into_owned())
    }

    /// The other end's address: a proxy's, if there is one between.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.peer
    }
}

/// Who sends a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Their id.
    pub user: String,
    /// Their display name.
    pub name: Option<String>,
    /// Whether they may do what admins may.
    pub admin: bool,
    /// Patterns of the streams that they may publish to; none: nothing, and admins to all.
    pub publish: Option<Vec<String>>,
    /// Patterns of the streams that they may watch; none: all that the declarations allow.
    pub subscribe: Option<Vec<String>>,
    /// For how long that is so: then a WebSocket is closed with 4200, when `auth.leeway_ms` is over, too.
    /// None: until its end.
    pub expires_in: Option<Duration>,
}

impl Proof {
    /// A user who may do what users may.
    #[must_use]
    pub fn user(id: &str) -> Proof {
        Proof { user: id.to_owned(), ..Proof::default() }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Who sends it does not prove who they are: 401.
    Unauthorized,
    /// They are known, and may not: 403.
    Forbidden,
}

type HookFn = dyn Fn(&Head<'_>) -> Result<Option<Proof>, Denied> + Send + Sync;

/// A function that says who sends a request.
#[derive(Clone)]
pub struct Authenticate(Arc<HookFn>);

impl Authenticate {
    /// Asks `run` of each request that somebody must stand for: an upgrade, a call of the API, the metrics.
    /// `Ok(None)` leaves it to tokens, or to guests. It runs on the reactor's thread, where everybody
    /// waits for it: it must not block.
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
