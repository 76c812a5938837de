//! What came of a run: for people, and for programs.

use super::crowd::Crowd;
use super::figures::Figures;
use super::plan::LoadPlan;
use super::scenario::Scenario;
use super::slo::{Held, Which};
use crate::wire::json::{Writer, object};
use hdrhistogram::Histogram;
use std::fmt::Write;
use std::time::Duration;

/// Of a latency, these are told.
const QUANTILES: &[(&str, f64)] =
    &[("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
/// Lines of the histogram.
const BARS: usize = 12;
const BAR_WIDTH: usize = 40;
/// If messages leave so late, and this program was so busy, it may be what is measured.
const LATE_US: u64 = 5_000;
const BUSY: f64 = 0.9;

/// Of µs in ms.
pub(super) fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// Quantiles of a latency in ms.
pub(super) fn quantiles(latency: &Histogram<u64>) -> Vec<(&'static str, f64)> {
    let each = QUANTILES.iter().map(|(name, at)| (*name, ms(latency.value_at_quantile(*at))));
    each.collect()
}

/// The share of a core that this program took.
fn share(figures: &Figures) -> f64 {
    let seconds = figures.sending.as_secs_f64();
    if seconds > 0.0 { figures.processor.as_secs_f64() / seconds } else { 0.0 }
}

/// Whether this program may have been the limit, as a sentence.
pub(super) fn own_limit(figures: &Figures) -> Option<String> {
    let late = figures.late.value_at_quantile(0.99);
    let busy = share(figures);
    if late < LATE_US && busy < BUSY {
        return None;
    }
    Some(format!(
        "this program was busy {:.0} % of the time, and its messages left up to {:.1} ms late (p99): it may be what \
         limits the figures",
        busy * 100.0,
        ms(late)
    ))
}

/// What the run was, in a line.
pub(super) fn title(plan: &LoadPlan, url: &str) -> String {
    let LoadPlan { scenario, connections, rate, sending, size, .. } = plan;
    let (name, seconds) = (scenario.name(), sending.as_secs_f64());
    let what = match scenario {
        Scenario::Storm => format!("{} opened in a second", plan.ramp),
        _ => format!("{rate} messages a second, of {size} bytes"),
    };
    format!("{url}: {name}, {connections} connections, {what}, for {seconds} s")
}

/// The report for people.
pub(super) fn for_people(plan: &LoadPlan, figures: &Figures, held: &[Held]) -> String {
    let mut text = String::new();
    // Writing to a string has no error.
    let _ = writeln!(text, "connections  {} opened", figures.opened);
    if plan.scenario != Scenario::Storm {
        let Figures { sent, meant, came, expected, .. } = figures;
        let _ = writeln!(text, "sent         {sent} of {meant}");
        let _ = writeln!(text, "came         {came} of {expected}, {:.1} a second", figures.rate());
        let Figures { lost, repeated, reordered, foreign, .. } = figures;
        let _ = writeln!(
            text,
            "             {lost} lost, {repeated} repeated, {reordered} reordered, {foreign} foreign"
        );
    }
    for (cause, count) in &figures.causes {
        let _ = writeln!(text, "error        {count} × {cause}");
    }
    let _ = write!(text, "\n{:<34}", "ms");
    for (name, _) in QUANTILES {
        let _ = write!(text, "{name:>10}");
    }
    text.push('\n');
    let latencies = [
        ("from when a message was to leave", figures.latency(Which::Delivery)),
        ("from when it left", figures.service()),
        ("until it was acknowledged", figures.latency(Which::Ack)),
        ("until a connection was ready", figures.latency(Which::Connect)),
    ];
    for (name, latency) in latencies.into_iter().filter(|(_, latency)| !latency.is_empty()) {
        let _ = write!(text, "{name:<34}");
        for (_, value) in quantiles(latency) {
            let _ = write!(text, "{value:>10.2}");
        }
        text.push('\n');
    }
    text += &bars(figures.latency(Which::Delivery));
    let busy = share(figures);
    let (count, of_what) = match plan.scenario {
        Scenario::Storm => (figures.opened, "connection"),
        _ => (figures.sent + figures.came, "message that left or came"),
    };
    let _ = writeln!(
        text,
        "\nthis program took {:.1} % of a core, {:.1} µs for each {of_what}",
        busy * 100.0,
        figures.processor.as_secs_f64() * 1e6 / count.max(1) as f64
    );
    if let Some(warning) = own_limit(figures) {
        let _ = writeln!(text, "note: {warning}");
    }
    if plan.scenario.is_chat() && figures.causes.contains_key("rate_limited") {
        text +=
            "note: the server's rate for a connection was reached (limits.requests_per_second)\n";
    }
    if figures.causes.keys().any(|cause| cause.ends_with("status 429")) {
        text += "note: the server's bounds for one address were reached (limits.connections_per_address of a parlor)\n";
    }
    for one in held {
        let _ = writeln!(text, "slo {one}");
    }
    text
}

/// How many messages took how long, drawn.
fn bars(latency: &Histogram<u64>) -> String {
    if latency.is_empty() {
        return String::new();
    }
    let (least, most) = (latency.min().max(1) as f64, latency.max().max(2) as f64);
    let step = (most / least).powf(1.0 / BARS as f64).max(1.000_001);
    let mut text = "\n".to_owned();
    let edge = |at: usize| least * step.powi(at as i32);
    let mut counts = [0_u64; BARS];
    for value in latency.iter_recorded() {
        let at = ((value.value_iterated_to() as f64 / least).ln() / step.ln()).floor();
        let at = (at.max(0.0) as usize).min(BARS - 1);
        if let Some(count) = counts.get_mut(at) {
            *count += value.count_at_value();
        }
    }
    let largest = counts.iter().copied().max().unwrap_or(1).max(1);
    for (at, count) in counts.into_iter().enumerate() {
        let width = (count * BAR_WIDTH as u64).div_ceil(largest) as usize;
        let bar = "█".repeat(width);
        let upto = edge(at + 1) / 1_000.0;
        let _ = writeln!(text, "up to {upto:>10.2} ms {bar:<BAR_WIDTH$} {count}");
    }
    text
}

/// One line of JSON.
pub(super) fn for_programs(plan: &LoadPlan, url: &str, figures: &Figures, held: &[Held]) -> String {
    object(|w| {
        w.text("url", url);
        w.text("scenario", plan.scenario.name());
        w.number("connections", plan.connections);
        w.number("opened", figures.opened);
        w.number("meant", figures.meant);
        w.number("sent", figures.sent);
        w.number("acknowledged", figures.acknowledged);
        w.number("came", figures.came);
        w.number("expected", figures.expected);
        w.number("lost", figures.lost);
        w.number("repeated", figures.repeated);
        w.number("reordered", figures.reordered);
        w.number("foreign", figures.foreign);
        w.object_in("errors", |w| {
            for (cause, count) in &figures.causes {
                w.number(cause, *count);
            }
        });
        w.number("sent_bytes", figures.bytes_sent);
        w.number("came_bytes", figures.bytes_came);
        w.number("sending_ms", whole_ms(figures.sending));
        w.number("processor_ms", whole_ms(figures.processor));
        w.object_in("latency_us", |w| {
            latency(w, "delivery", figures.latency(Which::Delivery));
            latency(w, "service", figures.service());
            latency(w, "ack", figures.latency(Which::Ack));
            latency(w, "connect", figures.latency(Which::Connect));
            latency(w, "own_delay", &figures.late);
        });
        w.array("seconds", &figures.seconds, |w, second| {
            w.raw_item(&object(|w| {
                w.number("open", second.open);
                w.number("sent", second.sent);
                w.number("came", second.came);
                w.number("p99_us", second.p99_us);
            }));
        });
        w.array("slo", held, |w, one| {
            w.raw_item(&object(|w| {
                w.text("condition", &one.condition);
                w.text("measured", &one.measured);
                w.flag("held", one.is_held);
            }));
        });
        if let Some(warning) = own_limit(figures) {
            w.text("warning", &warning);
        }
    })
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn latency(w: &mut Writer, name: &str, latency: &Histogram<u64>) {
    if latency.is_empty() {
        return;
    }
    w.object_in(name, |w| {
        w.number("count", latency.len());
        for (name, at) in QUANTILES {
            w.number(name, latency.value_at_quantile(*at));
        }
    });
}

/// A line for a terminal, each second.
pub(super) fn live(crowd: &Crowd) -> String {
    let figures = &crowd.figures;
    // The last one has just begun.
    let last = figures.seconds.iter().rev().nth(1);
    let (sent, came, p99) =
        last.map_or((0, 0, 0.0), |second| (second.sent, second.came, ms(second.p99_us)));
    format!(
        "{} of {} connections, {sent} sent and {came} came in a second, p99 {p99:.1} ms, {} wrong, {} errors",
        crowd.ready,
        crowd.plan.connections,
        figures.repeated + figures.reordered + figures.foreign,
        figures.errors()
    )
}
