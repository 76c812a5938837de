//! What was found, as lines for people or as JSON for programs.

use super::super::admin::plain;
use crate::wire::json::{Writer, object};
use std::path::Path;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning,
    Error,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Error => "error",
        }
    }
}

/// What was found of a subject.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    about: &'static str,
    text: String,
    /// A shell line, or a line for `parlor.toml`.
    mend: Option<String>,
}

/// All that was found, in the order in which it was.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    /// All is well with this.
    pub(super) fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { verdict: Verdict::Ok, about, text: text.into(), mend: None });
    }

    /// This works, but may not for long, or not for all.
    pub(super) fn warn(
        &mut self,
        about: &'static str,
        text: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Verdict::Warning, about, text.into(), mend.into());
    }

    /// With this the server does not start, does not serve, or is not safe.
    pub(super) fn error(
        &mut self,
        about: &'static str,
        text: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Verdict::Error, about, text.into(), mend.into());
    }

    fn add(&mut self, verdict: Verdict, about: &'static str, text: String, mend: String) {
        let mend = Some(mend).filter(|mend| !mend.is_empty());
        self.0.push(Finding { verdict, about, text, mend });
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// What is wrong, in a few words; `None` if nothing is.
    pub(super) fn failure(&self) -> Option<String> {
        match self.count(Verdict::Error) {
            0 => None,
            1 => Some("1 thing is wrong".to_owned()),
            errors => Some(format!("{errors} things are wrong")),
        }
    }

    /// A line for each finding.
    pub(super) fn lines(&self) -> String {
        let line = |finding: &Finding| {
            let Finding { verdict, about, text, mend } = finding;
            let mend = mend.as_ref().map(|mend| format!("; to mend it: {}", plain(mend)));
            let text = plain(&text.replace('\n', " "));
            format!("{:<8} {about}: {text}{}\n", verdict.name(), mend.unwrap_or_default())
        };
        self.0.iter().map(line).collect()
    }

    /// One object.
    pub(super) fn json(&self) -> String {
        let text = object(|w| {
            w.array("findings", &self.0, |w, finding| {
                w.object(|w| {
                    w.text("verdict", finding.verdict.name());
                    w.text("about", finding.about);
                    w.text("text", &finding.text);
                    w.if_some("mend", finding.mend.as_deref(), Writer::text);
                });
            });
            w.number("errors", self.count(Verdict::Error) as u64);
            w.number("warnings", self.count(Verdict::Warning) as u64);
        });
        format!("{text}\n")
    }
}

/// A path as a word of a shell.
pub(super) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-+@:,".contains(char);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_that_controls_no_terminal() {
        let mut report = Report::default();
        report.ok("clock", "fine");
        report.warn("disk", "full\nnearly\u{1b}[2J", "");
        assert_eq!(report.failure(), None);
        report.error("data", "open", format!("chmod 700 {}", word(Path::new("/a b/it's"))));
        let lines = "\
ok       clock: fine
warning  disk: full nearly\\u{1b}[2J
error    data: open; to mend it: chmod 700 '/a b/it'\\''s'
";
        assert_eq!(report.lines(), lines);
        assert!(report.failure().is_some());
        assert!(report.json().ends_with("],\"errors\":1,\"warnings\":1}\n"));
    }
}
