//! What two ends agree upon of permessage-deflate, with anybody: a line of the field is read as the
//! plain reader reads it; the server's answer to any offers keeps RFC 7692 §7.1, and the client
//! takes only what §7.1 lets it; and when ours speak with each other, the client uses no more than
//! the server keeps, and just that where there was one offer.
//!
//! ```text
//! byte 0     bit 0: the server takes over context; bits 1–2: how many offers the client makes
//! byte 1     what the server's windows may come to, in units of 512 bytes
//! bytes 2–7  the client's offers: a byte of flags (bit 0: server_no_context_takeover; bit 1:
//!            client_no_context_takeover; bit 2: server_max_window_bits; bit 3:
//!            client_max_window_bits; bit 4: with a value), and a byte of values, the client's above
//! bytes 8…   a line of the field: offers to the server, and an answer to the client
//! ```

use crate::slow_negotiation::{self as slow, Element};
use parlor::http1::RequestHead;
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Offer, Parameters, offer};
use parlor::protocol::extensions::{self, Extension};
use parlor::protocol::handshake::Upgrade;
use parlor::protocol::handshake::client::{ClientError, ClientHandshake, ClientRequest};
use std::sync::Arc;

/// Bytes before the line.
pub(crate) const SETTINGS_BYTES: usize = 8;

/// What came of a line.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// What the server agrees to, and the field in which it says so.
    pub(crate) server: Option<(Parameters, String)>,
    /// What the client agrees to, if it takes the line for an answer.
    pub(crate) client: Option<Parameters>,
    /// What our two ends agree to.
    pub(crate) both: Option<Parameters>,
}

/// Asserts all that is said above; gives what came of it, or nothing if there is no line, or one
/// that is no list.
pub(crate) fn deflate_offer(data: &[u8]) -> Option<Verdicts> {
    let (&[flags, room, offers @ ..], line) = data.split_first_chunk::<SETTINGS_BYTES>()?;
    let config = CodecsConfig {
        context_takeover: flags & 1 != 0,
        windows_bytes: usize::from(room) * 512,
        ..CodecsConfig::default()
    };
    let codecs = Codecs::new(config);
    let offers = offers.as_chunks().0.iter().take(usize::from(flags >> 1 & 3)).copied();
    let offers: Vec<Offer> = offers.map(client_offer).collect();
    let both = between_ours(&offers, &codecs);

    let line = std::str::from_utf8(line).ok()?;
    let read = extensions::parse(line);
    let plainly = slow::list(line);
    assert_eq!(read.as_deref().ok().map(elements), plainly, "{line:?}");
    let (list, elements) = (read.ok()?, plainly?);
    let answer = at_server(&list, &elements, &codecs);
    for (extension, element) in list.iter().zip(&elements) {
        let agreed = offer::agreed(&offers, extension).ok();
        assert_eq!(agreed, slow::agreed(&offers, element), "{offers:?}: {line:?}");
    }
    Some(Verdicts { server: answer, client: at_client(&offers, line, &elements), both })
}

fn client_offer([flags, bits]: [u8; 2]) -> Offer {
    let is_set = |bit: u8| flags & 1 << bit != 0;
    Offer {
        server_no_context_takeover: is_set(0),
        client_no_context_takeover: is_set(1),
        server_max_window_bits: is_set(2).then_some(bits & 0x0F),
        client_max_window_bits: is_set(3).then_some(is_set(4).then_some(bits >> 4)),
    }
}

fn elements(list: &[Extension<'_>]) -> Vec<Element> {
    let owned = |extension: &Extension<'_>| {
        let params = extension.params.iter().map(|param| {
            (param.name.to_owned(), param.value.as_ref().map(|value| value.clone().into_owned()))
        });
        (extension.name.to_owned(), params.collect())
    };
    list.iter().map(owned).collect()
}

/// One client after the other offers the same, until the windows are full.
fn at_server(
    list: &[Extension<'_>],
    elements: &[Element],
    codecs: &Arc<Codecs>,
) -> Option<(Parameters, String)> {
    let CodecsConfig { context_takeover, windows_bytes: most, .. } = *codecs.config();
    let mut connections = Vec::new();
    let mut first = None;
    let mut taken = 0;
    for _ in 0..3 {
        let room = context_takeover.then_some(most - taken);
        let answer = offer::answer(list, codecs);
        let shown = answer.as_ref().map(|(parameters, text)| (*parameters, text.as_str()));
        slow::assert_answer_is_right(elements, room, shown);
        let Some((agreed, text)) = answer else { break };
        connections.push(Deflate::server(&agreed, codecs));
        taken += slow::windows_bytes(&agreed);
        assert_eq!(codecs.windows_bytes(), taken);
        assert!(taken <= most);
        first.get_or_insert((agreed, text));
    }
    drop(connections);
    assert_eq!(codecs.windows_bytes(), 0, "what is closed has no window");
    first
}

/// The line as the field of an answer.
fn at_client(offers: &[Offer], line: &str, elements: &[Element]) -> Option<Parameters> {
    let handshake = client(offers).ok()?;
    let is_printable = |byte: u8| byte == b'\t' || (b' '..0x7F).contains(&byte);
    if !line.bytes().all(is_printable) {
        return None;
    }
    let answer = format!("{ANSWER}Sec-WebSocket-Extensions: {line}\r\n\r\n");
    let agreed = match elements {
        [element] => slow::agreed(offers, element),
        _ => None,
    };
    let judged = handshake.judge(answer.as_bytes()).map(|opened| opened.unwrap().deflate);
    assert_eq!(judged, agreed.map(Some).ok_or(ClientError::Extension), "{offers:?}: {line:?}");
    agreed
}

/// What our client asks our server, and both then do.
fn between_ours(offers: &[Offer], codecs: &Arc<Codecs>) -> Option<Parameters> {
    let handshake = client(offers);
    let is_window = |bits: Option<u8>| bits.is_none_or(|bits| (8..=15).contains(&bits));
    let are_valid = offers.iter().all(|offer| {
        is_window(offer.server_max_window_bits) && is_window(offer.client_max_window_bits.flatten())
    });
    assert_eq!(handshake.is_ok(), are_valid);
    let handshake = handshake.ok()?;
    let head = RequestHead::parse(handshake.request(), 16).expect("a head");
    let upgrade = Upgrade::judge(&head).expect("our server takes what our client asks");
    assert_eq!(upgrade.extensions().len(), offers.len());
    let at_server = offer::answer(upgrade.extensions(), codecs).map(|(agreed, _)| agreed);
    let accepted = upgrade.accept(None, Some(codecs));
    assert_eq!(accepted.deflate.is_some(), at_server.is_some());
    let opened = handshake.judge(&accepted.answer).expect("our client takes our server's answer");
    let at_client = opened.unwrap().deflate;
    assert_eq!(at_client.is_some(), at_server.is_some(), "{offers:?}");
    if let (Some(client), Some(server)) = (at_client, at_server) {
        assert_eq!(client.of_server(), server.of_server(), "{offers:?}");
        let (uses, may) = (client.of_client(), server.of_client());
        assert!(uses.no_context_takeover || !may.no_context_takeover, "{offers:?}");
        assert!(uses.max_window_bits <= may.max_window_bits, "{offers:?}");
        if offers.len() == 1 {
            assert_eq!(client, server, "{offers:?}");
        }
    }
    at_server
}

fn client(offers: &[Offer]) -> Result<ClientHandshake, ClientError> {
    let request =
        ClientRequest { host: "a", target: "/", protocols: &[], deflate: offers, fields: &[] };
    ClientHandshake::new(request, *b"the sample nonce")
}

/// RFC 6455 §1.3: the answer to that nonce, without its last line.
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                      Connection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
