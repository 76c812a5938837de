//! `[limits.users]` and `[limits.claims]`: limits that hold for one user otherwise than for all, and how
//! far a token may ask for them.

use super::config::Config;
use super::error::ConfigError;
use super::example::quoted;
use super::file::Document;
use super::inline::inline;
use super::key::{ConfigKey, Section, TakesEffect, ValueKind, described, integer};
use super::suggest;
use crate::base::limits::USER_EXCEPTIONS_MAX;
use crate::base::user_limits::NotALimit;
use crate::base::{Limits, UserId, UserLimit, UserLimits};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Limits that hold for some users otherwise than for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// By user; at most [`USER_EXCEPTIONS_MAX`].
    pub users: BTreeMap<UserId, UserLimits>,
    /// What a token may ask for at most, where that is more than holds for its user anyhow.
    pub ceilings: UserLimits,
}

impl Exceptions {
    /// The limits that hold for a user whose token asks for `asked`, where `limits` hold for all; none
    /// if they are the same.
    #[must_use]
    pub fn limits_of(
        &self,
        limits: &Limits,
        user: &UserId,
        asked: Option<&UserLimits>,
    ) -> Option<Rc<Limits>> {
        let own = self.users.get(user);
        if own.is_none() && asked.is_none() {
            return None;
        }
        let mut of_user = limits.clone();
        if let Some(own) = own {
            own.replace(&mut of_user);
        }
        if let Some(asked) = asked {
            asked.ask(&mut of_user, &self.ceilings);
        }
        (of_user != *limits).then(|| Rc::new(of_user))
    }
}

/// `[limits.users]`.
pub(super) const USERS: ConfigKey = ConfigKey {
    name: "limits.users",
    effect: TakesEffect::Live,
    about: "Limits for single users, in place of the limits of the same names for everybody.",
    kind: ValueKind::Section(Section {
        is_list: false,
        wants: "a table of users, each a table of requests_per_second, burst, messages_per_minute, \
                user_requests_per_second, user_burst, user_work_per_second, user_work_burst, bytes_per_second, \
                bytes_burst, text_bytes, data_bytes, connections_per_user, rooms, direct_rooms, subscriptions, \
                stored_bytes_per_day; elsewhere the same as an inline table of TOML",
        fields: &[],
        example: &["\"bot\" = { requests_per_second = 100, burst = 300 }"],
        read: read_users,
        write: |config| config.exceptions.users.iter().map(line).collect(),
        entries: None,
        get: |config| braced(config.exceptions.users.iter().map(line)),
        set: |config, text| {
            config.exceptions.users = inline(text, |value| {
                let users = of_table("limits.users", value)?.iter().map(user);
                users.collect::<Result<BTreeMap<_, _>, _>>().and_then(bounded)
            })?;
            Ok(())
        },
    }),
};

/// `[limits.claims]`.
pub(super) const CLAIMS: ConfigKey = ConfigKey {
    name: "limits.claims",
    effect: TakesEffect::Live,
    about: "How far the claim `limits` of a token may raise its user's limits. It may always lower them.",
    kind: ValueKind::Section(Section {
        is_list: false,
        wants: "a table of the same names as those of a user in limits.users; elsewhere an inline table of TOML",
        fields: &[],
        example: &["requests_per_second = 1000"],
        read: read_ceilings,
        write: |config| config.exceptions.ceilings.iter().map(assignment).collect(),
        entries: None,
        get: |config| braced(config.exceptions.ceilings.iter().map(assignment)),
        set: |config, text| {
            config.exceptions.ceilings = inline(text, |value| {
                limits(of_table("limits.claims", value)?).map_err(|faults| first("claims", faults))
            })?;
            Ok(())
        },
    }),
};

const NEEDS_TABLE: &str = "a table is needed, as { burst = 100 }";

fn read_users(config: &mut Config, value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) {
    let DeValue::Table(users) = value.get_ref() else {
        return not_a_table("limits.users", value, document);
    };
    config.exceptions.users.clear();
    for (name, value) in users {
        let bad =
            |wants: String| ConfigError::BadLimits { entry: name.get_ref().to_string(), wants };
        let of_user = match (UserId::parse(name.get_ref()), value.get_ref()) {
            (Err(error), _) => Err(vec![(name.span(), format!("a user's id {error}"))]),
            (Ok(_), DeValue::Table(values)) => limits(values),
            (Ok(_), _) => Err(vec![(value.span(), NEEDS_TABLE.to_owned())]),
        };
        match (of_user, UserId::parse(name.get_ref())) {
            (Ok(_), _) if config.exceptions.users.len() >= USER_EXCEPTIONS_MAX => {
                let wants = format!("these are more than {USER_EXCEPTIONS_MAX} users");
                return document.fault(name.span(), bad(wants));
            }
            (Ok(limits), Ok(user)) => {
                config.exceptions.users.insert(user, limits);
            }
            (Err(faults), _) => {
                faults.into_iter().for_each(|(span, wants)| document.fault(span, bad(wants)));
            }
            (Ok(_), Err(_)) => {}
        }
    }
}

fn read_ceilings(config: &mut Config, value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) {
    let DeValue::Table(values) = value.get_ref() else {
        return not_a_table("limits.claims", value, document);
    };
    match limits(values) {
        Ok(ceilings) => config.exceptions.ceilings = ceilings,
        Err(faults) => {
            for (span, wants) in faults {
                document.fault(span, ConfigError::BadLimits { entry: "claims".to_owned(), wants });
            }
        }
    }
}

fn not_a_table(key: &'static str, value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) {
    let value_text = described(value.get_ref());
    document.fault(value.span(), ConfigError::BadValue { key, value: value_text });
}

/// The limits of a table, or all that is wrong with them, and where.
fn limits(values: &DeTable<'_>) -> Result<UserLimits, Vec<(Range<usize>, String)>> {
    let (mut limits, mut faults) = (UserLimits::default(), Vec::new());
    for (name, value) in values {
        let number = match value.get_ref() {
            DeValue::Integer(number) => {
                integer(number).and_then(|number| u32::try_from(number).ok())
            }
            _ => None,
        };
        let min = match number.map(|number| limits.set(name.get_ref(), number)) {
            Some(Ok(())) => continue,
            Some(Err(NotALimit::Unknown)) => {
                let known = UserLimit::ALL.iter().map(UserLimit::name);
                faults.push((name.span(), suggest::unknown(name.get_ref(), known)));
                continue;
            }
            Some(Err(NotALimit::Below(min))) => min,
            None => 0,
        };
        let (name, given) = (name.get_ref(), described(value.get_ref()));
        let wants = format!("{name} is an integer from {min} to {}; not {given}", u32::MAX);
        faults.push((value.span(), wants));
    }
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

fn of_table<'t, 'v>(
    key: &'static str,
    value: &'t DeValue<'v>,
) -> Result<&'t DeTable<'v>, ConfigError> {
    match value {
        DeValue::Table(table) => Ok(table),
        other => Err(ConfigError::BadValue { key, value: described(other) }),
    }
}

/// A user's limits of an inline table, or the first that is wrong with them.
fn user(
    (name, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>),
) -> Result<(UserId, UserLimits), ConfigError> {
    let bad = |wants: String| ConfigError::BadLimits { entry: name.get_ref().to_string(), wants };
    let user =
        UserId::parse(name.get_ref()).map_err(|error| bad(format!("a user's id {error}")))?;
    let DeValue::Table(values) = value.get_ref() else { return Err(bad(NEEDS_TABLE.to_owned())) };
    Ok((user, limits(values).map_err(|faults| first(name.get_ref(), faults))?))
}

fn bounded(
    users: BTreeMap<UserId, UserLimits>,
) -> Result<BTreeMap<UserId, UserLimits>, ConfigError> {
    if let Some(user) = users.keys().nth(USER_EXCEPTIONS_MAX) {
        let wants = format!("these are more than {USER_EXCEPTIONS_MAX} users");
        return Err(ConfigError::BadLimits { entry: user.to_string(), wants });
    }
    Ok(users)
}

fn first(entry: &str, faults: Vec<(Range<usize>, String)>) -> ConfigError {
    let wants = faults.into_iter().next().map(|(_, wants)| wants).unwrap_or_default();
    ConfigError::BadLimits { entry: entry.to_owned(), wants }
}

fn line((user, limits): (&UserId, &UserLimits)) -> String {
    format!("{} = {}", quoted(user.as_str()), braced(limits.iter().map(assignment)))
}

fn assignment((name, value): (&'static str, u32)) -> String {
    format!("{name} = {value}")
}

fn braced(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { String::new() } else { format!("{{ {} }}", items.join(", ")) }
}
