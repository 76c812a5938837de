//! Parses the list of extensions in `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
//!
//! Knows no extension; `deflate::offer` knows the only supported one.

use crate::http1::head::is_token;
use std::borrow::Cow;
use std::fmt;

/// One element of the list: an extension and its parameters, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'b> {
    /// Its name, such as `permessage-deflate`.
    pub name: &'b str,
    /// Its parameters. A name may occur twice here; an extension may forbid it.
    pub params: Vec<Param<'b>>,
}

/// A parameter: `name`, or `name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param<'b> {
    /// Its name.
    pub name: &'b str,
    /// Its value, a token, unquoted.
    pub value: Option<Cow<'b, str>>,
}

/// The field breaks the grammar of RFC 6455 §9.1: the connection must be failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedExtensions;

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sec-WebSocket-Extensions is not a list of extensions")
    }
}

impl std::error::Error for MalformedExtensions {}

/// Parses one line of the field. Several lines form one list, in their order (RFC 6455 §9.1).
///
/// ```text
/// extension-list  = 1#extension
/// extension       = token *( ";" extension-param )
/// extension-param = token [ "=" ( token / quoted-string ) ]
/// ```
///
/// # Errors
/// [`MalformedExtensions`] for anything else, including an empty list. Empty elements between
/// commas are skipped (RFC 9110 §5.6.1.2).
pub fn parse(line: &str) -> Result<Vec<Extension<'_>>, MalformedExtensions> {
    let mut rest = HeaderScanner(line);
    let mut list = Vec::new();
    loop {
        rest.skip_space();
        if rest.eat(',') {
            continue;
        }
        if rest.0.is_empty() {
            break;
        }
        list.push(rest.extension()?);
        rest.skip_space();
        if !rest.eat(',') && !rest.0.is_empty() {
            return Err(MalformedExtensions);
        }
    }
    if list.is_empty() { Err(MalformedExtensions) } else { Ok(list) }
}

/// The unread rest of a line.
struct HeaderScanner<'b>(&'b str);

impl<'b> HeaderScanner<'b> {
    fn extension(&mut self) -> Result<Extension<'b>, MalformedExtensions> {
        let name = self.token()?;
        let mut params = Vec::new();
        loop {
            self.skip_space();
            if !self.eat(';') {
                return Ok(Extension { name, params });
            }
            self.skip_space();
            params.push(self.param()?);
        }
    }

    fn param(&mut self) -> Result<Param<'b>, MalformedExtensions> {
        let name = self.token()?;
        self.skip_space();
        if !self.eat('=') {
            return Ok(Param { name, value: None });
        }
        self.skip_space();
        let value = if self.eat('"') { self.quoted()? } else { Cow::Borrowed(self.token()?) };
        Ok(Param { name, value: Some(value) })
    }

    fn token(&mut self) -> Result<&'b str, MalformedExtensions> {
        let end = self.0.find([' ', '\t', ',', ';', '=', '"']).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        if is_token(token) { Ok(token) } else { Err(MalformedExtensions) }
    }

    /// The rest of a quoted string after its opening quote. RFC 6455 §9.1: the unquoted value must
    /// be a token.
    fn quoted(&mut self) -> Result<Cow<'b, str>, MalformedExtensions> {
        let end = self.0.find(['"', '\\']).ok_or(MalformedExtensions)?;
        let mut value = Cow::Borrowed(&self.0[..end]);
        self.0 = &self.0[end..];
        while self.eat('\\') {
            let escaped = self.0.chars().next().ok_or(MalformedExtensions)?;
            self.0 = &self.0[escaped.len_utf8()..];
            let end = self.0.find(['"', '\\']).ok_or(MalformedExtensions)?;
            let value = value.to_mut();
            value.push(escaped);
            value.push_str(&self.0[..end]);
            self.0 = &self.0[end..];
        }
        if self.eat('"') && is_token(&value) { Ok(value) } else { Err(MalformedExtensions) }
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, expected: char) -> bool {
        match self.0.strip_prefix(expected) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Option<String> {
        let list = parse(line).ok()?;
        let shown = list.iter().map(|extension| {
            let params = extension.params.iter().map(|param| match &param.value {
                Some(value) => format!(";{}={value}", param.name),
                None => format!(";{}", param.name),
            });
            extension.name.to_owned() + &params.collect::<String>()
        });
        Some(shown.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn lists_are_read_with_space_and_quotes_wherever_they_may_be() {
        for (line, expected) in [
            ("foo", "foo"),
            ("foo, bar; baz=2", "foo,bar;baz=2"),
            ("bar; baz=2, foo;x;y", "bar;baz=2,foo;x;y"),
            (" a ;\tb = \"c\" , d", "a;b=c,d"),
            ("a;b=\"1\\0\"", "a;b=10"),
            (",a,,b,", "a,b"),
            ("a;b;b=1", "a;b;b=1"),
        ] {
            assert_eq!(shown(line).as_deref(), Some(expected), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for line in [
            "",
            " ",
            ",",
            "a;",
            "a;=1",
            "a;b=",
            "a;b=\"\"",
            "a;b=\"c",
            "a;b=\"c d\"",
            "a b",
            "a;b c",
            "a=1",
            "a;b=\"c\"d",
            "a;b=\"\\",
            "a;b=\"\\\"\"",
            "(a)",
            "a;b=c=d",
            "\"a\"",
            "a;;b",
            "é",
        ] {
            assert_eq!(parse(line), Err(MalformedExtensions), "{line:?}");
        }
    }
}
