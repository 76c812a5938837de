//! `parlor data`: operations on a whole store, outside of serving.

use super::progress::TaskBar;
use super::{CommandFailure, default_data, print_out, process};
use crate::base::Chance;
use crate::store::data::{self, AtomicFile, BrokenRule, Checked, Counts, DataError, Restored};
use crate::wire::json::{Writer, object};
use clap::{Args, Subcommand};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Bytes of lines read and written at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// The length of an epoch in letters and digits, as for a new store.
const EPOCH_LEN: usize = 16;

/// Options of `parlor data`.
#[derive(Debug, Args)]
#[command(after_help = "\
The commands work on the data in --data DIR, as `parlor serve` keeps it. `check`, `export` and `backup` only read, \
also while a server runs; without --data they use the user's data directory. `import`, `restore` and `repair` refuse \
while a server holds the directory. What takes longer than a second shows at a terminal how far it is. The exit status is 0 for success, 1 if the command failed or found faults, and 2 \
if it was used wrongly.")]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Verify every rule of a store; print each fault on its own line
    Check {
        /// A database's file, as a backup; or a directory
        #[arg(conflicts_with = "data")]
        file: Option<PathBuf>,
        /// The directory with the data
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Print an object of JSON for each fault, and one with `"summary"` at the end
        #[arg(long)]
        json: bool,
    },
    /// Write the whole store as lines of JSON
    Export {
        /// The file, which must not be there; standard output if it is - or not given
        file: Option<PathBuf>,
        /// The directory with the data
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Make a store from an export: whole and checked, or not at all
    Import {
        /// The lines; - is standard input
        file: PathBuf,
        /// The directory for the data, which must have none
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Go on with the export's epoch: nothing was written to the old store since, and nobody
        /// will use it again
        #[arg(long)]
        keep_epoch: bool,
    },
    /// Copy a store to a file, even while a server writes to it, and check the copy
    Backup {
        /// The file, which must not be there
        file: PathBuf,
        /// The directory with the data
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Check a backup and restore it with a new epoch; the old file is renamed
    Restore {
        /// The file of a backup
        backup: PathBuf,
        /// The directory for the data
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Keep what is sound of a damaged store, with a new epoch; the old file is renamed
    Repair {
        /// The directory with the data
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

pub(super) fn run(args: DataArgs) -> Result<(), CommandFailure> {
    match args.command {
        DataCommand::Check { file, data, json } => {
            let path = file.map_or_else(|| place(data), Ok)?;
            check(&path, json)
        }
        DataCommand::Export { file, data } => export(&place(data)?, file.as_deref()),
        DataCommand::Import { file, data, keep_epoch } => {
            written_to(&data, import(&file, &data, keep_epoch))
        }
        DataCommand::Backup { file, data } => {
            let bar = TaskBar::begin("copying");
            let mut print = Printer::new(false, &bar);
            let report = &mut |fault| print.fault(&fault);
            let done = data::backup(&place(data)?, &file, report, &mut |far| bar.tell(far))?;
            print.end()?;
            drop(bar);
            if done.faults > 0 {
                let what = format!("{} is a copy of damaged data, see above", file.display());
                return Err(CommandFailure::new(what));
            }
            print_out(&format!("{}: {}\n", file.display(), summary(&done)))
        }
        DataCommand::Restore { backup, data } => {
            let epoch = new_epoch()?;
            let done = data::restore(&backup, &data, &epoch).map_err(CommandFailure::from);
            print_restored(&data, &written_to(&data, done)?)
        }
        DataCommand::Repair { data } => {
            let bar = TaskBar::begin("repairing");
            let mut print = Printer::new(false, &bar);
            let epoch = new_epoch()?;
            let done = data::repair(&data, &epoch, &mut |lost| print.line(&lost));
            let done = written_to(&data, done.map_err(CommandFailure::from))?;
            print.end()?;
            drop(bar);
            print_restored(&data, &done)
        }
    }
}

/// What came of a task that creates files in a directory: whatever it is, they are its user's.
fn written_to<T>(directory: &Path, done: Result<T, CommandFailure>) -> Result<T, CommandFailure> {
    let given = process::give_to_owner(directory);
    done.and_then(|done| given.map(|()| done))
}

fn place(data: Option<PathBuf>) -> Result<PathBuf, CommandFailure> {
    data.map_or_else(default_data, Ok)
}

fn check(path: &Path, is_json: bool) -> Result<(), CommandFailure> {
    let bar = TaskBar::begin("checking");
    let mut print = Printer::new(is_json, &bar);
    let done = data::check(path, &mut |fault| print.fault(&fault), &mut |far| bar.tell(far))?;
    print.summary(&done);
    print.end()?;
    drop(bar);
    match done.faults {
        0 => Ok(()),
        _ => Err(CommandFailure::new(format!("{} is not sound", path.display()))),
    }
}

fn export(path: &Path, file: Option<&Path>) -> Result<(), CommandFailure> {
    let Some(file) = file.filter(|file| file.as_os_str() != "-") else {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        // Lines may be scrolling by at the terminal on which the bar would be.
        let bar = (!io::stdout().is_terminal()).then(|| TaskBar::begin("writing"));
        let watch = &mut |far| bar.iter().for_each(|bar| bar.tell(far));
        return match data::export(path, &mut out, watch) {
            Ok(_) => Ok(()),
            // Whoever read it knows that it has not read all.
            Err(DataError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(CommandFailure::new(""))
            }
            Err(error) => Err(error.into()),
        };
    };
    let failed = |error: io::Error| CommandFailure::new(format!("{}: {error}", file.display()));
    let made = AtomicFile::begin(file)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, made.file());
    let bar = TaskBar::begin("writing");
    let counts = data::export(path, &mut out, &mut |far| bar.tell(far))?;
    out.flush().map_err(failed)?;
    drop(out);
    made.finish()?;
    drop(bar);
    print_out(&format!("{}: {}\n", file.display(), contents(&counts)))
}

fn import(file: &Path, data: &Path, keep_epoch: bool) -> Result<(), CommandFailure> {
    let epoch = if keep_epoch { None } else { Some(new_epoch()?) };
    let bar = TaskBar::begin("reading");
    let watch = &mut |far| bar.tell(far);
    let counts = if file.as_os_str() == "-" {
        data::import(&mut io::stdin().lock(), data, epoch.as_deref(), watch)?
    } else {
        let failed = |error| CommandFailure::new(format!("{}: {error}", file.display()));
        let input = File::open(file).map_err(failed)?;
        let bytes = input.metadata().map_err(failed)?.len();
        let mut input = BufReader::with_capacity(BUFFER_BYTES, bar.reading(input, bytes));
        data::import(&mut input, data, epoch.as_deref(), watch)?
    };
    drop(bar);
    print_out(&format!("{}: {}\n", data.display(), contents(&counts)))
}

fn new_epoch() -> Result<String, CommandFailure> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(CommandFailure::new)?;
    Ok(Chance::new(u64::from_le_bytes(seed)).word(EPOCH_LEN))
}

/// Prints lines while a task goes on.
struct Printer<'a> {
    is_json: bool,
    bar: &'a TaskBar,
    /// That nothing can be printed: the task goes on, and this is what comes of it.
    printed: Result<(), CommandFailure>,
}

impl Printer<'_> {
    fn new(is_json: bool, bar: &TaskBar) -> Printer<'_> {
        Printer { is_json, bar, printed: Ok(()) }
    }

    fn line(&mut self, line: &dyn Display) {
        if self.printed.is_ok() {
            self.printed = self.bar.aside(|| print_out(&format!("{line}\n")));
        }
    }

    fn end(self) -> Result<(), CommandFailure> {
        self.printed
    }

    fn fault(&mut self, fault: &BrokenRule) {
        if !self.is_json {
            return self.line(fault);
        }
        let line = object(|w| {
            w.if_some("room", fault.room.as_deref(), Writer::text);
            w.text("fault", &fault.what);
        });
        self.line(&line);
    }

    fn summary(&mut self, done: &Checked) {
        if !self.is_json {
            return self.line(&summary(done));
        }
        let line = object(|w| {
            w.object_in("summary", |w| {
                w.text("epoch", &done.epoch);
                w.number("rooms", done.rooms);
                w.number("members", done.members);
                w.number("entries", done.entries);
                w.number("streams", done.streams);
                w.number("events", done.events);
                w.number("faults", done.faults);
            });
        });
        self.line(&line);
    }
}

fn summary(done: &Checked) -> String {
    let Checked { epoch, rooms, members, entries, streams, events, faults } = done;
    let found = match faults {
        0 => "sound".to_owned(),
        1 => "1 fault".to_owned(),
        faults => format!("{faults} faults"),
    };
    let log = of_log(*rooms, *members, *entries);
    format!("{log}{}, epoch {epoch}: {found}", of_streams(*streams, *events))
}

fn contents(counts: &Counts) -> String {
    let Counts { users, revocations, streams, events, rooms, members, invites, bans, entries } =
        counts;
    let others = [
        counted(*invites, "invitation", "invitations"),
        counted(*bans, "ban", "bans"),
        counted(*users, "name", "names"),
        counted(*revocations, "revocation", "revocations"),
    ];
    let log = of_log(*rooms, *members, *entries);
    format!("{log}, {}{}", others.join(", "), of_streams(*streams, *events))
}

fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn of_log(rooms: u64, members: u64, entries: u64) -> String {
    let parts = [
        counted(rooms, "room", "rooms"),
        counted(members, "member", "members"),
        counted(entries, "entry", "entries"),
    ];
    parts.join(", ")
}

/// The counts of durable streams, if there are any.
fn of_streams(streams: u64, events: u64) -> String {
    if streams == 0 {
        return String::new();
    }
    let (streams, events) =
        (counted(streams, "stream", "streams"), counted(events, "event", "events"));
    format!(", {streams}, {events}")
}

fn print_restored(data: &Path, done: &Restored) -> Result<(), CommandFailure> {
    let mut lines = format!("{}: {}\n", data.display(), summary(&done.checked));
    if let Some(old) = &done.old {
        let is_file = !["-wal", "-tail"].iter().any(|end| old.to_string_lossy().ends_with(end));
        let what = if is_file { "The store that was there" } else { "What was left of a store" };
        lines += &format!("{what} is {} now\n", old.display());
    }
    print_out(&lines)
}

impl From<DataError> for CommandFailure {
    fn from(error: DataError) -> CommandFailure {
        CommandFailure::new(error)
    }
}
