//! What a run is held to: `p99<20ms,lost=0`.

use super::figures::Figures;
use std::fmt;
use std::str::FromStr;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SloCondition {
    text: String,
    what: Measure,
    is: Comparison,
    bound: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Measure {
    /// A quantile of a latency, in ms: of 1.
    Latency(Which, f64),
    Count(SloCount),
    /// Messages that came, per second.
    Rate,
}

/// Whose latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// From when a message was meant to leave until it came.
    Delivery,
    /// The same until it was acknowledged.
    Ack,
    /// Until a connection is open.
    Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SloCount {
    Lost,
    Repeated,
    Reordered,
    Foreign,
    Errors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// All conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slo(Vec<SloCondition>);

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Slo, String> {
        text.split(',').map(|one| condition(one.trim())).collect::<Result<_, _>>().map(Slo)
    }
}

fn condition(text: &str) -> Result<SloCondition, String> {
    const SIGNS: &[(&str, Comparison)] = &[
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Less),
        (">", Comparison::More),
        ("=", Comparison::Equal),
    ];
    let found = SIGNS.iter().find_map(|(sign, is)| {
        text.split_once(sign).map(|(name, bound)| (name.trim(), *is, bound.trim()))
    });
    let (name, is, bound) =
        found.ok_or_else(|| format!("{text:?} is no condition, such as p99<20ms or lost=0"))?;
    let what = measure(name).ok_or_else(|| {
        format!(
            "{name:?} is not measured; p50, p99.9, max, ack.p99, connect.p99, lost, repeated, reordered, foreign, \
             errors and rate are"
        )
    })?;
    let bound = match what {
        Measure::Latency(..) => milliseconds(bound),
        Measure::Count(_) | Measure::Rate => bound.parse().ok(),
    };
    let bound = bound.filter(|bound: &f64| bound.is_finite() && *bound >= 0.0);
    let bound = bound.ok_or_else(|| match what {
        Measure::Latency(..) => format!("{text:?} needs a time, such as 20ms, 500us or 2s"),
        Measure::Count(_) | Measure::Rate => format!("{text:?} needs a number"),
    })?;
    Ok(SloCondition { text: text.to_owned(), what, is, bound })
}

fn measure(name: &str) -> Option<Measure> {
    let count = match name {
        "lost" => SloCount::Lost,
        "repeated" => SloCount::Repeated,
        "reordered" => SloCount::Reordered,
        "foreign" => SloCount::Foreign,
        "errors" => SloCount::Errors,
        "rate" => return Some(Measure::Rate),
        _ => {
            let (which, quantile) = match name.split_once('.') {
                Some(("ack", quantile)) => (Which::Ack, quantile),
                Some(("connect", quantile)) => (Which::Connect, quantile),
                _ => (Which::Delivery, name),
            };
            let percent = match quantile {
                "max" => 100.0,
                quantile => quantile.strip_prefix('p')?.parse::<f64>().ok()?,
            };
            let is_one = (0.0..=100.0).contains(&percent);
            return is_one.then_some(Measure::Latency(which, percent / 100.0));
        }
    };
    Some(Measure::Count(count))
}

/// A time in ms.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = [("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("s", 1_000.0)]
        .into_iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))?;
    number.trim().parse::<f64>().ok().map(|number| number * factor)
}

/// A condition, and what was measured.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) condition: String,
    pub(super) measured: String,
    pub(super) is_held: bool,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_held = if self.is_held { "held" } else { "NOT held" };
        write!(f, "{}: {is_held}, it is {}", self.condition, self.measured)
    }
}

impl Slo {
    pub(super) fn judge(&self, figures: &Figures) -> Vec<Held> {
        self.0.iter().map(|condition| condition.judge(figures)).collect()
    }
}

impl SloCondition {
    fn judge(&self, figures: &Figures) -> Held {
        let (measured, text) = match self.what {
            Measure::Latency(which, quantile) => {
                let latency = figures.latency(which);
                match latency.len() {
                    // Nothing that was measured is no good value.
                    0 => (f64::INFINITY, "not measured".to_owned()),
                    _ => {
                        let ms = latency.value_at_quantile(quantile) as f64 / 1_000.0;
                        (ms, format!("{ms:.1} ms"))
                    }
                }
            }
            Measure::Count(count) => {
                let count = match count {
                    SloCount::Lost => figures.lost,
                    SloCount::Repeated => figures.repeated,
                    SloCount::Reordered => figures.reordered,
                    SloCount::Foreign => figures.foreign,
                    SloCount::Errors => figures.errors(),
                };
                (count as f64, count.to_string())
            }
            Measure::Rate => {
                let rate = figures.rate();
                (rate, format!("{rate:.1} a second"))
            }
        };
        let is_held = match self.is {
            Comparison::Less => measured < self.bound,
            Comparison::AtMost => measured <= self.bound,
            Comparison::Equal => measured == self.bound,
            Comparison::AtLeast => measured >= self.bound && measured.is_finite(),
            Comparison::More => measured > self.bound && measured.is_finite(),
        };
        Held { condition: self.text.clone(), measured: text, is_held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(slo: &str, figures: &Figures) -> Vec<bool> {
        slo.parse::<Slo>().unwrap().judge(figures).iter().map(|one| one.is_held).collect()
    }

    #[test]
    fn conditions_are_held_or_not() {
        let mut figures = Figures::new();
        for ms in 1..=100 {
            figures.delivered(std::time::Duration::from_millis(ms));
        }
        figures.lost = 2;
        assert_eq!(held("p50<51ms, p99 <= 99.2ms, max<100ms", &figures), [true, true, false]);
        assert_eq!(held("lost=0,lost<3,repeated=0,errors<=0", &figures), [false, true, true, true]);
        assert_eq!(held("p99<0.2s,p99>90000us", &figures), [true, true]);
        assert_eq!(
            held("ack.p99<1s,ack.p99>1ms", &figures),
            [false, false],
            "nothing was measured"
        );
    }

    #[test]
    fn what_is_no_condition_is_said() {
        for (text, why) in [
            ("p99", "no condition"),
            ("p101<1ms", "not measured"),
            ("best<1ms", "not measured"),
            ("p99<20", "needs a time"),
            ("p99<-1ms", "needs a time"),
            ("lost=none", "needs a number"),
            ("", "no condition"),
        ] {
            let error = text.parse::<Slo>().unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
