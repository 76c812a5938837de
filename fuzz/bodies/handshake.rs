//! The opening handshake with anybody, at both ends: nothing panics, the cuts do not matter, a
//! WebSocket is opened only when every duty of RFC 6455 §4 is kept, permessage-deflate is agreed
//! upon only as RFC 7692 §7.1 lets it, and what is answered or asked is a head that another program
//! can read.
//!
//! ```text
//! byte 0     most bytes of a request's head, in units of 16
//! byte 1     most header fields of a request
//! bytes 2–3  lengths of the pieces, over and over (0 is 1)
//! bytes 4…   the text: a request for the server, an answer for the client, and, line by line, the
//!            host, the target, the subprotocols (between commas) and a field (`name=value`, or a
//!            value) for a request of the client
//! ```

use crate::slow_negotiation::{self as slow, Element};
use parlor::base::limits::SUBPROTOCOLS_MAX;
use parlor::http1::{HeadReader, HttpRefusal, RequestHead};
use parlor::protocol::deflate::{Codecs, CodecsConfig, Offer, offer};
use parlor::protocol::handshake::client::{ClientError, ClientHandshake, ClientRequest, Opened};
use parlor::protocol::handshake::{Upgrade, accept_key};
use std::sync::{Arc, LazyLock};

/// Bytes before the text.
pub(crate) const SETTINGS_BYTES: usize = 4;
/// RFC 6455 §1.3: the answer to the key that the client here asks with.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const NONCE: [u8; 16] = *b"the sample nonce";
const OFFERED: [&str; 2] = ["chat", "superchat"];
/// What a client offers that offers compression.
const DEFLATE: [Offer; 2] = [
    Offer {
        server_no_context_takeover: true,
        client_no_context_takeover: false,
        server_max_window_bits: Some(12),
        client_max_window_bits: Some(None),
    },
    Offer {
        server_no_context_takeover: false,
        client_no_context_takeover: true,
        server_max_window_bits: None,
        client_max_window_bits: Some(Some(10)),
    },
];
/// A server's that takes over no context, and one's that does.
static CODECS: LazyLock<[Arc<Codecs>; 2]> = LazyLock::new(|| {
    [false, true].map(|context_takeover| {
        Codecs::new(CodecsConfig { context_takeover, ..CodecsConfig::default() })
    })
});

/// What both ends made of a text.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// The server's: `None` if the head is not whole.
    pub(crate) server: Option<Result<(), HttpRefusal>>,
    /// The client's, as of an answer: `None` if the head is not whole.
    pub(crate) client: Option<Result<Opened, ClientError>>,
    /// The client's, as of what it shall ask for: `None` if the text is no four lines of UTF-8.
    pub(crate) request: Option<Result<(), ClientError>>,
}

/// Asserts all that is said above; gives what came of the text, or nothing if there was none.
pub(crate) fn handshake(data: &[u8]) -> Option<Verdicts> {
    let (&[head_max, headers_max, piece_lens @ ..], text) =
        data.split_first_chunk::<SETTINGS_BYTES>()?;
    let (head_max, headers_max) = (usize::from(head_max) * 16, usize::from(headers_max));
    Some(Verdicts {
        server: at_server(text, head_max, headers_max, piece_lens),
        client: at_client(text, piece_lens),
        request: request(text),
    })
}

/// Where the pieces end.
fn ends(len: usize, piece_lens: [u8; 2]) -> impl Iterator<Item = usize> {
    let mut lens = piece_lens.into_iter().cycle();
    let next = move |end: &usize| Some(end + usize::from(lens.next()?.max(1)));
    std::iter::successors(Some(0), next).take_while(move |end| *end < len).chain([len])
}

fn at_server(
    text: &[u8],
    head_max: usize,
    headers_max: usize,
    piece_lens: [u8; 2],
) -> Option<Result<(), HttpRefusal>> {
    let whole = HeadReader::default().find_end(text, head_max).transpose();
    let mut reader = HeadReader::default();
    let in_pieces = ends(text.len(), piece_lens)
        .find_map(|end| reader.find_end(&text[..end], head_max).transpose());
    assert_eq!(in_pieces, whole);
    let head = match whole? {
        Ok(len) => &text[..len],
        Err(error) => return Some(Err(refused(error.into()))),
    };
    assert!(head.len() <= head_max);
    assert_eq!(head.windows(4).position(|end| end == b"\r\n\r\n"), Some(head.len() - 4));
    assert!(RequestHead::parse(&head[..head.len() - 1], headers_max).is_err(), "not whole");
    let parsed = match RequestHead::parse(head, headers_max) {
        Ok(parsed) => parsed,
        Err(error) => return Some(Err(refused(error.into()))),
    };
    assert!(parsed.path.starts_with('/') && !parsed.path.contains('?'));
    let _ = parsed.query_value("token");
    let upgrade = match Upgrade::judge(&parsed) {
        Ok(upgrade) => upgrade,
        Err(refusal) => {
            if refusal.message == "Sec-WebSocket-Extensions is not a list of extensions" {
                assert_eq!(extensions(&Head::of(head)), None);
            }
            return Some(Err(refused(refusal)));
        }
    };
    let key = assert_request_keeps_its_duties(head);
    let offered = extensions(&Head::of(head)).expect("a list is refused that is none");
    let protocols = || upgrade.protocols().iter().copied().map(Some);
    for protocol in std::iter::once(None).chain(protocols()) {
        let answer = Head::of(&upgrade.accept(protocol, None).answer);
        assert_is_accepted(&answer, &key, protocol);
        assert_eq!(answer.fields.len(), 3 + usize::from(protocol.is_some()), "and no more");
    }
    for codecs in &*CODECS {
        let accepted = upgrade.accept(None, Some(codecs));
        let answer = Head::of(&accepted.answer);
        assert_is_accepted(&answer, &key, None);
        let agreed = offer::answer(upgrade.extensions(), codecs);
        let named = agreed.as_ref().map(|(agreed, text)| (*agreed, text.as_str()));
        assert_eq!(
            answer.all("sec-websocket-extensions"),
            Vec::from_iter(named.map(|named| named.1))
        );
        assert_eq!(answer.fields.len(), 3 + usize::from(named.is_some()), "and no more");
        assert_eq!(accepted.deflate.is_some(), named.is_some());
        drop(accepted);
        let config = codecs.config();
        let room = config.context_takeover.then_some(config.windows_bytes);
        slow::assert_answer_is_right(&offered, room, named);
    }
    Some(Ok(()))
}

/// RFC 6455 §4.2.2, 5.
fn assert_is_accepted(answer: &Head, key: &str, protocol: Option<&str>) {
    assert_eq!(answer.first, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(answer.body, "");
    assert_eq!(answer.all("sec-websocket-accept"), [accept_key(key)]);
    assert_eq!(answer.all("sec-websocket-protocol"), Vec::from_iter(protocol));
    assert_eq!(
        (answer.all("upgrade"), answer.all("connection")),
        (vec!["websocket"], vec!["Upgrade"])
    );
}

/// The extensions of all lines of the field; `None` if one of them is no list.
fn extensions(head: &Head) -> Option<Vec<Element>> {
    let lists = head.all("sec-websocket-extensions").into_iter().map(slow::list);
    lists.collect::<Option<Vec<_>>>().map(|lists| lists.concat())
}

/// Asserts that the answer to a refused request is one that another program can read.
fn refused(refusal: HttpRefusal) -> HttpRefusal {
    let answer = Head::of(&refusal.to_bytes());
    let status = answer.first.strip_prefix("HTTP/1.1 ").unwrap();
    assert!(["400 ", "405 ", "426 ", "431 "].iter().any(|code| status.starts_with(code)));
    assert_eq!(answer.all("connection"), ["close"]);
    assert_eq!(answer.all("content-length"), [answer.body.len().to_string()]);
    let body = answer.body.trim_end();
    assert!(body.starts_with(r#"{"error":{"code":""#) && body.ends_with(r#""}}"#));
    assert!(!body.contains(|c: char| c.is_control()));
    refusal
}

/// RFC 6455 §4.2.1, read off the lines of a head that was accepted; gives the key.
fn assert_request_keeps_its_duties(bytes: &[u8]) -> String {
    let head = Head::of(bytes);
    assert!(head.first.starts_with("GET ") && head.first.ends_with(" HTTP/1.1"));
    let hosts = head.all("host");
    let [host] = hosts[..] else { panic!("{} hosts", hosts.len()) };
    assert!(!host.contains(|c: char| !c.is_ascii_graphic() || "/?#@\\\"<>^`{|}".contains(c)));
    assert!(!head.first.contains('#') && head.first.is_ascii());
    assert!(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"));
    assert_eq!(head.all("sec-websocket-version"), ["13"]);
    // What follows the head is frames, for everybody who reads it.
    assert_eq!(head.all("transfer-encoding").len(), 0);
    assert!(head.all("content-length").iter().all(|len| *len == "0"));
    let keys = head.all("sec-websocket-key");
    let [key] = keys[..] else { panic!("{} keys", keys.len()) };
    // Sixteen bytes in base64: 21 digits of six bits, one of two bits, two that fill up.
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    assert!(key.len() == 24 && key.ends_with("=="));
    assert!(key.bytes().take(22).all(is_digit) && b"AQgw".contains(&key.as_bytes()[21]));
    key.to_owned()
}

/// A client that offers compression, and one that does not: they differ in that.
fn at_client(text: &[u8], piece_lens: [u8; 2]) -> Option<Result<Opened, ClientError>> {
    let plain = judged_by_client(text, piece_lens, &[]);
    let compressing = judged_by_client(text, piece_lens, &DEFLATE);
    match (&plain, &compressing) {
        (Some(Err(ClientError::Extension)), Some(_)) => {}
        (plain, compressing) => assert_eq!(plain, compressing),
    }
    compressing
}

fn judged_by_client(
    text: &[u8],
    piece_lens: [u8; 2],
    offers: &[Offer],
) -> Option<Result<Opened, ClientError>> {
    let request = ClientRequest {
        host: "server.example.com",
        target: "/chat",
        protocols: &OFFERED,
        deflate: offers,
        fields: &[],
    };
    let handshake = ClientHandshake::new(request, NONCE).unwrap();
    let whole = handshake.judge(text).transpose();
    let in_pieces =
        ends(text.len(), piece_lens).find_map(|end| handshake.judge(&text[..end]).transpose());
    assert_eq!(in_pieces, whole);
    if let Some(Ok(opened)) = &whole {
        // RFC 6455 §4.1, what must be validated in the answer.
        let head = Head::of(&text[..opened.head_len]);
        assert!(head.first.starts_with("HTTP/1.1 101"));
        assert_eq!(head.all("upgrade").len(), 1);
        assert!(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"));
        assert_eq!(head.all("sec-websocket-accept"), [ACCEPT]);
        let agreed = head.all("sec-websocket-extensions").into_iter().map(|line| {
            let list = slow::list(line).expect("an answer is a list");
            let [element] = &list[..] else { panic!("one extension: {line}") };
            slow::agreed(offers, element).expect("the answer accepts one of the offers")
        });
        assert_eq!(Vec::from_iter(agreed), Vec::from_iter(opened.deflate));
        assert_eq!(head.all("sec-websocket-protocol"), Vec::from_iter(opened.protocol.as_deref()));
        assert!(opened.protocol.iter().all(|protocol| OFFERED.contains(&protocol.as_str())));
        assert_eq!(handshake.judge(&text[..opened.head_len - 1]), Ok(None), "not whole");
    }
    whole
}

/// A request that the client makes of anything is one head and no more, and our server takes it.
fn request(text: &[u8]) -> Option<Result<(), ClientError>> {
    let mut lines = std::str::from_utf8(text).ok()?.splitn(4, '\n');
    let (host, target, protocols) = (lines.next()?, lines.next()?, lines.next()?);
    let protocols = Vec::from_iter(protocols.split(','));
    let field = lines.next()?;
    let fields = [field.split_once('=').unwrap_or(("X-Field", field))];
    let request =
        ClientRequest { host, target, protocols: &protocols, deflate: &DEFLATE, fields: &fields };
    let handshake = match ClientHandshake::new(request, NONCE) {
        Ok(handshake) => handshake,
        Err(error) => return Some(Err(error)),
    };
    let bytes = handshake.request();
    assert_eq!(HeadReader::default().find_end(bytes, bytes.len()), Ok(Some(bytes.len())));
    let head = RequestHead::parse(bytes, 16).expect("our server reads what our client asks");
    assert_eq!(head.host, host);
    let [(name, value)] = fields;
    let asked = Head::of(bytes);
    assert_eq!(asked.all(&name.to_ascii_lowercase()), [value.trim_matches(' ')]);
    assert_eq!(asked.fields.len(), 8, "and no more");
    let upgrade = match Upgrade::judge(&head) {
        // A limit of the server's.
        Err(_) if protocols.len() > SUBPROTOCOLS_MAX => return Some(Ok(())),
        upgrade => upgrade.expect("our server takes what our client asks"),
    };
    assert_eq!(upgrade.protocols(), protocols);
    let protocol = protocols[protocols.len() / 2];
    for codecs in [None, Some(&CODECS[0]), Some(&CODECS[1])] {
        let answer = upgrade.accept(Some(protocol), codecs).answer;
        let deflate = codecs.and_then(|codecs| offer::answer(upgrade.extensions(), codecs));
        assert_eq!(deflate.is_some(), codecs.is_some());
        let opened = Opened {
            head_len: answer.len(),
            protocol: Some(protocol.to_owned()),
            deflate: deflate.map(|(_, field)| {
                let list = slow::list(&field).expect("an answer is a list");
                slow::agreed(&DEFLATE, &list[0]).expect("our client takes what our server answers")
            }),
        };
        assert_eq!(handshake.judge(&answer), Ok(Some(opened)));
    }
    Some(Ok(()))
}

/// A head and what follows it, taken apart without any of the code that is tried here.
struct Head {
    first: String,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    body: String,
}

impl Head {
    /// Takes apart a head, asserting its form: lines, names that are tokens, an empty line.
    fn of(bytes: &[u8]) -> Head {
        // RFC 9112 §2.2: lines may come before the first; and a lone LF, in an answer, ends a line.
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        let (head, body) = text.trim_start_matches('\n').split_once("\n\n").expect("an empty line");
        let mut lines = head.split('\n');
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a colon");
            let is_token_byte =
                |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
            assert!(!name.is_empty() && name.bytes().all(is_token_byte), "{name:?}");
            assert!(!value.contains(|c: char| c.is_control()
                && c != '\t'
                && !('\u{80}'..='\u{9f}').contains(&c)));
            (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
        });
        let fields = fields.collect();
        Head { first, fields, body: body.to_owned() }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.fields.iter().filter(|(field, _)| field == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        let all = self.all(name);
        let mut items = all.iter().flat_map(|value| value.split(','));
        items.any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }
}
