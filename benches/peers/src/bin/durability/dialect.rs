//! What the load says to a server and understands of its answers: one of these for each protocol.

use crate::Fallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any disk takes, shorter than one waits for a bench that hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 64 * 1_024;

/// What a part of the input says.
#[derive(Debug)]
pub(crate) enum Came<'a> {
    /// The oldest message of this connection that was not acknowledged yet is; some servers say its
    /// number, too.
    Acknowledged(Option<u64>),
    /// A message's text, handed on.
    Message(&'a [u8]),
    /// These bytes are to be sent: the answer to a ping, or the request for what comes next.
    Asked(Vec<u8>),
    /// All that was said before has been heard.
    Ready,
}

/// A slice's connections are opened and understood by one of these.
pub(crate) trait Dialect {
    /// Opens the receiver's connection, which must come first: nothing is sent that it does not get.
    fn receiver(&mut self) -> Fallible<Line>;

    fn sender(&mut self, sender: usize) -> Fallible<Line>;

    /// Writes the request that sends a text.
    fn put(&self, sender: usize, number: u64, text: &[u8], into: &mut Vec<u8>);

    /// Takes the first unit of the input, which may say several things; tells its length, or 0 if it
    /// is not all there.
    fn take(&self, input: &[u8], came: &mut dyn FnMut(Came<'_>) -> Fallible<()>)
    -> Fallible<usize>;
}

/// A connection that waits for each answer, while everything is being made ready.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    /// What came and was not looked at yet.
    pub(crate) input: Vec<u8>,
}

impl Line {
    pub(crate) fn open(address: SocketAddr) -> Fallible<Line> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Line { stream, input: Vec::new() })
    }

    /// Sends a request and waits until there is a beginning of the input that `answered` takes: its
    /// length, 0 if there is none yet.
    pub(crate) fn call(
        &mut self,
        request: &[u8],
        mut answered: impl FnMut(&[u8]) -> Fallible<usize>,
    ) -> Fallible<()> {
        self.stream.write_all(request)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let len = answered(&self.input)?;
            if len > 0 {
                self.input.drain(..len);
                return Ok(());
            }
            let len = self.stream.read(&mut buffer)?;
            if len == 0 {
                return Err("the server has hung up".into());
            }
            self.input.extend_from_slice(&buffer[..len]);
        }
    }

    /// Sends a request and waits for what `is_answer` knows; what came before that is dropped.
    pub(crate) fn ask(
        &mut self,
        dialect: &dyn Dialect,
        request: &[u8],
        mut is_answer: impl FnMut(Came<'_>) -> Fallible<bool>,
    ) -> Fallible<()> {
        self.call(request, |input| {
            let (mut len, mut is_answered) = (0, false);
            while !is_answered {
                let taken = dialect.take(&input[len..], &mut |came| {
                    is_answered |= is_answer(came)?;
                    Ok(())
                })?;
                if taken == 0 {
                    return Ok(0);
                }
                len += taken;
            }
            Ok(len)
        })
    }
}

/// For errors: bytes as they may be shown.
pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned()
}
