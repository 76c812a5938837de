//! What came of the cases, for people, for programs, and for a CI (JUnit's XML).

use super::case::{Case, CheckFinding, Judgement};
use crate::cli::{escaped, shown};
use crate::decode::all_hex;
use crate::wire::json::object;
use std::fmt::Write;
use std::time::Duration;

/// A case, and what came of it.
pub(super) struct Tried {
    pub(super) case: Case,
    pub(super) finding: CheckFinding,
}

/// How many came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckCounts {
    pub(super) good: u32,
    pub(super) notes: u32,
    pub(super) faults: u32,
    pub(super) open: u32,
}

impl CheckCounts {
    pub(super) fn of<'t>(tried: impl IntoIterator<Item = &'t Tried>) -> CheckCounts {
        let mut counts = CheckCounts::default();
        for one in tried {
            *match one.finding.judgement {
                Judgement::Good => &mut counts.good,
                Judgement::Note => &mut counts.notes,
                Judgement::Fault => &mut counts.faults,
                Judgement::Open => &mut counts.open,
            } += 1;
        }
        counts
    }
}

fn name(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Good => "good",
        Judgement::Note => "note",
        Judgement::Fault => "fault",
        Judgement::Open => "open",
    }
}

/// The report for people: a line for each group, and what was found.
pub(super) fn for_people(tried: &[Tried], is_verbose: bool, took: Duration) -> String {
    let mut text = String::new();
    for of_group in tried.chunk_by(|one, next| one.case.group == next.case.group) {
        let Some(first) = of_group.first() else { continue };
        let counts = CheckCounts::of(of_group);
        let count = of_group.len();
        let _ = write!(text, "{:<12} {} of {count} good", first.case.group, counts.good);
        if counts.open > 0 {
            let _ = write!(text, ", {} open", counts.open);
        }
        text.push('\n');
        for Tried { case, finding } in of_group {
            let mark = match finding.judgement {
                Judgement::Fault => "FAULT",
                Judgement::Note => "note ",
                Judgement::Open if is_verbose => "open ",
                Judgement::Good if is_verbose => "good ",
                Judgement::Open | Judgement::Good => continue,
            };
            let _ = writeln!(
                text,
                "  {mark}  {}.{}: {} ({})",
                case.group, case.name, case.duty, case.clause
            );
            if !finding.seen.is_empty() {
                // A server may have written some of it.
                let _ = writeln!(text, "         {}", shown(&finding.seen));
            }
            if !finding.sent.is_empty() && finding.judgement != Judgement::Good {
                let _ = writeln!(text, "         sent {}", all_hex(&finding.sent));
            }
        }
    }
    let CheckCounts { good, notes, faults, open } = CheckCounts::of(tried);
    let faults = match faults {
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    let notes = match notes {
        1 => "1 note".to_owned(),
        count => format!("{count} notes"),
    };
    let seconds = took.as_secs_f64();
    let _ = writeln!(
        text,
        "\n{} checks in {seconds:.1} s: {good} good, {faults}, {notes}, {open} open",
        tried.len()
    );
    text
}

/// A line of JSON for each case.
pub(super) fn for_programs(tried: &[Tried]) -> String {
    let mut lines = String::new();
    for Tried { case, finding } in tried {
        lines += &object(|w| {
            w.text("check", &format!("{}.{}", case.group, case.name));
            w.text("result", name(finding.judgement));
            w.text("clause", &case.clause);
            w.text("duty", case.duty);
            if !finding.seen.is_empty() {
                w.text("seen", &finding.seen);
            }
            if !finding.sent.is_empty() {
                w.text("sent", &all_hex(&finding.sent));
            }
        });
        lines.push('\n');
    }
    lines
}

/// The XML that CI systems read, of JUnit's form: notes are no failures, and what is open was skipped.
pub(super) fn junit(tried: &[Tried], name: &str, took: Duration) -> String {
    let counts = CheckCounts::of(tried);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n\
         <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\">\n",
        escaped(name),
        tried.len(),
        counts.faults,
        counts.open,
        took.as_secs_f64()
    );
    for Tried { case, finding } in tried {
        let (group, case_name) = (case.group, escaped(&case.name));
        let _ = write!(xml, "<testcase classname=\"{group}\" name=\"{case_name}\">");
        let seen = escaped(&finding.seen);
        let told = escaped(&format!("{} ({})", case.duty, case.clause));
        let _ = match finding.judgement {
            Judgement::Good => Ok(()),
            Judgement::Fault => {
                let sent = all_hex(&finding.sent);
                write!(xml, "<failure message=\"{told}\">{seen}\nsent {sent}</failure>")
            }
            Judgement::Open => write!(xml, "<skipped message=\"{seen}\"/>"),
            Judgement::Note => write!(xml, "<system-out>{told}: {seen}</system-out>"),
        };
        xml += "</testcase>\n";
    }
    xml += "</testsuite>\n</testsuites>\n";
    xml
}
