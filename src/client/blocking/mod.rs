//! A WebSocket over a socket that blocks: no thread, no reactor. For programs that want no more than to connect, send
//! and read, of any server that keeps to RFC 6455.

mod byte_stream;
mod halves;
mod opening;

use crate::client::error::{ConnectError, SocketError};

pub use byte_stream::ByteStream;
pub use halves::{BlockingReader, BlockingWriter};
pub use opening::BlockingBuilder;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A message of bytes.
    Bytes(Vec<u8>),
    /// An answer to a ping, or one that nobody asked for.
    Pong(Vec<u8>),
    /// The server closes. Nothing more comes.
    Closed {
        /// The code, if there is one.
        code: Option<u16>,
        /// The reason; may be empty.
        reason: String,
    },
}

/// A WebSocket. What is sent leaves before the call returns.
#[derive(Debug)]
pub struct BlockingWebSocket {
    reader: BlockingReader,
    writer: BlockingWriter,
    protocol: Option<String>,
}

impl BlockingWebSocket {
    /// How to open one.
    #[must_use]
    pub fn builder(url: &str) -> BlockingBuilder {
        BlockingBuilder::new(url)
    }

    /// Opens one.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub fn connect(url: &str) -> Result<BlockingWebSocket, ConnectError> {
        BlockingWebSocket::builder(url).connect()
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The next message; as [`BlockingReader::read`].
    ///
    /// # Errors
    /// A [`SocketError`].
    pub fn read(&mut self) -> Result<Option<Incoming>, SocketError> {
        self.reader.read()
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// As [`BlockingWriter::send`].
    pub fn send(&mut self, text: &str) -> Result<(), SocketError> {
        self.writer.send(text)
    }

    /// Sends a message of bytes.
    ///
    /// # Errors
    /// As [`BlockingWriter::send`].
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SocketError> {
        self.writer.send_bytes(bytes)
    }

    /// Begins the closing handshake; as [`BlockingWriter::close`].
    ///
    /// # Errors
    /// As [`BlockingWriter::send`].
    pub fn close(&mut self, code: u16, reason: &str) -> Result<(), SocketError> {
        self.writer.close(code, reason)
    }

    /// One half for a thread that reads, one for those that write.
    #[must_use]
    pub fn split(self) -> (BlockingReader, BlockingWriter) {
        (self.reader, self.writer)
    }
}
