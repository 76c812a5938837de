//! tokio-websockets. `tokio_ws ADDRESS:PORT`; the paths are those of `crowd::Role`.

#![forbid(unsafe_code)]

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, poll};
use parlor_peers::crowd::{Crowd, Role};
use parlor_peers::listen;
use std::pin::pin;
use std::task::Poll;
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{Config, Error, Message, ServerBuilder, WebSocketStream};

/// So much may wait before it is written for want of a reason to wait: a burst leaves in few calls.
const FLUSH_BYTES: usize = 256 * 1024;

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
    let builder = ServerBuilder::new().config(Config::default().flush_threshold(FLUSH_BYTES));
    let Ok((request, socket)) = builder.accept(stream).await else { return };
    let _ = match Role::of(request.uri().path()) {
        Role::Echo => echo(socket).await,
        role => hand_on(socket, &crowd, role).await,
    };
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    let mut messages = Vec::new();
    loop {
        // The library writes what waits before it reads: so all that has come is taken before the
        // first of it is answered.
        let Some(first) = socket.next().await.transpose()? else { return Ok(()) };
        messages.push(first);
        while let Poll::Ready(Some(message)) = poll!(pin!(socket.next())) {
            messages.push(message?);
        }
        for message in messages.drain(..) {
            if message.is_text() || message.is_binary() {
                socket.feed(message).await?;
            }
        }
        socket.flush().await?;
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
                if message.is_text() || message.is_binary() {
                    let payload = message.as_payload().clone();
                    member.tell(message, &payload, body_after);
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

/// A part of a message, without a copy.
fn body_after(message: &Message, start: usize) -> Message {
    let body = Bytes::from(message.as_payload().clone()).slice(start..);
    if message.is_text() { Message::text(body) } else { Message::binary(body) }
}
