//! `[limits.users]` and `[limits.claims]`: limits for individual users, and how far a token may
//! raise its user's limits.

use super::config::Config;
use super::error::ConfigError;
use super::example::quoted;
use super::fields::{Faults, within};
use super::file::Document;
use super::key::{Section, SectionRead, described};
use super::suggest;
use crate::base::limits::USER_EXCEPTIONS_MAX;
use crate::base::user_limits::NotALimit;
use crate::base::{Limits, UserId, UserLimit, UserLimits};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Limits that differ for some users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// By user; at most [`USER_EXCEPTIONS_MAX`].
    pub users: BTreeMap<UserId, UserLimits>,
    /// The most that a token may ask for, where that exceeds its user's limit.
    pub ceilings: UserLimits,
}

impl Exceptions {
    /// The limits of a user whose token asks for `asked`, where `limits` apply to all; none if they
    /// are the same.
    #[must_use]
    pub fn limits_of(
        &self,
        limits: &Limits,
        user: &UserId,
        asked: Option<&UserLimits>,
    ) -> Option<Arc<Limits>> {
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
        (of_user != *limits).then(|| Arc::new(of_user))
    }
}

/// `[limits.users]`.
pub(super) const USERS: Section = Section {
    wants: "a table of users, each a table of requests_per_second, burst, messages_per_minute, \
                user_requests_per_second, user_burst, user_work_per_second, user_work_burst, bytes_per_second, \
                bytes_burst, text_bytes, data_bytes, connections_per_user, rooms, direct_rooms, subscriptions, \
                stored_bytes_per_day; elsewhere the same as an inline table of TOML",
    members: Vec::new,
    example: &["\"bot\" = { requests_per_second = 100, burst = 300 }"],
    read: SectionRead::Table(read_users),
    entries: |config| {
        let entry = |(user, limits): (&UserId, &UserLimits)| {
            let limits: Vec<String> = limits.iter().map(assignment).collect();
            let line = format!("{} = {{ {} }}", quoted(user.as_str()), limits.join(", "));
            (user.to_string(), vec![line])
        };
        config.exceptions.users.iter().map(entry).collect()
    },
    is_private: false,
    short: None,
};

/// `[limits.claims]`.
pub(super) const CLAIMS: Section = Section {
    wants: "a table of the same names as those of a user in limits.users; elsewhere an inline table of TOML",
    members: Vec::new,
    example: &["requests_per_second = 1000"],
    read: SectionRead::Table(|config, values, document| match limits(values) {
        Ok(ceilings) => config.exceptions.ceilings = ceilings,
        Err(faults) => tell(faults, "claims", document),
    }),
    entries: |config| {
        let entry = |limit: (&str, u32)| (limit.0.to_owned(), vec![assignment(limit)]);
        config.exceptions.ceilings.iter().map(entry).collect()
    },
    is_private: false,
    short: None,
};

fn read_users(config: &mut Config, users: &DeTable<'_>, document: &mut Document<'_>) {
    config.exceptions.users.clear();
    for (name, value) in users {
        match user(name, value) {
            Ok(_) if config.exceptions.users.len() >= USER_EXCEPTIONS_MAX => {
                let wants = format!("these are more than {USER_EXCEPTIONS_MAX} users");
                return tell(vec![(name.span(), wants)], name.get_ref(), document);
            }
            Ok((user, limits)) => drop(config.exceptions.users.insert(user, limits)),
            Err(faults) => tell(faults, name.get_ref(), document),
        }
    }
}

fn tell(faults: Faults, entry: &str, document: &mut Document<'_>) {
    document.faults(faults, |wants| ConfigError::BadLimits { entry: entry.to_owned(), wants });
}

fn user(
    name: &Spanned<Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<(UserId, UserLimits), Faults> {
    let user = UserId::parse(name.get_ref());
    let user = user.map_err(|error| vec![(name.span(), format!("a user's id {error}"))])?;
    let DeValue::Table(values) = value.get_ref() else {
        return Err(vec![(value.span(), "a table is needed, such as { burst = 100 }".to_owned())]);
    };
    Ok((user, limits(values)?))
}

/// The limits in a table, or all errors and their places.
fn limits(values: &DeTable<'_>) -> Result<UserLimits, Faults> {
    let (mut limits, mut faults) = (UserLimits::default(), Faults::new());
    for (name, value) in values {
        let number = within(value.get_ref(), 0, u32::MAX.into());
        let number = number.and_then(|number| u32::try_from(number).ok());
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

fn assignment((name, value): (&str, u32)) -> String {
    format!("{name} = {value}")
}
