//! tokio-tungstenite. `tungstenite ADDRESS:PORT`; the paths are those of `crowd::Role`.

#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt, poll};
use parlor_peers::crowd::{Crowd, Role};
use parlor_peers::listen;
use std::pin::pin;
use std::task::Poll;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// The library clears what it offers to each read: with its default of 128 KiB that takes longer
/// than all else that a small message needs.
const READ_BUFFER_BYTES: usize = 16 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::from_std(listen::listener()?)?;
    let crowd = Crowd::default();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, crowd.clone()));
    }
}

async fn serve(stream: TcpStream, crowd: Crowd<Message>) {
    let mut role = Role::Echo;
    // The answer to a refusal is large, but it is the callback's that it must be.
    #[allow(clippy::result_large_err)]
    let note_path = |request: &Request, response: Response| {
        role = Role::of(request.uri().path());
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let accepted =
        tokio_tungstenite::accept_hdr_async_with_config(stream, note_path, Some(config)).await;
    let Ok(socket) = accepted else { return };
    let _ = match role {
        Role::Echo => echo(socket).await,
        role => hand_on(socket, &crowd, role).await,
    };
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    loop {
        let polled = poll!(pin!(socket.next()));
        let message = match polled {
            Poll::Ready(message) => message,
            // Nothing more is in the buffer: now is the time to write.
            Poll::Pending => {
                socket.flush().await?;
                socket.next().await
            }
        };
        let Some(message) = message.transpose()? else { return Ok(()) };
        if message.is_text() || message.is_binary() {
            socket.feed(message).await?;
        }
    }
}

async fn hand_on(
    mut socket: WebSocketStream<TcpStream>,
    crowd: &Crowd<Message>,
    role: Role,
) -> Result<(), Error> {
    let (member, mut queue) = crowd.join(role);
    loop {
        tokio::select! {
            biased;
            message = socket.next() => {
                let Some(message) = message.transpose()? else { return Ok(()) };
                match &message {
                    Message::Text(text) => {
                        let text = text.clone();
                        member.tell(message, text.as_bytes(), body_after);
                    }
                    Message::Binary(bytes) => {
                        let bytes = bytes.clone();
                        member.tell(message, &bytes, body_after);
                    }
                    _ => {}
                }
            }
            Some(message) = queue.recv() => {
                socket.feed(message).await?;
                while let Ok(message) = queue.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

/// A part of a message, without a copy; it has been found to be UTF-8 once already, but the library
/// only takes the part's word for that if it is asked again.
fn body_after(message: &Message, start: usize) -> Message {
    match message {
        Message::Text(text) => {
            let body = Bytes::from(text.clone()).slice(start..);
            Utf8Bytes::try_from(body).map_or_else(|_| Message::text(""), Message::Text)
        }
        Message::Binary(bytes) => Message::Binary(bytes.slice(start..)),
        other => other.clone(),
    }
}
