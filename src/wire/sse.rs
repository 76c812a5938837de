//! The framing of an event (WHATWG HTML §9.2.6) and of a part (RFC 2046 §5.1.1).

/// The boundary between parts.
pub(crate) const BOUNDARY: &str = "parlor";
/// The content type of parts.
pub(crate) const PARTS: &str = "multipart/x-mixed-replace; boundary=parlor";
/// The content type of events, which are always UTF-8.
pub(crate) const EVENTS: &str = "text/event-stream";

/// An event: its name is the message's type, its data the whole message.
pub(crate) fn event(id: Option<&str>, message: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 128);
    let mut line = |name: &str, value: &str| {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    };
    if let Some(id) = id {
        line("id", id);
    }
    if let Some(kind) = kind_of(message) {
        line("event", kind);
    }
    // Line ends within the data are kept: in JSON they are white space.
    for part in message.split(['\n', '\r']) {
        line("data", part);
    }
    bytes.push(b'\n');
    bytes
}

/// How long a client waits before it reconnects, in ms.
pub(crate) fn retry(ms: u64) -> Vec<u8> {
    format!("retry: {ms}\n\n").into_bytes()
}

/// The type of a message of ours, always its first member.
fn kind_of(message: &str) -> Option<&str> {
    let (kind, _) = message.strip_prefix("{\"type\":\"")?.split_once('"')?;
    let is_plain = !kind.contains(['\\', '\n', '\r']);
    is_plain.then_some(kind)
}

/// The bytes before the first part.
pub(crate) fn before_parts() -> Vec<u8> {
    format!("--{BOUNDARY}\r\n").into_bytes()
}

/// A part and the boundary after it: a browser shows the part once it has seen the boundary.
pub(crate) fn part(data: &[u8]) -> Vec<u8> {
    let (kind, len) = (picture_type(data), data.len());
    let head = format!("Content-Type: {kind}\r\nContent-Length: {len}\r\n\r\n");
    let tail = format!("\r\n--{BOUNDARY}\r\n");
    [head.as_bytes(), data, tail.as_bytes()].concat()
}

/// The type of a picture, by its first bytes (WHATWG MIME Sniffing §6.1).
fn picture_type(data: &[u8]) -> &'static str {
    match data {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'B', b'M', ..] => "image/bmp",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_message_with_its_type_as_its_name() {
        let message = "{\"type\":\"chat:message\",\"payload\":{}}";
        let bytes = event(Some("e.7"), message);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, format!("id: e.7\nevent: chat:message\ndata: {message}\n\n"));
        assert_eq!(event(None, "{}"), b"data: {}\n\n");
    }

    #[test]
    fn no_line_end_within_a_message_ends_its_data() {
        let message = "{\"type\":\"event\",\"payload\":{\"data\":[1,\r\n2]}}";
        let text = String::from_utf8(event(None, message)).unwrap();
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let joined = data.join("\n");
        assert_eq!(joined.replace('\n', ""), message.replace(['\r', '\n'], ""));
        assert_eq!(text.matches("\n\n").count(), 1, "it ends once: {text:?}");
    }

    #[test]
    fn a_part_says_what_it_is() {
        let text = String::from_utf8(part(b"GIF89a..")).unwrap();
        assert_eq!(
            text,
            "Content-Type: image/gif\r\nContent-Length: 8\r\n\r\nGIF89a..\r\n--parlor\r\n"
        );
        for (data, kind) in [
            (&b"\xff\xd8\xff\xe0"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"", "application/octet-stream"),
        ] {
            assert_eq!(picture_type(data), kind);
        }
    }
}
