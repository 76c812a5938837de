//! The head of an answer, as a client reads it (RFC 9112 §4).

use super::head::HeadError;

/// A longer head is none.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 64;

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead<'b> {
    /// Its status.
    pub status: u16,
    /// The version's second number: 1 for HTTP/1.1.
    pub minor_version: u8,
    /// How long it is, in bytes; what follows is behind it.
    pub len: usize,
    /// Names and values of its fields, as they came.
    pub fields: Vec<(&'b str, &'b [u8])>,
}

impl<'b> AnswerHead<'b> {
    /// Reads one; `Ok(None)` if its end has not come.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] for what is no such head, is longer than 16 KiB, or has more than 64 fields.
    pub fn parse(bytes: &'b [u8]) -> Result<Option<AnswerHead<'b>>, HeadError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        match answer.parse(bytes) {
            Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => {
                let (Some(status), Some(minor_version)) = (answer.code, answer.version) else {
                    return Err(HeadError::Malformed("the answer has no status"));
                };
                let fields = answer.headers.iter().map(|field| (field.name, field.value)).collect();
                Ok(Some(AnswerHead { status, minor_version, len, fields }))
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
            Ok(_) | Err(_) => Err(HeadError::Malformed("the answer is no HTTP/1.1 response")),
        }
    }

    /// The values of a field, each as often as it is there. One that is not UTF-8 is U+FFFD.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'b str> + 'a {
        let of_name = self.fields.iter().filter(move |field| field.0.eq_ignore_ascii_case(name));
        of_name.map(|field| std::str::from_utf8(field.1).unwrap_or("\u{fffd}").trim())
    }

    /// The value of a field that is there once.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&'b str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_has_come() {
        let head = b"HTTP/1.1 200 Connection established\r\nVia: a\r\nX: 1\r\nx:  2 \r\n\r\n";
        let bytes = [&head[..], b"behind"].concat();
        let answer = AnswerHead::parse(&bytes).unwrap().unwrap();
        assert_eq!((answer.status, answer.minor_version, answer.len), (200, 1, head.len()));
        assert_eq!(
            (answer.only("via"), answer.only("x"), answer.only("y")),
            (Some("a"), None, None)
        );
        assert_eq!(answer.values("X").collect::<Vec<_>>(), ["1", "2"]);
        for cut in 0..head.len() {
            assert_eq!(AnswerHead::parse(&head[..cut]), Ok(None), "{cut}");
        }
        assert!(AnswerHead::parse(b"SSH-2.0-OpenSSH\r\n").is_err());
        let long = [&b"HTTP/1.1 200 "[..], &[b'a'; HEAD_BYTES_MAX]].concat();
        assert!(AnswerHead::parse(&long).is_err());
    }
}
