//! Hides secrets in what is shown: values of fields that identify somebody, tokens in URLs and in JSON.

use std::borrow::Cow;

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "(hidden)";

/// Fields whose whole value is secret.
const FIELDS: &[&str] = &["authorization", "proxy-authorization", "cookie", "set-cookie"];
/// Members of JSON and of a query whose values are secret, also as the end of a name.
const NAMES: &[&str] = &["token", "ticket", "secret", "password", "authorization", "cookie"];
/// What stands before a token: in `Sec-WebSocket-Protocol`, and in fields that some programs have of their own.
const PREFIXES: &[&str] = &["bearer.", "bearer "];
/// What stands before the user and the host of a URL (RFC 3986 §3.2).
const URL_BEGIN: &str = "://";
/// Backslashes before an escape: one of JSON, two where that is quoted.
const SLASHES_MAX: usize = 2;

/// Hides the value of a line of a head, if that is secret, and what [`hide`] finds. The line may stand in quotation
/// marks.
pub(super) fn hide_in_line(line: &str) -> Cow<'_, str> {
    let quote = usize::from(line.starts_with('"'));
    let end = if quote == 1 { "\"" } else { "" };
    // The rest of a field: of which, is not known here (RFC 9112 §5.2).
    if quote == 1 && (line.starts_with("\" ") || line.starts_with("\"\\t")) {
        return format!("\"{HIDDEN}{end}").into();
    }
    if let Some((name, _)) = line.split_once(':')
        && let Some(name) = name.get(quote..)
        && FIELDS.iter().any(|field| name.trim().eq_ignore_ascii_case(field))
    {
        return format!("{}{name}: {HIDDEN}{end}", &line[..quote]).into();
    }
    hide(line)
}

/// Hides tokens and the like in a text, which may be the beginning of one, and may be quoted. Rather more than less.
pub(super) fn hide(text: &str) -> Cow<'_, str> {
    let signs = signs(text);
    let (mut shown, mut done, mut at) = (String::new(), 0, 0);
    while at < signs.len() {
        let Some((from, to)) = secret_at(&signs, at).filter(|(from, to)| from < to) else {
            at += 1;
            continue;
        };
        let place = |index: usize| signs.get(index).map_or(text.len(), |sign| sign.start);
        shown.push_str(text.get(done..place(from)).unwrap_or_default());
        shown.push_str(HIDDEN);
        (done, at) = (place(to), to);
    }
    if done == 0 {
        return text.into();
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown.into()
}

/// A character as a reader of JSON or of a URL has it, and where it begins.
#[derive(Clone, Copy)]
struct Sign {
    start: usize,
    /// In lower case.
    one: char,
    /// It stands there by itself, and not as `\u0074` or `%74`.
    is_plain: bool,
}

fn signs(text: &str) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some(rest) = text.get(start..)
        && let Some(one) = rest.chars().next()
    {
        let (one, len) = match escape(rest) {
            Some((code, len)) => (char::from_u32(code).unwrap_or('\u{fffd}'), len),
            None => (one, one.len_utf8()),
        };
        signs.push(Sign { start, one: one.to_ascii_lowercase(), is_plain: rest.starts_with(one) });
        start += len;
    }
    signs
}

/// The code point that an escape stands for, and how long it is. In a quoted text its backslash is one of two.
fn escape(text: &str) -> Option<(u32, usize)> {
    let hex = |from: usize, len: usize| {
        let digits = text.get(from..from + len)?;
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        Some((code, from + len))
    };
    if text.starts_with('%') {
        return hex(1, 2);
    }
    let slashes = text.bytes().take(SLASHES_MAX).take_while(|byte| *byte == b'\\').count();
    if slashes == 0 {
        return None;
    }
    match text.as_bytes().get(slashes)? {
        b'u' => hex(slashes + 1, 4),
        b't' | b'n' | b'r' => Some((u32::from(' '), slashes + 1)),
        _ => None,
    }
}

/// The secret whose name, or what stands before it, begins here: from where to where.
fn secret_at(signs: &[Sign], at: usize) -> Option<(usize, usize)> {
    let rest = signs.get(at..)?;
    let begins = |word: &&&str| {
        rest.len() >= word.len() && word.chars().zip(rest).all(|(one, sign)| one == sign.one)
    };
    if let Some(name) = NAMES.iter().find(begins) {
        return value(signs, at + name.len());
    }
    if let Some(prefix) = PREFIXES.iter().find(begins) {
        let from = at + prefix.len();
        return Some((from, bare_end(signs, from)));
    }
    // RFC 3986 §3.2.1: who somebody is, in a URL.
    let from = at + URL_BEGIN.len();
    if begins(&&URL_BEGIN) {
        let end =
            signs.iter().skip(from).position(|sign| matches!(sign.one, '/' | '"' | ' ' | '@'))?;
        let is_user = signs.get(from + end).is_some_and(|sign| sign.one == '@');
        return is_user.then_some((from, from + end));
    }
    None
}

/// The value behind a name that ends at `at`.
fn value(signs: &[Sign], at: usize) -> Option<(usize, usize)> {
    let is_between =
        |sign: &&Sign| sign.one.is_whitespace() || matches!(sign.one, '"' | '\'' | '\\');
    let skipped = signs.get(at..)?.iter().take_while(is_between).count();
    let sign = signs.get(at + skipped)?;
    if !matches!(sign.one, ':' | '=') {
        return None;
    }
    let mut from = at + skipped + 1;
    let mut slashes = 0;
    while let Some(sign) = signs.get(from) {
        match sign.one {
            '\\' => slashes += 1,
            // A text. Its quotation marks have a backslash each if all of it is quoted.
            quote @ ('"' | '\'') if sign.is_plain => {
                let end = text_end(signs, from + 1, quote, slashes.min(1));
                // A sign that it goes on is none of it.
                let goes_on = signs.get(end.wrapping_sub(1)).is_some_and(|sign| sign.one == '…');
                return Some((from + 1, end - usize::from(goes_on)));
            }
            one if one.is_whitespace() => slashes = 0,
            // What is in it may be anything.
            '[' | '{' => return Some((from, signs.len())),
            _ => break,
        }
        from += 1;
    }
    Some((from, bare_end(signs, from)))
}

/// Where a text ends: before the quotation mark that is not escaped, and its backslashes.
fn text_end(signs: &[Sign], from: usize, quote: char, quoted: usize) -> usize {
    let mut slashes = 0;
    for (at, sign) in signs.iter().enumerate().skip(from) {
        match sign.one {
            '\\' => slashes += 1,
            one if one == quote && sign.is_plain => {
                let within = if quoted == 1 { slashes / 2 } else { slashes };
                if within % 2 == 0 {
                    return at - quoted.min(slashes);
                }
                slashes = 0;
            }
            _ => slashes = 0,
        }
    }
    signs.len()
}

/// Where a value without quotation marks ends.
fn bare_end(signs: &[Sign], from: usize) -> usize {
    let is_end = |sign: &Sign| {
        sign.one.is_whitespace()
            || sign.is_plain
                && matches!(sign.one, '"' | '\'' | '\\' | '&' | ',' | '}' | ']' | ';' | '…')
    };
    signs.iter().skip(from).position(is_end).map_or(signs.len(), |len| from + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_identify_somebody_are_hidden_and_nothing_else() {
        for (text, shown) in [
            (
                "GET /ws?user=ada&token=abc.d-e_f&a=b HTTP/1.1",
                "GET /ws?user=ada&token=(hidden)&a=b HTTP/1.1",
            ),
            ("GET /ws?access_token=abc", "GET /ws?access_token=(hidden)"),
            (
                r#"{"type":"auth","payload":{"token": "abc","x":1}}"#,
                r#"{"type":"auth","payload":{"token": "(hidden)","x":1}}"#,
            ),
            (r#""{\"token\":\"abc…""#, r#""{\"token\":\"(hidden)…""#),
            (
                "Sec-WebSocket-Protocol: parlor.v1, bearer.a.b.c, x",
                "Sec-WebSocket-Protocol: parlor.v1, bearer.(hidden), x",
            ),
            (r#"{"ticket":"t1","TOKEN":"t2"}"#, r#"{"ticket":"(hidden)","TOKEN":"(hidden)"}"#),
            (
                r#"{"text":"a token is a secret thing","tokens":[1]}"#,
                r#"{"text":"a token is a secret thing","tokens":[1]}"#,
            ),
            ("\u{130}token=abc", "\u{130}token=(hidden)"),
            ("GET /ws?tok%65n=abc&a=b", "GET /ws?tok%65n=(hidden)&a=b"),
            (r#"{"\u0074oken":"abc","x":1}"#, r#"{"\u0074oken":"(hidden)","x":1}"#),
            (
                r#""{\"\\u0074oken\":\"abc\",\"x\":1}""#,
                r#""{\"\\u0074oken\":\"(hidden)\",\"x\":1}""#,
            ),
            ("{\"token\"\t:\n\"abc\"}", "{\"token\"\t:\n\"(hidden)\"}"),
            (r#""{\"token\"\t:\n\"abc\"}""#, r#""{\"token\"\t:\n\"(hidden)\"}""#),
            (r#"{"password":"two words, } & \"x\\","a":1}"#, r#"{"password":"(hidden)","a":1}"#),
            (r#""{\"password\":\"a \\\"b\",\"a\":1}""#, r#""{\"password\":\"(hidden)\",\"a\":1}""#),
            (r#"{"token":["x"],"a":1}"#, r#"{"token":(hidden)"#),
            (r#"{"secret":{"v":"x"}}"#, r#"{"secret":(hidden)"#),
            (r#"{"authorization":"Bearer x"}"#, r#"{"authorization":"(hidden)"}"#),
            ("X-Auth: Bearer x.y z", "X-Auth: Bearer (hidden) z"),
            ("Location: https://ada:pw@host/a@b", "Location: https://(hidden)@host/a@b"),
            ("Location: https://host/a@b", "Location: https://host/a@b"),
            ("token=", "token="),
        ] {
            assert_eq!(hide(text), shown);
        }
        for (line, shown) in [
            ("Authorization: Bearer a b", "Authorization: (hidden)"),
            ("\"cookie: a=b; c=d\"", "\"cookie: (hidden)\""),
            ("Host: a", "Host: a"),
            ("\" Bearer x\"", "\"(hidden)\""),
            ("\"GET /?ticket=abc HTTP/1.1\"", "\"GET /?ticket=(hidden) HTTP/1.1\""),
        ] {
            assert_eq!(hide_in_line(line), shown);
        }
    }
}
