//! Messages that are not on the server's disk, in a file: what a process has left is sent by the next one.
//!
//! A line for each thing that happens: a message is to be kept (`{"id":…}`), or need not be any more
//! (`{"forget":"<id>"}`). A line whose end has not been written is none. The file is written anew when most of it is
//! over.

use crate::base::limits::JSON_DEPTH_MAX;
use crate::base::{RoomId, Timestamp, UserId};
use crate::client::core::Kept;
use crate::wire::json::{Writer, object, whole};
use crate::wire::told::ToldObject;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The file, within the folder; the one that takes its place; lines that could not be read.
const NAME: &str = "outbox.ndjson";
const NEW_NAME: &str = "outbox.ndjson.new";
const UNREADABLE_NAME: &str = "outbox.unreadable";
/// While it is smaller, the file is not written anew, in bytes.
const SMALL_BYTES: u64 = 1024 * 1024;

/// How often, and how long in between, the lock of an outbox is tried again.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// An outbox in a folder: one process has it at a time.
#[derive(Debug)]
pub struct FileOutbox {
    folder: PathBuf,
    state: Mutex<OutboxFile>,
    /// Up to which write all is on the disk; held while it is being put there.
    synced: Mutex<u64>,
    /// Where lines are that could not be read.
    unreadable: Option<PathBuf>,
}

#[derive(Debug)]
struct OutboxFile {
    file: Arc<File>,
    /// How long it is; beyond that is what could not be written whole.
    len: u64,
    /// Of that, lines that still say something.
    live_len: u64,
    /// The number of the last write.
    writes: u64,
    /// In the order in which they came: their numbers, and the lengths of their lines.
    messages: BTreeMap<u64, (Kept, u64)>,
    numbers: HashMap<Arc<str>, u64>,
    last: u64,
    /// A write has failed and could not be undone, or the disk has not taken what was written.
    is_broken: bool,
}

/// Why there is no outbox.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxError {
    /// Another process has it, or this one already.
    InUse(PathBuf),
    /// Its file cannot be read or written.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl FileOutbox {
    /// Opens the outbox of a folder, which is made if there is none. Messages are in it as they are: the folder should
    /// be the user's own.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn open(folder: impl AsRef<Path>) -> Result<FileOutbox, OutboxError> {
        let folder = folder.as_ref().to_owned();
        let path = folder.join(NAME);
        let failed = |error| OutboxError::Io { path: path.clone(), error };
        make_folder(&folder).map_err(|error| OutboxError::Io { path: folder.clone(), error })?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        private(&mut options);
        let mut attempts = LOCK_ATTEMPTS;
        let mut file = loop {
            let file = options.open(&path).and_then(own_file).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                // A process that was just begun by this one has its open files for a moment.
                Err(TryLockError::WouldBlock) if attempts > 0 => {
                    attempts -= 1;
                    std::thread::sleep(LOCK_WAIT);
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Err(OutboxError::InUse(folder)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Whoever had it may have put another in its place meanwhile.
            if is_same(&file, &path).map_err(failed)? {
                break file;
            }
        };
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let mut state = OutboxFile::new(file);
        let lines = state.read(&text);
        let mut unreadable = None;
        if !lines.is_empty() {
            let beside = folder.join(UNREADABLE_NAME);
            log::warn!(
                "lines of {} cannot be read: they are in {} now",
                path.display(),
                beside.display()
            );
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            private(&mut options);
            let file = options.open(&beside).and_then(own_file);
            let kept = file.and_then(|mut file| file.write_all(&lines));
            kept.map_err(|error| OutboxError::Io { path: beside.clone(), error })?;
            unreadable = Some(beside);
        }
        let (state, synced) = (Mutex::new(state), Mutex::new(0));
        let outbox = FileOutbox { folder, state, synced, unreadable };
        outbox.write_anew(&mut outbox.lock()).map_err(failed)?;
        Ok(outbox)
    }

    /// The file to which lines were moved that could not be read when it was opened, if there were any: what was in
    /// them is not sent.
    #[must_use]
    pub fn unreadable(&self) -> Option<&Path> {
        self.unreadable.as_deref()
    }

    fn lock(&self) -> MutexGuard<'_, OutboxFile> {
        // Nothing in it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in it, in order.
    pub(super) fn left(&self) -> Vec<Kept> {
        self.lock().messages.values().map(|(kept, _)| kept.clone()).collect()
    }

    /// Keeps a message, or what has become of it. It is on the disk after [`FileOutbox::sync`].
    pub(super) fn keep(&self, kept: &Kept) -> io::Result<()> {
        let mut state = self.lock();
        let number = state.numbers.get(&kept.id).copied();
        if number.and_then(|number| state.messages.get(&number)).is_some_and(|(one, _)| one == kept)
        {
            return Ok(());
        }
        let line = line(kept);
        state.append(&line)?;
        state.put(kept.clone(), line.len() as u64);
        Ok(())
    }

    /// Strikes a message off. After a fault of the machine it may be in it again: it is sent once more, and the server
    /// takes that as a repeat.
    pub(super) fn forget(&self, id: &str) -> io::Result<()> {
        let mut state = self.lock();
        if state.numbers.contains_key(id) {
            let mut line = object(|w| w.text("forget", id));
            line.push('\n');
            state.append(line.as_bytes())?;
            state.strike(id);
        }
        if state.len > SMALL_BYTES && state.live_len < state.len / 2 {
            self.write_anew(&mut state)?;
        }
        Ok(())
    }

    /// Waits until all that was written is on the disk: once for the messages of several threads.
    pub(super) fn sync(&self) -> io::Result<()> {
        let writes = self.lock().writes;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= writes {
            return Ok(());
        }
        let (file, writes) = {
            let state = self.lock();
            if state.is_broken {
                return Err(broken());
            }
            (Arc::clone(&state.file), state.writes)
        };
        if let Err(error) = file.sync_data() {
            // The system forgets what it could not write: a later success would say nothing of this.
            self.lock().is_broken = true;
            return Err(error);
        }
        *synced = writes;
        Ok(())
    }

    /// Writes the file anew, without what is over, and puts it in the place of the old one.
    fn write_anew(&self, state: &mut OutboxFile) -> io::Result<()> {
        let new_path = self.folder.join(NEW_NAME);
        // One that was not finished.
        match std::fs::remove_file(&new_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        private(&mut options);
        let new = options.open(&new_path)?;
        // Before it has the name: nobody else opens it unlocked.
        new.try_lock()?;
        let mut text = Vec::new();
        for (kept, _) in state.messages.values() {
            text.extend_from_slice(&line(kept));
        }
        (&new).write_all(&text)?;
        new.sync_all()?;
        std::fs::rename(&new_path, self.folder.join(NAME))?;
        // From here on it is the file that the next process reads.
        state.file = Arc::new(new);
        state.len = text.len() as u64;
        state.live_len = state.len;
        state.writes += 1;
        let has_its_name = File::open(&self.folder).and_then(|folder| folder.sync_all());
        state.is_broken |= has_its_name.is_err();
        has_its_name
    }
}

impl OutboxFile {
    fn new(file: File) -> OutboxFile {
        OutboxFile {
            file: Arc::new(file),
            len: 0,
            live_len: 0,
            writes: 0,
            messages: BTreeMap::new(),
            numbers: HashMap::new(),
            last: 0,
            is_broken: false,
        }
    }

    /// Takes the file's lines; returns those that it cannot read. A last one without an end was never promised.
    fn read(&mut self, text: &[u8]) -> Vec<u8> {
        let mut unreadable = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(content) = line.strip_suffix(b"\n") else { break };
            let read = std::str::from_utf8(content).ok().and_then(ToldObject::parse);
            match read.and_then(|object| read_line(&object)) {
                Some(Line::Keep(kept)) => self.put(kept, line.len() as u64),
                Some(Line::Forget(id)) => self.strike(&id),
                None => unreadable.extend_from_slice(line),
            }
        }
        unreadable
    }

    fn put(&mut self, kept: Kept, len: u64) {
        let number = *self.numbers.entry(Arc::clone(&kept.id)).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        let old = self.messages.insert(number, (kept, len)).map_or(0, |(_, len)| len);
        self.live_len = (self.live_len + len).saturating_sub(old);
    }

    fn strike(&mut self, id: &str) {
        let number = self.numbers.remove(id);
        if let Some((_, len)) = number.and_then(|number| self.messages.remove(&number)) {
            self.live_len = self.live_len.saturating_sub(len);
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_broken {
            return Err(broken());
        }
        if let Err(error) = (&*self.file).write_all(line) {
            // What is behind a part of a line would be read as its rest.
            self.is_broken = self.file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += line.len() as u64;
        self.writes += 1;
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("an earlier write to the outbox has failed")
}

enum Line {
    Keep(Kept),
    Forget(String),
}

fn line(kept: &Kept) -> Vec<u8> {
    let mut line = object(|w| {
        w.text("id", &kept.id);
        w.if_some("user", kept.user.as_ref().map(UserId::as_str), Writer::text);
        w.text("room", kept.room.as_str());
        w.text("text", &kept.text);
        // As a text: it may have lines.
        w.if_some("data", kept.data.as_deref(), Writer::text);
        w.if_some("reply_to", kept.reply_to, Writer::number);
        w.number("at", kept.at.0);
        w.if_some("failed", kept.failed.as_deref(), Writer::text);
    });
    line.push('\n');
    line.into_bytes()
}

fn read_line(line: &ToldObject<'_>) -> Option<Line> {
    if let Some(id) = line.text("forget") {
        return Some(Line::Forget(id.into_owned()));
    }
    let text = |name| line.text(name).map(|text| text.into_owned().into_boxed_str());
    let data = text("data");
    // It becomes a part of a request as it is.
    if data.as_deref().is_some_and(|data| whole(data, JSON_DEPTH_MAX).is_err()) {
        return None;
    }
    Some(Line::Keep(Kept {
        id: Arc::from(text("id")?),
        user: match text("user") {
            None => None,
            Some(user) => Some(UserId::parse_any(&user).ok()?),
        },
        room: RoomId::parse(&text("room")?).ok()?,
        text: text("text")?,
        data,
        reply_to: line.number("reply_to"),
        at: Timestamp(line.integer("at")?),
        failed: text("failed"),
    }))
}

/// Nobody else may read messages, and none leads elsewhere.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
}

/// What another user has put there would be sent as this one's.
#[cfg(unix)]
fn own_file(file: File) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it is another user's"));
    }
    Ok(file)
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether a path still leads to a file.
#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (one, other) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutboxError::InUse(folder) => {
                write!(f, "the outbox {} is in use: one client has it at a time", folder.display())
            }
            OutboxError::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OutboxError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, text: &str) -> Kept {
        Kept {
            id: id.into(),
            user: UserId::parse_any("ada").ok(),
            room: RoomId::parse("tea").unwrap(),
            text: text.into(),
            data: Some("{\"a\":\n1.50}".into()),
            reply_to: Some(3),
            at: Timestamp(7),
            failed: None,
        }
    }

    fn ids(outbox: &FileOutbox) -> Vec<String> {
        outbox.left().iter().map(|kept| kept.id.to_string()).collect()
    }

    #[test]
    fn what_is_kept_is_there_again_in_its_order_and_what_is_forgotten_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er");
        let outbox = FileOutbox::open(&path).unwrap();
        for id in ["a", "b", "c"] {
            outbox.keep(&message(id, "line\n\"\u{1}")).unwrap();
        }
        outbox.sync().unwrap();
        let failed = Kept { failed: Some("quota".into()), user: None, ..message("a", "") };
        outbox.keep(&failed).unwrap();
        outbox.forget("b").unwrap();
        outbox.forget("unknown").unwrap();
        drop(outbox);
        let outbox = FileOutbox::open(&path).unwrap();
        assert_eq!(outbox.left(), [failed, message("c", "line\n\"\u{1}")]);
    }

    #[test]
    fn one_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = FileOutbox::open(&folder).unwrap();
        outbox.keep(&message("a", "")).unwrap();
        assert!(matches!(FileOutbox::open(&folder), Err(OutboxError::InUse(_))));
        drop(outbox);
        assert_eq!(ids(&FileOutbox::open(&folder).unwrap()), ["a"]);
    }

    #[test]
    fn a_last_line_that_was_cut_is_left_out_and_another_that_is_none_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = FileOutbox::open(&folder).unwrap();
        outbox.keep(&message("a", "")).unwrap();
        outbox.keep(&message("b", "")).unwrap();
        drop(outbox);
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let outbox = FileOutbox::open(&folder).unwrap();
            let expected = [&["a"][..], &["b"]].concat();
            let count = usize::from(len >= first) + usize::from(len == whole.len());
            assert_eq!(ids(&outbox), expected[..count], "{len}");
            // What is kept after that is read, too.
            outbox.keep(&message("c", "")).unwrap();
            drop(outbox);
            assert_eq!(ids(&FileOutbox::open(&folder).unwrap()).last().unwrap(), "c");
        }
        assert!(!folder.path().join(UNREADABLE_NAME).exists());
        let damaged = [b"\xff{\"id\":3}\n", &whole[..]].concat();
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(ids(&FileOutbox::open(&folder).unwrap()), ["a", "b"]);
        let aside = std::fs::read(folder.path().join(UNREADABLE_NAME)).unwrap();
        assert_eq!(aside, b"\xff{\"id\":3}\n");
    }

    #[test]
    fn the_file_does_not_grow_with_what_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = FileOutbox::open(&folder).unwrap();
        outbox.keep(&message("stays", "")).unwrap();
        let text = "x".repeat(10_000);
        for number in 0..1_000 {
            let id = number.to_string();
            outbox.keep(&message(&id, &text)).unwrap();
            outbox.forget(&id).unwrap();
        }
        outbox.sync().unwrap();
        let len = std::fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(len < SMALL_BYTES + 100_000, "{len}");
        assert!(matches!(FileOutbox::open(&folder), Err(OutboxError::InUse(_))));
        drop(outbox);
        assert_eq!(ids(&FileOutbox::open(&folder).unwrap()), ["stays"]);
    }
}
