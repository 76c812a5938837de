//! Hides secrets in what is shown: values of fields that identify somebody, tokens in URLs and in JSON.

use std::borrow::Cow;

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "(hidden)";

/// Fields whose whole value is secret.
const FIELDS: &[&str] = &["authorization", "proxy-authorization", "cookie", "set-cookie"];
/// Members of JSON and of a query whose values are secret, also as the end of a name.
const NAMES: &[&str] = &["token", "ticket", "secret", "password"];
/// What stands before a token in `Sec-WebSocket-Protocol`.
const PREFIXES: &[&str] = &["bearer."];

/// Hides the value of a line of a head, if that is secret, and what [`hide`] finds. The line may stand in quotation
/// marks.
pub(super) fn hide_in_line(line: &str) -> Cow<'_, str> {
    let quote = usize::from(line.starts_with('"'));
    if let Some((name, _)) = line.split_once(':')
        && let Some(name) = name.get(quote..)
        && FIELDS.iter().any(|field| name.trim().eq_ignore_ascii_case(field))
    {
        let end = if quote == 1 { "\"" } else { "" };
        return format!("{}{name}: {HIDDEN}{end}", &line[..quote]).into();
    }
    hide(line)
}

/// Hides tokens and the like in a text, which may be the beginning of one, and may be quoted.
pub(super) fn hide(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let mut shown = String::new();
    let mut done = 0;
    for (at, _) in lower.char_indices() {
        if at < done {
            continue;
        }
        let Some(rest) = lower.get(at..) else { continue };
        let named = NAMES.iter().find_map(|name| value_start(rest.strip_prefix(name)?, rest));
        let start = named
            .or_else(|| PREFIXES.iter().find(|one| rest.starts_with(**one)).map(|one| one.len()));
        let Some(start) = start.map(|start| at + start) else { continue };
        let value = text.get(start..).unwrap_or_default();
        let end = value.find(|next: char| !is_of_secret(next)).unwrap_or(value.len());
        if end > 0 {
            shown.push_str(text.get(done..start).unwrap_or_default());
            shown.push_str(HIDDEN);
            done = start + end;
        }
    }
    if done == 0 {
        return text.into();
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown.into()
}

/// Where the value begins behind a name, counted from the name's begin.
fn value_start(after: &str, from: &str) -> Option<usize> {
    let quotes = |next: char| matches!(next, '"' | '\'' | '\\' | ' ');
    let value = after.trim_start_matches(quotes).strip_prefix([':', '='])?;
    let value = value.trim_start_matches(quotes);
    Some(from.len() - value.len())
}

fn is_of_secret(next: char) -> bool {
    !matches!(next, '"' | '\'' | '\\' | '&' | ',' | '}' | ' ' | '…' | '\r' | '\n')
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
            ("token=", "token="),
        ] {
            assert_eq!(hide(text), shown);
        }
        for (line, shown) in [
            ("Authorization: Bearer a b", "Authorization: (hidden)"),
            ("\"cookie: a=b; c=d\"", "\"cookie: (hidden)\""),
            ("Host: a", "Host: a"),
            ("\"GET /?ticket=abc HTTP/1.1\"", "\"GET /?ticket=(hidden) HTTP/1.1\""),
        ] {
            assert_eq!(hide_in_line(line), shown);
        }
    }
}
