//! Redis Streams, in RESP 2: `XADD` by the senders, `XREAD BLOCK` by the receiver.

use crate::Fallible;
use crate::dialect::{Came, Dialect, Line, shown};
use memchr::memchr;
use std::io::Write;
use std::net::SocketAddr;

/// Entries that one `XREAD` may bring.
const READ_ENTRIES_MAX: usize = 1_000;

pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    /// The stream's name: another one for each slice.
    pub(crate) stream: String,
}

impl Redis {
    /// Asks for what is behind `last`, and waits for it.
    fn read_request(&self, last: &str) -> Vec<u8> {
        let count = READ_ENTRIES_MAX.to_string();
        command(&["XREAD", "COUNT", &count, "BLOCK", "0", "STREAMS", &self.stream, last])
    }
}

impl Dialect for Redis {
    fn receiver(&mut self) -> Fallible<Line> {
        let mut line = Line::open(self.address)?;
        line.stream.write_all(&self.read_request("0"))?;
        Ok(line)
    }

    fn sender(&mut self, _: usize) -> Fallible<Line> {
        Line::open(self.address)
    }

    fn put(&self, _: usize, _: u64, text: &[u8], into: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(text);
        into.extend_from_slice(&command(&["XADD", &self.stream, "*", "text", &text]));
    }

    fn take(
        &self,
        input: &[u8],
        came: &mut dyn FnMut(Came<'_>) -> Fallible<()>,
    ) -> Fallible<usize> {
        let mut reader = Reader { input, at: 0 };
        if input.first() != Some(&b'*') {
            let Some(_id) = reader.text()? else { return Ok(0) };
            came(Came::Acknowledged(None))?;
            return Ok(reader.at);
        }
        // Looked at twice: nothing is told before all of it is there.
        let mut entries = Vec::new();
        let Some(last) = reader.entries(&mut entries)? else { return Ok(0) };
        for text in entries {
            came(Came::Message(text))?;
        }
        came(Came::Asked(self.read_request(&String::from_utf8_lossy(last))))?;
        Ok(reader.at)
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// Reads an answer from its beginning; `None` where it is not all there.
struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The answer to `XREAD`: one stream, `[[name, [[id, [field, value]], …]]]`. Gives the last id.
    fn entries(&mut self, into: &mut Vec<&'a [u8]>) -> Fallible<Option<&'a [u8]>> {
        let mut last = None;
        for _stream in 0..2 {
            if self.number(b'*')?.is_none() {
                return Ok(None);
            }
        }
        if self.text()?.is_none() {
            return Ok(None);
        }
        let Some(count) = self.number(b'*')? else { return Ok(None) };
        for _ in 0..count {
            if self.number(b'*')?.is_none() {
                return Ok(None);
            }
            last = self.text()?;
            if last.is_none() || self.number(b'*')?.is_none() || self.text()?.is_none() {
                return Ok(None);
            }
            let Some(text) = self.text()? else { return Ok(None) };
            into.push(text);
        }
        Ok(last)
    }

    /// A line that begins with `kind` and is a number.
    fn number(&mut self, kind: u8) -> Fallible<Option<usize>> {
        let rest = &self.input[self.at..];
        let Some(end) = memchr(b'\n', rest) else { return Ok(None) };
        let digits = rest[..end].strip_prefix(&[kind]).and_then(|line| line.strip_suffix(b"\r"));
        let number = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        self.at += end + 1;
        number.map(Some).ok_or_else(|| format!("Redis says {}", shown(rest)).into())
    }

    fn text(&mut self) -> Fallible<Option<&'a [u8]>> {
        let Some(len) = self.number(b'$')? else { return Ok(None) };
        let Some(text) = self.input.get(self.at..self.at + len) else { return Ok(None) };
        if self.input.len() < self.at + len + 2 {
            return Ok(None);
        }
        self.at += len + 2;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_it_is_all_there() {
        let redis = Redis { address: ([127, 0, 0, 1], 1).into(), stream: "s".into() };
        let answer =
            b"*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$4\r\ntext\r\n$1\r\na\r\n\
            *2\r\n$3\r\n2-0\r\n*2\r\n$4\r\ntext\r\n$1\r\nb\r\n";
        for len in 0..=answer.len() {
            let (mut texts, mut asked) = (Vec::new(), Vec::new());
            let taken = redis.take(&answer[..len], &mut |came| {
                match came {
                    Came::Message(text) => texts.extend_from_slice(text),
                    Came::Asked(bytes) => asked = bytes,
                    other => panic!("{other:?}"),
                }
                Ok(())
            });
            let is_whole = len == answer.len();
            assert_eq!(taken.unwrap(), if is_whole { len } else { 0 });
            assert_eq!(texts, if is_whole { b"ab".to_vec() } else { Vec::new() });
            assert_eq!(asked.ends_with(b"$3\r\n2-0\r\n"), is_whole);
        }
    }
}
