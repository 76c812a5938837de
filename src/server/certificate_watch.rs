//! A thread that reads the certificate again when one of its files changes, and says in the log when
//! the certificate is about to end.

use super::reload::Reloader;
use crate::base::Timestamp;
use crate::base::date::rfc3339;
use crate::base::limits::{CERTIFICATE_LOOK_MS, CERTIFICATE_WARNING_MS};
use crate::reactor::Clock;
use crate::tls::expiry_warning;
use std::fs::metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Runs until it is dropped.
#[derive(Debug)]
pub(super) struct CertificateWatch {
    _stop: Sender<()>,
}

/// What changes with a file's content.
#[derive(Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

type Stamps = Vec<Option<FileStamp>>;

struct Watcher {
    reloader: Reloader,
    stamps: Stamps,
    /// When the certificate's end is said next.
    warns_at: Timestamp,
}

impl CertificateWatch {
    /// Starts the thread, for a server with TLS.
    ///
    /// # Errors
    /// The system's error if it gives no thread.
    pub(super) fn start(reloader: Reloader) -> io::Result<CertificateWatch> {
        let (stop, stopped) = channel();
        let stamps = stamps(&reloader);
        let watcher = Watcher { reloader, stamps, warns_at: Timestamp(0) };
        let thread = std::thread::Builder::new().name("parlor-certificate".into());
        thread.spawn(move || watcher.run(&stopped))?;
        Ok(CertificateWatch { _stop: stop })
    }
}

impl Watcher {
    fn run(mut self, stopped: &Receiver<()>) {
        let pause = Duration::from_millis(CERTIFICATE_LOOK_MS);
        loop {
            self.look();
            self.warn(Clock::timestamp());
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn look(&mut self) {
        let stamps = stamps(&self.reloader);
        if stamps == self.stamps {
            return;
        }
        // What is written while it is read changes the stamps again.
        self.stamps = stamps;
        match self.reloader.read_certificates() {
            Ok(expires) => {
                self.warns_at = Timestamp(0);
                let until = rfc3339(expires);
                log::info!("certificate, read again as its file changed: valid until {until}");
            }
            Err(error) => {
                log::error!("certificate, not read again, the old one stays: {error}");
            }
        }
    }

    /// Says daily that the certificate ends soon, or has ended.
    fn warn(&mut self, now: Timestamp) {
        let Some(expires) = self.reloader.certificate_expiry() else { return };
        if now < self.warns_at {
            return;
        }
        self.warns_at = Timestamp(now.0.saturating_add(CERTIFICATE_WARNING_MS));
        if let Some(warning) = expiry_warning(expires, now) {
            log::warn!(expires = rfc3339(expires); "{warning}");
        }
    }
}

fn stamps(reloader: &Reloader) -> Stamps {
    let config = reloader.config();
    config.certificate_files().into_iter().map(stamp).collect()
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let found = metadata(path).ok()?;
    Some(FileStamp {
        device: found.dev(),
        inode: found.ino(),
        len: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}
