//! `parlor init`: writes what a new server needs.

use super::{CommandFailure, default_data, token};
use crate::auth::SigningKey;
use crate::config::{ConfigSources, quoted};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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

const UNIT: &str = include_str!("../../deploy/parlor.service");

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
}

pub(super) fn run(args: InitArgs) -> Result<(), CommandFailure> {
    let plan = Plan::of(args)?;
    let files = plan.files()?;
    if let Some((path, ..)) = files.iter().find(|(path, ..)| path.symlink_metadata().is_ok()) {
        let message = format!("{} is there already: nothing was written", path.display());
        return Err(CommandFailure::new(message));
    }
    let failed =
        |path: &Path, error: io::Error| CommandFailure::new(format!("{}: {error}", path.display()));
    for directory in [&plan.directory, &plan.data] {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| failed(directory, error))?;
    }
    for (path, mode, content) in &files {
        write_new(path, *mode, content).map_err(|error| failed(path, error))?;
    }
    // What was written is what `parlor serve` reads.
    let mut sources = ConfigSources::of_process(Some(plan.file("parlor.toml")));
    sources.variables.clear();
    let judged = sources.read();
    for (path, ..) in &files {
        println!("wrote {}", path.display());
    }
    if let Err(faults) = judged {
        return Err(CommandFailure::new(format!("what is missing yet:\n{faults}")));
    }
    plan.say_what_follows()
}

fn write_new(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

impl Plan {
    fn of(args: InitArgs) -> Result<Plan, CommandFailure> {
        let asks = io::stdin().is_terminal();
        let ask = |question: &str, default: &str| -> Result<String, CommandFailure> {
            if !asks {
                return Ok(default.to_owned());
            }
            print!("{question} [{default}] ");
            let _ = io::stdout().flush();
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map_err(CommandFailure::new)?;
            let answer = line.trim();
            Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
        };
        let domain = match args.domain {
            Some(domain) => domain,
            None => {
                ask("Under which name do people reach the server? Empty: this machine alone.", "")?
            }
        };
        let is_name = |domain: &str| {
            domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        };
        if !is_name(&domain) {
            let message =
                format!("{domain:?} is no name of a host, such as chat.example (--domain)");
            return Err(CommandFailure::usage(message));
        }
        let data = match args.data {
            Some(data) => data,
            None => {
                let default = default_data().unwrap_or_else(|_| "data".into());
                ask("Where is the data kept?", &default.to_string_lossy())?.into()
            }
        };
        let sign_in = match args.sign_in {
            Some(sign_in) => sign_in,
            None => {
                let answer = ask("Who says who somebody is: links, keys or backend?", "links")?;
                SignInBy::from_str(&answer, true).map_err(CommandFailure::usage)?
            }
        };
        let (mut key_file, mut auth_url) = (args.key_file, args.auth_url);
        if sign_in == SignInBy::Keys && key_file.is_none() {
            key_file = Some(ask("Which file has the public key?", "")?.into());
        }
        if sign_in == SignInBy::Backend && auth_url.is_none() {
            auth_url = Some(ask("Which URL says who sends a request?", "")?);
        }
        if key_file.as_deref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(CommandFailure::usage("--sign-in keys needs --key-file FILE"));
        }
        if auth_url.as_deref() == Some("") {
            return Err(CommandFailure::usage("--sign-in backend needs --auth-url URL"));
        }
        let absolute = |path: PathBuf| {
            std::path::absolute(&path)
                .map_err(|error| CommandFailure::new(format!("{}: {error}", path.display())))
        };
        let certificate = match (args.tls_cert, args.tls_key) {
            (Some(cert), Some(key)) => Some((absolute(cert)?, absolute(key)?)),
            _ => None,
        };
        if certificate.is_some() && domain.is_empty() {
            return Err(CommandFailure::usage("a certificate is for a domain: say --domain NAME"));
        }
        Ok(Plan {
            directory: absolute(args.directory)?,
            data: absolute(data)?,
            domain: Some(domain).filter(|domain| !domain.is_empty()),
            sign_in,
            key_file: key_file.map(absolute).transpose()?,
            auth_url,
            certificate,
            unit: args.unit,
        })
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
        if self.unit {
            files.push((self.file("parlor.service"), PUBLIC, self.unit()?));
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
                    line("address", "\"127.0.0.1:8080\""),
                    people,
                    line(
                        "proxy",
                        "\"forwarded\"    # nginx or another proxy of HTTP in front has the certificate",
                    ),
                ]);
            }
            (None, _) => listener(&[line("address", "\"127.0.0.1:8080\""), people]),
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

    /// The unit of `deploy/`, with these files and the user that owns them.
    fn unit(&self) -> Result<String, CommandFailure> {
        let program = std::env::current_exe().map_err(CommandFailure::new)?;
        let command = format!(
            "ExecStart={} serve --config {}",
            program.display(),
            self.file("parlor.toml").display()
        );
        let data = format!("ReadWritePaths={}", self.data.display());
        let replaced = UNIT.lines().filter_map(|line| match line {
            line if line.starts_with("ExecStart=") => Some(command.as_str()),
            line if line.starts_with("StateDirectory=") => Some(data.as_str()),
            line if line.starts_with("StateDirectoryMode=") || line.starts_with('#') => None,
            // It must see files below /home.
            "ProtectHome=true" => Some("ProtectHome=read-only"),
            line => Some(line),
        });
        Ok(replaced.map(|line| format!("{line}\n")).collect())
    }

    fn url(&self) -> String {
        match &self.domain {
            Some(domain) => format!("https://{domain}/"),
            None => "http://127.0.0.1:8080/".to_owned(),
        }
    }

    fn say_what_follows(&self) -> Result<(), CommandFailure> {
        let config = self.file("parlor.toml");
        println!("\nStart it: parlor serve --config {}", config.display());
        if self.domain.is_some() && self.certificate.is_none() {
            println!(
                "A proxy in front of it has the certificate: docs/how-to/run-behind-a-proxy.md"
            );
        }
        if self.unit {
            println!(
                "With systemd: let the user parlor own {} and {}, and install {}",
                self.data.display(),
                self.directory.display(),
                self.file("parlor.service").display()
            );
        }
        println!("Look at it: parlor admin users --config {}", config.display());
        if self.sign_in == SignInBy::Links {
            let key = SigningKey::from_secret_file(&self.file("secret"));
            let link = token::first_admin(&key.map_err(CommandFailure::new)?, &self.url())?;
            println!("The first administrator signs in, within a day and once, by\n{link}");
        }
        Ok(())
    }
}
