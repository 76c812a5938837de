//! A whole store: checked, moved as lines of JSON, copied, restored, repaired.

#[path = "simulation/any_record.rs"]
mod any_record;
#[path = "simulation/model_store.rs"]
#[allow(dead_code)]
mod model_store;

use any_record::{aimed, any_record};
use model_store::ModelStore;
use parlor::base::{
    Authority, Body, Data, Outcome, PublicationId, Record, Revocation, Rights, RoomId, Snapshot,
    StreamId, Timestamp, Told, UserId,
};
use parlor::store::data::{self, BrokenRule, DataError};
use parlor::store::{LockError, OpenError, Place, RecordStore, Store};
use proptest::prelude::*;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

fn open(directory: &Path) -> (Store, Snapshot) {
    let place = Place::Directory(directory.to_owned());
    persistently(|| Ok(Store::open(&place, "epoch", || {})?)).unwrap()
}

/// A process that another test starts has our files, and so our locks, for a moment.
fn persistently<T>(mut work: impl FnMut() -> Result<T, DataError>) -> Result<T, DataError> {
    for _ in 0..100 {
        match work() {
            Err(DataError::Open(OpenError::Lock(LockError::Held { .. }))) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
    work()
}

/// Writes all records, and waits until they are committed.
fn write(directory: &Path, records: impl IntoIterator<Item = Record>) -> Vec<Told> {
    let (wake, woken) = channel();
    let place = Place::Directory(directory.to_owned());
    let (mut store, _) = persistently(|| {
        let wake = wake.clone();
        Ok(Store::open(&place, "epoch", move || {
            let _ = wake.send(());
        })?)
    })
    .unwrap();
    let mut count = 0;
    for (number, record) in (1..).zip(records) {
        store.write(number, Timestamp(number as i64), record).unwrap();
        count = number as usize;
    }
    let mut told = Vec::new();
    while told.len() < count {
        woken.recv_timeout(Duration::from_secs(20)).unwrap();
        told.extend(store.told());
    }
    told
}

/// Records that come upon each other: what they are about is there.
fn any_records(count: Range<usize>) -> impl Strategy<Value = Vec<Record>> {
    proptest::collection::vec(any_record(), count).prop_map(|records| {
        let mut model = ModelStore::new("epoch");
        let aim = |(number, record)| {
            let record = aimed(record, &model);
            model.write(Timestamp(number), &record);
            record
        };
        (1..).zip(records).map(aim).collect()
    })
}

fn faults(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let checked =
        data::check(path, &mut |fault: BrokenRule| found.push(fault.to_string()), &mut |_| {})
            .unwrap();
    assert_eq!(checked.faults, found.len() as u64);
    found
}

fn exported(path: &Path) -> String {
    let mut out = Vec::new();
    data::export(path, &mut out, &mut |_| {}).unwrap();
    String::from_utf8(out).unwrap()
}

fn import(lines: &str, directory: &Path, epoch: Option<&str>) -> Result<(), DataError> {
    persistently(|| data::import(&mut lines.as_bytes(), directory, epoch, &mut |_| {}).map(|_| ()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_store_is_sound_and_the_same_after_a_move(
        records in any_records(0..250)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        write(&one, records);
        prop_assert_eq!(faults(&one), [""; 0]);
        let lines = exported(&one);
        import(&lines, &other, None).unwrap();
        prop_assert_eq!(faults(&other), [""; 0]);
        prop_assert_eq!(exported(&other), lines);
        prop_assert_eq!(open(&other).1, open(&one).1);
    }

    #[test]
    fn any_store_that_has_lost_entries_is_repaired(
        records in any_records(50..200),
        lost in proptest::collection::vec((1u8..5, 1u8..60, 1u8..60), 1..4)
    ) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), records);
        let sql: String = lost
            .into_iter()
            .map(|(room, one, other)| {
                let (first, last) = (one.min(other), one.max(other));
                format!("DELETE FROM entries WHERE room = {room} AND seq BETWEEN {first} AND {last};")
            })
            .collect();
        shell(&folder.path().join("parlor.db"), &sql);
        let repair = || data::repair(folder.path(), "second", &mut |_| {});
        // It is checked before it takes its place.
        let done = persistently(repair);
        prop_assert!(done.is_ok(), "{}", done.unwrap_err());
    }
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn revoke(revocation: Revocation) -> Record {
    Record::Revoke { revocation, once: false }
}

fn join(who: &str) -> Record {
    Record::Join { room: room("tea"), user: user(who), by: None }
}

fn say(who: &str, text: &str, cid: Option<&str>) -> Record {
    let body = Body { text: text.into(), data: None, reply_to: None };
    let cid = cid.map(Into::into);
    Record::Message { room: room("tea"), from: user(who), to: None, body, cid }
}

/// One of everything. The log of tea: 1 ada comes, 2 bob comes, 3 and 4 ada writes, 5 bob writes,
/// 6 ada edits 3, 7 bob reacts to 4, 8 ada deletes 5 as its owner, 9 cy comes, 10 cy goes.
fn small(directory: &Path) {
    let (ada, bob) = (user("ada"), user("bob"));
    let owner = Authority { user: ada.clone(), rights: Rights::User };
    let direct = RoomId::direct(&ada, &bob);
    let tea = || room("tea");
    let body = Body { text: "psst".into(), data: Some("{\"a\": 1.50}".into()), reply_to: None };
    let told = write(
        directory,
        [
            join("ada"),
            join("bob"),
            say("ada", "one", Some("c1")),
            say("ada", "two", Some("c2")),
            say("bob", "three", None),
            Record::Edit { room: tea(), target: 3, text: "ONE".into(), by: ada.clone() },
            Record::React { room: tea(), target: 4, emoji: "+".into(), on: true, by: bob.clone() },
            Record::Delete { room: tea(), target: 5, by: owner.clone() },
            join("cy"),
            Record::Leave { room: tea(), user: user("cy"), by: Some(owner.clone()) },
            Record::Read { room: tea(), user: bob.clone(), seq: 6 },
            Record::Invite { room: tea(), user: user("dee"), by: owner.clone() },
            Record::Ban { room: tea(), user: user("eve"), by: owner.clone() },
            Record::Name { user: ada.clone(), name: "Ada".into() },
            Record::Message { room: direct, from: ada, to: Some(bob), body, cid: None },
            revoke(Revocation::Token("t-1".into(), None)),
            revoke(Revocation::User(user("eve"), Timestamp(70))),
            // An earlier time takes nothing back.
            revoke(Revocation::User(user("eve"), Timestamp(60))),
            event("journal", Data::Json("[1.50]".into())),
            event("journal", Data::Binary([0, 255].into())),
            named_event("journal", "\"b\"", "p1", Some(user("ada"))),
            named_event("journal", "\"c\"", "p1", None),
        ],
    );
    for told in told {
        let is_fine = match &told {
            Told::Answer { outcome, .. } => *outcome == Outcome::Done,
            Told::Changed { .. } => true,
            Told::News(_) => false,
        };
        assert!(is_fine, "{told:?}");
    }
}

fn event(stream: &str, data: Data) -> Record {
    let stream = StreamId::parse(stream).unwrap();
    Record::Event { stream, epoch: "life".into(), data, keep: 10, id: None }
}

fn named_event(stream: &str, data: &str, id: &str, by: Option<UserId>) -> Record {
    let mut record = event(stream, Data::Json(data.into()));
    if let Record::Event { id: own, .. } = &mut record {
        *own = Some(Arc::new(PublicationId { by, id: id.into() }));
    }
    record
}

/// Lines of [`small`] with another epoch, which is one of its streams, too.
fn with_epoch(lines: &str, epoch: &str) -> String {
    let new = format!(r#""epoch":"{epoch}""#);
    lines.replace(r#""epoch":"epoch""#, &new).replace(r#""epoch":"life""#, &new)
}

fn shell(file: &Path, sql: &str) {
    let output = std::process::Command::new("sqlite3")
        .arg(file)
        .arg(sql)
        .output()
        .expect("the sqlite3 shell is needed: apt-get install sqlite3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_export_has_a_line_for_each_thing() {
    let folder = tempfile::tempdir().unwrap();
    small(folder.path());
    let lines = exported(folder.path());
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], r#"{"store":{"format":1,"epoch":"epoch"}}"#);
    assert_eq!(lines[1], r#"{"user":{"id":"ada","name":"Ada"}}"#);
    assert_eq!(lines[2], r#"{"revocation":{"kind":"token","key":"t-1","before":0}}"#);
    assert_eq!(lines[3], r#"{"revocation":{"kind":"user","key":"eve","before":70}}"#);
    for line in [
        r#"{"stream":{"stream":"journal","epoch":"life","head":4,"ts":22,"first":1}}"#,
        r#"{"event":{"stream":"journal","seq":1,"ts":19,"data":"[1.50]"}}"#,
        r#"{"event":{"stream":"journal","seq":2,"ts":20,"bytes":"AP8="}}"#,
        r#"{"event":{"stream":"journal","seq":3,"ts":21,"data":"\"b\"","by":"ada","id":"p1"}}"#,
        r#"{"event":{"stream":"journal","seq":4,"ts":22,"data":"\"c\"","id":"p1"}}"#,
        r#"{"room":{"room":"tea","title":"","open":true,"ended":false,"owner":"ada","head":10,"messages":3,"ts":10,"first":1,"first_ts":1,"first_messages":0}}"#,
        r#"{"member":{"room":"tea","user":"bob","joined":2,"read":6,"read_messages":3,"deleted_unread":0,"delivered":2,"has_written":true,"own":true}}"#,
        r#"{"invite":{"room":"tea","user":"dee","by":"ada"}}"#,
        r#"{"ban":{"room":"tea","user":"eve","by":"ada"}}"#,
        r#"{"entry":{"room":"tea","seq":5,"ts":5,"kind":"message","user":"bob","messages":3,"deleted":8}}"#,
        r#"{"entry":{"room":"tea","seq":7,"ts":7,"kind":"reacted","user":"bob","target":4,"emoji":"+","on":true,"messages":3}}"#,
        r#"{"entry":{"room":"dm:ada:bob","seq":1,"ts":15,"kind":"message","user":"ada","text":"psst","data":"{\"a\": 1.50}","messages":1}}"#,
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{lines:#?}");
    }
    let end = r#"{"end":{"users":1,"revocations":2,"streams":1,"events":4,"rooms":2,"members":4,"invites":1,"bans":1,"entries":11}}"#;
    assert_eq!(lines.last(), Some(&end));
}

/// What is changed in the lines of [`small`], and the fault that must be told.
const WRONG: &[(&str, &str, &str)] = &[
    // Numbers and times of the log.
    (r#""seq":10,"#, r#""seq":11,"#, "tea: entry 10 is not there"),
    (r#""head":10"#, r#""head":12"#, "tea: entries 11 to 12 are not there"),
    (r#""head":10"#, r#""head":9"#, "tea: the log ends with entry 10, and the room says 9"),
    (r#""seq":4,"ts":4"#, r#""seq":4,"ts":2"#, "tea: entry 4 is older than the one before it"),
    (
        r#""first_ts":1,"#,
        r#""first_ts":2,"#,
        "tea: entry 1 is the first, and has another time than the room says",
    ),
    (
        r#""ts":10,"first":1"#,
        r#""ts":11,"first":1"#,
        "tea: the room says another time than its newest entry",
    ),
    (
        r#""text":"two","cid":"c2","#,
        r#""text":"two","#,
        "tea: entry 4 has a client id without a digest, or the reverse",
    ),
    (
        r#""kind":"left","user":"cy","by":"ada","messages":3"#,
        r#""kind":"left","user":"cy","by":"ada","messages":4"#,
        "tea: entry 10 counts 4 messages, and there are 3",
    ),
    (
        r#""head":10,"messages":3"#,
        r#""head":10,"messages":4"#,
        "tea: the room has 3 messages, and says 4",
    ),
    (
        r#""first":1,"first_ts":1,"first_messages":0"#,
        r#""first":1,"first_ts":1,"first_messages":1"#,
        "tea: entry 1 counts 0 messages, and there are 1",
    ),
    // What became of messages.
    (r#""edited":6"#, r#""edited":7"#, "tea: message 3 says its edit is 7, and the log 6"),
    (
        r#""text":"ONE","cid""#,
        r#""text":"one","cid""#,
        "tea: message 3 does not have the text of its edit 6",
    ),
    (
        r#""kind":"edited","user":"ada""#,
        r#""kind":"edited","user":"bob""#,
        "tea: entry 6: bob edits a message of ada",
    ),
    (
        r#""user":"ada","text":"ONE","target":3"#,
        r#""user":"ada","target":3"#,
        "tea: entry 6: the text is gone",
    ),
    (
        r#""messages":3,"deleted":8"#,
        r#""messages":3,"deleted":9"#,
        "tea: message 5 says it was deleted by 9, and the log 8",
    ),
    (
        r#""user":"bob","messages":3,"deleted":8"#,
        r#""user":"bob","text":"three","messages":3,"deleted":8"#,
        "tea: message 5 is deleted, and its text is there",
    ),
    (
        r#""user":"bob","messages":3,"deleted":8"#,
        r#""user":"bob","messages":3"#,
        "tea: message 5 has no text",
    ),
    (
        r#""user":"ada","target":5"#,
        r#""user":"ada","target":2"#,
        "tea: entry 8 changes entry 2, which is no message",
    ),
    (
        r#""user":"ada","target":5"#,
        r#""user":"ada","target":8"#,
        "tea: entry 8 changes entry 8, which is not before it",
    ),
    // Who is there.
    (
        r#""kind":"joined","user":"cy""#,
        r#""kind":"joined","user":"bob""#,
        "tea: entry 9: bob comes, and was there",
    ),
    (
        r#""kind":"left","user":"cy""#,
        r#""kind":"left","user":"dee""#,
        "tea: entry 10: dee goes, and was not there",
    ),
    (
        r#""kind":"left","user":"cy""#,
        r#""kind":"left","user":"bob""#,
        "tea: cy is a member by the log, and has no sound row",
    ),
    (
        r#""user":"bob","joined":2"#,
        r#""user":"bob","joined":3"#,
        "tea: bob came by entry 3, which the log does not say",
    ),
    (
        r#""read":6,"read_messages":3"#,
        r#""read":11,"read_messages":3"#,
        "tea: bob has read up to 11, which is not within the log",
    ),
    (
        r#""read":6,"read_messages":3"#,
        r#""read":6,"read_messages":2"#,
        "tea: bob has read 3 messages, and the row says 2",
    ),
    (
        r#""read":6,"read_messages":3,"deleted_unread":0"#,
        r#""read":6,"read_messages":3,"deleted_unread":1"#,
        "tea: 0 messages that bob has not read are deleted, and the row says 1",
    ),
    (r#""delivered":2"#, r#""delivered":11"#, "tea: bob has received up to 11, beyond the log"),
    (
        r#""delivered":2,"has_written":true"#,
        r#""delivered":2,"has_written":false"#,
        "tea: the row of bob does not say right whether they wrote",
    ),
    (
        r#""owner":"ada""#,
        r#""owner":"dee""#,
        "tea: its owner dee is no member, or their row is damaged",
    ),
    (r#""owner":"ada","#, "", "tea: it has members and no owner"),
    (
        r#""ended":false,"owner":"ada""#,
        r#""ended":true,"owner":"ada""#,
        "tea: it has ended, and has a title, an owner or people",
    ),
    (
        r#"{"invite":{"room":"tea","user":"dee""#,
        r#"{"invite":{"room":"tea","user":"bob""#,
        "tea: there is an invitation of bob, who is a member or invited",
    ),
    (
        r#"{"ban":{"room":"tea","user":"eve""#,
        r#"{"ban":{"room":"tea","user":"bob""#,
        "tea: there is a ban of bob, who is a member or invited",
    ),
    (
        r#"{"ban":{"room":"tea","user":"eve""#,
        r#"{"ban":{"room":"tea","user":"dee""#,
        "tea: there is a ban of dee, who is a member or invited",
    ),
    ("dm:ada:bob", "dm:bob:ada", "dm:bob:ada: its name does not have its users in order"),
    ("dm:ada:bob", "dm:ada", "dm:ada: its name is not one of two users"),
    ("dm:ada:bob", "dm:ada:cy", "dm:ada:cy: its members are not the two of its name"),
    (r#""epoch":"epoch""#, r#""epoch":"""#, "the epoch is empty"),
    // Revocations.
    (
        r#""kind":"token","key":"t-1","before":0"#,
        r#""kind":"token","key":"t-1","before":-5"#,
        "the revocation of token t-1 is not what was written",
    ),
    (r#""key":"eve""#, r#""key":"e ve""#, "the revocation of user e ve is not what was written"),
    // What a server would not take.
    (
        r#""data":"{\"a\": 1.50}""#,
        r#""data":"1,\"from\":\"root\"""#,
        "dm:ada:bob: the data of message 1 are not JSON as it is sent",
    ),
    (
        r#""data":"{\"a\": 1.50}""#,
        r#""data":" 1""#,
        "dm:ada:bob: the data of message 1 are not JSON as it is sent",
    ),
    (
        r#""data":"{\"a\": 1.50}""#,
        r#""data":"\"\\ud800\"""#,
        "dm:ada:bob: the data of message 1 are not JSON as it is sent",
    ),
    (
        r#""data":"{\"a\": 1.50}""#,
        r#""data":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]""#,
        "dm:ada:bob: the data of message 1 are not JSON as it is sent",
    ),
    (
        r#""text":"two","#,
        r#""text":"two","reply_to":0,"#,
        "tea: message 4 answers entry 0, which is not before it",
    ),
    (
        r#""text":"two","#,
        r#""text":"two","reply_to":4,"#,
        "tea: message 4 answers entry 4, which is not before it",
    ),
    (r#""cid":"c2""#, r#""cid":"""#, "tea: the client id of message 4 is empty or too long"),
    (
        r#""emoji":"+""#,
        r#""emoji":"""#,
        "tea: the reaction of entry 7 is empty, too long, or has control characters",
    ),
    (
        r#""emoji":"+""#,
        r#""emoji":"\u0007""#,
        "tea: the reaction of entry 7 is empty, too long, or has control characters",
    ),
    (
        r#"{"invite":{"room":"tea","user":"dee","by":"ada"}}"#,
        r#"{"invite":{"room":"tea","user":"dee","by":""}}"#,
        "tea: an invitation of dee is by , which is no user's id",
    ),
    (
        r#"{"ban":{"room":"tea","user":"eve","by":"ada"}}"#,
        r#"{"ban":{"room":"tea","user":"eve","by":"a da"}}"#,
        "tea: a ban of eve is by a da, which is no user's id",
    ),
    (r#""epoch":"epoch""#, r#""epoch":"e\u0000""#, "the epoch is none that a server would make"),
    // Names.
    (r#"{"id":"ada""#, r#"{"id":"a da""#, "the name of user a da is not what was written"),
    (
        r#""user":"dee","by":"ada""#,
        r#""user":"..","by":"ada""#,
        "tea: an invitation of .. is not what was written",
    ),
];

#[test]
fn each_rule_that_is_broken_is_told() {
    let folder = tempfile::tempdir().unwrap();
    small(&folder.path().join("data"));
    let lines = exported(&folder.path().join("data"));
    let target = folder.path().join("new");
    for (right, wrong, fault) in WRONG {
        assert!(lines.contains(right), "{right} is not in\n{lines}");
        let error = import(&lines.replace(right, wrong), &target, None).unwrap_err();
        let DataError::Faults(faults, _) = &error else { panic!("{wrong}: {error}") };
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|one| one.starts_with(fault)), "{wrong}: {told:#?}");
        assert!(!target.exists(), "{wrong}: something is left behind");
    }
}

/// What is changed in the lines, and what is said of which line.
const REFUSED: &[(&str, &str, &str)] = &[
    (r#"{"store""#, r#"{"stare""#, "line 1: unknown variant"),
    (r#""format":1"#, r#""format":2"#, "line 1: a form that this program does not know"),
    (r#"{"user":{"id":"ada","name":"Ada"}}"#, "{}", "line 2: "),
    (
        r#"{"user":{"id":"ada","name":"Ada"}}"#,
        r#"{"store":{"format":1,"epoch":"x"}}"#,
        "line 2: the first line",
    ),
    ("{\"store\":{\"format\":1,\"epoch\":\"epoch\"}}\n", "", "line 1: the first line"),
    (r#""title":"""#, r#""titel":"""#, "line 10: unknown field `titel`"),
    (
        r#"{"member":{"room":"tea""#,
        r#"{"member":{"room":"coffee""#,
        "line 11: its room has not come yet",
    ),
    (
        r#"{"user":{"id":"ada","name":"Ada"}}"#,
        r#"{"revocation":{"kind":"room","key":"tea","before":0}}"#,
        "line 2: CHECK constraint failed",
    ),
    (
        r#""kind":"user","key":"eve","before":70"#,
        r#""kind":"token","key":"t-1","before":0"#,
        "line 4: UNIQUE constraint failed",
    ),
    (r#""key":"t-1","before":0"#, r#""key":"t-1""#, "line 3: missing field `before`"),
    (r#""revocations":2,"#, "", "line 29: missing field `revocations`"),
    (r#""revocations":2,"#, r#""revocations":3,"#, "line 29: Counts"),
    (r#""entries":11"#, r#""entries":12"#, "line 29: Counts"),
    (r#""kind":"left""#, r#""kind":"gone""#, "line 24: CHECK constraint failed"),
    (r#""cid":"c2""#, r#""cid":"c1""#, "line 18: UNIQUE constraint failed"),
    (r#""seq":2,"ts":2,"#, r#""seq":1,"ts":2,"#, "line 16: UNIQUE constraint failed"),
    (r#""digest":""#, r#""digest":"0"#, "line 17: a digest has 16 hexadecimal digits"),
    ("}}\n{\"end\"", "}}\n{\"and\"", "line 29: unknown variant"),
    (
        r#"{"event":{"stream":"journal","seq":1"#,
        r#"{"event":{"stream":"diary","seq":1"#,
        "line 6: its stream has not come yet",
    ),
    (r#""bytes":"AP8=""#, r#""bytes":"AP8""#, "line 7: its bytes are not Base64"),
    (r#","bytes":"AP8=""#, "", "line 7: an event has data, or bytes"),
    (r#","by":"ada","id":"p1""#, r#","by":"ada""#, "line 8: an event has `by` with its `id` alone"),
    (r#","by":"ada","id":"p1""#, r#","id":"p1""#, "line 9: UNIQUE constraint failed"),
    (r#","by":"ada","id":"p1""#, r#","by":"a b","id":"p1""#, "line 8: "),
    (r#""streams":1,"#, r#""streams":2,"#, "line 29: Counts"),
];

#[test]
fn what_is_longer_than_any_server_takes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    small(&folder.path().join("data"));
    let lines = exported(&folder.path().join("data"));
    for (number, (before, fault)) in [
        (r#""title":""#, "tea: its title is too long"),
        (r#""name":"Ada"#, "the name of user ada is too long"),
        (r#""cid":"c2"#, "tea: the client id of message 4 is empty or too long"),
        (r#""emoji":"+"#, "tea: the reaction of entry 7 is empty, too long, or has control"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = folder.path().join(number.to_string());
        let lengthened = |to: usize| {
            let len = before.rsplit('"').next().unwrap_or_default().len();
            lines.replacen(before, &format!("{before}{}", "x".repeat(to - len)), 1)
        };
        let error = import(&lengthened(4_097), &target, None).unwrap_err();
        assert!(error.to_string().contains(fault), "{before}: {error}");
        import(&lengthened(4_096), &target, None).unwrap();
    }
    let long = lines.replace(r#""key":"t-1""#, &format!(r#""key":"{}""#, "x".repeat(129)));
    let error = import(&long, &folder.path().join("jti"), None).unwrap_err();
    assert!(error.to_string().contains("xxx has too long a name"), "{error}");
    // As deep as it may be in a message.
    let nested = format!(r#""data":"{}{}""#, "[".repeat(30), "]".repeat(30));
    let lines = lines.replace(r#""data":"{\"a\": 1.50}""#, &nested);
    import(&lines, &folder.path().join("deep"), None).unwrap();
}

#[test]
fn lines_that_are_none_of_an_export_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    small(&folder.path().join("data"));
    let lines = exported(&folder.path().join("data"));
    let target = folder.path().join("new");
    for (right, wrong, said) in REFUSED {
        assert!(lines.contains(right), "{right} is not in\n{lines}");
        let error = import(&lines.replacen(right, wrong, 1), &target, None).unwrap_err();
        assert!(error.to_string().starts_with(said), "{wrong}: {error}");
        assert!(!target.exists(), "{wrong}: something is left behind");
    }
    // Cut anywhere, it is not taken for the whole; without the last line's end all of it is there.
    for len in (0..lines.len() - 1).step_by(7) {
        import(&lines[..len], &target, None).unwrap_err();
        assert!(!target.exists(), "{len} bytes: something is left behind");
    }
    let more = format!("{lines}{{}}\n");
    let error = import(&more, &target, None).unwrap_err();
    assert_eq!(error.to_string(), "line 29: something comes behind the last line");
}

#[test]
fn an_import_needs_an_empty_place_and_gets_the_epoch_that_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    small(&one);
    let lines = exported(&one);
    let error = import(&lines, &one, None).unwrap_err();
    assert!(matches!(error, DataError::Exists(_)), "{error}");
    assert_eq!(exported(&one), lines);
    std::fs::create_dir(&other).unwrap();
    import("", &other, None).unwrap_err();
    assert!(other.exists(), "it was there before");
    import(&lines, &other, Some("another")).unwrap();
    assert_eq!(exported(&other), with_epoch(&lines, "another"));
    assert_eq!(open(&other).1.epoch, "another");
    let mode = other.join("parlor.db").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_row_that_is_not_what_was_written_is_told_and_not_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (sql, fault)) in [
        (
            "UPDATE entries SET text = 'x' WHERE text = 'two'",
            "tea: entry 4 is not what was written",
        ),
        (
            "UPDATE members SET read = 5 WHERE read = 6",
            "tea: the row of member bob is not what was written",
        ),
        (
            "UPDATE rooms SET title = 'x' WHERE name = 'tea'",
            "the row of room tea, whose log is not checked, is not what was written",
        ),
        ("UPDATE users SET name = 'x'", "the name of user ada is not what was written"),
        (
            "UPDATE meta SET value = 'x' WHERE key = 'epoch'",
            "the epoch cannot be read: what belongs to the whole is not what was written",
        ),
        ("DELETE FROM meta WHERE key = 'epoch'", "the epoch cannot be read: there is no epoch"),
        ("UPDATE bans SET by = 'x'", "tea: a ban of eve is not what was written"),
        ("UPDATE reactions SET seq = 6", "tea: a reaction to message 4 is not what was written"),
        ("DELETE FROM reactions", "tea: message 4 has 0 reactions, and says 1"),
        (
            "DELETE FROM bans",
            "tea: there are 3 rows of members, invitations and bans, and the room says 4",
        ),
        ("DELETE FROM users", "there are 0 users, and there should be 1"),
        (
            "UPDATE revocations SET before = 60 WHERE kind = 'user'",
            "the revocation of user eve is not what was written",
        ),
        (
            "UPDATE revocations SET key = 't-2' WHERE kind = 'token'",
            "the revocation of token t-2 is not what was written",
        ),
        (
            "DELETE FROM revocations WHERE kind = 'token'",
            "there are 1 revocations, and there should be 2",
        ),
        (
            "DELETE FROM meta WHERE key = 'revocations'",
            "the revocations cannot be read: there is no revocations",
        ),
        ("UPDATE streams SET head = 7", "the row of stream journal is not what was written"),
        (
            "UPDATE events SET ts = 7 WHERE seq = 1",
            "event 1 of stream journal is not what was written",
        ),
        ("DELETE FROM events WHERE seq = 1", "stream journal goes on with 2, and not 1"),
        ("DELETE FROM events WHERE seq = 4", "stream journal ends with 3, and should with 4"),
        (
            "UPDATE events SET id = 'p2' WHERE seq = 3",
            "event 3 of stream journal is not what was written",
        ),
        ("DELETE FROM streams", "there are 0 streams, and there should be 1"),
        ("DELETE FROM streams", "events: 4 rows are of no stream"),
        ("DELETE FROM entries WHERE seq = 7", "tea: entry 7 is not there"),
        ("DELETE FROM entries WHERE seq > 7", "tea: entries 8 to 10 are not there"),
        ("DELETE FROM rooms WHERE name = 'tea'", "members: 2 rows are of no room"),
    ]
    .into_iter()
    .enumerate()
    {
        let directory = folder.path().join(number.to_string());
        small(&directory);
        shell(&directory.join("parlor.db"), sql);
        let found = faults(&directory);
        assert!(found.iter().any(|one| one == fault), "{sql}: {found:#?}");
        let error = data::export(&directory, &mut Vec::new(), &mut |_| {});
        let passes_over = sql.starts_with("DELETE FROM reactions");
        let is_reaction = sql.contains("reactions");
        let is_log_gone =
            ["DELETE FROM streams", "DELETE FROM rooms"].iter().any(|gone| sql.starts_with(gone));
        match error {
            Err(DataError::Damaged(..)) => {}
            // By the mark it is lost.
            Err(DataError::Lost(..)) if is_log_gone => {}
            // They are not in an export, as the log has them.
            Ok(_) if is_reaction || passes_over => {}
            other => panic!("{sql}: {other:?}"),
        }
        // Logs are not read through at the start.
        if !sql.contains("entries") && !is_reaction {
            let place = Place::Directory(directory);
            let opened = persistently(|| Ok(Store::open(&place, "another", || {}).map(drop)?));
            let Err(DataError::Open(OpenError::Damaged(..))) = opened else {
                panic!("{sql}: {opened:?}")
            };
        }
    }
}

#[test]
fn what_is_not_a_store_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &Path| data::check(path, &mut |_| {}, &mut |_| {});
    let error = check(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::NoStore(_)), "{error}");
    let file = folder.path().join("x.db");
    std::fs::write(&file, "no database, and longer than the head of one".repeat(100)).unwrap();
    let found = faults(&file);
    assert_eq!(found, ["the file cannot be read: file is not a database"]);
    let old = folder.path().join("old.db");
    shell(&old, "PRAGMA user_version = 999; CREATE TABLE x (y)");
    let error = check(&old).unwrap_err();
    assert!(matches!(error, DataError::Open(OpenError::Newer { version: 999 })), "{error}");
}

#[test]
fn a_backup_is_made_while_a_server_writes_and_is_brought_back_with_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    small(&data);
    let before = exported(&data);
    let (mut store, _) = open(&data);
    let backup = folder.path().join("backup.db");
    let done = data::backup(&data, &backup, &mut |fault| panic!("{fault}"), &mut |_| {}).unwrap();
    assert_eq!((done.rooms, done.entries, done.faults), (2, 11, 0));
    assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(exported(&backup), before);
    let error = data::backup(&data, &backup, &mut |_| {}, &mut |_| {}).unwrap_err();
    assert!(matches!(error, DataError::Exists(_)), "{error}");

    // Written after it, and lost by bringing it back.
    store.write(1, Timestamp(99), say("ada", "later", None)).unwrap();
    for error in [
        data::restore(&backup, &data, "second").map(drop).unwrap_err(),
        data::repair(&data, "second", &mut |_| {}).map(drop).unwrap_err(),
        data::import(&mut before.as_bytes(), &data, None, &mut |_| {}).map(drop).unwrap_err(),
    ] {
        let DataError::Open(OpenError::Lock(LockError::Held { .. })) = error else {
            panic!("{error}")
        };
    }
    drop(store);
    let later = exported(&data);
    let done = persistently(|| data::restore(&backup, &data, "second")).unwrap();
    assert_eq!(exported(&data), with_epoch(&before, "second"));
    let old = done.old.unwrap();
    assert_eq!(exported(&old), later, "nothing is thrown away");
    assert_eq!(open(&data).1.epoch, "second");
    // To a place where there is none; and once more, which finds another name for the old one.
    let new = folder.path().join("new");
    let done = data::restore(&backup, &new, "third").unwrap();
    assert_eq!(done.old, None);
    let done = persistently(|| data::restore(&backup, &data, "fourth")).unwrap();
    assert_ne!(done.old.unwrap(), old);
}

#[test]
fn a_backup_that_breaks_a_rule_is_not_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup.db"));
    small(&data);
    let before = exported(&data);
    data::backup(&data, &backup, &mut |_| {}, &mut |_| {}).unwrap();
    shell(&backup, "UPDATE entries SET text = 'x' WHERE text = 'two'");
    let error = persistently(|| data::restore(&backup, &data, "second")).unwrap_err();
    assert!(error.to_string().contains("tea: entry 4 is not what was written"), "{error}");
    std::fs::File::options().write(true).open(&backup).unwrap().set_len(9_000).unwrap();
    let error = persistently(|| data::restore(&backup, &data, "second")).unwrap_err();
    assert!(matches!(error, DataError::Damaged(..)), "{error}");
    assert_eq!(exported(&data), before);
    let names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("new")));
}

/// Damages [`small`], repairs it, and gives what is lost and the lines of the new store.
fn repaired(sql: &str) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    small(folder.path());
    shell(&folder.path().join("parlor.db"), sql);
    let mut lost = Vec::new();
    let done = persistently(|| {
        lost.clear();
        data::repair(folder.path(), "second", &mut |fault| lost.push(fault.to_string()))
    });
    let done = done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(done.checked.epoch, "second");
    assert!(done.old.unwrap().exists());
    assert_eq!(open(folder.path()).1.epoch, "second", "a server opens it");
    (lost, exported(folder.path()))
}

#[test]
fn repair_changes_nothing_but_the_epoch_of_what_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    small(folder.path());
    let (lost, lines) = repaired("SELECT 1");
    assert_eq!(lost, [""; 0]);
    assert_eq!(lines, with_epoch(&exported(folder.path()), "second"));
}

#[test]
fn repair_keeps_the_longest_sound_piece_of_a_log_and_says_what_is_lost() {
    // The newest entries are lost: somebody went by one, a message was deleted by another.
    let (lost, lines) = repaired("DELETE FROM entries WHERE seq > 7");
    assert_eq!(lost[0], "tea: entries 8 to 10 are lost");
    assert_eq!(
        lost[1],
        "tea: 1 entry is written at its end again: who came and went, what was changed"
    );
    assert!(
        lines.contains(r#""seq":8,"ts":7,"kind":"deleted","user":"bob","target":5"#),
        "{lines}"
    );
    assert!(!lines.contains("three"), "what was deleted stays so");
    // Somebody came by one that is lost.
    let (lost, lines) = repaired("DELETE FROM entries WHERE seq = 2 OR seq > 7");
    assert_eq!(lost[..2], ["tea: entries 1 to 2 are lost", "tea: entries 8 to 10 are lost"]);
    assert!(lines.contains(r#""first":3,"#), "{lines}");
    let (lost, lines) = repaired("DELETE FROM entries WHERE seq BETWEEN 2 AND 10 AND room = 1");
    assert_eq!(lost[0], "tea: entries 2 to 10 are lost");
    assert!(lines.contains(r#""seq":2,"ts":1,"kind":"joined","user":"bob""#), "{lines}");
    // Somebody went by one that is lost.
    let (_, lines) = repaired("DELETE FROM entries WHERE seq = 10");
    assert!(lines.contains(r#""seq":10,"ts":9,"kind":"left","user":"cy""#), "{lines}");
    // An edit is lost, and its text is known.
    let (_, lines) = repaired("DELETE FROM entries WHERE seq > 5");
    assert!(
        lines.contains(r#""seq":6,"ts":5,"kind":"edited","user":"ada","text":"ONE","target":3"#)
    );
    // Nothing is left of the log.
    let (lost, lines) = repaired("DELETE FROM entries WHERE room = 1");
    assert_eq!(lost, ["tea: entries 1 to 10 are lost"]);
    assert!(lines.contains(r#""head":10,"messages":3,"ts":10,"first":11,"#), "{lines}");
}

#[test]
fn repair_makes_up_for_damaged_rows_where_the_log_knows() {
    let (lost, lines) = repaired("UPDATE members SET read = 5 WHERE user = 'bob' AND room = 1");
    assert_eq!(lost, ["tea: how far bob has read is lost"]);
    assert!(
        lines.contains(r#""user":"bob","joined":2,"read":2,"read_messages":0,"deleted_unread":1"#)
    );
    let (lost, lines) = repaired("UPDATE rooms SET title = 'x' WHERE name = 'tea'");
    assert_eq!(lost, ["tea: its title, its owner, and whether it is open are lost"]);
    assert!(lines.contains(
        r#"{"room":"tea","title":"","open":false,"ended":false,"owner":"ada","head":10"#
    ));
    let (lost, _) = repaired("UPDATE bans SET by = 'x'; UPDATE users SET name = 'x'");
    assert_eq!(lost, ["the name of user ada is lost", "tea: the ban of eve is lost"]);
    let (lost, lines) = repaired("DELETE FROM meta; DELETE FROM reactions");
    assert_eq!(lost, [""; 0]);
    assert!(lines.contains(r#""kind":"reacted""#));
}

#[test]
fn repair_changes_nothing_where_the_schema_of_what_it_keeps_is_damaged() {
    // What `meta` says is told from the rest.
    for (table, is_needed) in [("bans", true), ("entries", true), ("meta", false)] {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let file = folder.path().join("parlor.db");
        shell(
            &file,
            &format!(
                "PRAGMA writable_schema = ON; \
                 UPDATE sqlite_schema SET sql = replace(sql, 'sum ', 'sun ') WHERE name = '{table}'"
            ),
        );
        let before = std::fs::read(&file).unwrap();
        match persistently(|| data::repair(folder.path(), "second", &mut |_| {})) {
            Err(DataError::Damaged(..)) if is_needed => {
                assert_eq!(std::fs::read(&file).unwrap(), before);
            }
            Ok(_) if !is_needed => {}
            other => panic!("{table}: {other:?}"),
        }
    }
}

#[test]
fn repair_keeps_revocations_and_says_which_are_lost() {
    let of_token = r#"{"revocation":{"kind":"token","key":"t-1","before":0}}"#;
    let of_user = r#"{"revocation":{"kind":"user","key":"eve","before":70}}"#;
    let (lost, lines) = repaired("UPDATE revocations SET before = 60 WHERE kind = 'user'");
    assert_eq!(lost, ["the revocation of user eve is lost"]);
    assert!(lines.contains(of_token) && !lines.contains(r#""key":"eve""#), "{lines}");
    let (lost, lines) = repaired("DELETE FROM revocations WHERE kind = 'token'");
    assert_eq!(lost, ["some revocations are lost"]);
    assert!(lines.contains(of_user) && !lines.contains("t-1"), "{lines}");
    // How many there should be is not known: what is there is kept.
    let (lost, lines) = repaired("UPDATE meta SET value = 'x' WHERE key = 'revocations'");
    assert_eq!(lost, [""; 0]);
    assert!(lines.contains(of_user) && lines.contains(of_token), "{lines}");
}

#[test]
fn repair_keeps_the_newest_sound_events_of_a_stream_and_says_how_many() {
    let stream = |first: u64, head: u64| {
        format!(
            r#"{{"stream":{{"stream":"journal","epoch":"second","head":{head},"ts":22,"first":{first}}}}}"#
        )
    };
    let (lost, lines) = repaired("UPDATE events SET ts = 7 WHERE seq = 1");
    assert_eq!(lost, ["of 4 events of stream journal the newest 3 are kept"]);
    assert!(lines.contains(&stream(2, 4)) && !lines.contains("[1.50]"), "{lines}");
    assert!(lines.contains(r#""data":"\"b\"","by":"ada","id":"p1""#), "{lines}");
    let (lost, lines) = repaired("DELETE FROM events WHERE seq = 4");
    assert_eq!(lost, ["of 4 events of stream journal the newest 3 are kept"]);
    assert!(lines.contains(&stream(1, 3)) && lines.contains("[1.50]"), "{lines}");
    let (lost, lines) = repaired("UPDATE streams SET head = 7");
    assert_eq!(lost, ["stream journal is lost"]);
    assert!(!lines.contains("journal"), "{lines}");
    let (lost, _) = repaired("DELETE FROM events; DELETE FROM streams");
    assert_eq!(lost, ["some streams are lost"]);
}
