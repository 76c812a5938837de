//! Negotiates permessage-deflate (RFC 7692 §5, §7.1): offers, the answer, and its validation.
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

/// The agreed parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The server begins each message with an empty window (RFC 7692 §7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client begins each message with an empty window (RFC 7692 §7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The server's window is at most 2^this bytes: 8 to 15 (RFC 7692 §7.1.2.1).
    pub server_max_window_bits: u8,
    /// The client's window is at most 2^this bytes (RFC 7692 §7.1.2.2).
    pub client_max_window_bits: u8,
}

/// The agreed parameters for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Each message begins with an empty window.
    pub no_context_takeover: bool,
    /// The window is at most 2^this bytes: 8 to 15.
    pub max_window_bits: u8,
}

/// What a bare `permessage-deflate` agrees to: context takeover with windows of 32 KiB.
impl Default for Parameters {
    fn default() -> Parameters {
        Offer::default().parameters()
    }
}

impl Parameters {
    /// The parameters for what the server sends.
    #[must_use]
    pub const fn of_server(&self) -> Direction {
        Direction {
            no_context_takeover: self.server_no_context_takeover,
            max_window_bits: self.server_max_window_bits,
        }
    }

    /// The parameters for what the client sends.
    #[must_use]
    pub const fn of_client(&self) -> Direction {
        Direction {
            no_context_takeover: self.client_no_context_takeover,
            max_window_bits: self.client_max_window_bits,
        }
    }
}

/// One alternative that a client offers. A request may have several, in order of preference (RFC
/// 7692 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Asks the server not to take over its context.
    pub server_no_context_takeover: bool,
    /// Announces that the client will not take over its context, whatever the answer.
    pub client_no_context_takeover: bool,
    /// Asks for a server window of at most 2^this bytes.
    pub server_max_window_bits: Option<u8>,
    /// Lets the server limit the client's window, which will be at most 2^this bytes.
    pub client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// The offer as a request's field value.
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

    /// RFC 7692 §7.1: an offer is declined if a parameter is unknown, occurs twice or has an
    /// invalid value.
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

    /// Its parameters, with the largest windows where it names none.
    fn parameters(&self) -> Parameters {
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX),
            client_max_window_bits: self
                .client_max_window_bits
                .flatten()
                .unwrap_or(WINDOW_BITS_MAX),
        }
    }

    /// The parameters with which this server accepts the offer, if it does.
    fn taken_by(&self, codecs: &Codecs) -> Option<Parameters> {
        let asked = self.parameters();
        // RFC 7692 §7.1.2.1: with 8 the window is 256 bytes. The library's would be 512, so the
        // server does not support this value.
        if asked.server_max_window_bits == WINDOW_BITS_MIN {
            return None;
        }
        // RFC 7692 §7.1.2.2: the server reserves no window that the client will not use.
        let windows =
            (1usize << asked.server_max_window_bits) + (1usize << asked.client_max_window_bits);
        let config = codecs.config();
        let takes_over = config.context_takeover
            && codecs.windows_bytes().saturating_add(windows) <= config.windows_bytes;
        Some(Parameters {
            server_no_context_takeover: asked.server_no_context_takeover || !takes_over,
            client_no_context_takeover: asked.client_no_context_takeover || !takes_over,
            ..asked
        })
    }

    /// Whether a server's answer `told` can accept this offer.
    fn is_accepted_by(&self, told: &Offer) -> bool {
        // RFC 7692 §7.1.1.1 and §7.1.2.1: a server accepts a request for a parameter by repeating
        // it; §7.1.2.2: it limits a client's window only if the client allows it.
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

/// Answers the extensions that a client offers with the first acceptable one (RFC 7692 §5.1): the
/// agreed parameters and the field value. `None` if none is acceptable.
#[must_use]
pub fn answer(offered: &[Extension<'_>], codecs: &Codecs) -> Option<(Parameters, String)> {
    offered.iter().filter(|extension| extension.name == NAME).find_map(|extension| {
        let offer = Offer::read(extension)?;
        let agreed = offer.taken_by(codecs)?;
        let mut text = field(
            agreed.server_no_context_takeover,
            agreed.client_no_context_takeover,
            // RFC 7692 §7.1.2.1: a client that asks for it must get it in the answer.
            offer.server_max_window_bits.map(|_| agreed.server_max_window_bits),
        );
        // RFC 7692 §7.1.2.2: allowed only if the client offered it, and with no larger value.
        if let Some(Some(_)) = offer.client_max_window_bits {
            text += &format!("; {CLIENT_MAX_WINDOW_BITS}={}", agreed.client_max_window_bits);
        }
        Some((agreed, text))
    })
}

/// No offer allows this answer: the connection must be failed (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAnswer;

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer's permessage-deflate is not one that was offered")
    }
}

impl std::error::Error for BadAnswer {}

/// Checks a server's answer against the client's offers.
///
/// An answer that accepts several offers does not say which one it means, and the server may rely
/// on any statement they made about the client (RFC 7692 §7.1.1.2, §7.1.2.2). So the client keeps
/// to all of them.
///
/// # Errors
/// [`BadAnswer`] if a parameter is unknown, occurs twice or has an invalid value, or if the answer
/// accepts none of the offers.
pub fn agreed(offers: &[Offer], answer: &Extension<'_>) -> Result<Parameters, BadAnswer> {
    if answer.name != NAME {
        return Err(BadAnswer);
    }
    let told = Offer::read(answer).ok_or(BadAnswer)?;
    // RFC 7692 §7.1.2.2: in an answer it has a value.
    if told.client_max_window_bits == Some(None) {
        return Err(BadAnswer);
    }
    let mut kept = told.parameters();
    let mut accepted = offers.iter().filter(|offer| offer.is_accepted_by(&told)).peekable();
    accepted.peek().ok_or(BadAnswer)?;
    for offer in accepted {
        let said = offer.parameters();
        kept.client_no_context_takeover |= said.client_no_context_takeover;
        kept.client_max_window_bits = kept.client_max_window_bits.min(said.client_max_window_bits);
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
