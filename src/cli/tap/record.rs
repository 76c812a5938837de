//! Writes what each end has sent to files: for `parlor decode`, and for the fuzz target of its name.

use crate::protocol::Role;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Folders for recordings.
#[derive(Clone, Debug)]
pub(super) struct RecordPlan {
    pub(super) streams: Option<PathBuf>,
    pub(super) corpus: Option<PathBuf>,
    /// The number of the first connection's files.
    first: u32,
}

/// The first byte of a file of the fuzz target's corpus (`fuzz/bodies/decode.rs`).
const FROM_SERVER: u8 = 0x01;
const INFLATES: u8 = 0x02;

impl RecordPlan {
    /// Makes the folders. Numbers go on behind those of files that are there.
    pub(super) fn begin(
        streams: Option<PathBuf>,
        corpus: Option<PathBuf>,
    ) -> Result<RecordPlan, String> {
        let mut last = 0_u32;
        for folder in streams.iter().chain(&corpus) {
            let newest =
                newest_in(folder).map_err(|error| format!("{}: {error}", folder.display()));
            last = last.max(newest?);
        }
        Ok(RecordPlan { streams, corpus, first: last.saturating_add(1) })
    }

    /// The files of a connection; nothing if none are wanted.
    pub(super) fn record(&self, conn: u32) -> io::Result<Option<Recording>> {
        if self.streams.is_none() && self.corpus.is_none() {
            return Ok(None);
        }
        let number = self.first.saturating_add(conn - 1);
        let of = |from| EndFiles::create(self, number, from);
        Ok(Some(Recording { client: of(Role::Client)?, server: of(Role::Server)? }))
    }
}

/// Makes a folder, or finds the highest number in it.
fn newest_in(folder: &Path) -> io::Result<u32> {
    // What is in it has tokens.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut last = 0;
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.split('-').next());
        last = last.max(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0));
    }
    Ok(last)
}

/// The files of a connection.
#[derive(Debug)]
pub(super) struct Recording {
    client: EndFiles,
    server: EndFiles,
}

#[derive(Debug)]
struct EndFiles {
    stream: Option<File>,
    corpus: Option<File>,
    flags: u8,
}

impl EndFiles {
    fn create(plan: &RecordPlan, number: u32, from: Role) -> io::Result<EndFiles> {
        let (name, flags) = match from {
            Role::Client => ("client", 0),
            Role::Server => ("server", FROM_SERVER),
        };
        let create = |folder: &Path| {
            let path = folder.join(format!("{number:04}-{name}.bin"));
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        };
        let stream = plan.streams.as_deref().map(create).transpose()?;
        let mut corpus = plan.corpus.as_deref().map(create).transpose()?;
        if let Some(corpus) = &mut corpus {
            corpus.write_all(&[flags])?;
        }
        Ok(EndFiles { stream, corpus, flags })
    }

    fn set_inflates(&self) -> io::Result<()> {
        match &self.corpus {
            Some(corpus) => corpus.write_all_at(&[self.flags | INFLATES], 0),
            None => Ok(()),
        }
    }
}

impl Recording {
    /// Adds bytes that an end has sent.
    pub(super) fn add(&mut self, from: Role, bytes: &[u8]) -> io::Result<()> {
        let files = match from {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        };
        for file in files.stream.iter_mut().chain(&mut files.corpus) {
            file.write_all(bytes)?;
        }
        Ok(())
    }

    /// Permessage-deflate was agreed on.
    pub(super) fn set_inflates(&self) -> io::Result<()> {
        self.client.set_inflates()?;
        self.server.set_inflates()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_the_bytes_and_a_corpus_what_they_need() {
        let root = std::env::temp_dir().join(format!("parlor-tap-record-{}", std::process::id()));
        let (streams, corpus) = (root.join("a/streams"), root.join("corpus"));
        for number in 1..=2 {
            let plan = RecordPlan::begin(Some(streams.clone()), Some(corpus.clone())).unwrap();
            let mut recording = plan.record(1).unwrap().unwrap();
            recording.add(Role::Client, b"abc").unwrap();
            recording.add(Role::Server, b"d").unwrap();
            recording.set_inflates().unwrap();
            recording.add(Role::Server, b"ef").unwrap();
            let read = |folder: &Path, end: &str| {
                std::fs::read(folder.join(format!("{number:04}-{end}.bin"))).unwrap()
            };
            assert_eq!(
                (read(&streams, "client"), read(&streams, "server")),
                (b"abc".to_vec(), b"def".to_vec())
            );
            assert_eq!(
                (read(&corpus, "client"), read(&corpus, "server")),
                (b"\x02abc".to_vec(), b"\x03def".to_vec())
            );
        }
        std::fs::remove_dir_all(&root).unwrap();
        assert!(RecordPlan::begin(None, None).unwrap().record(1).unwrap().is_none());
    }
}
