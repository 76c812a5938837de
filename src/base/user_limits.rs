//! Limits that may differ for single users.

use super::limits::Limits;

/// A limit of a user that may differ for single users: a row of [`UserLimit::ALL`].
#[derive(Debug)]
pub struct UserLimit {
    name: &'static str,
    zero: Zero,
    get: fn(&Limits) -> u32,
    set: fn(&mut Limits, u32),
}

/// The meaning of the value 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zero {
    /// Nothing may pass.
    Nothing,
    /// There is no limit.
    Unlimited,
    /// Not a valid value.
    Refused,
}

macro_rules! user_limits {
    ($($name:ident, $zero:ident;)+) => {
        impl UserLimit {
            /// All of them.
            pub const ALL: &[UserLimit] = &[$(UserLimit {
                name: stringify!($name),
                zero: Zero::$zero,
                get: |limits| limits.$name,
                set: |limits, value| limits.$name = value,
            }),+];
        }

        const COUNT: usize = [$(stringify!($name)),+].len();
    };
}

user_limits! {
    requests_per_second, Refused;
    burst, Refused;
    messages_per_minute, Unlimited;
    user_requests_per_second, Unlimited;
    user_burst, Refused;
    user_work_per_second, Unlimited;
    user_work_burst, Refused;
    bytes_per_second, Unlimited;
    bytes_burst, Refused;
    text_bytes, Nothing;
    data_bytes, Nothing;
    connections_per_user, Refused;
    rooms, Nothing;
    direct_rooms, Nothing;
    stored_bytes_per_day, Unlimited;
    subscriptions, Nothing;
}

impl UserLimit {
    /// The last part of its key, such as `burst`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The smallest valid value.
    #[must_use]
    pub fn min(&self) -> u32 {
        u32::from(self.zero == Zero::Refused)
    }

    /// Orders values by how much they let pass.
    fn rank(&self, value: u32) -> u64 {
        match (self.zero, value) {
            (Zero::Unlimited, 0) => u64::MAX,
            (Zero::Unlimited | Zero::Nothing | Zero::Refused, value) => u64::from(value),
        }
    }
}

/// Values for some limits of a user. The others stay as they are for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserLimits {
    values: [Option<u32>; COUNT],
}

/// Why a value was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotALimit {
    /// No limit of a user has this name.
    Unknown,
    /// The limit takes no value below this.
    Below(u32),
}

impl UserLimits {
    /// Sets a limit by its name, such as `burst`.
    ///
    /// # Errors
    /// [`NotALimit`]: nothing has changed.
    pub fn set(&mut self, name: &str, value: u32) -> Result<(), NotALimit> {
        let mut rows = UserLimit::ALL.iter().zip(&mut self.values);
        let (row, place) = rows.find(|(row, _)| row.name == name).ok_or(NotALimit::Unknown)?;
        if value < row.min() {
            return Err(NotALimit::Below(row.min()));
        }
        *place = Some(value);
        Ok(())
    }

    /// The limits that are set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
        UserLimit::ALL.iter().zip(self.values).filter_map(|(row, value)| Some((row.name, value?)))
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }

    /// Replaces the values in `limits` by those that are set.
    pub fn replace(&self, limits: &mut Limits) {
        for (row, value) in UserLimit::ALL.iter().zip(self.values) {
            if let Some(value) = value {
                (row.set)(limits, value);
            }
        }
    }

    /// As [`UserLimits::replace`], but no value lets more pass than `limits` does, or than
    /// `ceilings` if that lets more pass.
    pub fn ask(&self, limits: &mut Limits, ceilings: &UserLimits) {
        let rows = UserLimit::ALL.iter().zip(self.values).zip(ceilings.values);
        for ((row, asked), ceiling) in rows {
            let Some(asked) = asked else { continue };
            let own = (row.get)(limits);
            let most = ceiling.unwrap_or(own);
            let most = if row.rank(most) > row.rank(own) { most } else { own };
            (row.set)(limits, if row.rank(asked) < row.rank(most) { asked } else { most });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(values: &[(&str, u32)]) -> UserLimits {
        let mut limits = UserLimits::default();
        for (name, value) in values {
            limits.set(name, *value).unwrap();
        }
        limits
    }

    #[test]
    fn each_limit_sets_its_own_field() {
        let defaults = Limits::default();
        for (place, row) in UserLimit::ALL.iter().enumerate() {
            let value = 1_000_000 + place as u32;
            let mut changed = defaults.clone();
            limits(&[(row.name(), value)]).replace(&mut changed);
            for other in UserLimit::ALL {
                let expected =
                    if other.name() == row.name() { value } else { (other.get)(&defaults) };
                assert_eq!((other.get)(&changed), expected, "{}", other.name());
            }
        }
    }

    #[test]
    fn a_value_that_would_stop_everything_or_of_no_limit_is_refused() {
        let mut limits = UserLimits::default();
        assert_eq!(limits.set("burst", 0), Err(NotALimit::Below(1)));
        assert_eq!(limits.set("bursts", 1), Err(NotALimit::Unknown));
        assert!(limits.is_empty());
        assert_eq!(
            (limits.set("rooms", 0), limits.set("messages_per_minute", 0)),
            (Ok(()), Ok(()))
        );
        let set: Vec<_> = limits.iter().collect();
        assert_eq!(set, [("messages_per_minute", 0), ("rooms", 0)]);
    }

    #[test]
    fn who_asks_may_have_less_and_no_more_than_the_ceiling() {
        let base = Limits { messages_per_minute: 100, ..Limits::default() };
        let ask = |name: &str, asked: u32, ceiling: Option<u32>| {
            let ceilings = ceiling.map(|ceiling| limits(&[(name, ceiling)])).unwrap_or_default();
            let mut asking = base.clone();
            limits(&[(name, asked)]).ask(&mut asking, &ceilings);
            let row = UserLimit::ALL.iter().find(|row| row.name() == name).unwrap();
            (row.get)(&asking)
        };
        // The default is 30.
        assert_eq!(ask("burst", 10, None), 10);
        assert_eq!(ask("burst", 40, None), 30);
        assert_eq!(ask("burst", 40, Some(50)), 40);
        assert_eq!(ask("burst", 60, Some(50)), 50);
        assert_eq!(ask("burst", 60, Some(20)), 30, "a ceiling takes nothing away");
        assert_eq!(ask("burst", 10, Some(20)), 10);
        assert_eq!(ask("rooms", 0, None), 0);
        // 0 lets everything pass here.
        assert_eq!(ask("messages_per_minute", 0, None), 100);
        assert_eq!(ask("messages_per_minute", 0, Some(500)), 500);
        assert_eq!(ask("messages_per_minute", 0, Some(0)), 0);
        assert_eq!(ask("messages_per_minute", 700, Some(0)), 700);
        assert_eq!(
            ask("bytes_per_second", 10, None),
            10,
            "where there is none one may ask for one"
        );
    }
}
