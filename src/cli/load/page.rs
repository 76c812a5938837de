//! The report as a page: the figures, and plots of them, in one file that loads nothing.

use super::figures::Figures;
use super::plan::LoadPlan;
use super::report::{for_people, ms, title};
use super::slo::{Held, Which};
use crate::cli::escaped;
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
/// Room for labels.
const MARGIN: f64 = 56.0;

/// The page.
pub(super) fn page(plan: &LoadPlan, url: &str, figures: &Figures, held: &[Held]) -> String {
    let title = escaped(&title(plan, url));
    let figures_text = escaped(&for_people(plan, figures, held));
    let plots = [
        plot("Latency by quantile, ms", &by_quantile(figures), Some(QUANTILE_LABELS)),
        plot("p99 of each second, ms", &each_second(figures, |second| ms(second.p99_us)), None),
        plot(
            "Messages that came, each second",
            &each_second(figures, |second| second.came as f64),
            None,
        ),
        plot(
            "Connections that were ready",
            &each_second(figures, |second| second.open as f64),
            None,
        ),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n\
         :root {{ color-scheme: light dark }}\n\
         body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}\n\
         pre {{ overflow-x: auto; font-size: 13px }}\n\
         svg {{ width: 100%; height: auto }}\n\
         svg text {{ fill: currentColor; font: 11px system-ui, sans-serif }}\n\
         svg line {{ stroke: currentColor; opacity: .25 }}\n\
         svg polyline {{ fill: none; stroke: #2a6fdb; stroke-width: 2 }}\n\
         </style>\n<h1>parlor load</h1>\n<p>{title}</p>\n{plots}<pre>{figures_text}</pre>\n</html>\n"
    )
}

/// Where the first plot's axis has names: of 1 - quantile, in powers of ten.
const QUANTILE_LABELS: &[(f64, &str)] =
    &[(0.0, "0"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")];

fn by_quantile(figures: &Figures) -> Vec<(f64, f64)> {
    let latency = figures.latency(Which::Delivery);
    if latency.is_empty() {
        return Vec::new();
    }
    let points = (0..=40).map(|at| {
        let nines = f64::from(at) / 10.0;
        (nines, ms(latency.value_at_quantile(1.0 - 10_f64.powf(-nines))))
    });
    points.collect()
}

fn each_second(
    figures: &Figures,
    value: impl Fn(&super::figures::Second) -> f64,
) -> Vec<(f64, f64)> {
    figures.seconds.iter().enumerate().map(|(at, second)| (at as f64, value(second))).collect()
}

/// A plot of points, whose x rises; `labels` are those of its x axis, which is in seconds without them.
fn plot(name: &str, points: &[(f64, f64)], labels: Option<&[(f64, &str)]>) -> String {
    let Some((last, _)) = points.last().filter(|(last, _)| *last > 0.0) else {
        return String::new();
    };
    let most = points.iter().map(|(_, y)| *y).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let x = |value: f64| MARGIN + (WIDTH - MARGIN - 8.0) * value / last;
    let y = |value: f64| HEIGHT - 24.0 - (HEIGHT - 40.0) * value / most;
    let mut svg = format!(
        "<h2>{}</h2>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(name),
        escaped(name)
    );
    // Writing to a string has no error.
    for part in 0..=4 {
        let value = most * f64::from(part) / 4.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{MARGIN}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/><text x=\"{1:.1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
            y(value),
            MARGIN - 6.0,
            y(value) + 4.0,
            short(value)
        );
    }
    let seconds: Vec<(f64, String)> = match labels {
        Some(labels) => labels.iter().map(|(at, name)| (*at, (*name).to_owned())).collect(),
        None => (0..=4)
            .map(|part| last * f64::from(part) / 4.0)
            .map(|at| (at, format!("{at:.0} s")))
            .collect(),
    };
    for (at, name) in seconds.iter().filter(|(at, _)| at <= last) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            x(*at),
            HEIGHT - 6.0
        );
    }
    let line: Vec<String> =
        points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
    let _ = writeln!(svg, "<polyline points=\"{}\"/>\n</svg>", line.join(" "));
    svg
}

/// A number for an axis.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 10_000.0 => format!("{value:.0}"),
        value => format!("{:.0}k", value / 1_000.0),
    }
}
