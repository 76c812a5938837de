//! The sources of keys. Files are read at the start, and again on request; a secret that was given
//! directly stays.

use super::key::Key;
use super::key_error::{KeyError, KeyProblem};
use super::{Keys, Secret, jwks, pem, small_file};
use crate::base::limits::{KEY_FILE_BYTES_MAX, KEY_FILES_MAX};
use std::fmt;
use std::path::{Path, PathBuf};

/// The sources of keys.
#[derive(Clone, Debug, Default)]
pub struct KeySources {
    /// A secret.
    pub secret: Option<Secret>,
    /// A file with a secret.
    pub secret_file: Option<PathBuf>,
    /// Files with public keys or sets of keys.
    pub key_files: Vec<KeyFile>,
}

/// A PEM file with a public key, or a JWKS file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The name of a PEM file's key. A JWKS names its own keys.
    pub kid: Option<String>,
    /// The file.
    pub path: PathBuf,
}

impl KeyFile {
    /// Parses `FILE` or `KID=FILE`. Text with a `/` before its first `=` is only a file name.
    #[must_use]
    pub fn parse(text: &str) -> Option<KeyFile> {
        let (kid, path) = match text.split_once('=') {
            Some((kid, path)) if !kid.contains('/') => (Some(kid.to_owned()), path),
            _ => (None, text),
        };
        let is_empty = path.is_empty() || kid.as_ref().is_some_and(String::is_empty);
        (!is_empty).then(|| KeyFile { kid, path: path.into() })
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "{kid}={}", self.path.display()),
            None => self.path.display().fmt(f),
        }
    }
}

/// One of the [`KeySources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// The secret itself.
    Secret,
    /// The file with a secret.
    SecretFile,
    /// A file with public keys.
    KeyFiles,
}

impl KeySources {
    /// Whether there is none: open mode.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secret.is_none() && self.secret_file.is_none() && self.key_files.is_empty()
    }

    /// Reads all files. Waits for the disk, so do not call it on the serving reactor's thread.
    ///
    /// # Errors
    /// [`KeyError`], with the file and the key. A part of the keys is never returned.
    pub fn read(&self) -> Result<Keys, KeyError> {
        let (keys, faults) = self.read_all();
        faults.into_iter().next().map_or(Ok(keys), |(_, error)| Err(error))
    }

    /// Reads all files, and returns the error of each. Waits for the disk.
    pub(crate) fn read_all(&self) -> (Keys, Vec<(KeySource, KeyError)>) {
        let (mut keys, mut faults) = (Keys::none(), Vec::new());
        if let Some(secret) = &self.secret {
            let added = Key::secret(secret.bytes()).and_then(|key| keys.add(key));
            let fault = added.map_err(|why| KeyError::new("the secret", why)).err();
            faults.extend(fault.map(|error| (KeySource::Secret, error)));
        }
        if let Some(path) = &self.secret_file {
            let key = Secret::read(path).and_then(|secret| Key::secret(secret.bytes()));
            let added = key.and_then(|key| keys.add(key));
            let fault = added.map_err(|why| KeyError::new(path.display(), why)).err();
            faults.extend(fault.map(|error| (KeySource::SecretFile, error)));
        }
        if self.key_files.len() > KEY_FILES_MAX {
            let error = KeyError::new("the configuration", KeyProblem::Files);
            faults.push((KeySource::KeyFiles, error));
        }
        for file in self.key_files.iter().take(KEY_FILES_MAX) {
            let read = file.read().and_then(|read| {
                read.into_iter().try_for_each(|key| {
                    let shown = key.kid.as_ref().map(|kid| format!("{kid:?}"));
                    let failed =
                        |why| KeyError { key: shown, ..KeyError::new(file.path.display(), why) };
                    keys.add(key).map_err(failed)
                })
            });
            faults.extend(read.err().map(|error| (KeySource::KeyFiles, error)));
        }
        (keys, faults)
    }
}

impl KeyFile {
    fn read(&self) -> Result<Vec<Key>, KeyError> {
        let failed = |key, problem| {
            let origin = self.path.display().to_string();
            KeyError { origin, key, problem }
        };
        let bytes = read_bounded(&self.path).map_err(|why| failed(None, why))?;
        let text = str::from_utf8(&bytes).map_err(|_| failed(None, KeyProblem::Format))?;
        // A byte order mark, which some editors write.
        let text = text.trim_start_matches('\u{feff}');
        let is_jwks = text.trim_start().starts_with('{');
        if !is_jwks {
            let key = pem::public_key(text).map_err(|why| failed(None, why))?;
            return Ok(vec![key.named(self.kid.as_deref().map(Into::into))]);
        }
        if self.kid.is_some() {
            return Err(failed(None, KeyProblem::KidOfSet));
        }
        jwks::keys(text).map_err(|(key, why)| failed(key, why))
    }
}

/// A whole file, if it is small enough for a key file.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, KeyProblem> {
    let read = small_file::read(path, KEY_FILE_BYTES_MAX).map_err(KeyProblem::Read)?;
    read.ok_or(KeyProblem::FileSize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    const SET: &str =
        r#"{"keys":[{"kty":"oct","kid":"a","k":"YW4gZXhhbXBsZSBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4"}]}"#;

    /// The keys of files with these contents, named `0`, `1` …
    fn read(files: &[(Option<&str>, &str)]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = KeySources::default();
        for (number, (kid, text)) in files.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            fs::write(&path, text).unwrap();
            sources.key_files.push(KeyFile { kid: kid.map(str::to_owned), path });
        }
        let folder = format!("{}/", folder.path().display());
        let keys = sources.read();
        keys.map(|keys| keys.to_string()).map_err(|error| error.to_string().replace(&folder, ""))
    }

    #[test]
    fn a_file_is_pem_or_a_set_and_pem_may_be_named() {
        assert_eq!(read(&[(None, PEM)]).unwrap(), "1: EdDSA without a kid");
        let both = [(Some("ed"), PEM), (None, SET), (None, PEM)];
        assert_eq!(read(&both).unwrap(), "3: EdDSA \"ed\", HS256 \"a\", EdDSA without a kid");
        assert!(read(&[(None, &format!("\u{feff} \n{SET}"))]).is_ok());
        assert_eq!(read(&[]).unwrap(), "0");
    }

    #[test]
    fn an_error_names_the_file_and_the_key() {
        let said = |files: &[(Option<&str>, &str)]| read(files).unwrap_err();
        assert!(said(&[(None, PEM), (None, "x")]).starts_with("1: is neither PEM"));
        assert!(said(&[(None, "")]).starts_with("0: is neither PEM"));
        assert!(said(&[(Some("a"), SET)]).starts_with("0: is a JWKS, which names its keys"));
        assert!(said(&[(None, SET), (None, SET)]).starts_with("1: key \"a\": another key has"));
        assert!(said(&[(None, SET), (Some("a"), PEM)]).starts_with("1: key \"a\": another key"));
        assert!(said(&[(None, PEM), (None, PEM)]).starts_with("1: is the second key of EdDSA"));
        assert!(said(&vec![(None, PEM); KEY_FILES_MAX + 1]).contains("key files"));
        let max = usize::try_from(KEY_FILE_BYTES_MAX).unwrap();
        let padded = |len: usize| format!("{PEM}{}", " ".repeat(len - PEM.len()));
        assert!(read(&[(None, &padded(max))]).is_ok());
        assert!(said(&[(None, &padded(max + 1))]).contains("65536 bytes"));
    }

    #[test]
    fn a_secret_may_be_given_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, format!("  {}\n", "k".repeat(32))).unwrap();
        let of_file = KeySources { secret_file: Some(path.clone()), ..KeySources::default() };
        assert_eq!(of_file.read().unwrap().to_string(), "1: HS256 without a kid");
        fs::write(&path, format!("  {}\n", "k".repeat(31))).unwrap();
        let said = of_file.read().unwrap_err().to_string();
        assert!(said.contains("secret: the secret has 31 bytes"), "{said}");
        assert!(!said.contains("kk"));
        fs::remove_file(&path).unwrap();
        assert!(of_file.read().unwrap_err().to_string().contains("cannot be read"));
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let said = of_file.read().unwrap_err().to_string();
        assert!(said.contains("it is no regular file"), "{said}");
        let given = KeySources { secret: Secret::new(&[b'k'; 32]).ok(), ..of_file };
        assert!(!given.is_empty() && KeySources::default().is_empty());
        assert!(KeySources { secret_file: None, ..given }.read().is_ok());
    }

    #[test]
    fn a_file_may_have_its_kid_before_it() {
        let parsed = |text: &str| KeyFile::parse(text).map(|file| (file.kid, file.path));
        let named = |kid: &str, path: &str| Some((Some(kid.to_owned()), PathBuf::from(path)));
        assert_eq!(parsed("a.pem"), Some((None, "a.pem".into())));
        assert_eq!(parsed("2026=keys/a.pem"), named("2026", "keys/a.pem"));
        assert_eq!(parsed("a=b=c"), named("a", "b=c"));
        assert_eq!(parsed("./a=b.pem"), Some((None, "./a=b.pem".into())));
        for wrong in ["", "=a.pem", "a="] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert_eq!(KeyFile::parse("2026=a.pem").unwrap().to_string(), "2026=a.pem");
    }
}
