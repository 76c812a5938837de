//! Files that prove to a certificate authority that a host is ours (RFC 8555 §8.3), read on a thread
//! of their own, since the reactor's must not wait for the disk.

use super::handle_error::HandleError;
use super::http_path::{PathAnswer, PathReply};
use crate::auth::small_file;
use crate::base::LineRate;
use crate::base::limits::{CHALLENGE_BYTES_MAX, CHALLENGES_WAITING_MAX};
use crate::http1::Status;
use crate::reactor::Clock;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Reads challenges. The thread ends when this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Challenges {
    requests: SyncSender<(PathBuf, PathReply)>,
}

impl Challenges {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's error if it gives no thread.
    pub(crate) fn start() -> io::Result<Challenges> {
        let (requests, received) = sync_channel(CHALLENGES_WAITING_MAX);
        let thread = std::thread::Builder::new().name("parlor-challenges".into());
        thread.spawn(move || run(&received))?;
        Ok(Challenges { requests })
    }

    /// Answers with the content of this file.
    pub(crate) fn answer(&self, path: PathBuf, reply: PathReply) {
        if let Err(TrySendError::Full((_, reply)) | TrySendError::Disconnected((_, reply))) =
            self.requests.try_send((path, reply))
        {
            refuse(
                reply,
                Status::ServiceUnavailable,
                "overloaded",
                "too many challenges are asked for",
            );
        }
    }
}

fn run(received: &Receiver<(PathBuf, PathReply)>) {
    let (clock, lines) = (Clock::start(), LineRate::new(1));
    for (path, reply) in received {
        let content = read(&path).unwrap_or_else(|error| {
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            // Strangers decide how often.
            if !is_missing && lines.take(clock.now()).is_some() {
                log::warn!(file:% = path.display(); "a challenge cannot be read: {error}");
            }
            None
        });
        match content {
            Some(content) => {
                let answer = PathAnswer::new(Status::Ok, "application/octet-stream", content);
                if let Ok(answer) = answer.and_then(sealed) {
                    // The client may have gone.
                    let _ = reply.send(answer);
                }
            }
            None => refuse(reply, Status::NotFound, "not_found", "there is no such challenge"),
        }
    }
}

/// The file itself: a link could lead anywhere.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    small_file::read(path, CHALLENGE_BYTES_MAX)
}

/// An answer as all others of the server are.
fn sealed(answer: PathAnswer) -> Result<PathAnswer, HandleError> {
    let answer = answer.with("X-Content-Type-Options", "nosniff")?;
    answer.with("Cross-Origin-Resource-Policy", "same-origin")?.with("Cache-Control", "no-store")
}

fn refuse(reply: PathReply, status: Status, code: &str, message: &str) {
    let error = json!({ "error": { "code": code, "message": message } });
    // The client may have gone.
    let _ = sealed(PathAnswer::json(status, &error)).map(|answer| reply.send(answer));
}
