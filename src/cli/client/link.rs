//! How a command reaches a server, and as whom.

use crate::base::UserId;
use crate::cli::{CommandFailure, Exit, shown};
use crate::client::{
    Client, ClientBuilder, FailCode, FileOutbox, Proxy, RequestError, StartError, State, Tls,
    TokenFailure,
};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A server at this machine, as `parlor serve` is.
pub(super) const DEFAULT_URL: &str = "ws://127.0.0.1:8080/ws";

/// The environment variable with a token.
const TOKEN_VARIABLE: &str = "PARLOR_TOKEN";

/// How the reason ends where a server wants to know who somebody is, before it opens a WebSocket.
const UNAUTHORIZED: &str = "status 401";

/// How it ends where there is no such path.
const NOT_FOUND: &str = "status 404";

/// How it begins where what answers there breaks the protocol.
const BROKEN: [&str; 2] = ["the server broke the protocol", "what came is no message"];

/// Whether asking again would be of no use.
pub(super) fn is_refusal(state: &State) -> bool {
    match state {
        State::Failed { .. } => true,
        State::Waiting { reason, .. } => {
            reason.ends_with(UNAUTHORIZED) || reason.ends_with(NOT_FOUND)
        }
        _ => false,
    }
}

/// How to reach a server, and as whom.
#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    /// The server's address; https:// and wss:// speak TLS
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub(super) url: String,

    /// Who you are, at a server in open mode; with --outbox, whose messages are in it
    #[arg(long, value_name = "ID", value_parser = UserId::parse_any)]
    pub(super) user: Option<UserId>,

    /// A file with your token, read each time that one is needed [default: the environment variable PARLOR_TOKEN]
    #[arg(long, value_name = "FILE", conflicts_with = "token_cmd")]
    token_file: Option<PathBuf>,

    /// A command of the shell that prints your token, run each time that one is needed
    #[arg(long, value_name = "COMMAND")]
    token_cmd: Option<String>,

    /// A file with certificates (PEM) that sign the server's, in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A proxy: http://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ before the host if it asks for that. None
    /// is taken from the environment
    #[arg(long, value_name = "URL", value_parser = Proxy::parse)]
    proxy: Option<Proxy>,

    /// A field of the opening request, as 'Cookie: name=value' (may be repeated)
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = parse_field)]
    fields: Vec<(String, String)>,

    /// How long to wait for the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub(super) timeout: Duration,
}

pub(in crate::cli) fn parse_field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a field is NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(in crate::cli) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Whom to trust that a file names (`--ca`).
pub(in crate::cli) fn trust(ca: Option<&Path>) -> Result<Option<Tls>, CommandFailure> {
    let tls = ca.map(Tls::ca_file).transpose();
    tls.map_err(|error| CommandFailure::usage(format!("--ca {error}")))
}

impl ClientArgs {
    /// A client that connects; nobody has waited for it.
    pub(super) fn start(&self, outbox: Option<FileOutbox>) -> Result<Client, CommandFailure> {
        let mut url = self.url.clone();
        if let Some(user) = self.user.as_ref().filter(|_| !self.has_token()) {
            let mark = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{mark}user={user}");
        }
        let mut builder = Client::builder(&url).thread_name("parlor-network");
        builder = builder.timeout(self.timeout);
        builder = self.identify(builder)?;
        if let Some(user) = &self.user {
            builder = builder.user(user.clone());
        }
        if let Some(tls) = trust(self.ca.as_deref())? {
            builder = builder.tls(tls);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        for (name, value) in &self.fields {
            builder = builder.field(name, value);
        }
        if let Some(outbox) = outbox {
            builder = builder.outbox(outbox);
        }
        builder.start().map_err(|error| match error {
            StartError::Url(error) => {
                CommandFailure::usage(format!("--url {:?}: {error}", self.url))
            }
            error => CommandFailure::new(error),
        })
    }

    fn has_token(&self) -> bool {
        self.token_file.is_some()
            || self.token_cmd.is_some()
            || std::env::var_os(TOKEN_VARIABLE).is_some()
    }

    fn identify(&self, builder: ClientBuilder) -> Result<ClientBuilder, CommandFailure> {
        if let Some(path) = self.token_file.clone() {
            read_token(&path).map_err(CommandFailure::usage)?;
            // It may be another one when the server refuses this.
            let read = move |_| read_token(&path).map(Some).map_err(passing);
            return Ok(builder.token_with(read));
        }
        if let Some(command) = self.token_cmd.clone() {
            return Ok(
                builder.token_with(move |_| print_token(&command).map(Some).map_err(passing))
            );
        }
        match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => Ok(builder.token(token.trim())),
            Err(std::env::VarError::NotPresent) => Ok(builder),
            Err(error) => Err(CommandFailure::usage(format!("{TOKEN_VARIABLE}: {error}"))),
        }
    }

    /// Waits until a client is online, but no longer than until it is known that it may not.
    pub(super) fn wait(&self, client: &Client) -> Result<(), CommandFailure> {
        let is_over = |state: &State| {
            let is_end = matches!(state, State::Online { .. } | State::Closed);
            is_end || is_refusal(state)
        };
        let state = client.wait_state(self.timeout, is_over);
        match state.unwrap_or_else(|| client.state()) {
            State::Online { .. } => self.is_right_user(client),
            state => Err(self.not_online(client, &state)),
        }
    }

    /// Whether the token is that of --user, if that is given.
    pub(super) fn is_right_user(&self, client: &Client) -> Result<(), CommandFailure> {
        match (&self.user, client.hello()) {
            (Some(user), Some(hello)) if hello.user != *user => {
                let message = format!("--user is {user}, and the token is that of {}", hello.user);
                Err(CommandFailure::with(Exit::Auth, message))
            }
            _ => Ok(()),
        }
    }

    /// Why it is not online.
    pub(super) fn not_online(&self, client: &Client, state: &State) -> CommandFailure {
        let last = client
            .why()
            .into_iter()
            .rev()
            .find(|step| step.code.is_some() || step.state == "waiting");
        let mut why = match (state, &last) {
            (State::Failed { reason, .. }, _) => shown(reason),
            // docs/protocol.md, "With a key": it waits for the first message.
            (State::Authenticating, _) if !self.has_token() && client.hello().is_none() => {
                "no token was given".to_owned()
            }
            (_, Some(step)) => shown(&step.cause),
            _ => format!("no answer within {} s", self.timeout.as_secs_f64()),
        };
        let code = match state {
            State::Failed { code, .. } => Some(*code),
            _ => last.and_then(|step| step.code),
        };
        let exit = match code {
            Some(FailCode::Token) => Exit::Auth,
            // docs/protocol.md, "Closing".
            Some(FailCode::Close(4_000..=4_099 | 4_200..=4_299)) => Exit::Auth,
            Some(FailCode::Close(1_002 | 1_003 | 1_007 | 1_009)) => Exit::Protocol,
            _ if why.starts_with("no token") || why.ends_with(UNAUTHORIZED) => Exit::Auth,
            _ if BROKEN.iter().any(|broken| why.starts_with(broken)) => Exit::Protocol,
            _ if client.hello().is_some() && matches!(state, State::Authenticating) => {
                Exit::Timeout
            }
            _ => Exit::Connect,
        };
        if exit == Exit::Auth {
            why += "; say who you are: with --user at a server in open mode, otherwise with a token (--token-file, \
                    --token-cmd or PARLOR_TOKEN)";
        }
        CommandFailure::with(exit, format!("{}: {why}", self.url))
    }
}

/// Another attempt may have one.
fn passing(message: String) -> TokenFailure {
    TokenFailure { message: message.into(), is_final: false }
}

pub(in crate::cli) fn read_token(path: &Path) -> Result<String, String> {
    let token =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    one_word(&token).ok_or_else(|| format!("{} has no token", path.display()))
}

fn print_token(command: &str) -> Result<String, String> {
    let done = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let done = done.map_err(|error| format!("sh: {error}"))?;
    if !done.status.success() {
        return Err(format!("the command for the token ended with {}", done.status));
    }
    one_word(&String::from_utf8_lossy(&done.stdout))
        .ok_or_else(|| "the command for the token has printed none".to_owned())
}

fn one_word(text: &str) -> Option<String> {
    let word = text.trim();
    (!word.is_empty() && !word.contains(char::is_whitespace)).then(|| word.to_owned())
}

/// What a command says, and with what status it ends, where a server refuses something.
pub(super) fn refused(what: &str, error: &RequestError) -> CommandFailure {
    let hint = match &*error.code {
        "not_member" => "; --join joins it",
        _ => "",
    };
    CommandFailure::with(exit_of(error), format!("{what}{}{hint}", shown(&error.to_string())))
}

/// The status with which a command ends that is refused this.
pub(super) fn exit_of(error: &RequestError) -> Exit {
    match &*error.code {
        "timeout" | "disconnected" => Exit::Timeout,
        "unauthorized" => Exit::Auth,
        _ => Exit::Failure,
    }
}
