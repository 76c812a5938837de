//! What two ends agree upon (RFC 7692 §5, §7.1): offers, the answer, and how it is judged.
//!
//! Does not read header fields: `handshake::extensions` does.

use super::{Codecs, NAME};
use crate::protocol::extensions::Extension;
use std::fmt;

/// The smallest window, as the exponent of its size (RFC 7692 §7.1.2).
pub const WINDOW_BITS_MIN: u8 = 8;
/// The largest window, which is DEFLATE's own: 32 KiB.
pub const WINDOW_BITS_MAX: u8 = 15;

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The server begins each message with an empty window (RFC 7692 §7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client does (RFC 7692 §7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The server's window is 2^this bytes at most: 8 to 15 (RFC 7692 §7.1.2.1).
    pub server_max_window_bits: u8,
    /// The client's is (RFC 7692 §7.1.2.2).
    pub client_max_window_bits: u8,
}

/// What was agreed for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Each message begins with an empty window.
    pub no_context_takeover: bool,
    /// The window is 2^this bytes at most: 8 to 15.
    pub max_window_bits: u8,
}

/// What a bare `permessage-deflate` agrees to: contexts are taken over, in windows of 32 KiB.
impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WINDOW_BITS_MAX,
            client_max_window_bits: WINDOW_BITS_MAX,
        }
    }
}

impl Parameters {
    /// What the server sends keeps to this.
    #[must_use]
    pub const fn of_server(&self) -> Direction {
        Direction {
            no_context_takeover: self.server_no_context_takeover,
            max_window_bits: self.server_max_window_bits,
        }
    }

    /// What the client sends keeps to this.
    #[must_use]
    pub const fn of_client(&self) -> Direction {
        Direction {
            no_context_takeover: self.client_no_context_takeover,
            max_window_bits: self.client_max_window_bits,
        }
    }
}

/// One alternative that a client offers. A request may have several, the one it likes best first
/// (RFC 7692 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Asks that the server takes over no context.
    pub server_no_context_takeover: bool,
    /// Tells that the client is not going to, whatever the answer.
    pub client_no_context_takeover: bool,
    /// Asks for a server's window of at most 2^this bytes.
    pub server_max_window_bits: Option<u8>,
    /// Lets the server limit the client's window, which is going to be of 2^this bytes at most.
    pub client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// The offer for a request's field.
    #[must_use]
    pub fn to_field(&self) -> String {
        let client = self.client_max_window_bits.map(|bits| match bits {
            Some(bits) => format!("; {CLIENT_MAX_WINDOW_BITS}={bits}"),
            None => format!("; {CLIENT_MAX_WINDOW_BITS}"),
        });
        field(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
        ) + &client.unwrap_or_default()
    }

    /// Whether its windows have 8 to 15 bits.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let bits = [self.server_max_window_bits, self.client_max_window_bits.flatten()];
        bits.iter().flatten().all(|bits| (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(bits))
    }

    /// RFC 7692 §7.1: an offer with a parameter that is not defined, that comes twice or has a
    /// value that it must not have is declined.
    fn read(extension: &Extension<'_>) -> Option<Offer> {
        let mut offer = Offer::default();
        for param in &extension.params {
            match (param.name, param.value.as_deref()) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) if !offer.server_no_context_takeover => {
                    offer.server_no_context_takeover = true;
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) if !offer.client_no_context_takeover => {
                    offer.client_no_context_takeover = true;
                }
                (SERVER_MAX_WINDOW_BITS, Some(bits)) if offer.server_max_window_bits.is_none() => {
                    offer.server_max_window_bits = Some(window_bits(bits)?);
                }
                (CLIENT_MAX_WINDOW_BITS, bits) if offer.client_max_window_bits.is_none() => {
                    offer.client_max_window_bits = Some(match bits {
                        Some(bits) => Some(window_bits(bits)?),
                        None => None,
                    });
                }
                _ => return None,
            }
        }
        Some(offer)
    }

    /// What this server makes of an offer that it takes.
    fn taken_by(self, codecs: &Codecs) -> Option<Parameters> {
        let server_max_window_bits = self.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
        // RFC 7692 §7.1.2.1: with 8 the window is 256 bytes. The library's would be 512, so that
        // this is one of the values that the server does not support.
        if server_max_window_bits == WINDOW_BITS_MIN {
            return None;
        }
        // RFC 7692 §7.1.2.2: what the client is not going to use need not be kept for it.
        let client_max_window_bits =
            self.client_max_window_bits.flatten().unwrap_or(WINDOW_BITS_MAX);
        let windows = (1usize << server_max_window_bits) + (1usize << client_max_window_bits);
        let config = codecs.config();
        let takes_over = config.context_takeover
            && codecs.windows_bytes().saturating_add(windows) <= config.windows_bytes;
        Some(Parameters {
            server_no_context_takeover: self.server_no_context_takeover || !takes_over,
            client_no_context_takeover: self.client_no_context_takeover || !takes_over,
            server_max_window_bits,
            client_max_window_bits,
        })
    }

    /// Whether a server that answered `told` may mean this offer.
    fn is_accepted_by(&self, told: &Offer) -> bool {
        // RFC 7692 §7.1.1.1 and §7.1.2.1: a server accepts what it is asked for by saying it;
        // §7.1.2.2: it limits only a client that lets it.
        let takeover = !self.server_no_context_takeover || told.server_no_context_takeover;
        let server_bits = match (self.server_max_window_bits, told.server_max_window_bits) {
            (Some(asked), Some(told)) => told <= asked,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let client_bits = match (self.client_max_window_bits, told.client_max_window_bits.flatten())
        {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(None), Some(_)) => true,
            (Some(Some(most)), Some(told)) => told <= most,
        };
        takeover && server_bits && client_bits
    }
}

/// The server's answer to the extensions that a client offers, if there is one that it takes: what
/// is agreed, and the field that says so. The first that can be taken is (RFC 7692 §5.1).
#[must_use]
pub fn answer(offered: &[Extension<'_>], codecs: &Codecs) -> Option<(Parameters, String)> {
    offered.iter().filter(|extension| extension.name == NAME).find_map(|extension| {
        let offer = Offer::read(extension)?;
        let agreed = offer.taken_by(codecs)?;
        let mut text = field(
            agreed.server_no_context_takeover,
            agreed.client_no_context_takeover,
            // RFC 7692 §7.1.2.1: who asks for it must be told.
            offer.server_max_window_bits.map(|_| agreed.server_max_window_bits),
        );
        // RFC 7692 §7.1.2.2: only who offers it may be told, and with nothing that is larger.
        if let Some(Some(_)) = offer.client_max_window_bits {
            text += &format!("; {CLIENT_MAX_WINDOW_BITS}={}", agreed.client_max_window_bits);
        }
        Some((agreed, text))
    })
}

/// The answer is not one that the offers allow: the connection must be failed (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAnswer;

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer's permessage-deflate is not one that was offered")
    }
}

impl std::error::Error for BadAnswer {}

/// Judges a server's answer by the offers that it answers.
///
/// Where it accepts several of them, the server does not say which it means, and may rely on what
/// any of them told it about the client (RFC 7692 §7.1.1.2, §7.1.2.2). So the client keeps to all.
///
/// # Errors
/// [`BadAnswer`] when it has a parameter that is not defined, comes twice, has no valid value, or
/// when none of the offers is accepted by it.
pub fn agreed(offers: &[Offer], answer: &Extension<'_>) -> Result<Parameters, BadAnswer> {
    if answer.name != NAME {
        return Err(BadAnswer);
    }
    let told = Offer::read(answer).ok_or(BadAnswer)?;
    // RFC 7692 §7.1.2.2: in an answer it has a value.
    if told.client_max_window_bits == Some(None) {
        return Err(BadAnswer);
    }
    let plain = Parameters::default();
    let mut kept = Parameters {
        server_no_context_takeover: told.server_no_context_takeover,
        client_no_context_takeover: told.client_no_context_takeover,
        server_max_window_bits: told.server_max_window_bits.unwrap_or(plain.server_max_window_bits),
        client_max_window_bits: told
            .client_max_window_bits
            .flatten()
            .unwrap_or(plain.client_max_window_bits),
    };
    let mut accepted = offers.iter().filter(|offer| offer.is_accepted_by(&told)).peekable();
    accepted.peek().ok_or(BadAnswer)?;
    for offer in accepted {
        kept.client_no_context_takeover |= offer.client_no_context_takeover;
        let hint = offer.client_max_window_bits.flatten().unwrap_or(WINDOW_BITS_MAX);
        kept.client_max_window_bits = kept.client_max_window_bits.min(hint);
    }
    Ok(kept)
}

fn field(server_no: bool, client_no: bool, server_bits: Option<u8>) -> String {
    let mut text = NAME.to_owned();
    for (is_there, name) in
        [(server_no, SERVER_NO_CONTEXT_TAKEOVER), (client_no, CLIENT_NO_CONTEXT_TAKEOVER)]
    {
        if is_there {
            text += "; ";
            text += name;
        }
    }
    if let Some(bits) = server_bits {
        text += &format!("; {SERVER_MAX_WINDOW_BITS}={bits}");
    }
    text
}

/// RFC 7692 §7.1.2: a decimal integer from 8 to 15 without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let is_plain = !text.starts_with('0');
    (is_plain && (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&bits)).then_some(bits)
}
