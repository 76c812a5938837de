//! The command line of the `parlor` program.

mod admin;
mod check;
mod client;
mod config;
mod data;
mod decode;
mod deployment;
mod doctor;
mod generate;
mod handover;
mod held_connections;
mod init;
mod load;
mod log;
mod log_line;
mod process;
mod progress;
mod serve;
mod server_link;
mod shown;
mod systemd;
mod tap;
mod token;

use crate::auth::{KeyProblem, Secret};
use crate::config::SECRET_VARIABLE;
use clap::{CommandFactory, Parser, Subcommand};
use shown::{escaped, shown};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A lean chat and presence server.
///
/// Without a command it serves, as `parlor serve` does: on http://127.0.0.1:8080/ with an embedded
/// database, for the people at this machine.
#[derive(Debug, Parser)]
#[command(name = "parlor", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve: the chat, its page and its API
    Serve(serve::ServeArgs),
    /// Write the configuration and the secrets of a new server
    Init(init::InitArgs),
    /// Print a commented configuration with every key, or check a configuration
    Config(config::ConfigArgs),
    /// Look for what is wrong with a server and its surroundings, and say what mends it
    Doctor(doctor::DoctorArgs),
    /// Make a token that identifies a user, or a link that signs in to the page
    Token(token::TokenArgs),
    /// Check, move, back up, restore and repair the data
    Data(data::DataArgs),
    /// Say whether a running server is ready: exit status 0, or 1
    Health(admin::HealthArgs),
    /// Look at a running server, and do what admins may
    Admin(admin::AdminArgs),
    /// Chat at a terminal: rooms, who is online, history
    Chat(client::ChatArgs),
    /// Send messages to a room; it ends when they are on the server's disk
    Send(client::SendArgs),
    /// Print what comes in rooms and streams
    Listen(client::ListenArgs),
    /// Put a load on a server, and look at all that comes
    Load(load::LoadArgs),
    /// Check whether a server, or a client, keeps to RFC 6455
    Check(check::CheckArgs),
    /// Print what completes commands and options in a shell
    Completions(generate::CompletionsArgs),
    /// Write the man pages into a directory
    Man(generate::ManArgs),
    /// Pass WebSockets on and show each frame as it comes; record them, and make them go wrong
    Tap(tap::TapArgs),
    /// Explain every byte of a WebSocket stream, with the clause of the RFC
    Decode(decode::DecodeArgs),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => serve::run(cli.serve),
        Some(CliCommand::Serve(args)) => serve::run(args),
        Some(CliCommand::Init(args)) => init::run(args),
        Some(CliCommand::Config(args)) => config::run(args),
        Some(CliCommand::Doctor(args)) => doctor::run(args),
        Some(CliCommand::Token(args)) => token::run(&args),
        Some(CliCommand::Data(args)) => data::run(args),
        Some(CliCommand::Health(args)) => admin::health(args),
        Some(CliCommand::Admin(args)) => admin::run(args),
        Some(CliCommand::Chat(args)) => client::chat(args),
        Some(CliCommand::Send(args)) => client::send(args),
        Some(CliCommand::Listen(args)) => client::listen(args),
        Some(CliCommand::Load(args)) => load::run(args),
        Some(CliCommand::Check(args)) => check::run(args),
        Some(CliCommand::Completions(args)) => generate::completions(&args, &mut Cli::command()),
        Some(CliCommand::Man(args)) => generate::man(&args, Cli::command()),
        Some(CliCommand::Tap(args)) => tap::run(args),
        Some(CliCommand::Decode(args)) => decode::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandFailure { message, exit }) => {
            if !message.is_empty() {
                // It may quote what another has said.
                eprintln!("parlor: {}", message.lines().map(shown).collect::<Vec<_>>().join("\n"));
            }
            ExitCode::from(exit as u8)
        }
    }
}

/// Prints a command's result. A reader that has seen enough is no failure.
fn print_out(text: &str) -> Result<(), CommandFailure> {
    print_while_read(text).map(drop)
}

/// The same; whether somebody still reads.
fn print_while_read(text: &str) -> Result<bool, CommandFailure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandFailure::new(format!("standard output: {error}"))),
    }
}

/// A name that no other run of a command has, from this machine.
fn run_name() -> String {
    format!("{:x}-{:x}", crate::reactor::Clock::timestamp().0, std::process::id())
}

/// Why a command failed.
#[derive(Debug)]
struct CommandFailure {
    /// Empty if nobody needs to be told, as the reader of the output has gone.
    message: String,
    exit: Exit,
}

/// The status with which a command ends that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The server cannot be reached.
    Connect = 3,
    /// It refuses whoever asks.
    Auth = 4,
    /// It, or this end, breaks the protocol.
    Protocol = 5,
    /// It does not answer in time.
    Timeout = 6,
    /// What was checked breaks the rules.
    Violations = 7,
}

impl CommandFailure {
    fn with(exit: Exit, message: impl ToString) -> CommandFailure {
        CommandFailure { message: message.to_string(), exit }
    }

    fn new(message: impl ToString) -> CommandFailure {
        CommandFailure::with(Exit::Failure, message)
    }

    fn usage(message: impl ToString) -> CommandFailure {
        CommandFailure::with(Exit::Usage, message)
    }
}

/// The secret from the environment variable.
fn secret_of_environment() -> Result<Option<Secret>, CommandFailure> {
    let Some(text) = std::env::var_os(SECRET_VARIABLE) else { return Ok(None) };
    Secret::new(text.as_encoded_bytes()).map(Some).map_err(|len| {
        CommandFailure::usage(format!("{SECRET_VARIABLE}: {}", KeyProblem::SecretShort(len)))
    })
}

/// The data directory of the XDG Base Directory Specification.
fn default_data() -> Result<PathBuf, CommandFailure> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(data) = absolute("XDG_DATA_HOME") {
        return Ok(data.join("parlor"));
    }
    match absolute("HOME") {
        Some(home) => Ok(home.join(".local/share/parlor")),
        None => Err(CommandFailure::usage(
            "there is no home directory: say with --data where to keep the data",
        )),
    }
}
