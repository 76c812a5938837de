//! How much of a log is kept: `1000/86400000` for the newest thousand entries of a day, `all/all`
//! for everything; and the table of rooms with their own setting.

use super::config::Config;
use super::error::ConfigError;
use super::example::quoted;
use super::fields::{self, Faults, Field, Wants, documented, other, put, within};
use super::file::Document;
use super::key::{Section, SectionRead, ShortForm};
use crate::base::RoomId;
use crate::hub::Retention;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `[retention.rooms]`: names of rooms, and how much of each is kept.
pub(super) const ROOMS: Section = Section {
    wants: "a table of rooms, each with { entries = …, age_ms = … } or \"ENTRIES/AGE_MS\"; elsewhere a \
            list of ROOM=ENTRIES/AGE_MS with commas between them",
    members: || documented("", KEPT),
    example: &["lobby = { entries = 1000, age_ms = 86400000 }"],
    read: SectionRead::Table(read),
    entries: |config| {
        let entry = |(room, of_room): (&RoomId, &Retention)| {
            let (name, text) = (quoted(room.as_str()), quoted(&kept_text(*of_room)));
            (room.to_string(), vec![format!("{name} = {text}")])
        };
        config.retention.rooms.iter().map(entry).collect()
    },
    is_private: false,
    short: Some(ShortForm {
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
            config.retention.rooms = rooms.collect::<Option<_>>()?;
            Some(())
        },
    }),
};

const WANTS: &str = "{ entries = …, age_ms = … } is needed, each a number from 1 on or \"all\"";

#[rustfmt::skip]
const KEPT: &[Field<Retention>] = &[
    other("entries", Wants::Range(1, u64::MAX, "entries", ", or \"all\""), "\"all\"",
        "The newest that are kept.",
        |kept, _, value| put(&mut kept.entries, number(value)),
        |kept| Some(number_text(kept.entries))),
    other("age_ms", Wants::Range(1, u64::MAX, "ms", ", or \"all\""), "\"all\"",
        "How old what is kept may be.",
        |kept, _, value| put(&mut kept.age_ms, number(value)),
        |kept| Some(number_text(kept.age_ms))),
];

fn read(config: &mut Config, rooms: &DeTable<'_>, document: &mut Document<'_>) {
    config.retention.rooms.clear();
    for (name, of_room) in rooms {
        let kept = match RoomId::parse(name.get_ref()) {
            Ok(room) => kept_value(of_room).map(|kept| (room, kept)),
            Err(_) => Err(vec![(name.span(), "a room's name is needed".to_owned())]),
        };
        match kept {
            Ok((room, kept)) => drop(config.retention.rooms.insert(room, kept)),
            Err(faults) => document.faults(faults, |wants| {
                let entry = name.get_ref().to_string();
                ConfigError::BadEntry { table: "retention.rooms", entry, wants }
            }),
        }
    }
}

/// `"1000/all"`, or `{ entries = 1000 }`: a missing member means all.
fn kept_value(value: &Spanned<DeValue<'_>>) -> Result<Retention, Faults> {
    let wanted = || vec![(value.span(), WANTS.to_owned())];
    match value.get_ref() {
        DeValue::String(text) => kept(text).ok_or_else(wanted),
        DeValue::Table(members) if !members.is_empty() => {
            let mut kept = Retention { entries: u64::MAX, age_ms: u64::MAX };
            let faults = fields::read(KEPT, &mut kept, members);
            if faults.is_empty() { Ok(kept) } else { Err(faults) }
        }
        _ => Err(wanted()),
    }
}

fn number(value: &DeValue<'_>) -> Result<u64, String> {
    match value {
        DeValue::String(text) if text == "all" => Ok(u64::MAX),
        _ => within(value, 1, u64::MAX).ok_or_else(|| WANTS.to_owned()),
    }
}

pub(super) fn kept(text: &str) -> Option<Retention> {
    let (entries, age_ms) = text.split_once('/')?;
    let number = |text: &str| match text.trim() {
        "all" => Some(u64::MAX),
        digits => digits.parse().ok().filter(|number| *number > 0),
    };
    Some(Retention { entries: number(entries)?, age_ms: number(age_ms)? })
}

pub(super) fn kept_text(kept: Retention) -> String {
    format!("{}/{}", number_text(kept.entries), number_text(kept.age_ms))
}

fn number_text(number: u64) -> String {
    if number == u64::MAX { "all".to_owned() } else { number.to_string() }
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
