//! Users and groups of this machine, by their names or their numbers.

use nix::unistd::{Gid, Group, Uid, User};

/// A user and a group: `USER`, `USER:GROUP` or `:GROUP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user, if one is named.
    pub user: Option<OwnerUser>,
    /// The group, if one is named.
    pub group: Option<Gid>,
}

/// The user of an [`Owner`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerUser {
    /// The user's number.
    pub id: Uid,
    /// The user's name and own group; `None` for a number that no user has.
    pub account: Option<(String, Gid)>,
}

/// Who is not known of an [`Owner`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAnOwner {
    /// No user has this name.
    User(String),
    /// No group has this name.
    Group(String),
}

impl Owner {
    /// Finds a user and a group.
    ///
    /// # Errors
    /// [`NotAnOwner`].
    pub fn find(text: &str) -> Result<Owner, NotAnOwner> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        Ok(Owner { user: OwnerUser::find(user)?, group: find_group(group)? })
    }
}

/// A number. The largest means nobody to `chown(2)`.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

impl OwnerUser {
    fn find(text: &str) -> Result<Option<OwnerUser>, NotAnOwner> {
        if text.is_empty() {
            return Ok(None);
        }
        let number = number(text).map(Uid::from_raw);
        let found = match number {
            Some(id) => User::from_uid(id),
            None => User::from_name(text),
        };
        let found = found.ok().flatten();
        let id = found.as_ref().map(|user| user.uid).or(number);
        let id = id.ok_or_else(|| NotAnOwner::User(text.to_owned()))?;
        Ok(Some(OwnerUser { id, account: found.map(|user| (user.name, user.gid)) }))
    }
}

fn find_group(text: &str) -> Result<Option<Gid>, NotAnOwner> {
    if text.is_empty() {
        return Ok(None);
    }
    let by_name = || Group::from_name(text).ok().flatten().map(|group| group.gid);
    let found = number(text).map(Gid::from_raw).or_else(by_name);
    found.map(Some).ok_or_else(|| NotAnOwner::Group(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_have_names_or_numbers() {
        let root =
            || OwnerUser { id: Uid::from_raw(0), account: Some(("root".into(), Gid::from_raw(0))) };
        let group = |id| Some(Gid::from_raw(id));
        for (text, user, group) in [
            ("root", Some(root()), None),
            ("0:root", Some(root()), group(0)),
            (":4711", None, group(4711)),
            (
                "4294967294:1",
                Some(OwnerUser { id: Uid::from_raw(4_294_967_294), account: None }),
                group(1),
            ),
        ] {
            assert_eq!(Owner::find(text), Ok(Owner { user, group }), "{text}");
        }
        let nobody = "nobody-of-this-name".to_owned();
        assert_eq!(Owner::find(&nobody), Err(NotAnOwner::User(nobody.clone())));
        assert_eq!(Owner::find(&format!("root:{nobody}")), Err(NotAnOwner::Group(nobody)));
        assert_eq!(Owner::find("4294967295"), Err(NotAnOwner::User("4294967295".to_owned())));
    }
}
