//! fastwebsockets on hyper. `fastws ADDRESS:PORT`; the paths are those of `crowd::Role`.

#![forbid(unsafe_code)]

use bytes::Bytes;
use fastwebsockets::{
    FragmentCollectorRead, Frame, OpCode, Payload, Role as End, WebSocketError, WebSocketRead,
    WebSocketWrite, after_handshake_split, upgrade,
};
use futures_util::future::{Either, select};
use futures_util::poll;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parlor_peers::crowd::{Crowd, Member, Role};
use parlor_peers::listen;
use std::pin::pin;
use std::task::Poll;
use tokio::io::BufWriter;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;

/// The library writes each frame as it comes: what one read has brought is gathered here.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

type Reading = FragmentCollectorRead<OwnedReadHalf>;
type Writing = WebSocketWrite<BufWriter<OwnedWriteHalf>>;

/// What is to be sent: shared by all who are told.
#[derive(Clone)]
struct Told {
    opcode: OpCode,
    payload: Bytes,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::from_std(listen::listener()?)?;
    let crowd = Crowd::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let crowd = crowd.clone();
        let service = service_fn(move |request| upgraded(request, crowd.clone()));
        let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(http.with_upgrades());
    }
}

async fn upgraded(
    mut request: Request<Incoming>,
    crowd: Crowd<Told>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let role = Role::of(request.uri().path());
    let (response, socket) = upgrade::upgrade(&mut request)?;
    tokio::spawn(async move {
        if let Ok(socket) = socket.await {
            let _ = serve(socket.into_inner(), &crowd, role).await;
        }
    });
    Ok(response)
}

async fn serve(
    upgraded: TokioIo<Upgraded>,
    crowd: &Crowd<Told>,
    role: Role,
) -> Result<(), WebSocketError> {
    // The socket itself, not through the layers that an upgrade leaves around it. A client that
    // sends before it has heard the answer is not served here.
    let parts = upgraded.into_inner().downcast::<TokioIo<TcpStream>>();
    let Ok(parts) = parts else { return Err(WebSocketError::ConnectionClosed) };
    if !parts.read_buf.is_empty() {
        return Err(WebSocketError::ConnectionClosed);
    }
    let (read, write) = parts.io.into_inner().into_split();
    let write = BufWriter::with_capacity(WRITE_BUFFER_BYTES, write);
    let (read, write): (WebSocketRead<_>, _) = after_handshake_split(read, write, End::Server);
    let read = FragmentCollectorRead::new(read);
    match role {
        Role::Echo => echo(read, write).await,
        role => hand_on(read, write, crowd, role).await,
    }
}

async fn echo(mut read: Reading, mut write: Writing) -> Result<(), WebSocketError> {
    // What the library owes of itself, an answer to a ping or a close.
    let (owed, mut owing) = tokio::sync::mpsc::unbounded_channel();
    let mut owe = |frame: Frame<'static>| {
        let sent = owed.send(frame);
        async move { sent.map_err(|_| WebSocketError::ConnectionClosed) }
    };
    loop {
        let frame = {
            let mut reading = pin!(read.read_frame(&mut owe));
            let polled = poll!(&mut reading);
            match polled {
                Poll::Ready(frame) => frame,
                // Nothing more is in the buffer: now is the time to write.
                Poll::Pending => {
                    write.flush().await?;
                    reading.await
                }
            }
        };
        while let Ok(frame) = owing.try_recv() {
            write.write_frame(frame).await?;
        }
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                write.flush().await?;
                return Err(error);
            }
        };
        match frame.opcode {
            OpCode::Text | OpCode::Binary => write.write_frame(frame).await?,
            OpCode::Close => return write.flush().await,
            _ => {}
        }
    }
}

async fn hand_on(
    read: Reading,
    write: Writing,
    crowd: &Crowd<Told>,
    role: Role,
) -> Result<(), WebSocketError> {
    let (member, queue) = crowd.join(role);
    let (owed, owing) = tokio::sync::mpsc::unbounded_channel();
    let reading = pin!(hear(read, &member, owed));
    let writing = pin!(speak(write, queue, owing));
    match select(reading, writing).await {
        // The last that is owed, an answering close, is still to be written.
        Either::Left((heard, writing)) => heard.and(writing.await),
        Either::Right((spoken, _)) => spoken,
    }
}

/// Hands on what comes. A read is never given up half-way: the library would lose its place.
async fn hear(
    mut read: Reading,
    member: &Member<Told>,
    owed: tokio::sync::mpsc::UnboundedSender<Frame<'static>>,
) -> Result<(), WebSocketError> {
    let mut owe = |frame: Frame<'static>| {
        let sent = owed.send(frame);
        async move { sent.map_err(|_| WebSocketError::ConnectionClosed) }
    };
    loop {
        let frame = read.read_frame(&mut owe).await?;
        let payload = match frame.opcode {
            OpCode::Text | OpCode::Binary => match frame.payload {
                Payload::Bytes(bytes) => bytes.freeze(),
                other => Bytes::copy_from_slice(&other),
            },
            OpCode::Close => return Ok(()),
            _ => continue,
        };
        let told = Told { opcode: frame.opcode, payload: payload.clone() };
        member.tell(told, &payload, |told, start| Told {
            opcode: told.opcode,
            payload: told.payload.slice(start..),
        });
    }
}

/// Sends what waits, all that there is before each flush; ends when nothing more can be owed.
async fn speak(
    mut write: Writing,
    mut queue: Receiver<Told>,
    mut owing: tokio::sync::mpsc::UnboundedReceiver<Frame<'static>>,
) -> Result<(), WebSocketError> {
    loop {
        tokio::select! {
            biased;
            Some(told) = queue.recv() => {
                write.write_frame(frame(&told)).await?;
                while let Ok(told) = queue.try_recv() {
                    write.write_frame(frame(&told)).await?;
                }
            }
            owed = owing.recv() => match owed {
                Some(owed) => write.write_frame(owed).await?,
                None => return Ok(()),
            },
        }
        write.flush().await?;
    }
}

fn frame(told: &Told) -> Frame<'_> {
    Frame::new(true, told.opcode, None, Payload::Borrowed(&told.payload))
}
