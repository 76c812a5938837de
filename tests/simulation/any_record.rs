//! Any record that a hub could hand to a store, and many that it would not.

use crate::model_store::ModelStore;
use parlor::base::{
    Authority, Body, Data, EntryKind, PublicationId, Record, Revocation, Rights, RoomId, StreamId,
    Timestamp, UserId,
};
use proptest::prelude::*;

fn user(number: u8) -> UserId {
    UserId::parse(["ada", "bob", "cy", "dee"][usize::from(number) % 4]).unwrap()
}

fn room(number: u8) -> RoomId {
    RoomId::parse(["tea", "Tea", "a:b"][usize::from(number) % 3]).unwrap()
}

fn any_user() -> impl Strategy<Value = UserId> {
    (0u8..4).prop_map(user)
}

pub(crate) fn any_room() -> impl Strategy<Value = RoomId> {
    (0u8..3).prop_map(room)
}

fn any_authority() -> impl Strategy<Value = Authority> {
    let rights = prop_oneof![
        2 => Just(Rights::User),
        1 => Just(Rights::Admin),
        1 => Just(Rights::Program),
    ];
    (any_user(), rights).prop_map(|(user, rights)| Authority { user, rights })
}

fn any_text() -> impl Strategy<Value = std::sync::Arc<str>> {
    prop_oneof![Just(""), Just("x"), Just("ä\u{0}\"\\"), Just("hello"), Just("hello again")]
        .prop_map(Into::into)
}

fn any_publication() -> impl Strategy<Value = Option<std::sync::Arc<PublicationId>>> {
    let id = (proptest::option::of(any_user()), 0u8..4);
    let id = id.prop_map(|(by, id)| PublicationId { by, id: format!("p{id}").into() }.into());
    proptest::option::of(id)
}

fn any_body() -> impl Strategy<Value = Body> {
    let data = prop_oneof![Just(None), Just(Some("{\"a\": 1.50}".into()))];
    let reply_to = prop_oneof![3 => Just(None), 1 => (1u64..20).prop_map(Some)];
    (any_text(), data, reply_to).prop_map(|(text, data, reply_to)| Body { text, data, reply_to })
}

/// As a rule one of few, so that they meet.
fn any_emoji() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0u8..3, 1 => 0u8..24]
}

pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    (any_new_record(), 0u8..8).prop_map(|(record, which)| match record {
        Record::Message { .. } | Record::Event { .. } if which == 0 => {
            Record::Repeat { of: Box::new(record), limit: 7, retry_after_ms: 9 }
        }
        record => record,
    })
}

fn any_new_record() -> impl Strategy<Value = Record> {
    let target = 1u64..24;
    prop_oneof![
        8 => (any_room(), any_user(), any_body(), proptest::option::of(0u8..4)).prop_map(
            |(room, from, body, cid)| {
                let cid = cid.map(|cid| format!("c{cid}").into());
                Record::Message { room, from, to: None, body, cid }
            }
        ),
        2 => (any_user(), any_user(), any_body()).prop_map(|(from, to, body)| {
            let room = RoomId::direct(&from, &to);
            Record::Message { room, from, to: Some(to), body, cid: None }
        }),
        3 => (any_room(), target.clone(), any_text(), any_user())
            .prop_map(|(room, target, text, by)| Record::Edit { room, target, text, by }),
        2 => (any_room(), target.clone(), any_authority())
            .prop_map(|(room, target, by)| Record::Delete { room, target, by }),
        6 => (any_room(), target.clone(), any_emoji(), any::<bool>(), any_user()).prop_map(
            |(room, target, emoji, on, by)| {
                let emoji = char::from_u32(0x1F600 + u32::from(emoji)).unwrap().to_string();
                Record::React { room, target, emoji: emoji.into(), on, by }
            }
        ),
        1 => (any_room(), any_text(), any::<bool>(), any_user(), any_user(), any_user()).prop_map(
            |(room, title, open, owner, member, guest)| {
                let (title, members, invited) = (Some(title), vec![member], vec![guest]);
                Record::Create { room, title, open, owner, members, invited, is_own: open }
            }
        ),
        6 => (any_room(), any_user(), proptest::option::of(any_authority()))
            .prop_map(|(room, user, by)| Record::Join { room, user, by }),
        1 => (any_room(), proptest::option::of(any_text()), proptest::option::of(any::<bool>()),
            proptest::option::of(any_user()), any_authority()).prop_map(
            |(room, title, open, owner, by)| Record::Update { room, title, open, owner, by }
        ),
        1 => (any_room(), any_authority()).prop_map(|(room, by)| Record::End { room, by }),
        2 => (any_room(), any_user(), any_authority())
            .prop_map(|(room, user, by)| Record::Invite { room, user, by }),
        2 => (any_room(), any_user(), proptest::option::of(any_authority()))
            .prop_map(|(room, user, by)| Record::Leave { room, user, by }),
        1 => (any_room(), any_user(), any_authority())
            .prop_map(|(room, user, by)| Record::Ban { room, user, by }),
        1 => (any_room(), any_user(), any_authority())
            .prop_map(|(room, user, by)| Record::Unban { room, user, by }),
        1 => (any_room(), any_user(), proptest::option::of(any_authority()))
            .prop_map(|(room, user, by)| Record::Uninvite { room, user, by }),
        3 => (any_room(), any_user(), 0u64..30)
            .prop_map(|(room, user, seq)| Record::Read { room, user, seq }),
        2 => (any_user(), proptest::collection::vec((any_room(), 0u64..30), 0..4))
            .prop_map(|(user, marks)| Record::Delivered { user, marks }),
        1 => (any_user(), any_text()).prop_map(|(user, name)| Record::Name { user, name }),
        2 => (any_user(), 0i64..9, any_text(), 0u8..4).prop_map(|(user, before, jti, which)| {
            let revocation = match which {
                0 => Revocation::User(user, Timestamp(before)),
                1 => Revocation::Token(jti, None),
                2 => Revocation::Token(jti, Some(Timestamp(1 + before))),
                _ => Revocation::Token(jti, Some(Timestamp(i64::MAX))),
            };
            Record::Revoke { revocation, once: before > 6 }
        }),
        5 => (0usize..2, any_text(), any::<bool>(), 1u64..40, any_publication()).prop_map(|(stream, data, is_json, keep, id)| {
            Record::Event {
                stream: StreamId::parse(["s", "s:1"][stream]).unwrap(),
                epoch: format!("epoch-of-{}", data.len()).into(),
                data: match is_json {
                    true => Data::Json(format!("[{}]", data.len()).into()),
                    false => Data::Binary(data.as_bytes().into()),
                },
                keep,
                id,
            }
        }),
        1 => (any_room(), 0u64..12, 0i64..60).prop_map(|(room, before, older)| {
            Record::Trim { room, before, older_than: Timestamp(older) }
        }),
    ]
}

/// The record, as a rule about one of the newest messages that there are in `model`: what is about
/// none is refused, and tells little.
pub(crate) fn aimed(mut record: Record, model: &ModelStore) -> Record {
    const RAW_ONE_IN: u64 = 8;
    if let Record::Message { room, body, .. } = &mut record {
        let head = model.log(room).last().map_or(0, |entry| entry.seq);
        body.reply_to = body.reply_to.filter(|seq| *seq <= head);
    }
    let is_reaction = matches!(record, Record::React { .. });
    let (room, target, by) = match &mut record {
        Record::Edit { room, target, by, .. } | Record::React { room, target, by, .. } => {
            (room, target, by)
        }
        Record::Delete { room, target, by } => (room, target, &mut by.user),
        _ => return record,
    };
    let newest = model.log(room).into_iter().rev().filter_map(|entry| match entry.kind {
        EntryKind::Message { from, .. } => Some((entry.seq, from)),
        _ => None,
    });
    let newest: Vec<(u64, UserId)> = newest.take(3).collect();
    let number = *target;
    if number % RAW_ONE_IN != 0 && !newest.is_empty() {
        let (seq, author) = &newest[number as usize % newest.len()];
        *target = *seq;
        // Others may react; what else they do is refused.
        if !is_reaction && number % 3 != 0 {
            *by = author.clone();
        }
    }
    record
}
