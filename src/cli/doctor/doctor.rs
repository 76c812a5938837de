//! The order in which things are looked at.

use super::super::admin::FormArgs;
use super::super::config::SourceArgs;
use super::super::{CommandFailure, print_out, process};
use super::report::{Report, word};
use super::through::{self, Through};
use super::{data, keys, listeners, system};
use crate::config::{ConfigSources, Loaded, ValueOrigin, keys_and_defaults};
use crate::store::data::holder;
use clap::Args;
use std::path::PathBuf;

/// Options of `parlor doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
It takes the options of `parlor serve`. Start it as root if the server begins as root: it then becomes the user of --user, \
too, before it looks at files; without --user, whoever has the data. It changes nothing and prints no secret; to each answer it waits 3 seconds at most. The exit \
status is 0 if nothing is wrong, also with warnings, 1 if something is, and 2 if it was used wrongly.")]
pub(in crate::cli) struct DoctorArgs {
    #[command(flatten)]
    sources: SourceArgs,

    #[command(flatten)]
    form: FormArgs,

    /// Look through the proxy in front, too: the address at which people open the page
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// With --url: a file with certificates (PEM) that sign the proxy's, beside those that the system
    /// trusts
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,

    /// With --url: a file with a user's token, as `parlor token` makes it. The user is online for a
    /// moment, and is told whether the proxy names its clients
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
}

pub(in crate::cli) fn run(args: DoctorArgs) -> Result<(), CommandFailure> {
    if args.sources.asks_for_keys() {
        return print_out(&format!("keys and their defaults:\n{}\n", keys_and_defaults()));
    }
    let mut report = Report::default();
    let sources = args.sources.sources();
    if let Some(loaded) = configuration(&mut report, &sources) {
        let config = &loaded.config;
        let holder = config.data.directory().and_then(holder);
        system::look(&mut report, config, holder);
        // Before root's rights are given up, as a server does it.
        let tried = listeners::try_all(config);
        let through = args
            .url
            .as_deref()
            .map(|url| Through::open(url, args.ca.as_deref(), args.token_file.as_deref()));
        let is_begun_by_root = process::is_root();
        let is_user = system::become_user(&mut report, config);
        listeners::look(&mut report, config, holder, tried);
        if is_user {
            data::look(&mut report, config, holder, is_begun_by_root);
            keys::look(&mut report, &loaded, sources.file.as_deref());
        }
        match through {
            Some(Ok(through)) => through.look(&mut report, config),
            Some(Err(failure)) => report.error(through::URL, failure.message, ""),
            None => {}
        }
    }
    print_out(&if args.form.is_json() { report.json() } else { report.lines() })?;
    report.failure().map_or(Ok(()), |failure| Err(CommandFailure::new(failure)))
}

/// Reads the configuration; all else depends on it.
fn configuration(report: &mut Report, sources: &ConfigSources) -> Option<Loaded> {
    const ABOUT: &str = "configuration";
    let from = sources.file.as_ref().map_or_else(
        || "no file, but for flags and the environment all is the default".to_owned(),
        |file| file.display().to_string(),
    );
    match sources.read() {
        Ok(loaded) => {
            let user = process::own_name();
            report.ok(ABOUT, format!("{from}, read as {user}"));
            Some(loaded)
        }
        Err(faults) => {
            for fault in faults.iter() {
                let mend = match &fault.origin {
                    ValueOrigin::File { path, line, .. } => {
                        format!("${{EDITOR:-vi}} +{line} {}", word(path))
                    }
                    ValueOrigin::WholeFile(path) => format!("ls -l {}", word(path)),
                    ValueOrigin::Variable(_) | ValueOrigin::Flag(_) | ValueOrigin::Whole => {
                        "parlor config --show".to_owned()
                    }
                };
                report.error(ABOUT, fault.to_string(), mend);
            }
            None
        }
    }
}
