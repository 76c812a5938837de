//! How a configuration says how much of a log is kept: `1000/86400000` for the newest thousand
//! entries of a day, `all/all` for everything; and the table of the rooms with a word of their own.

use super::config::Config;
use super::error::ConfigError;
use super::example::quoted;
use super::fields::{KEPT, names};
use super::file::Document;
use super::key::{ConfigKey, Section, TakesEffect, ValueKind, described, integer};
use super::suggest;
use crate::base::RoomId;
use crate::hub::Retention;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `retention.default`.
pub(super) const DEFAULT: ConfigKey = ConfigKey {
    name: "retention.default",
    effect: TakesEffect::Restart,
    about: "How much of a room's log is kept: a number of entries, and the age of the oldest.",
    kind: ValueKind::Text {
        wants: "ENTRIES/AGE_MS, each a number from 1 on or all",
        get: |config| kept_text(config.retention.default),
        set: |config, text| {
            config.retention.default = kept(text)?;
            Some(())
        },
    },
};

/// `[retention.rooms]`: names of rooms, and how much of each is kept.
pub(super) const ROOMS: Section = Section {
    wants: "a table of rooms, each with { entries = …, age_ms = … } or \"ENTRIES/AGE_MS\"; elsewhere a \
            list of ROOM=ENTRIES/AGE_MS with commas between them",
    fields: &[("", KEPT)],
    example: &["lobby = { entries = 1000, age_ms = 86400000 }"],
    is_list: false,
    read,
    write,
    entries: None,
    get: |config| {
        let rooms = config.retention.rooms.iter();
        let rooms = rooms.map(|(room, of_room)| format!("{room}={}", kept_text(*of_room)));
        rooms.collect::<Vec<_>>().join(",")
    },
    set: |config, text| {
        let rooms = text.split(',').filter(|_| !text.is_empty()).map(|one| {
            let (room, of_room) = one.trim().split_once('=')?;
            Some((RoomId::parse(room).ok()?, kept(of_room)?))
        });
        let bad = || ConfigError::BadValue { key: TABLE, value: format!("{text:?}") };
        config.retention.rooms = rooms.collect::<Option<_>>().ok_or_else(bad)?;
        Ok(())
    },
};

const TABLE: &str = "retention.rooms";

fn read(config: &mut Config, value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) {
    let DeValue::Table(rooms) = value.get_ref() else {
        let value_text = described(value.get_ref());
        let error = ConfigError::BadValue { key: TABLE, value: value_text };
        return document.fault(value.span(), error);
    };
    config.retention.rooms.clear();
    for (name, of_room) in rooms {
        let bad = |wants| ConfigError::BadEntry {
            table: TABLE,
            entry: name.get_ref().to_string(),
            wants,
        };
        let Ok(room) = RoomId::parse(name.get_ref()) else {
            document.fault(name.span(), bad("a room's name is needed".to_owned()));
            continue;
        };
        match kept_value(of_room.get_ref()) {
            Ok(kept) => drop(config.retention.rooms.insert(room, kept)),
            Err((span, wants)) => document.fault(span.unwrap_or(of_room.span()), bad(wants)),
        }
    }
}

/// `"1000/all"`, or `{ entries = 1000 }`: what is not said is all. Or what is wrong, and where.
fn kept_value(value: &DeValue<'_>) -> Result<Retention, (Option<Range<usize>>, String)> {
    const WANTS: &str = "{ entries = …, age_ms = … } is needed, each a number from 1 on or \"all\"";
    let known = || names(&[KEPT]);
    let read = match value {
        DeValue::String(text) => kept(text),
        DeValue::Table(members) => {
            let is_unknown = |name: &str| known().all(|known| known != name);
            if let Some((name, _)) = members.iter().find(|(name, _)| is_unknown(name.get_ref())) {
                return Err((Some(name.span()), suggest::unknown(name.get_ref(), known())));
            }
            let of_member = |name| member(members, name);
            let both = of_member("entries").zip(of_member("age_ms"));
            both.filter(|_| !members.is_empty())
                .map(|(entries, age_ms)| Retention { entries, age_ms })
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => None,
    };
    read.ok_or_else(|| (None, WANTS.to_owned()))
}

fn member(members: &DeTable<'_>, name: &str) -> Option<u64> {
    match members.get(name).map(Spanned::get_ref) {
        None => Some(u64::MAX),
        Some(DeValue::Integer(number)) => integer(number).filter(|number| *number > 0),
        Some(DeValue::String(text)) if text == "all" => Some(u64::MAX),
        Some(_) => None,
    }
}

fn write(config: &Config) -> Vec<String> {
    let rooms = config.retention.rooms.iter();
    let line = |(room, of_room): (&RoomId, &Retention)| {
        format!("{} = {}", quoted(room.as_str()), quoted(&kept_text(*of_room)))
    };
    rooms.map(line).collect()
}

fn kept(text: &str) -> Option<Retention> {
    let (entries, age_ms) = text.split_once('/')?;
    let number = |text: &str| match text.trim() {
        "all" => Some(u64::MAX),
        digits => digits.parse().ok().filter(|number| *number > 0),
    };
    Some(Retention { entries: number(entries)?, age_ms: number(age_ms)? })
}

/// Writes one.
fn kept_text(kept: Retention) -> String {
    let text = |number: u64| match number {
        u64::MAX => "all".to_owned(),
        number => number.to_string(),
    };
    format!("{}/{}", text(kept.entries), text(kept.age_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["all/all", "1000/all", "all/86400000", "1/1"] {
            assert_eq!(kept(text).map(kept_text).as_deref(), Some(text));
        }
        for text in ["", "all", "0/all", "all/0", "-1/all", "1/2/3", "x/1"] {
            assert_eq!(kept(text), None, "{text}");
        }
    }
}
