//! `parlor init`: writes what a new server needs.

use super::deployment::{self, IMAGE_USER, ServerPaths};
use super::{CommandFailure, default_data, print_out, token};
use crate::auth::SigningKey;
use crate::config::{ConfigSources, quoted};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions, remove_dir, remove_file};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

/// Options of `parlor init`. What is not said is asked for at a terminal, and elsewhere has its
/// default.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where to write parlor.toml and the secrets
    #[arg(default_value = ".")]
    directory: PathBuf,

    /// The name under which people reach the server, as chat.example; empty for this machine alone
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,

    /// The directory for the data [default: parlor in the user's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Who says who somebody is [default: links]
    #[arg(long, value_enum)]
    sign_in: Option<SignInBy>,

    /// With --sign-in keys: the public key of who signs tokens (PEM), or a key set (JWKS)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// With --sign-in backend: the URL that says who sends a request
    #[arg(long, value_name = "URL")]
    auth_url: Option<String>,

    /// The certificate for the domain (PEM); without it a proxy in front of the server has it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Write a unit for systemd, too, that runs this program with these files
    #[arg(long)]
    unit: bool,

    /// Write a compose.yaml, too, that runs the image with these files; a proxy in front of it has
    /// the certificate
    #[arg(long, conflicts_with_all = ["unit", "tls_cert"])]
    compose: bool,
}

/// Who says who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SignInBy {
    /// This program: links that sign a browser in, and tokens, under a secret of the server's own
    Links,
    /// Another program, which signs tokens with a private key
    Keys,
    /// The backend of your application, which is asked over HTTP
    Backend,
}

/// What is written, and under which names.
struct Plan {
    directory: PathBuf,
    data: PathBuf,
    domain: Option<String>,
    sign_in: SignInBy,
    key_file: Option<PathBuf>,
    auth_url: Option<String>,
    certificate: Option<(PathBuf, PathBuf)>,
    unit: bool,
    compose: bool,
}

pub(super) fn run(args: InitArgs) -> Result<(), CommandFailure> {
    let plan = Plan::of(args)?;
    let files = plan.files()?;
    if let Some((path, ..)) = files.iter().find(|(path, ..)| path.symlink_metadata().is_ok()) {
        let message = format!("{} is there already: nothing was written", path.display());
        return Err(CommandFailure::new(message));
    }
    let missing = plan.missing_directories();
    if plan.compose && deployment::is_root() {
        // They become the image's user's, and what root has in them would, too.
        for directory in [&plan.directory, &plan.data] {
            if !missing.contains(directory) {
                let message = format!(
                    "{} is there already: as root, with --compose, it must be new, as the container's user {IMAGE_USER} gets it",
                    directory.display()
                );
                return Err(CommandFailure::new(message));
            }
        }
    }
    let made = plan.write(&files).and_then(|()| plan.judge());
    if let Err(failure) = made {
        // Half of it would keep the next attempt from writing the whole.
        for (path, ..) in &files {
            let _ = remove_file(path);
        }
        for directory in missing.iter().rev() {
            let _ = remove_dir(directory);
        }
        return Err(CommandFailure::new(format!("{}\nNothing was written.", failure.message)));
    }
    plan.say(&files)
}

/// Asks at a terminal until an answer is good; elsewhere, and where nothing is answered, it is the
/// default. `judge` says what is wrong with an answer.
fn ask<T>(
    question: &str,
    default: &str,
    judge: impl Fn(&str) -> Result<T, String>,
) -> Result<T, CommandFailure> {
    if !io::stdin().is_terminal() {
        return judge(default).map_err(CommandFailure::usage);
    }
    loop {
        print_out(&format!("{question} [{default}] "))?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).map_err(CommandFailure::new)? == 0 {
            print_out("\n")?;
            return Err(CommandFailure::new(
                "not all questions were answered: nothing was written",
            ));
        }
        match judge(Some(line.trim()).filter(|answer| !answer.is_empty()).unwrap_or(default)) {
            Ok(answer) => return Ok(answer),
            Err(wrong) => print_out(&format!("{wrong}\n"))?,
        }
    }
}

/// A file that must be there, or what is missing without it.
fn readable(answer: &str, missing: &str) -> Result<PathBuf, String> {
    if answer.is_empty() {
        return Err(missing.to_owned());
    }
    File::open(answer).map(|_| answer.into()).map_err(|error| format!("{answer}: {error}"))
}

/// The name of the domain; an empty one is of this machine alone.
fn domain(name: &str) -> Result<Option<String>, String> {
    match name {
        "" => Ok(None),
        _ if is_host(name) => Ok(Some(name.to_owned())),
        _ => Err(format!("{name:?} is no name of a host, such as chat.example (--domain)")),
    }
}

/// A name as hosts have them (RFC 1123 §2.1).
fn is_host(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(is_inside) && label.trim_matches('-') == label
    })
}

impl InitArgs {
    /// The files with the certificate and its key, if this server has them.
    fn certificate(&self, has_domain: bool) -> Result<Option<(PathBuf, PathBuf)>, CommandFailure> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), _) if !has_domain => {
                Err(CommandFailure::usage("a certificate is for a domain: say --domain NAME"))
            }
            (Some(cert), Some(key)) => Ok(Some((cert.clone(), key.clone()))),
            _ if !has_domain || self.compose => Ok(None),
            _ => {
                let question =
                    "Which file has its certificate (PEM)? Empty: a proxy in front has it.";
                let found = ask(question, "", |answer| match answer {
                    "" => Ok(None),
                    file => readable(file, "").map(Some),
                })?;
                let Some(cert) = found else { return Ok(None) };
                let judge = |answer: &str| readable(answer, "a certificate needs its key");
                Ok(Some((cert, ask("Which file has the certificate's private key?", "", judge)?)))
            }
        }
    }

    /// Who signs people in, and the file or the URL that this needs.
    fn who_signs_in(&self) -> Result<(SignInBy, Option<PathBuf>, Option<String>), CommandFailure> {
        let sign_in = match self.sign_in {
            Some(sign_in) => sign_in,
            None => {
                let judge = |answer: &str| {
                    let wrong = |_| format!("{answer:?} is none of links, keys and backend");
                    SignInBy::from_str(answer, true).map_err(wrong)
                };
                ask("Who says who somebody is: links, keys or backend?", "links", judge)?
            }
        };
        let (mut key_file, mut auth_url) = (self.key_file.clone(), self.auth_url.clone());
        if sign_in == SignInBy::Keys && key_file.is_none() {
            let judge = |answer: &str| readable(answer, "--sign-in keys needs --key-file FILE");
            key_file = Some(ask("Which file has the public key?", "", judge)?);
        }
        if sign_in == SignInBy::Backend && auth_url.is_none() {
            let judge = |answer: &str| match answer {
                "" => Err("--sign-in backend needs --auth-url URL".to_owned()),
                url => Ok(url.to_owned()),
            };
            auth_url = Some(ask("Which URL says who sends a request?", "", judge)?);
        }
        let wrong = if key_file.is_some() && sign_in != SignInBy::Keys {
            "--key-file is for --sign-in keys"
        } else if auth_url.is_some() && sign_in != SignInBy::Backend {
            "--auth-url is for --sign-in backend"
        } else if auth_url.as_deref() == Some("") {
            // In the file it would be none: the server would be open.
            "--sign-in backend needs --auth-url URL"
        } else {
            return Ok((sign_in, key_file, auth_url));
        };
        Err(CommandFailure::usage(wrong))
    }
}

fn write_new(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

impl Plan {
    fn of(args: InitArgs) -> Result<Plan, CommandFailure> {
        let question = "Under which name do people reach the server? Empty: this machine alone.";
        let domain = match &args.domain {
            Some(name) => domain(name).map_err(CommandFailure::usage)?,
            None => ask(question, "", domain)?,
        };
        let certificate = args.certificate(domain.is_some())?;
        let data = match &args.data {
            Some(data) => data.clone(),
            None => {
                let default = default_data().unwrap_or_else(|_| "data".into());
                ask("Where is the data kept?", &default.to_string_lossy(), |data| Ok(data.into()))?
            }
        };
        let (sign_in, key_file, auth_url) = args.who_signs_in()?;
        let absolute = |path: PathBuf| {
            std::path::absolute(&path)
                .map_err(|error| CommandFailure::new(format!("{}: {error}", path.display())))
        };
        let certificate = match certificate {
            Some((cert, key)) => Some((absolute(cert)?, absolute(key)?)),
            None => None,
        };
        Ok(Plan {
            directory: absolute(args.directory)?,
            data: absolute(data)?,
            domain,
            sign_in,
            key_file: key_file.map(absolute).transpose()?,
            auth_url,
            certificate,
            unit: args.unit,
            compose: args.compose,
        })
    }

    /// Directories that are to be created, the uppermost first.
    fn missing_directories(&self) -> Vec<PathBuf> {
        let all = [&self.directory, &self.data].into_iter();
        let missing = all.flat_map(|one| one.ancestors()).filter(|one| !one.exists());
        let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        missing.sort();
        missing.dedup();
        missing
    }

    fn write(&self, files: &[(PathBuf, u32, String)]) -> Result<(), CommandFailure> {
        let failed = |path: &Path, error: io::Error| {
            CommandFailure::new(format!("{}: {error}", path.display()))
        };
        for directory in [&self.directory, &self.data] {
            let mut builder = DirBuilder::new();
            let created = builder.recursive(true).mode(0o700).create(directory);
            created.map_err(|error| failed(directory, error))?;
        }
        for (path, mode, content) in files {
            write_new(path, *mode, content).map_err(|error| failed(path, error))?;
        }
        if self.compose && deployment::is_root() {
            for path in files.iter().map(|(path, ..)| path).chain([&self.directory, &self.data]) {
                let given = chown(path, Some(IMAGE_USER), Some(IMAGE_USER));
                given.map_err(|error| failed(path, error))?;
            }
        }
        Ok(())
    }

    /// What was written is what `parlor serve` reads.
    fn judge(&self) -> Result<(), CommandFailure> {
        let mut sources = ConfigSources::of_process(Some(self.file("parlor.toml")));
        sources.variables.clear();
        let refused =
            |error| CommandFailure::new(format!("the configuration would be refused: {error}"));
        sources.read().map(drop).map_err(refused)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Path, mode and content of each file.
    fn files(&self) -> Result<Vec<(PathBuf, u32, String)>, CommandFailure> {
        const PRIVATE: u32 = 0o600;
        const PUBLIC: u32 = 0o644;
        let mut files = vec![(self.file("parlor.toml"), PUBLIC, self.config())];
        if self.sign_in == SignInBy::Links {
            files.push((self.file("secret"), PRIVATE, token::made_secret()?));
        }
        files.push((self.file("admin-token"), PRIVATE, token::made_secret()?));
        let config = self.file("parlor.toml");
        if self.unit {
            let unit = deployment::unit(&self.places(&config))?;
            files.push((self.file("parlor.service"), PUBLIC, unit));
        }
        if self.compose {
            let compose = deployment::compose(&self.places(&config))?;
            files.push((self.file("compose.yaml"), PUBLIC, compose));
        }
        Ok(files)
    }

    fn config(&self) -> String {
        let mut text = String::from(
            "# Written by `parlor init`. `parlor config` prints every key, `parlor config --check` judges this file.\n",
        );
        let path = |path: &Path| quoted(&path.to_string_lossy());
        // Writing to a string does not fail.
        let _ = writeln!(text, "data = {}", path(&self.data));
        let mut listener = |lines: &[String]| {
            let _ = writeln!(text, "\n[[listeners]]\n{}", lines.join("\n"));
        };
        let line = |name: &str, value: &str| format!("{name} = {value}");
        let people = line("serves", "[\"public\", \"admin\"]");
        // compose.yaml hands the container's port to this machine alone.
        let here = if self.compose { "\"0.0.0.0:8080\"" } else { "\"127.0.0.1:8080\"" };
        match (&self.domain, &self.certificate) {
            (Some(_), Some(_)) => {
                listener(&[line("address", "\"0.0.0.0:443\""), people, line("tls", "true")]);
                listener(&[
                    line("address", "\"0.0.0.0:80\""),
                    line("serves", "[\"redirect\"]"),
                    line("acme_webroot", &path(&self.data.join("www"))),
                ]);
            }
            (Some(_), None) => {
                listener(&[
                    line("address", here),
                    people,
                    line(
                        "proxy",
                        "\"forwarded\"    # nginx or another proxy of HTTP in front has the certificate",
                    ),
                ]);
            }
            (None, _) => listener(&[line("address", here), people]),
        }
        let socket = format!("unix:{}", self.data.join("admin.sock").display());
        listener(&[line("address", &quoted(&socket)), line("serves", "[\"admin\", \"metrics\"]")]);
        if let Some((cert, key)) = &self.certificate {
            let _ = writeln!(text, "\n[tls]\ncert_file = {}\nkey_file = {}", path(cert), path(key));
        }
        let _ = writeln!(text, "\n[auth]");
        let _ = match (self.sign_in, &self.key_file, &self.auth_url) {
            (SignInBy::Keys, Some(key), _) => writeln!(text, "key_files = [{}]", path(key)),
            (SignInBy::Backend, _, Some(url)) => writeln!(text, "url = {}", quoted(url)),
            _ => writeln!(text, "secret_file = {}", path(&self.file("secret"))),
        };
        let _ = writeln!(text, "admin_token_file = {}", path(&self.file("admin-token")));
        text
    }

    fn places<'a>(&'a self, config: &'a Path) -> ServerPaths<'a> {
        ServerPaths { directory: &self.directory, config, data: &self.data }
    }

    fn url(&self) -> String {
        match &self.domain {
            Some(domain) => format!("https://{domain}/"),
            None => "http://127.0.0.1:8080/".to_owned(),
        }
    }

    /// Says what was written, and what follows.
    fn say(&self, files: &[(PathBuf, u32, String)]) -> Result<(), CommandFailure> {
        let mut said = String::new();
        for (path, ..) in files {
            said += &format!("wrote {}\n", path.display());
        }
        let config = self.file("parlor.toml");
        if self.compose {
            said += &format!(
                "\nStart it: docker compose -f {} up -d, with the image parlor:{} (docs/how-to/run-with-docker.md)\n",
                self.file("compose.yaml").display(),
                env!("CARGO_PKG_VERSION")
            );
        } else {
            said += &format!("\nStart it: parlor serve --config {}\n", config.display());
        }
        if self.certificate.is_some() {
            said += &format!(
                "As root, for ports 80 and 443, with --user NAME, who must own {} and {} and may read the certificate's key\n",
                self.directory.display(),
                self.data.display()
            );
        } else if self.domain.is_some() {
            said +=
                "A proxy in front of it has the certificate: docs/how-to/run-behind-a-proxy.md\n";
        }
        if self.unit {
            said += &format!(
                "With systemd: create the user parlor, who owns the same, and install {}: docs/how-to/run-with-systemd.md\n",
                self.file("parlor.service").display()
            );
        }
        said += &format!("Look at it: parlor admin users --config {}\n", config.display());
        if self.sign_in == SignInBy::Links {
            let key = SigningKey::from_secret_file(&self.file("secret"));
            let link = token::first_admin(&key.map_err(CommandFailure::new)?, &self.url())?;
            said +=
                &format!("The first administrator signs in, within a day and once, by\n{link}\n");
        }
        print_out(&said)
    }
}
