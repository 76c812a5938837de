//! HTTP/1.1 on the reactor. However the bytes are split, requests and answers are those of a slow
//! and obvious parser, which shares no code with the tested one.

use parlor::base::{ConnId, Limits, Moment, Timestamp};
use parlor::http1::{Response, Status};
use parlor::reactor::simulated::{ServerEnd, SimulatedReactor};
use parlor::web::{Application, Exchange, HttpAnswer, Message, Net, Web, WebConfig, WebRequest};
use proptest::prelude::*;
use proptest::sample::Index;

/// Answers with what it was asked: at once, or when it is told to.
#[derive(Default)]
struct Mirror {
    asked: Vec<String>,
    owed: Vec<(Exchange, Response)>,
    answers_late: bool,
}

fn shown(method: &str, path: &str, body: &[u8]) -> String {
    format!("{method} {path} {}", body.escape_ascii())
}

impl Application for Mirror {
    fn request(
        &mut self,
        _: &mut Net<'_>,
        exchange: Exchange,
        request: &WebRequest<'_>,
    ) -> HttpAnswer {
        let asked = shown(request.head.method, request.head.path, request.body);
        let response = Response::new(Status::Ok, "text/plain", asked.clone().into_bytes());
        self.asked.push(asked);
        if !self.answers_late {
            return HttpAnswer::Respond(response);
        }
        self.owed.push((exchange, response));
        HttpAnswer::Later
    }

    fn message(&mut self, _: &mut Net<'_>, _: ConnId, _: Message<'_>) {}

    fn woken(&mut self, net: &mut Net<'_>) {
        for (exchange, response) in std::mem::take(&mut self.owed) {
            net.answer(exchange, response.clone());
            // Of two answers the first counts, and none is taken for another's.
            net.answer(exchange, Response { status: Status::Gone, ..response });
        }
    }
}

fn limits() -> Limits {
    Limits { head_bytes: 256, headers: 8, http_body_bytes: 64, ..Limits::default() }
}

struct World {
    reactor: SimulatedReactor,
    web: Web<Mirror>,
    conn: ConnId,
    now: u64,
}

impl World {
    fn new(limits: &Limits, answers_late: bool) -> World {
        let config =
            WebConfig { limits: limits.clone(), compression: None, ..WebConfig::default() };
        let mut web = Web::new(Mirror { answers_late, ..Mirror::default() }, config, 1);
        let mut reactor = SimulatedReactor::new(limits, Moment::ZERO, Timestamp(0));
        let conn = reactor.connect(&mut web, "127.0.0.1:1".parse().unwrap(), usize::MAX);
        World { reactor, web, conn, now: 0 }
    }

    fn turn(&mut self) {
        let wake = self.reactor.wake();
        for _ in 0..9 {
            wake.wake();
            self.reactor.turn(&mut self.web);
        }
    }

    fn arrive(&mut self, bytes: &[u8]) {
        self.reactor.arrive(self.conn, bytes);
        self.turn();
    }

    fn pass(&mut self, millis: u64) {
        self.now += millis;
        self.reactor.set_time(Moment::from_millis(self.now), Timestamp(0));
        self.turn();
    }

    fn sent(&mut self) -> (String, ServerEnd) {
        let (sent, end) = self.reactor.fetch(self.conn);
        (String::from_utf8(sent).unwrap(), end)
    }
}

/// What a text comes to: the requests, the status of the refusal that ends it, if one does, and all
/// that is sent.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    asked: Vec<String>,
    refused: Option<u16>,
}

fn hear(bytes: &[u8], ends: &[usize], answers_late: bool) -> (Heard, String, ServerEnd) {
    let mut world = World::new(&limits(), answers_late);
    let mut start = 0;
    for &end in ends {
        world.arrive(&bytes[start..end]);
        start = end;
    }
    world.arrive(&bytes[start..]);
    let (sent, end) = world.sent();
    let sent = sent.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let asked = std::mem::take(&mut world.web.application_mut().asked);
    let status = |answer: &str| answer.get(..3).and_then(|digits| digits.parse().ok());
    let refused = sent.split("HTTP/1.1 ").filter_map(status).find(|status: &u16| *status != 200);
    (Heard { asked, refused }, sent, end)
}

/// The slow reader: all of the text at once.
fn slowly(bytes: &[u8]) -> Heard {
    let mut heard = Heard { asked: Vec::new(), refused: None };
    let mut rest = bytes;
    while !rest.is_empty() && heard.refused.is_none() {
        match one(rest) {
            Ok(Some((asked, len, goes_on))) => {
                heard.asked.push(asked);
                rest = if goes_on { &rest[len..] } else { &[] };
            }
            Ok(None) => break,
            Err(status) => heard.refused = Some(status),
        }
    }
    heard
}

/// A request at the beginning of a text, how long it is, and whether another may follow; nothing if
/// it is not whole; or the status that refuses it.
fn one(bytes: &[u8]) -> Result<Option<(String, usize, bool)>, u16> {
    let limits = limits();
    // Line by line, so that what is wrong early is found before the end is there.
    let (mut lines, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..bytes.len().min(limits.head_bytes as usize)];
        let Some(len) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.contains(&0) {
                return Err(400);
            }
            let is_long = bytes.len() > limits.head_bytes as usize;
            return if is_long { Err(431) } else { Ok(None) };
        };
        let line = &rest[..len];
        if line.contains(&0) || !line.ends_with(b"\r") {
            return Err(400);
        }
        at += len + 1;
        let line = String::from_utf8_lossy(&line[..len - 1]).into_owned();
        // RFC 9112 §2.2: one empty line may come before a request.
        if line.is_empty() && !(lines.is_empty() && at == 2) {
            break;
        }
        lines.push(line);
    }
    lines.retain(|line| !line.is_empty());
    if lines.is_empty() {
        return Err(400);
    }
    let first = lines.remove(0);
    let [method, path, version] = first.split(' ').collect::<Vec<_>>()[..] else { return Err(400) };
    let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_method || !["HTTP/1.1", "HTTP/1.0"].contains(&version) || !path.starts_with('/') {
        return Err(400);
    }
    let fields: Option<Vec<(String, &str)>> = lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            (is_name && !name.is_empty()).then(|| (name.to_lowercase(), value.trim()))
        })
        .collect();
    // Too many fields are noticed where they are.
    let Some(fields) = fields else { return Err(400) };
    if fields.len() > limits.headers as usize {
        return Err(431);
    }
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(field, _)| field == name).map(|(_, value)| *value).collect()
    };
    let is_old = version == "HTTP/1.0";
    match all("host").len() {
        1 => {}
        0 if is_old => {}
        _ => return Err(400),
    }
    let goes_on = !is_old && !all("connection").contains(&"close");
    let asked = |body: &[u8]| shown(method, path, body);
    let (content, len) = match (&all("transfer-encoding")[..], &all("content-length")[..]) {
        ([], []) => (Vec::new(), 0),
        ([], [digits]) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() => {
            let Ok(len) = digits.parse::<usize>() else { return Err(400) };
            if len > limits.http_body_bytes as usize {
                return Err(413);
            }
            let Some(content) = bytes.get(at..at + len) else { return Ok(None) };
            (content.to_vec(), len)
        }
        (["chunked"], []) if !is_old => match chunks(&bytes[at..])? {
            Some(found) => found,
            None => return Ok(None),
        },
        ([_], []) if !is_old => return Err(501),
        _ => return Err(400),
    };
    Ok(Some((asked(&content), at + len, goes_on)))
}

/// The content of chunks, and how long they are.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    let mut content = Vec::new();
    let mut at = 0;
    let line = |at: &mut usize| -> Result<Option<String>, u16> {
        let Some(len) = bytes[*at..].iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line = &bytes[*at..*at + len];
        *at += len + 1;
        let line = line.strip_suffix(b"\r").ok_or(400_u16)?;
        if line.iter().any(u8::is_ascii_control) {
            return Err(400);
        }
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    };
    loop {
        let Some(size) = line(&mut at)? else { return Ok(None) };
        let digits = size.split_once(';').map_or(size.as_str(), |(digits, _)| digits);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(400);
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| 400_u16)?;
        if size == 0 {
            loop {
                let Some(field) = line(&mut at)? else { return Ok(None) };
                if field.is_empty() {
                    return Ok(Some((content, at)));
                }
                if !field.contains(':') || field.starts_with([' ', ':']) {
                    return Err(400);
                }
            }
        }
        if content.len() + size > limits().http_body_bytes as usize {
            return Err(413);
        }
        content.extend(&bytes[at..bytes.len().min(at + size)]);
        at += size;
        for expected in b"\r\n" {
            match bytes.get(at) {
                Some(byte) if byte == expected => at += 1,
                Some(_) => return Err(400),
                None => return Ok(None),
            }
        }
    }
}

/// Pieces that requests consist of, in any order: as a rule they make some, and some that are wrong.
fn piece() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![
        8 => Just(&b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"[..]),
        4 => Just(&b"HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n"[..]),
        4 => Just(&b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"[..]),
        4 => Just(&b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"[..]),
        4 => Just(&b"POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"[..]),
        4 => Just(&b"3\r\nabc\r\n"[..]),
        4 => Just(&b"0\r\n\r\n"[..]),
        2 => Just(&b"a;x=y\r\n0123456789\r\n"[..]),
        2 => Just(&b"0\r\nX: y\r\n\r\n"[..]),
        1 => Just(&b"GET /old HTTP/1.0\r\n\r\n"[..]),
        1 => Just(&b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"[..]),
        1 => Just(&b"PUT /d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"[..]),
        1 => Just(&b"PUT /d HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"[..]),
        1 => Just(&b"PUT /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"[..]),
        1 => Just(&b"PUT /d HTTP/1.1\r\nHost: h\r\nContent-Length: 65\r\n\r\n"[..]),
        1 => Just(&b"PUT /d HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\n"[..]),
        1 => Just(&b"PUT /d HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"[..]),
        1 => Just(&b"41\r\n"[..]),
        1 => Just(&b"\r\n"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b"X: y\r\n"[..]),
        1 => Just(&b"GET /f HTTP/1.1\r\n"[..]),
        1 => Just(&b"Host: h\r\n"[..]),
        1 => Just(&b"x"[..]),
        1 => Just(&b"\0"[..]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn any_cutting_of_any_bytes_is_the_same_requests_and_answers(
        pieces in prop::collection::vec(piece(), 1..12),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        answers_late in any::<bool>(),
    ) {
        let bytes = pieces.concat();
        let (whole, sent, end) = hear(&bytes, &[], false);
        prop_assert_eq!(&whole, &slowly(&bytes), "{}", bytes.escape_ascii());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let (in_pieces, sent_then, end_then) = hear(&bytes, &cuts, answers_late);
        prop_assert_eq!(in_pieces, whole, "{}", bytes.escape_ascii());
        prop_assert_eq!(sent_then, sent);
        prop_assert_eq!(end_then, end);
    }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn answers_come_in_order_and_nothing_is_parsed_before_its_turn() {
    let limits = Limits::default();
    let config = WebConfig { limits: limits.clone(), compression: None, ..WebConfig::default() };
    let mut web = Web::new(Mirror { answers_late: true, ..Mirror::default() }, config, 1);
    let mut reactor = SimulatedReactor::new(&limits, Moment::ZERO, Timestamp(0));
    let conn = reactor.connect(&mut web, "127.0.0.1:1".parse().unwrap(), usize::MAX);
    reactor.arrive(conn, &GET.repeat(3));
    for _ in 0..3 {
        reactor.turn(&mut web);
    }
    assert_eq!(web.application().asked.len(), 1, "the others wait for its answer");
    let wake = reactor.wake();
    for expected in 2..=3 {
        wake.wake();
        reactor.turn(&mut web);
        reactor.turn(&mut web);
        assert_eq!(web.application().asked.len(), expected);
    }
    wake.wake();
    reactor.turn(&mut web);
    let (sent, end) = reactor.fetch(conn);
    assert_eq!(String::from_utf8(sent).unwrap().matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(end, ServerEnd::Open);
}

#[test]
fn an_answer_for_a_connection_that_has_gone_reaches_nobody() {
    let limits = Limits::default();
    let config = WebConfig { limits: limits.clone(), compression: None, ..WebConfig::default() };
    let mut web = Web::new(Mirror { answers_late: true, ..Mirror::default() }, config, 1);
    let mut reactor = SimulatedReactor::new(&limits, Moment::ZERO, Timestamp(0));
    let peer = "127.0.0.1:1".parse().unwrap();
    let gone = reactor.connect(&mut web, peer, usize::MAX);
    reactor.arrive(gone, GET);
    reactor.turn(&mut web);
    reactor.reset(gone);
    reactor.turn(&mut web);
    let tenant = reactor.connect(&mut web, peer, usize::MAX);
    assert_eq!(tenant.index(), gone.index());
    reactor.arrive(tenant, b"GET /tenant HTTP/1.1\r\nHost: h\r\n\r\n");
    reactor.turn(&mut web);
    assert_eq!(web.application().owed.len(), 2);
    web.application_mut().owed.truncate(1);
    reactor.wake().wake();
    reactor.turn(&mut web);
    assert_eq!(reactor.fetch(tenant).0, b"");
}

#[test]
fn whoever_has_said_all_and_ends_their_half_is_still_answered() {
    let mut world = World::new(&Limits::default(), true);
    world.reactor.arrive(world.conn, GET);
    world.reactor.turn(&mut world.web);
    world.reactor.peer_ends(world.conn);
    world.reactor.turn(&mut world.web);
    assert_eq!(world.sent(), (String::new(), ServerEnd::Open));
    world.turn();
    let (sent, end) = world.sent();
    assert!(sent.starts_with("HTTP/1.1 200 OK\r\n") && sent.ends_with("GET /a "));
    assert_eq!(end, ServerEnd::Closed);
}

#[test]
fn each_wait_has_its_end() {
    let limits = Limits::default();
    // A first head, from the connection's beginning; nothing at all is answered by nothing.
    let mut world = World::new(&limits, false);
    world.pass(limits.handshake_timeout_ms + 50);
    assert_eq!(world.sent(), (String::new(), ServerEnd::Closed));
    let mut world = World::new(&limits, false);
    world.arrive(b"GET ");
    world.pass(limits.handshake_timeout_ms + 50);
    assert!(world.sent().0.starts_with("HTTP/1.1 408 "));
    // The next head, from its first byte.
    let mut world = World::new(&limits, false);
    world.arrive(GET);
    world.pass(limits.http_idle_timeout_ms - 100);
    world.arrive(b"GET ");
    world.pass(limits.handshake_timeout_ms - 100);
    assert_eq!(world.sent().1, ServerEnd::Open);
    world.pass(200);
    let (sent, end) = world.sent();
    assert!(sent.starts_with("HTTP/1.1 408 ") && end == ServerEnd::Ended);
    // A body.
    let mut world = World::new(&limits, false);
    world.arrive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell");
    world.pass(limits.http_body_timeout_ms - 100);
    assert_eq!(world.sent(), (String::new(), ServerEnd::Open));
    world.pass(200);
    assert!(world.sent().0.starts_with("HTTP/1.1 408 "));
    // Another request.
    let mut world = World::new(&limits, false);
    world.arrive(GET);
    world.pass(limits.http_idle_timeout_ms - 100);
    assert_eq!(world.sent().1, ServerEnd::Open);
    world.pass(200);
    assert_eq!(world.sent(), (String::new(), ServerEnd::Ended));
}

#[test]
fn whoever_reads_no_answers_is_not_asked_for_more_and_goes() {
    let limits = Limits { outbox_bytes: 2_048, outbox_low_bytes: 512, ..Limits::default() };
    let config = WebConfig { limits: limits.clone(), compression: None, ..WebConfig::default() };
    let mut web = Web::new(Mirror::default(), config, 1);
    let mut reactor = SimulatedReactor::new(&limits, Moment::ZERO, Timestamp(0));
    let conn = reactor.connect(&mut web, "127.0.0.1:1".parse().unwrap(), 0);
    for _ in 0..1_000 {
        reactor.arrive(conn, &GET.repeat(100));
        reactor.turn(&mut web);
    }
    // One lent buffer, an outbox, and what was just on its way.
    assert!(web.application().asked.len() < 10_000, "{}", web.application().asked.len());
    assert!(reactor.io().waiting_bytes() < 600_000, "{}", reactor.io().waiting_bytes());
    reactor.set_time(Moment::from_millis(limits.stall_timeout_ms + 100), Timestamp(0));
    for _ in 0..3 {
        reactor.turn(&mut web);
    }
    assert_ne!(reactor.fetch(conn).1, ServerEnd::Open);
}

#[test]
fn what_an_ended_connection_sends_is_thrown_away_in_its_own_time() {
    const FLOOD: usize = 2 << 20;
    let mut world = World::new(&limits(), false);
    world.arrive(b"no request\r\n\r\n");
    let (answer, _) = world.reactor.fetch(world.conn);
    assert!(answer.starts_with(b"HTTP/1.1 400"));
    let before = world.reactor.io().counters().bytes_received;
    world.reactor.arrive(world.conn, &vec![b'x'; FLOOD]);
    let mut taken = Vec::new();
    while taken.last() != Some(&(FLOOD as u64)) {
        assert!(taken.len() < 10, "{taken:?}");
        while world.reactor.next_turn() <= Moment::from_millis(world.now) {
            world.reactor.turn(&mut world.web);
        }
        taken.push(world.reactor.io().counters().bytes_received - before);
        world.pass(40);
    }
    let steps: Vec<u64> = std::iter::once(0).chain(taken).collect();
    let most = steps.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(most <= Some(600 * 1024) && steps.len() >= 5, "{steps:?}");
    world.reactor.peer_ends(world.conn);
    world.pass(40);
    world.turn();
    assert_eq!(world.reactor.fetch(world.conn).1, ServerEnd::Closed);
}
