//! The table of the API. Each HTTP call is a request that a WebSocket may also send.

use super::template::{self, segments};

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// Below [`PREFIX`]. A name in braces is a member of the payload, except `{type}`, which is the
    /// request itself.
    pub(crate) path: &'static str,
    /// The request. If there are several, [`Choice`] selects one.
    pub(crate) types: &'static [&'static str],
    pub(crate) choice: Choice,
    /// Members of the payload from the query: texts, and then numbers and flags.
    pub(crate) texts: &'static [&'static str],
    pub(crate) plain: &'static [&'static str],
    /// Whether the body is the payload.
    pub(crate) has_body: bool,
    /// Whether it creates something.
    pub(crate) creates: bool,
}

/// How a row's request is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The only one.
    One,
    /// The one that the path names.
    Path,
    /// The first for admins, the second for others.
    ByRights,
    /// The first if the room does not exist, the second if it does.
    ByRoom,
    /// The first for oneself, the second for another; a third is for admins, for anybody.
    ByUser,
}

macro_rules! routes {
    ($($method:ident $path:literal $choice:ident [$($type:literal),*] $([$($text:literal)*; $($number:literal)*])?
       $($body:ident)? $(+ $creates:ident)?;)+) => {
        /// All calls.
        pub(crate) const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            types: &[$($type),*],
            choice: Choice::$choice,
            texts: &[$($($text),*)?],
            plain: &[$($($number),*)?],
            has_body: routes!(@is $($body)?),
            creates: routes!(@is $($creates)?),
        },)+];
    };
    (@is) => { false };
    (@is $word:ident) => { true };
}

routes! {
    GET    "info"                         One      ["info"] ["after";];
    GET    "connections"                  One      ["admin:connections"] ["after"; "limit"];
    DELETE "connections/{connection}"     One      ["admin:disconnect"];
    POST   "connections/{connection}/push" One     ["admin:push"] body;
    GET    "users"                        ByRights ["admin:users", "presence:list"] ["after"; "limit"];
    GET    "users/{user}"                 One      ["admin:user"];
    DELETE "users/{user}/connections"     One      ["admin:disconnect"];
    POST   "users/{user}/push"            One      ["admin:push"] body;
    POST   "push"                         One      ["admin:push"] body;
    POST   "call/{type}"                  Path     [] body;
    GET    "rooms"                        One      ["room:list"] ["after"; "limit" "open" "all"];
    GET    "rooms/{room}"                 One      ["room:info"];
    PUT    "rooms/{room}"                 ByRoom   ["room:create", "room:update"] body + creates;
    DELETE "rooms/{room}"                 One      ["room:delete"];
    GET    "rooms/{room}/members"         One      ["room:members"] ["after"; "limit"];
    PUT    "rooms/{room}/members/{user}"  ByUser   ["room:join", "room:invite", "admin:add"];
    DELETE "rooms/{room}/members/{user}"  ByUser   ["room:leave", "room:remove"];
    GET    "rooms/{room}/messages"        One      ["chat:history"] [; "after" "before" "limit"];
    POST   "rooms/{room}/messages"        One      ["chat:send"] body + creates;
    GET    "streams"                      One      ["stream:list"] ["after"; "limit"];
    GET    "streams/{stream}"             One      ["stream:get"];
    POST   "streams/{stream}"             One      ["publish"] body;
    POST   "streams/{stream}/pause"       One      ["admin:pause"];
    POST   "streams/{stream}/resume"      One      ["admin:resume"];
    GET    "streams/{stream}/subscribers" One      ["stream:subscribers"] ["after"; "limit"];
}

/// The call at a path, and the raw segments for the braces.
pub(crate) type RouteMatch<'p> = (&'static Route, Vec<(&'static str, &'p str)>);

/// Looks up a path that begins with [`PREFIX`](super::own::PREFIX). `path` is the rest of it, still percent-encoded.
/// An error has the methods of the path.
pub(crate) fn find<'p>(method: &str, path: &'p str) -> Option<Result<RouteMatch<'p>, String>> {
    let routes = ROUTES.iter().map(|route| (route.method, route));
    template::find(routes, method, |route| segments(route.path, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::{ADMIN_PREFIX, TYPES};

    #[test]
    fn every_call_is_a_request_and_every_request_of_admins_is_a_call() {
        for route in ROUTES {
            assert_eq!(route.types.is_empty(), route.choice == Choice::Path, "{}", route.path);
            assert_eq!(route.types.len() == 1, route.choice == Choice::One, "{}", route.path);
            for kind in route.types {
                assert!(TYPES.contains(kind), "{kind} is no request");
            }
        }
        for kind in TYPES.iter().filter(|kind| kind.starts_with(ADMIN_PREFIX)) {
            let is_call = ROUTES.iter().any(|route| route.types.contains(kind));
            assert!(is_call, "{kind} is no call of HTTP");
        }
    }

    #[test]
    fn a_path_is_found_with_its_method_or_with_those_that_it_has() {
        let Some(Ok((route, params))) = find("PUT", "rooms/a%2fb/members/") else { panic!() };
        assert_eq!(route.path, "rooms/{room}/members/{user}");
        assert_eq!(params, [("room", "a%2fb"), ("user", "")]);
        let Some(Ok((route, _))) = find("HEAD", "rooms/a") else { panic!() };
        assert_eq!(route.types, ["room:info"]);
        let Some(Err(methods)) = find("PATCH", "rooms/a") else { panic!() };
        assert_eq!(methods, "GET, HEAD, PUT, DELETE, OPTIONS");
        for nothing in ["", "info/", "rooms//", "rooms/a/b", "Info"] {
            assert!(find("GET", nothing).is_none(), "{nothing}");
        }
    }
}
