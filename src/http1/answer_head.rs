//! The head of an answer, as far as a client needs it that asks a proxy for a tunnel (RFC 9112 §4).

use super::head::HeadError;

/// A longer head is none.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 64;

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// Its status.
    pub status: u16,
    /// How long it is, in bytes; what follows is behind it.
    pub len: usize,
}

impl AnswerHead {
    /// Reads one; `Ok(None)` if its end has not come.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] for what is no such head, or is longer than 16 KiB.
    pub fn parse(bytes: &[u8]) -> Result<Option<AnswerHead>, HeadError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        match answer.parse(bytes) {
            Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => {
                let status = answer.code.ok_or(HeadError::Malformed("the answer has no status"))?;
                Ok(Some(AnswerHead { status, len }))
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
            Ok(_) | Err(_) => Err(HeadError::Malformed("the answer is no HTTP/1.1 response")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_has_come() {
        let head = b"HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n";
        let answer = AnswerHead { status: 200, len: head.len() };
        assert_eq!(AnswerHead::parse(&[&head[..], b"behind"].concat()), Ok(Some(answer)));
        for cut in 0..head.len() {
            assert_eq!(AnswerHead::parse(&head[..cut]), Ok(None), "{cut}");
        }
        assert!(AnswerHead::parse(b"SSH-2.0-OpenSSH\r\n").is_err());
        let long = [&b"HTTP/1.1 200 "[..], &[b'a'; HEAD_BYTES_MAX]].concat();
        assert!(AnswerHead::parse(&long).is_err());
    }
}
