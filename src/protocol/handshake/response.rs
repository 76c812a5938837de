//! The answers to a request: 101, and what refuses (RFC 6455 §4.2.2, RFC 9110 §15).

use std::fmt::Write;

/// An HTTP status that this server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408
    RequestTimeout,
    /// 426
    UpgradeRequired,
    /// 429
    TooManyRequests,
    /// 431
    HeaderFieldsTooLarge,
    /// 503
    ServiceUnavailable,
}

impl Status {
    /// The number and its phrase, as in a status line.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::Unauthorized => "401 Unauthorized",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::RequestTimeout => "408 Request Timeout",
            Status::UpgradeRequired => "426 Upgrade Required",
            Status::TooManyRequests => "429 Too Many Requests",
            Status::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Status::ServiceUnavailable => "503 Service Unavailable",
        }
    }
}

/// Why a request was refused: its status, a code for programs and a sentence for people.
///
/// A refused upgrade ends the TCP connection: a proxy may have begun to tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: Status,
    /// One word, as `bad_request`.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// Further header fields, as `("Allow", "GET")`.
    pub fields: &'static [(&'static str, &'static str)],
}

impl Refusal {
    /// A refusal without further fields.
    #[must_use]
    pub fn new(status: Status, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into(), fields: &[] }
    }

    /// The whole answer, with a JSON body `{"error":{"code","message"}}`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = format!(
            "{{\"error\":{{\"code\":\"{}\",\"message\":\"{}\"}}}}\n",
            self.code,
            json_escaped(&self.message)
        );
        respond(self.status, "application/json", self.fields, body.as_bytes())
    }
}

/// A whole answer that ends its connection.
#[must_use]
pub fn respond(
    status: Status,
    content_type: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n",
        status.line(),
        body.len()
    );
    for (name, value) in fields {
        // Writing to a String does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// RFC 6455 §4.2.2: the answer that opens the WebSocket. `protocol` must be one that the client
/// offered, `extensions` what answers its offers.
#[must_use]
pub fn switching_protocols(
    accept_key: &str,
    protocol: Option<&str>,
    extensions: Option<&str>,
) -> Vec<u8> {
    let mut head = String::with_capacity(256);
    head.push_str(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: ",
    );
    head.push_str(accept_key);
    head.push_str("\r\n");
    if let Some(protocol) = protocol {
        let _ = write!(head, "Sec-WebSocket-Protocol: {protocol}\r\n");
    }
    if let Some(extensions) = extensions {
        let _ = write!(head, "Sec-WebSocket-Extensions: {extensions}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_section_1_3() {
        let answer = switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Some("chat"), None);
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
    }

    #[test]
    fn a_refusal_ends_the_connection_and_says_why() {
        let mut refusal = Refusal::new(Status::MethodNotAllowed, "bad_request", "say \"GET\"\n");
        refusal.fields = &[("Allow", "GET")];
        assert_eq!(
            String::from_utf8(refusal.to_bytes()).unwrap(),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\n\
             Content-Length: 63\r\nConnection: close\r\nAllow: GET\r\n\r\n\
             {\"error\":{\"code\":\"bad_request\",\"message\":\"say \\\"GET\\\"\\u000a\"}}\n"
        );
    }
}
