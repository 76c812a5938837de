//! The tap's own page: what `--json` prints, in a browser, live through Server-Sent Events.
//!
//! It shows what others say, tokens among it if `--secrets` is given: so it answers only requests whose `Host` is the
//! address at which it listens, and its page loads nothing from elsewhere.

use super::item::TapItem;
use crate::base::{ConnId, Moment, Timestamp};
use crate::client::net::byte_link::push;
use crate::http1::{HeadReader, RequestHead};
use crate::reactor::Io;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Items that are kept for a page that is opened late, and their bytes.
const KEPT_ITEMS_MAX: usize = 2_000;
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that wait for a page. One that reads too slowly comes back, and goes on with what is kept.
const WAITING_BYTES_MAX: usize = 2 * KEPT_BYTES_MAX;
/// Pages, and what they load, at a time.
pub(super) const PAGE_CONNECTIONS_MAX: u32 = 16;
/// A request's head, and its fields.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 64;
/// How long a request may take to come, in ms.
const REQUEST_MS: u64 = 10_000;

/// No foreign sources and no inline code: what is shown cannot become a program.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, type and content of each file.
const FILES: &[(&str, &str, &[u8])] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("../../../web/tap/index.html")),
    ("/tap.css", "text/css; charset=utf-8", include_bytes!("../../../web/tap/tap.css")),
    ("/tap.js", "text/javascript; charset=utf-8", include_bytes!("../../../web/tap/tap.js")),
];

/// A connection of a browser's.
#[derive(Debug)]
enum PageConnection {
    /// A request comes.
    Asks(Vec<u8>),
    /// It is sent each item.
    Listens,
    Answered,
}

/// The page, and what it remembers.
#[derive(Debug)]
pub(super) struct TapPage {
    /// Where it listens.
    address: SocketAddr,
    /// Tells its numbers from those of a tap before it.
    epoch: i64,
    connections: BTreeMap<ConnId, PageConnection>,
    /// Numbers and events.
    kept: VecDeque<(u64, Vec<u8>)>,
    kept_bytes: usize,
}

impl TapPage {
    pub(super) fn new(address: SocketAddr, epoch: Timestamp) -> TapPage {
        let connections = BTreeMap::new();
        TapPage { address, epoch: epoch.0, connections, kept: VecDeque::new(), kept_bytes: 0 }
    }

    pub(super) fn opened(&mut self, io: &mut Io, conn: ConnId) {
        io.set_deadline(conn, io.now().plus_millis(REQUEST_MS));
        self.connections.insert(conn, PageConnection::Asks(Vec::new()));
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.connections.remove(&conn);
    }

    /// Keeps an item, and sends it to all that listen.
    pub(super) fn add(&mut self, io: &mut Io, item: &TapItem) {
        // An item's JSON has no line ends.
        let event = format!("id: {}-{}\ndata: {}\n\n", self.epoch, item.number, item.to_json())
            .into_bytes();
        for (conn, connection) in &self.connections {
            if matches!(connection, PageConnection::Listens) {
                if io.outbox_bytes(*conn) > WAITING_BYTES_MAX {
                    io.cut(*conn);
                } else {
                    push(io, *conn, &event);
                }
            }
        }
        self.kept_bytes += event.len();
        self.kept.push_back((item.number, event));
        while self.kept.len() > KEPT_ITEMS_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            let Some((_, event)) = self.kept.pop_front() else { break };
            self.kept_bytes -= event.len();
        }
    }

    pub(super) fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) {
        let Some(PageConnection::Asks(head)) = self.connections.get_mut(&conn) else { return };
        head.extend_from_slice(bytes);
        let end = match HeadReader::default().find_end(head, HEAD_BYTES_MAX) {
            Ok(None) => return,
            Ok(Some(end)) => end,
            Err(_) => {
                return self.answer(io, conn, &refusal(400, "Bad Request", "this is no request"));
            }
        };
        let head = std::mem::take(head);
        let head = head.get(..end).unwrap_or_default();
        let answer = match RequestHead::parse(head, FIELDS_MAX) {
            Err(_) => refusal(400, "Bad Request", "this is no request"),
            Ok(head) if !is_own_host(head.host, self.address) => {
                refusal(403, "Forbidden", "the Host is not the address at which the tap listens")
            }
            Ok(head) if head.method != "GET" => refusal(405, "Method Not Allowed", "only GET"),
            Ok(head) if head.path == "/events" => {
                let last = head.only("last-event-id").ok().flatten();
                let last = last.and_then(|last| self.number_of(last)).unwrap_or(0);
                return self.listen(io, conn, last);
            }
            Ok(head) => match FILES.iter().find(|(path, ..)| *path == head.path) {
                Some((_, kind, content)) => response(200, "OK", kind, content),
                None => refusal(404, "Not Found", "there is nothing at this path"),
            },
        };
        self.answer(io, conn, &answer);
    }

    /// Sends what is kept behind an item, and all that comes.
    fn listen(&mut self, io: &mut Io, conn: ConnId, last: u64) {
        io.set_deadline(conn, Moment::NEVER);
        self.connections.insert(conn, PageConnection::Listens);
        let fields = fields_of("text/event-stream");
        push(io, conn, format!("HTTP/1.1 200 OK\r\n{fields}\r\nretry: 1000\n\n").as_bytes());
        for (_, event) in self.kept.iter().filter(|(number, _)| *number > last) {
            push(io, conn, event);
        }
    }

    /// The item's number of an event's id, if it is of this tap.
    fn number_of(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.rsplit_once('-')?;
        number.parse().ok().filter(|_| epoch.parse() == Ok(self.epoch))
    }

    fn answer(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) {
        self.connections.insert(conn, PageConnection::Answered);
        push(io, conn, bytes);
        io.end(conn);
    }
}

fn fields_of(kind: &str) -> String {
    format!(
        "Content-Type: {kind}\r\nCache-Control: no-store\r\nConnection: close\r\n\
         Content-Security-Policy: {CONTENT_SECURITY_POLICY}\r\nX-Content-Type-Options: nosniff\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\
         Referrer-Policy: no-referrer\r\n"
    )
}

fn response(status: u16, reason: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let (fields, len) = (fields_of(kind), body.len());
    let head = format!("HTTP/1.1 {status} {reason}\r\n{fields}Content-Length: {len}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn refusal(status: u16, reason: &str, why: &str) -> Vec<u8> {
    response(status, reason, "text/plain; charset=utf-8", format!("{why}\n").as_bytes())
}

/// Whether a request's `Host` is this address: another site's name that leads here is not (DNS rebinding).
pub(super) fn is_own_host(host: &str, address: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse::<u16>().ok()),
        _ => (host, Some(80)),
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_address = bare
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip == address.ip() || ip.is_loopback() || address.ip().is_unspecified());
    port == Some(address.port()) && (is_address || bare.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_address_or_a_name_of_this_machine() {
        let address = "127.0.0.1:9000".parse().unwrap();
        for host in ["127.0.0.1:9000", "localhost:9000", "LOCALHOST:9000", "[::1]:9000"] {
            assert!(is_own_host(host, address), "{host}");
        }
        for host in [
            "",
            "evil.example:9000",
            "127.0.0.1",
            "127.0.0.1:9001",
            "10.0.0.1:9000",
            "localhost.evil:9000",
        ] {
            assert!(!is_own_host(host, address), "{host}");
        }
        let all = "0.0.0.0:80".parse().unwrap();
        assert!(
            is_own_host("10.0.0.1", all)
                && is_own_host("[fe80::1]", all)
                && !is_own_host("a.example", all)
        );
    }

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let folder = format!("{}/web/tap", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(FILES.iter().any(|(one, ..)| *one == path), "{name}");
            count += 1;
        }
        assert_eq!(count, FILES.len());
    }
}
