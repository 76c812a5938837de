//! `parlor completions` and `parlor man`: what packages bring beside the program.

use super::{CommandFailure, print_out};
use clap::{Args, Command};
use clap_complete::Shell;
use std::path::PathBuf;

/// Options of `parlor completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell: `source <(parlor completions bash)`, or a file where the shell looks for them
    shell: Shell,
}

/// Options of `parlor man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// A directory, such as /usr/local/share/man/man1
    directory: PathBuf,
}

pub(super) fn completions(
    args: &CompletionsArgs,
    command: &mut Command,
) -> Result<(), CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "parlor", &mut script);
    print_out(&String::from_utf8_lossy(&script))
}

/// One page for the program, and one for each of its commands.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<(), CommandFailure> {
    let failed = |error: std::io::Error| {
        CommandFailure::new(format!("{}: {error}", args.directory.display()))
    };
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    let written = clap_mangen::generate_to(command, &args.directory);
    written.map_err(failed)
}
