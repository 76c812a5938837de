//! The files of a store, as a kill leaves them, and what a check says of them.

use parlor::store::data::{self, BrokenRule};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The bytes of each, by its name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The files of a directory, but those that are no part of what is stored.
pub(crate) fn files(directory: &Path) -> Files {
    let mut found = Files::new();
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "parlor.lock" && !name.ends_with("-shm") {
            found.insert(name.clone(), fs::read(directory.join(name)).unwrap());
        }
    }
    found
}

/// A directory with these files, and nothing else.
pub(crate) fn laid_out(directory: PathBuf, files: &Files) -> PathBuf {
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
    directory
}

/// What a check finds.
pub(crate) fn faults(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    data::check(path, &mut |fault: BrokenRule| found.push(fault.to_string()), &mut |_| {}).unwrap();
    found
}
