//! What is to go wrong, when and where: the grammar of scripts, of which each flag is a line.
//!
//! ```text
//! line   = [ "conn" NUMBER ] [ "from" ( "client" / "server" / "both" ) ] [ "at" TIME [ ".." TIME ] / "after" BYTES ] fault
//! fault  = "cut" / "delay" MS [ ".." MS ] / "throttle" BYTES / "reorder" / "corrupt" KILOBYTES / "half-open"
//! ```

use crate::protocol::Role;
use std::str::SplitWhitespace;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum InjectedFault {
    /// Both ends see the connection's end, without a closing handshake.
    Cut,
    /// Bytes are held for so long, in ms: anything between both.
    Delay { min_ms: u64, max_ms: u64 },
    /// So many bytes a second.
    Throttle { bytes: u64 },
    /// What comes waits until bytes of another connection have passed it.
    Reorder,
    /// One bit of so many bytes is flipped.
    Corrupt { window_bytes: u64 },
    /// Nothing passes, and nothing is closed.
    HalfOpen,
}

/// When a fault is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum FaultTime {
    /// From one time after the connection's begin to another, in ms.
    Within { start_ms: u64, end_ms: u64 },
    /// When so many bytes have passed in its direction.
    After { bytes: u64 },
}

/// A line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct FaultRule {
    /// All, if it is none.
    pub(super) conn: Option<u32>,
    /// Whose bytes; both ends', if it is none.
    pub(super) from: Option<Role>,
    pub(super) time: FaultTime,
    pub(super) fault: InjectedFault,
}

const FOREVER_MS: u64 = u64::MAX;
const ALWAYS: FaultTime = FaultTime::Within { start_ms: 0, end_ms: FOREVER_MS };

impl FaultRule {
    /// A fault of all connections, from their beginning on.
    pub(in crate::cli) fn always(fault: InjectedFault, from: Option<Role>) -> FaultRule {
        FaultRule { conn: None, from, time: ALWAYS, fault }
    }

    /// The same at another time.
    pub(in crate::cli) fn at(self, time: FaultTime) -> FaultRule {
        FaultRule { time, ..self }
    }

    /// A time, as `2s`, or a number of bytes, as `4k`.
    pub(in crate::cli) fn parse_time(text: &str) -> Result<FaultTime, String> {
        match parse_ms(text) {
            Ok(start_ms) => Ok(FaultTime::Within { start_ms, end_ms: FOREVER_MS }),
            Err(_) => parse_bytes(text).map(|bytes| FaultTime::After { bytes }).map_err(|_| {
                format!("{text:?} is neither a time, as 2s or 500ms, nor a number of bytes, as 4k")
            }),
        }
    }

    /// Parses a line of a script; nothing for an empty one, and for a remark.
    pub(in crate::cli) fn parse(line: &str) -> Result<Option<FaultRule>, String> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (mut conn, mut from, mut time) = (None, None, None);
        let Some(mut word) = words.next() else { return Ok(None) };
        loop {
            match word {
                "conn" if conn.is_none() => {
                    let number = argument(&mut words, "conn", "a number")?;
                    conn = Some(number.parse().map_err(|_| format!("conn {number}: no number"))?);
                }
                "from" if from.is_none() => {
                    from = Some(parse_side(argument(&mut words, "from", "an end")?)?);
                }
                "at" if time.is_none() => {
                    time = Some(parse_span(argument(&mut words, "at", "a time, as 2s")?)?);
                }
                "after" if time.is_none() => {
                    let bytes = parse_bytes(argument(&mut words, "after", "a number of bytes")?)?;
                    time = Some(FaultTime::After { bytes });
                }
                "conn" | "from" | "at" | "after" => {
                    return Err(format!("{word} stands there twice, or at and after together"));
                }
                _ => break,
            }
            word = words.next().ok_or("it names no fault")?;
        }
        let fault = parse_fault(word, &mut words)?;
        if let Some(more) = words.next() {
            return Err(format!("{more:?} stands behind the fault: one line is one fault"));
        }
        let time = time.unwrap_or(ALWAYS);
        let takes_bytes = matches!(fault, InjectedFault::Cut | InjectedFault::HalfOpen);
        if matches!(time, FaultTime::After { .. }) && !takes_bytes {
            return Err("after BYTES is for cut and half-open".to_owned());
        }
        Ok(Some(FaultRule { conn, from: from.flatten(), time, fault }))
    }

    /// Parses a script. An error begins with the line's number.
    pub(in crate::cli) fn parse_script(text: &str) -> Result<Vec<FaultRule>, String> {
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let rule = FaultRule::parse(line);
            rules.extend(rule.map_err(|why| format!("line {}: {why}", index + 1))?);
        }
        Ok(rules)
    }

    /// Whether chance decides what it does.
    pub(super) fn has_chance(&self) -> bool {
        match self.fault {
            InjectedFault::Delay { min_ms, max_ms } => min_ms < max_ms,
            InjectedFault::Corrupt { .. } => true,
            InjectedFault::Cut
            | InjectedFault::Throttle { .. }
            | InjectedFault::Reorder
            | InjectedFault::HalfOpen => false,
        }
    }

    /// Whether it is for bytes of this end of this connection.
    pub(super) fn is_for(&self, conn: u32, from: Role) -> bool {
        self.conn.is_none_or(|one| one == conn) && self.from.is_none_or(|one| one == from)
    }

    /// Whether it is its time.
    pub(super) fn is_now(&self, ms: u64) -> bool {
        match self.time {
            FaultTime::Within { start_ms, end_ms } => (start_ms..end_ms).contains(&ms),
            FaultTime::After { .. } => false,
        }
    }
}

fn argument<'a>(
    words: &mut SplitWhitespace<'a>,
    word: &str,
    what: &str,
) -> Result<&'a str, String> {
    words.next().ok_or_else(|| format!("behind {word} stands {what}"))
}

fn parse_fault(word: &str, words: &mut SplitWhitespace<'_>) -> Result<InjectedFault, String> {
    Ok(match word {
        "cut" => InjectedFault::Cut,
        "reorder" => InjectedFault::Reorder,
        "half-open" => InjectedFault::HalfOpen,
        "delay" => {
            parse_delay(argument(words, word, "a number of milliseconds, or two: 50..200")?)?
        }
        "throttle" => parse_throttle(argument(words, word, "a number of bytes a second")?)?,
        "corrupt" => parse_corrupt(argument(words, word, "a number of kilobytes")?)?,
        other => {
            return Err(format!(
                "{other:?} is no fault; there are cut, delay, throttle, reorder, corrupt and half-open"
            ));
        }
    })
}

/// `client`, `server` or `both`.
pub(in crate::cli) fn parse_side(text: &str) -> Result<Option<Role>, String> {
    match text {
        "client" => Ok(Some(Role::Client)),
        "server" => Ok(Some(Role::Server)),
        "both" => Ok(None),
        other => Err(format!("{other:?} is no end: client, server or both")),
    }
}

pub(in crate::cli) fn parse_delay(text: &str) -> Result<InjectedFault, String> {
    let number = |text: &str| {
        let digits = text.strip_suffix("ms").unwrap_or(text);
        digits.parse().map_err(|_| format!("{text:?} is no number of milliseconds"))
    };
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let (min_ms, max_ms) = (number(min)?, number(max)?);
    if min_ms > max_ms {
        return Err(format!("{text}: the first is the shorter one"));
    }
    Ok(InjectedFault::Delay { min_ms, max_ms })
}

pub(in crate::cli) fn parse_throttle(text: &str) -> Result<InjectedFault, String> {
    match parse_bytes(text)? {
        0 => Err("with 0 bytes a second nothing would pass: that is half-open".to_owned()),
        bytes => Ok(InjectedFault::Throttle { bytes }),
    }
}

pub(in crate::cli) fn parse_corrupt(text: &str) -> Result<InjectedFault, String> {
    let kilobytes: u64 = text.parse().map_err(|_| format!("{text:?} is no number of kilobytes"))?;
    let window_bytes = kilobytes.checked_mul(1_024).filter(|bytes| *bytes > 0);
    window_bytes
        .map(|window_bytes| InjectedFault::Corrupt { window_bytes })
        .ok_or_else(|| "a bit is flipped in one of 1 or more kilobytes".to_owned())
}

/// `2s`, or `5s..9s`.
fn parse_span(text: &str) -> Result<FaultTime, String> {
    let Some((start, end)) = text.split_once("..") else {
        return Ok(FaultTime::Within { start_ms: parse_ms(text)?, end_ms: FOREVER_MS });
    };
    let (start_ms, end_ms) = (parse_ms(start)?, parse_ms(end)?);
    if start_ms >= end_ms {
        return Err(format!("{text}: it ends before it begins"));
    }
    Ok(FaultTime::Within { start_ms, end_ms })
}

/// `500ms`, `1.5s` or `2min`.
fn parse_ms(text: &str) -> Result<u64, String> {
    /// A thousand days.
    const MS_MAX: f64 = 86_400_000_000.0;
    let units = [("ms", 1.0), ("min", 60_000.0), ("s", 1_000.0)];
    let found = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)));
    let ms = found.and_then(|(number, ms)| Some(number.parse::<f64>().ok()? * ms));
    match ms.filter(|ms| (0.0..=MS_MAX).contains(ms)) {
        Some(ms) => Ok(ms.round() as u64),
        None => Err(format!("{text:?} is no time, as 500ms, 1.5s or 2min")),
    }
}

/// `1000`, `64k` or `1M`; a kilobyte has 1,024 bytes.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("k", 1_024), ("M", 1_024 * 1_024)];
    let found = units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (digits, unit) = found.unwrap_or((text, 1u64));
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    number.ok_or_else(|| format!("{text:?} is no number of bytes, as 1000, 64k or 1M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_when_and_what() {
        let within = |start_ms, end_ms| FaultTime::Within { start_ms, end_ms };
        let rule = |conn, from, time, fault| FaultRule { conn, from, time, fault };
        for (line, expected) in [
            ("at 2s cut", rule(None, None, within(2_000, u64::MAX), InjectedFault::Cut)),
            (
                "at 5s..9.5s delay 200",
                rule(
                    None,
                    None,
                    within(5_000, 9_500),
                    InjectedFault::Delay { min_ms: 200, max_ms: 200 },
                ),
            ),
            (
                "conn 3 corrupt 2 # often",
                rule(Some(3), None, ALWAYS, InjectedFault::Corrupt { window_bytes: 2_048 }),
            ),
            (
                "  from server after 64k half-open",
                rule(
                    None,
                    Some(Role::Server),
                    FaultTime::After { bytes: 65_536 },
                    InjectedFault::HalfOpen,
                ),
            ),
            (
                "from both at 0ms..2min throttle 1M",
                rule(None, None, within(0, 120_000), InjectedFault::Throttle { bytes: 1_048_576 }),
            ),
            (
                "delay 5..50ms",
                rule(None, None, ALWAYS, InjectedFault::Delay { min_ms: 5, max_ms: 50 }),
            ),
            ("reorder", rule(None, None, ALWAYS, InjectedFault::Reorder)),
        ] {
            assert_eq!(FaultRule::parse(line), Ok(Some(expected)), "{line}");
        }
        assert_eq!(FaultRule::parse("  # nothing"), Ok(None));
    }

    #[test]
    fn an_error_says_which_line_and_what_is_wrong_with_it() {
        for (line, words) in [
            ("explode", "\"explode\" is no fault; there are cut,"),
            ("at 2s", "it names no fault"),
            ("at 2 cut", "\"2\" is no time"),
            ("at -1s cut", "is no time"),
            ("at infs cut", "is no time"),
            ("at 9s..5s delay 1", "ends before it begins"),
            ("at 1s at 2s cut", "at stands there twice"),
            ("at 1s after 5 cut", "at and after together"),
            ("conn x cut", "conn x: no number"),
            ("from nobody cut", "\"nobody\" is no end"),
            ("delay", "behind delay stands a number of milliseconds"),
            ("delay 9..5", "the first is the shorter one"),
            ("delay 5 now", "\"now\" stands behind the fault"),
            ("throttle 0", "that is half-open"),
            ("throttle 99999999999999999999", "is no number of bytes"),
            ("corrupt 0", "1 or more kilobytes"),
            ("after 5 delay 1", "is for cut and half-open"),
            ("after", "behind after stands"),
        ] {
            let error = FaultRule::parse_script(&format!("cut\n\n{line}\n")).unwrap_err();
            assert!(error.starts_with("line 3: ") && error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn a_flag_takes_a_time_or_bytes() {
        assert_eq!(FaultRule::parse_time("4k"), Ok(FaultTime::After { bytes: 4_096 }));
        let two = FaultTime::Within { start_ms: 2_000, end_ms: FOREVER_MS };
        assert_eq!(FaultRule::parse_time("2s"), Ok(two));
        assert!(FaultRule::parse_time("soon").unwrap_err().contains("neither a time"));
    }
}
