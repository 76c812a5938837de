//! The list of extensions (RFC 6455 §9.1) and what is agreed of permessage-deflate (RFC 7692 §5,
//! §7.1), read and judged a second time, and plainly. It shares no code with
//! `handshake::extensions` and `deflate::offer`, which it is there to contradict.

use parlor::protocol::deflate::{Offer, Parameters};

const NAME: &str = "permessage-deflate";

/// An element of the list: a name, and parameters with and without values.
pub(crate) type Element = (String, Vec<(String, Option<String>)>);

/// What a line is made of.
enum Word {
    Token(String),
    Quoted(String),
    Mark(char),
}

/// The elements of one line; `None` if it is no list of at least one.
pub(crate) fn list(line: &str) -> Option<Vec<Element>> {
    let words = words(line)?;
    let elements = words.split(|word| matches!(word, Word::Mark(',')));
    let elements = elements.filter(|words| !words.is_empty()).map(element);
    elements.collect::<Option<Vec<Element>>>().filter(|elements| !elements.is_empty())
}

fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            ' ' | '\t' => {}
            ',' | ';' | '=' => words.push(Word::Mark(first)),
            '"' => {
                let mut text = String::new();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => text.push(rest.next()?),
                        other => text.push(other),
                    }
                }
                words.push(Word::Quoted(text));
            }
            _ => {
                let mut token = String::from(first);
                while let Some(next) = rest.next_if(|next| !" \t,;=\"".contains(*next)) {
                    token.push(next);
                }
                words.push(Word::Token(token));
            }
        }
    }
    // §9.1: a quoted string must be a token, too, when it is unquoted.
    let are_tokens = words.iter().all(|word| match word {
        Word::Token(text) | Word::Quoted(text) => is_token(text),
        Word::Mark(_) => true,
    });
    are_tokens.then_some(words)
}

/// RFC 2616 §2.2: any character except controls and separators.
fn is_token(text: &str) -> bool {
    let is_token_character =
        |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={} \t".contains(c);
    !text.is_empty() && text.chars().all(is_token_character)
}

fn element(words: &[Word]) -> Option<Element> {
    let mut parts = words.split(|word| matches!(word, Word::Mark(';')));
    let [Word::Token(name)] = parts.next()? else { return None };
    let params = parts.map(|part| match part {
        [Word::Token(name)] => Some((name.clone(), None)),
        [Word::Token(name), Word::Mark('='), Word::Token(value) | Word::Quoted(value)] => {
            Some((name.clone(), Some(value.clone())))
        }
        _ => None,
    });
    Some((name.clone(), params.collect::<Option<_>>()?))
}

/// RFC 7692 §7.1: the parameters of an offer or an answer, if they are such.
pub(crate) fn read((name, params): &Element) -> Option<Offer> {
    const BITS: [&str; 8] = ["8", "9", "10", "11", "12", "13", "14", "15"];
    let bits = |value: &String| {
        let place = BITS.iter().position(|bits| bits == value)?;
        Some(place as u8 + 8)
    };
    let only = |wanted: &str| -> Option<Option<&Option<String>>> {
        let mut values = params.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
        let value = values.next();
        values.next().is_none().then_some(value)
    };
    let flag = |wanted: &str| match only(wanted)? {
        None => Some(false),
        Some(None) => Some(true),
        Some(Some(_)) => None,
    };
    let is_known = |name: &str| {
        name == "server_no_context_takeover"
            || name == "client_no_context_takeover"
            || name == "server_max_window_bits"
            || name == "client_max_window_bits"
    };
    if name != NAME || !params.iter().all(|(name, _)| is_known(name)) {
        return None;
    }
    Some(Offer {
        server_no_context_takeover: flag("server_no_context_takeover")?,
        client_no_context_takeover: flag("client_no_context_takeover")?,
        server_max_window_bits: match only("server_max_window_bits")? {
            None => None,
            Some(None) => return None,
            Some(Some(value)) => Some(bits(value)?),
        },
        client_max_window_bits: match only("client_max_window_bits")? {
            None => None,
            Some(None) => Some(None),
            Some(Some(value)) => Some(Some(bits(value)?)),
        },
    })
}

/// What both ends do when an answer has accepted an offer; `None` if the one does not accept the
/// other.
fn accepted(offer: &Offer, told: &Offer) -> Option<Parameters> {
    // §7.1.1.1: by saying it, too.
    if offer.server_no_context_takeover && !told.server_no_context_takeover {
        return None;
    }
    // §7.1.2.1: by saying the same value or a smaller one.
    if let Some(asked) = offer.server_max_window_bits
        && told.server_max_window_bits.is_none_or(|told| told > asked)
    {
        return None;
    }
    // §7.1.2.2: only where it was offered, with a value, and no larger one than was hinted at.
    let client_max_window_bits = match (offer.client_max_window_bits, told.client_max_window_bits) {
        (_, Some(None)) => return None,
        (None, Some(_)) => return None,
        (Some(Some(hint)), Some(Some(told))) if told > hint => return None,
        (_, Some(Some(told))) => told,
        // §7.1.2.2: the client is not going to use more than it hinted at.
        (Some(Some(hint)), None) => hint,
        (Some(None) | None, None) => 15,
    };
    Some(Parameters {
        server_no_context_takeover: told.server_no_context_takeover,
        // §7.1.1.2: told to, or because it said so itself.
        client_no_context_takeover: told.client_no_context_takeover
            || offer.client_no_context_takeover,
        server_max_window_bits: told.server_max_window_bits.unwrap_or(15),
        client_max_window_bits,
    })
}

/// What a client makes of an answer's one element.
pub(crate) fn agreed(offers: &[Offer], answer: &Element) -> Option<Parameters> {
    let told = read(answer)?;
    let mut kept: Option<Parameters> = None;
    for offer in offers {
        let Some(one) = accepted(offer, &told) else { continue };
        let kept = kept.get_or_insert(one);
        // The server may mean any that it accepts: nothing is used that one of them renounces.
        kept.client_no_context_takeover |= one.client_no_context_takeover;
        if one.client_max_window_bits < kept.client_max_window_bits {
            kept.client_max_window_bits = one.client_max_window_bits;
        }
    }
    kept
}

/// Asserts that our server may give this answer to these offers, and that it is the one we want:
/// to the first offer that can be taken, with the context taken over where the client lets us and
/// `room` has place for both windows.
pub(crate) fn assert_answer_is_right(
    offered: &[Element],
    room: Option<usize>,
    answer: Option<(Parameters, &str)>,
) {
    // A window of 256 bytes is the one value that our compressor does not have.
    let offer =
        offered.iter().filter_map(read).find(|offer| offer.server_max_window_bits != Some(8));
    let (offer, parameters, text) = match (offer, answer) {
        (None, None) => return,
        (Some(offer), Some((parameters, text))) => (offer, parameters, text),
        (offer, answer) => panic!("{offer:?} is answered with {answer:?}"),
    };
    let elements = list(text).expect("an answer is a list");
    let [element] = &elements[..] else { panic!("one element: {text}") };
    let told = read(element).expect("an answer has parameters that are defined");
    assert_eq!(accepted(&offer, &told), Some(parameters), "{text}");
    let windows =
        (1 << parameters.server_max_window_bits) + (1 << parameters.client_max_window_bits);
    let takes_over = room.is_some_and(|room| windows <= room);
    assert_eq!(told.server_no_context_takeover, offer.server_no_context_takeover || !takes_over);
    assert_eq!(told.client_no_context_takeover, offer.client_no_context_takeover || !takes_over);
    assert_eq!(told.server_max_window_bits, offer.server_max_window_bits, "as large as may be");
}

/// What the windows of one connection come to at a server.
pub(crate) fn windows_bytes(agreed: &Parameters) -> usize {
    let size = |is_empty: bool, bits: u8| if is_empty { 0 } else { 1 << bits };
    size(agreed.server_no_context_takeover, agreed.server_max_window_bits)
        + size(agreed.client_no_context_takeover, agreed.client_max_window_bits)
}
