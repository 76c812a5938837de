//! A client that is checked: it connects again and again, and each connection is one case.

use super::case::{Case, CheckFinding, Judgement, Nature, Opens, Play};
use super::judge::{converse, converse_compressed, is_alive};
use super::peer::{Came, Peer};
use super::raw_frame::{PING, RawFrame};
use crate::client::ByteStream;
use crate::http1::RequestHead;
use crate::protocol::deflate::{Codecs, CodecsConfig, Parameters, offer};
use crate::protocol::handshake::Upgrade;
use crate::protocol::{MaskKey, Role};
use crate::reactor::Clock;
use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 128;
/// More masking keys need not be told apart.
const MASKS_MAX: usize = 64;
/// How often it is looked whether a client has connected.
const LOOK: Duration = Duration::from_millis(5);

/// Where clients connect, and what is known of them.
pub(super) struct Clients {
    listener: TcpListener,
    timeout: Duration,
    /// How long the next connection may take.
    patience: Duration,
    pub(super) nature: Nature,
    /// The keys of their requests.
    keys: BTreeSet<String>,
    pub(super) requests: Requests,
}

/// What was seen of their opening requests.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) count: u32,
    pub(super) bad: Option<String>,
    pub(super) repeated_key: Option<String>,
    /// Frames, and their masking keys.
    frames: u32,
    masks: BTreeSet<MaskKey>,
}

impl Requests {
    fn count_masks(&mut self, peer: &Peer) {
        for mask in peer.masks() {
            self.frames += 1;
            if self.masks.len() < MASKS_MAX {
                self.masks.insert(mask);
            }
        }
    }
}

/// A connection whose opening request was read.
struct Arrived {
    stream: ByteStream,
    accept_key: String,
    protocol: Option<String>,
    agreed: Option<(Parameters, String)>,
}

impl Clients {
    pub(super) fn listen(
        address: SocketAddr,
        timeout: Duration,
        patience: Duration,
        nature: Nature,
    ) -> io::Result<Clients> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (keys, requests) = (BTreeSet::new(), Requests::default());
        Ok(Clients { listener, timeout, patience, nature, keys, requests })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Tries a case with the next connection; `None` if none comes.
    pub(super) fn try_case(&mut self, case: &Case) -> Option<CheckFinding> {
        let finding = match self.arrive()? {
            Err(finding) => finding,
            Ok(arrived) => match &case.play {
                Play::Frames(steps, then) => {
                    let mut peer = self.opened(arrived, None);
                    let finding = converse(&mut peer, steps, then, &self.nature);
                    self.requests.count_masks(&peer);
                    finding
                }
                Play::Compressed(compressed) => {
                    let agreed = arrived.agreed.clone();
                    let mut peer = self.opened(arrived, agreed.as_ref());
                    let agreed = agreed.map(|(agreed, _)| agreed);
                    converse_compressed(&mut peer, agreed, compressed, &self.nature)
                }
                Play::Answer(answer, opens) => self.answered(arrived, *answer, *opens),
                Play::Server(_) | Play::Request(..) | Play::Chat(_) => {
                    CheckFinding::open("it is for servers")
                }
            },
        };
        Some(finding)
    }

    /// The next connection, if one comes; or what is wrong with its request.
    fn arrive(&mut self) -> Option<Result<Arrived, CheckFinding>> {
        let clock = Clock::start();
        let socket = loop {
            match self.listener.accept() {
                Ok((socket, _)) => break socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
            if clock.elapsed() > self.patience {
                return None;
            }
            std::thread::sleep(LOOK);
        };
        // Where the listener does not wait, some systems have its connections not wait either.
        let stream = socket.set_nonblocking(false).and_then(|()| ByteStream::accepted(socket));
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                return Some(Err(CheckFinding::fault(format!("the connection: {error}"))));
            }
        };
        Some(self.read_request(stream))
    }

    fn read_request(&mut self, mut stream: ByteStream) -> Result<Arrived, CheckFinding> {
        self.requests.count += 1;
        let (clock, mut bytes) = (Clock::start(), Vec::new());
        while !bytes.ends_with(b"\r\n\r\n") {
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(CheckFinding::fault("its opening request has no end"));
            }
            match stream.read(&mut bytes, self.timeout.saturating_sub(clock.elapsed())) {
                Ok(1..) => {}
                Ok(0) | Err(_) => {
                    return Err(CheckFinding::fault("it connects, and sends no opening request"));
                }
            }
        }
        let judged = RequestHead::parse(&bytes, FIELDS_MAX)
            .map_err(|error| format!("its opening request is not HTTP/1.1: {error:?}"))
            .and_then(|head| {
                let upgrade = Upgrade::judge(&head);
                let upgrade = upgrade.map_err(|refusal| refusal.message.to_string())?;
                let key = head.all("sec-websocket-key").next().unwrap_or_default().to_owned();
                let codecs =
                    Codecs::new(CodecsConfig { context_takeover: true, ..CodecsConfig::default() });
                let agreed = offer::answer(upgrade.extensions(), &codecs);
                let protocol = upgrade.protocols().first().map(|name| (*name).to_owned());
                Ok((key, agreed, protocol))
            });
        let (key, agreed, protocol) = judged.map_err(|fault| {
            self.requests.bad.get_or_insert_with(|| fault.clone());
            CheckFinding::fault(fault)
        })?;
        let accept_key = crate::protocol::handshake::accept_key(&key);
        // RFC 6455 §4.1, 7: chosen anew for each connection.
        if !self.keys.insert(key.clone()) {
            self.requests.repeated_key = Some(key);
        }
        Ok(Arrived { stream, accept_key, protocol, agreed })
    }

    /// Answers an opening request as it is right.
    fn opened(&self, arrived: Arrived, agreed: Option<&(Parameters, String)>) -> Peer {
        let Arrived { mut stream, accept_key, protocol, .. } = arrived;
        let mut head = right_answer(&accept_key, "");
        let mut add = |name: &str, value: &str| {
            head.truncate(head.len() - 2);
            head += &format!("{name}: {value}\r\n\r\n");
        };
        if let Some(protocol) = protocol {
            add("Sec-WebSocket-Protocol", &protocol);
        }
        if let Some((_, line)) = agreed {
            add("Sec-WebSocket-Extensions", line);
        }
        let _ = stream.write(head.as_bytes(), self.timeout);
        let agreed = agreed.map(|(agreed, _)| agreed);
        Peer::new(stream, Role::Server, Vec::new(), agreed, self.timeout)
    }

    /// Answers an opening request in another way, and looks whether the client takes it.
    fn answered(
        &mut self,
        arrived: Arrived,
        answer: fn(&str) -> Vec<u8>,
        opens: Opens,
    ) -> CheckFinding {
        let Arrived { mut stream, accept_key, .. } = arrived;
        let _ = stream.write(&answer(&accept_key), self.timeout);
        let mut peer = Peer::new(stream, Role::Server, Vec::new(), None, self.timeout);
        match opens {
            Opens::Yes if is_alive(&mut peer) => CheckFinding::good(),
            Opens::Yes => {
                CheckFinding::fault("it does not take the answer: a Ping is not answered")
            }
            Opens::No => refuses(&mut peer),
        }
    }
}

/// RFC 6455 §4.1: what is no right answer fails the connection.
fn refuses(peer: &mut Peer) -> CheckFinding {
    peer.send_aside(&RawFrame::new(PING, "answered?"));
    peer.wait(peer.timeout);
    match peer.next() {
        Came::End | Came::Close(..) => CheckFinding::good(),
        Came::Nothing => {
            CheckFinding::note("it keeps the connection open, and does not answer a Ping")
        }
        Came::Violation(error) => CheckFinding::fault(format!("it sends no frames: {error}")),
        _ => CheckFinding::fault("it takes the answer, and sends frames"),
    }
}

fn right_answer(accept_key: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept_key}\r\n{more}\r\n"
    )
}

/// Answers to an opening request, and whether a client takes them.
type AnswerRow = (&'static str, &'static str, fn(&str) -> Vec<u8>, Opens);

const NOT_ONE: &str = "an answer that is not the one that was asked for fails the connection";

const ANSWERS: &[AnswerRow] = &[
    ("answer", "an answer that is right is taken", |key| right_answer(key, "").into(), Opens::Yes),
    (
        "names-in-any-case",
        "names of fields, websocket and Upgrade are read in any case",
        |key| {
            format!(
                "HTTP/1.1 101 Now\r\nUPGRADE: WebSocket\r\nconnection: upgrade\r\n\
                     SEC-WEBSOCKET-ACCEPT:   {key}  \r\nX-Other: 1\r\n\r\n"
            )
            .into()
        },
        Opens::Yes,
    ),
    (
        "frames-behind-the-answer",
        "frames that come with the answer are read",
        |key| [right_answer(key, "").as_bytes(), &[PING, 0]].concat(),
        Opens::Yes,
    ),
    (
        "status-200",
        NOT_ONE,
        |key| {
            right_answer(key, "")
                .replace("101 Switching Protocols", "200 OK\r\nContent-Length: 0")
                .into()
        },
        Opens::No,
    ),
    (
        "no-upgrade",
        NOT_ONE,
        |key| right_answer(key, "").replace("Upgrade: websocket\r\n", "").into(),
        Opens::No,
    ),
    (
        "other-upgrade",
        NOT_ONE,
        |key| right_answer(key, "").replace("Upgrade: websocket", "Upgrade: h2c").into(),
        Opens::No,
    ),
    (
        "no-connection",
        NOT_ONE,
        |key| right_answer(key, "").replace("Connection: Upgrade\r\n", "").into(),
        Opens::No,
    ),
    (
        "no-accept",
        NOT_ONE,
        |key| right_answer(key, "").replace(&format!("Sec-WebSocket-Accept: {key}\r\n"), "").into(),
        Opens::No,
    ),
    (
        "wrong-accept",
        NOT_ONE,
        |_| right_answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "").into(),
        Opens::No,
    ),
    (
        "accept-in-other-case",
        "the accept key is compared letter by letter",
        |key| right_answer(&key.to_lowercase(), "").into(),
        Opens::No,
    ),
    (
        "extension-not-offered",
        "an extension that was not offered fails the connection",
        |key| right_answer(key, "Sec-WebSocket-Extensions: x-parlor-check\r\n").into(),
        Opens::No,
    ),
    (
        "protocol-not-offered",
        "a subprotocol that was not offered fails the connection",
        |key| right_answer(key, "Sec-WebSocket-Protocol: x-parlor-check\r\n").into(),
        Opens::No,
    ),
];

/// Answers to an opening request: RFC 6455 §4.1.
pub(super) fn answers() -> Vec<Case> {
    let rows = ANSWERS.iter();
    let cases = rows.map(|(name, duty, answer, opens)| Case {
        group: "opening",
        name: (*name).into(),
        clause: "RFC 6455 §4.1".into(),
        duty,
        play: Play::Answer(*answer, *opens),
    });
    cases.collect()
}

/// What their requests were like, as findings of their own.
pub(super) fn of_requests(requests: &Requests) -> Vec<(Case, CheckFinding)> {
    let case = |name: &'static str, duty| Case {
        group: "opening",
        name: name.into(),
        clause: "RFC 6455 §4.1".into(),
        duty,
        play: Play::Answer(|key| right_answer(key, "").into(), Opens::Yes),
    };
    let judged = |fault: &Option<String>| match fault {
        None if requests.count == 0 => CheckFinding::open("no connection came"),
        None => CheckFinding::good(),
        Some(fault) => {
            CheckFinding { judgement: Judgement::Fault, seen: fault.clone(), sent: Vec::new() }
        }
    };
    let masks = match (requests.frames, requests.masks.len()) {
        (..4, _) => CheckFinding::open("it has sent fewer than four frames"),
        (frames, 1) => CheckFinding::fault(format!("the keys of {frames} frames are the same")),
        _ => CheckFinding::good(),
    };
    let repeated = requests.repeated_key.as_ref().map(|key| format!("{key} came twice"));
    vec![
        (
            case(
                "requests",
                "each opening request is a GET of HTTP/1.1 with the fields of the clause",
            ),
            judged(&requests.bad),
        ),
        (case("keys", "each connection has a key of its own"), judged(&repeated)),
        (
            Case {
                group: "framing",
                name: "masking-keys".into(),
                clause: "RFC 6455 §5.3, §10.3".into(),
                duty: "each frame has a masking key of its own, which nobody can foretell",
                play: Play::Answer(|key| right_answer(key, "").into(), Opens::Yes),
            },
            masks,
        ),
    ]
}
