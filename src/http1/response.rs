//! Complete answers to a request, and refusals (RFC 9110 §15).

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

macro_rules! statuses {
    ($($name:ident, $line:literal;)+) => {
        /// An HTTP status that this server sends (RFC 9110 §15).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Status { $(#[doc = $line] $name,)+ }

        impl Status {
            /// The number and its phrase, as in a status line.
            #[must_use]
            pub const fn line(self) -> &'static str {
                match self { $(Status::$name => $line,)+ }
            }

            /// All statuses; the index of each is its discriminant.
            pub const ALL: &[Status] = &[$(Status::$name),+];
        }
    };
}

statuses! {
    Ok, "200 OK";
    Created, "201 Created";
    Accepted, "202 Accepted";
    NoContent, "204 No Content";
    MovedPermanently, "301 Moved Permanently";
    Found, "302 Found";
    SeeOther, "303 See Other";
    NotModified, "304 Not Modified";
    TemporaryRedirect, "307 Temporary Redirect";
    PermanentRedirect, "308 Permanent Redirect";
    BadRequest, "400 Bad Request";
    Unauthorized, "401 Unauthorized";
    Forbidden, "403 Forbidden";
    NotFound, "404 Not Found";
    MethodNotAllowed, "405 Method Not Allowed";
    NotAcceptable, "406 Not Acceptable";
    RequestTimeout, "408 Request Timeout";
    Conflict, "409 Conflict";
    Gone, "410 Gone";
    PreconditionFailed, "412 Precondition Failed";
    ContentTooLarge, "413 Content Too Large";
    UnsupportedMediaType, "415 Unsupported Media Type";
    ExpectationFailed, "417 Expectation Failed";
    UnprocessableContent, "422 Unprocessable Content";
    UpgradeRequired, "426 Upgrade Required";
    TooManyRequests, "429 Too Many Requests";
    HeaderFieldsTooLarge, "431 Request Header Fields Too Large";
    InternalServerError, "500 Internal Server Error";
    NotImplemented, "501 Not Implemented";
    BadGateway, "502 Bad Gateway";
    ServiceUnavailable, "503 Service Unavailable";
    GatewayTimeout, "504 Gateway Timeout";
}

impl Status {
    /// RFC 9110 §15.3.5, §15.4.5: whether answers of this status never have content.
    const fn has_no_content(self) -> bool {
        matches!(self, Status::NoContent | Status::NotModified)
    }
}

/// Why a request was refused: its status, a code for programs and a sentence for people.
///
/// A refused upgrade ends the TCP connection: a proxy may have begun to tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRefusal {
    /// The status.
    pub status: Status,
    /// One word, such as `bad_request`.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// Further header fields, such as `("Allow", "GET")`.
    pub fields: &'static [(&'static str, &'static str)],
}

impl HttpRefusal {
    /// A refusal without further fields.
    #[must_use]
    pub fn new(status: Status, code: &'static str, message: impl Into<String>) -> HttpRefusal {
        HttpRefusal { status, code, message: message.into(), fields: &[] }
    }

    /// With these header fields.
    #[must_use]
    pub fn with(self, fields: &'static [(&'static str, &'static str)]) -> HttpRefusal {
        HttpRefusal { fields, ..self }
    }

    /// The whole answer, with a JSON body `{"error":{"code","message"}}`; the connection ends after
    /// it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Response::from(self.clone()).to_bytes(ResponseOptions {
            is_head: false,
            ends: true,
            date: None,
        })
    }
}

/// The refusal of a request that breaks a rule.
pub(crate) fn bad(message: impl Into<String>) -> HttpRefusal {
    HttpRefusal::new(Status::BadRequest, "bad_request", message)
}

/// A complete answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// The type of the content.
    pub content_type: Cow<'static, str>,
    /// Further header fields. They must come from the server: no line ends, and no unchecked client
    /// input.
    pub fields: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// The content.
    pub body: Cow<'static, [u8]>,
    /// Whether the TCP connection ends after it, whatever the client wishes.
    pub ends: bool,
    /// The sentence of a refusal, for the log.
    pub why: Option<Box<str>>,
}

/// How to send an answer, which depends on the request and the connection.
#[derive(Clone, Copy, Debug)]
pub struct ResponseOptions<'d> {
    /// RFC 9110 §9.3.2: the request's method was HEAD, so the content is omitted.
    pub is_head: bool,
    /// The TCP connection ends after it.
    pub ends: bool,
    /// The date of the answer (RFC 9110 §6.6.1), if the clock is known.
    pub date: Option<&'d str>,
}

impl Response {
    /// An answer with content.
    #[must_use]
    pub fn new(
        status: Status,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Response {
        let (fields, body, content_type) = (Vec::new(), body.into(), content_type.into());
        Response { status, content_type, fields, body, ends: false, why: None }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Response {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Worth another try after so many ms: RFC 9110 §10.2.3 has whole seconds.
    #[must_use]
    pub fn with_retry_after(self, millis: u64) -> Response {
        self.with("Retry-After", millis.div_ceil(1_000).max(1).to_string())
    }

    /// The bytes of the head, the empty line included, and those of the content that follows it.
    #[must_use]
    pub fn pieces(&self, options: ResponseOptions<'_>) -> (Vec<u8>, &[u8]) {
        let has_content = !self.status.has_no_content();
        // RFC 9110 §9.3.2: an answer to HEAD has the length that GET would return.
        let len = has_content.then_some(self.body.len());
        let content = if has_content && !options.is_head { &*self.body } else { &[] };
        (self.head(len, options.ends, options.date), content)
    }

    /// The head of an answer without announced length, which lasts until the TCP connection ends
    /// (RFC 9112 §6.3, 8).
    #[must_use]
    pub fn head_of_endless(&self, date: &str) -> Vec<u8> {
        self.head(None, true, Some(date))
    }

    fn head(&self, len: Option<usize>, ends: bool, date: Option<&str>) -> Vec<u8> {
        let mut head = String::with_capacity(256);
        // Writing to a String does not fail.
        let _ = write!(head, "HTTP/1.1 {}\r\n", self.status.line());
        if !self.status.has_no_content() {
            let _ = write!(head, "Content-Type: {}\r\n", self.content_type);
        }
        if let Some(len) = len {
            let _ = write!(head, "Content-Length: {len}\r\n");
        }
        if ends {
            head.push_str("Connection: close\r\n");
        }
        if let Some(date) = date {
            let _ = write!(head, "Date: {date}\r\n");
        }
        for (name, value) in &self.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Head and content in one piece.
    #[must_use]
    pub fn to_bytes(&self, options: ResponseOptions<'_>) -> Vec<u8> {
        let (head, content) = self.pieces(options);
        [&head, content].concat()
    }
}

/// The status, and the sentence of a refusal, as the log has them.
impl Display for Response {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.status.line())?;
        self.why.iter().try_for_each(|why| write!(f, ": {why}"))
    }
}

impl From<HttpRefusal> for Response {
    fn from(refusal: HttpRefusal) -> Response {
        let body = format!(
            "{{\"error\":{{\"code\":\"{}\",\"message\":\"{}\"}}}}\n",
            refusal.code,
            json_escaped(&refusal.message)
        );
        let own = |(name, value): &(&'static str, &'static str)| {
            (Cow::Borrowed(*name), Cow::Borrowed(*value))
        };
        let fields = refusal.fields.iter().map(own).collect();
        let response =
            Response::new(refusal.status, "application/json", Cow::Owned(body.into_bytes()));
        Response { fields, why: Some(refusal.message.into()), ..response }
    }
}

fn json_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(control));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// An answer to a request whose method the path does not have.
pub fn other_methods(methods: &str) -> Response {
    let message = format!("this path has other methods: {methods}");
    let refusal = HttpRefusal::new(Status::MethodNotAllowed, "bad_request", &message);
    Response::from(refusal).with("Allow", methods.to_owned())
}

/// Lets a page of an allowed origin read an answer of the embedding program, which itself sets
/// whether it may be cached.
pub fn readable_by(response: Response, origin: Option<&str>) -> Response {
    let response = response.with("Vary", "Origin");
    match origin {
        None => response,
        Some(origin) => response.with("Access-Control-Allow-Origin", origin.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_head_and_one_without_content_are_heads_alone() {
        let options = ResponseOptions { is_head: false, ends: false, date: Some("now") };
        let answer = Response::new(Status::Ok, "text/plain", b"hello".as_slice()).with("A", "b");
        let get = String::from_utf8(answer.to_bytes(options)).unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\
                    Date: now\r\nA: b\r\n\r\n";
        assert_eq!(get, format!("{head}hello"));
        let of_head = answer.to_bytes(ResponseOptions { is_head: true, ..options });
        assert_eq!(String::from_utf8(of_head).unwrap(), head);
        for status in [Status::NoContent, Status::NotModified] {
            let bytes = Response { status, ..answer.clone() }.to_bytes(options);
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.ends_with("\r\nDate: now\r\nA: b\r\n\r\n") && !text.contains("Content-"));
        }
    }

    #[test]
    fn a_refusal_ends_the_connection_and_says_why() {
        let mut refusal =
            HttpRefusal::new(Status::MethodNotAllowed, "bad_request", "say \"GET\"\n");
        refusal.fields = &[("Allow", "GET")];
        assert_eq!(
            String::from_utf8(refusal.to_bytes()).unwrap(),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\n\
             Content-Length: 63\r\nConnection: close\r\nAllow: GET\r\n\r\n\
             {\"error\":{\"code\":\"bad_request\",\"message\":\"say \\\"GET\\\"\\u000a\"}}\n"
        );
    }
}
