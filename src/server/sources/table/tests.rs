//! Tests of sources by the moments that they are given; the tests answer in the backend's place.

use super::*;
use crate::backend::PollFn;
use crate::config::{FeedTarget, Poll};

const EVERY_MS: u64 = 1_000;

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn pattern(name: &str) -> Pattern {
    Pattern::parse(name).unwrap()
}

fn stream(name: &str) -> StreamId {
    StreamId::parse(name).unwrap()
}

fn feed(name: &str, url: &str) -> Feed {
    let target = FeedTarget::Url(url.into());
    let poll = Poll { target, every_ms: EVERY_MS, timeout_ms: 100, pointer: None };
    Feed { pattern: pattern(name), poll: Some(poll), webhook: None, is_required: false }
}

fn declared(feeds: &[Feed]) -> Vec<Declaration> {
    feeds.iter().map(|feed| Declaration::new(feed.pattern.clone())).collect()
}

/// Sources, and the number of jobs begun.
struct Rig {
    sources: Sources,
    next_job: u64,
}

impl Rig {
    fn new(feeds: &[Feed]) -> Rig {
        let sources = Sources::new(&Limits::default());
        let mut rig = Rig { sources, next_job: 0 };
        rig.declare(at(0), feeds);
        rig
    }

    fn declare(&mut self, now: Moment, feeds: &[Feed]) {
        self.sources.declare(now, &Limits::default(), feeds, &declared(feeds));
    }

    /// Begins what is due; returns the streams and their jobs.
    fn begin(&mut self, now: Moment) -> Vec<(StreamId, JobId)> {
        let mut begun = Vec::new();
        while let Some(DuePoll { stream, pass, .. }) = self.sources.take_due(now) {
            self.next_job += 1;
            let id = JobId::of_test(self.next_job);
            self.sources.poll_started(now, &stream, id, pass);
            begun.push((stream, id));
        }
        begun
    }

    fn came(&mut self, now: Moment, name: &str, id: JobId, data: &str) -> Option<String> {
        let got = Ok(JobOutput::Data(Data::Json(data.into())));
        match self.sources.take_result(now, &stream(name), id, got)? {
            PollResult::Fresh { data: Data::Json(text), .. } => Some(text.to_string()),
            PollResult::Fresh { data: Data::Binary(_), .. } => panic!("bytes"),
            PollResult::Same => None,
        }
    }

    fn fail(&mut self, now: Moment, name: &str, id: JobId) {
        let fresh = self.sources.take_result(now, &stream(name), id, Err(Failure::Timeout));
        assert!(fresh.is_none());
    }

    fn watch(&mut self, now: Moment, name: &str, family: &str, is_watched: bool) {
        let declaration = Declaration::new(pattern(family));
        self.sources.watched(
            now,
            &stream(name),
            &declaration,
            if is_watched { watch(None) } else { PolledFor::Nobody },
        );
    }
}

#[test]
fn a_stream_is_polled_at_once_and_then_every_so_often_and_told_what_has_changed() {
    let mut rig = Rig::new(&[feed("s", "http://h/")]);
    let (_, id) = rig.begin(at(0)).remove(0);
    assert!(rig.begin(at(10_000)).is_empty(), "one at a time");
    assert_eq!(rig.came(at(300), "s", id, "1").as_deref(), Some("1"));
    assert!(rig.begin(at(999)).is_empty());
    let (_, id) = rig.begin(at(1_000)).remove(0);
    assert_eq!(rig.came(at(1_001), "s", id, "1"), None, "it is the same");
    let (_, id) = rig.begin(at(2_000)).remove(0);
    assert_eq!(rig.came(at(9_000), "s", id, "2").as_deref(), Some("2"));
    assert_eq!(rig.begin(at(9_000)).len(), 1, "what took longer begins again at once");
}

/// The result of a poll that is due now: its data, or that there is nothing new.
fn heard(rig: &mut Rig, now: u64, data: Option<&str>) -> Option<String> {
    let (name, id) = rig.begin(at(now)).remove(0);
    let got = data.map_or(JobOutput::Nothing, |data| JobOutput::Data(Data::Json(data.into())));
    rig.sources.take_result(at(now), &name, id, Ok(got)).map(|came| match came {
        PollResult::Fresh { data: Data::Json(text), .. } => text.to_string(),
        PollResult::Fresh { data: Data::Binary(_), .. } => panic!("bytes"),
        PollResult::Same => "the same".to_owned(),
    })
}

#[test]
fn what_comes_while_it_is_paused_is_no_news_that_was_told() {
    let mut rig = Rig::new(&[feed("s", "http://h/")]);
    assert_eq!(heard(&mut rig, 0, Some("1")).as_deref(), Some("1"));
    let (_, id) = rig.begin(at(1_000)).remove(0);
    rig.sources.pause(at(1_100), "s", true);
    assert_eq!(rig.came(at(1_200), "s", id, "2"), None);
    rig.sources.pause(at(1_300), "s", false);
    assert_eq!(heard(&mut rig, 2_300, Some("2")).as_deref(), Some("2"));
    assert_eq!(heard(&mut rig, 3_300, Some("2")).as_deref(), Some("the same"));
}

#[test]
fn what_a_stream_refuses_is_offered_again_where_it_may_be_taken_later() {
    let mut rig = Rig::new(&[feed("s", "http://h/")]);
    let refuse =
        |rig: &mut Rig, job, later| rig.sources.refuse(&stream("s"), JobId::of_test(job), later);
    assert_eq!(heard(&mut rig, 0, Some("1")).as_deref(), Some("1"));
    refuse(&mut rig, 1, false);
    for (now, data) in [(1_000, Some("1")), (2_000, None)] {
        assert_eq!(
            heard(&mut rig, now, data),
            None,
            "no sign of life: the stream has not what there is"
        );
    }
    // A changed declaration may take it.
    rig.declare(at(2_001), &[feed("s", "http://h/")]);
    assert_eq!(heard(&mut rig, 3_000, Some("1")).as_deref(), Some("1"));
    assert_eq!(heard(&mut rig, 4_000, Some("1")).as_deref(), Some("the same"));
    // There was no room for it.
    assert_eq!(heard(&mut rig, 5_000, Some("2")).as_deref(), Some("2"));
    refuse(&mut rig, 6, true);
    assert_eq!(heard(&mut rig, 6_000, Some("2")).as_deref(), Some("2"));
    // A late refusal says nothing of newer data.
    assert_eq!(heard(&mut rig, 7_000, Some("3")).as_deref(), Some("3"));
    refuse(&mut rig, 7, true);
    assert_eq!(heard(&mut rig, 8_000, Some("3")).as_deref(), Some("the same"));
}

#[test]
fn a_stream_that_begins_anew_as_one_of_another_kind_is_told_what_there_is() {
    let feeds = [feed("s", "http://h/")];
    let mut rig = Rig::new(&feeds);
    assert_eq!(heard(&mut rig, 0, Some("1")).as_deref(), Some("1"));
    let mut declarations = declared(&feeds);
    declarations[0].durable = true;
    rig.sources.declare(at(100), &Limits::default(), &feeds, &declarations);
    assert_eq!(heard(&mut rig, 1_000, Some("1")).as_deref(), Some("1"));
    rig.sources.declare(at(1_100), &Limits::default(), &feeds, &declarations);
    assert_eq!(heard(&mut rig, 2_000, Some("1")).as_deref(), Some("the same"));
}

#[test]
fn a_family_is_polled_while_somebody_watches() {
    let mut rig = Rig::new(&[feed("s:{id}", "http://h/{id}")]);
    assert!(rig.begin(at(0)).is_empty());
    rig.watch(at(5), "s:1", "s:{id}", true);
    let (name, id) = rig.begin(at(5)).remove(0);
    assert_eq!(name.as_str(), "s:1");
    rig.watch(at(6), "s:1", "s:{id}", false);
    assert_eq!(rig.came(at(7), "s:1", id, "1"), None, "nobody wants it any more");
    rig.watch(at(8), "s:1", "s:{id}", true);
    assert!(rig.begin(at(1_004)).is_empty(), "who comes back at once changes nothing");
    let (_, id) = rig.begin(at(1_005)).remove(0);
    assert_eq!(rig.came(at(1_006), "s:1", id, "1").as_deref(), Some("1"));
    rig.watch(at(1_007), "s:1", "s:{id}", false);
    assert!(rig.begin(at(60_000)).is_empty());
    assert!(rig.sources.polled.is_empty() && rig.sources.due.is_empty());
}

#[test]
fn a_source_that_fails_is_left_alone_and_tried_again() {
    let mut required = feed("s", "http://h/");
    required.is_required = true;
    let mut rig = Rig::new(&[required]);
    let mut now = 0;
    for failure in 0..10 {
        assert_eq!(rig.sources.down().count(), 0, "{failure}");
        let (_, id) = rig.begin(at(now)).remove(0);
        rig.fail(at(now + 1), "s", id);
        now += EVERY_MS;
    }
    assert!(rig.sources.lacks_required());
    assert_eq!(rig.sources.down().collect::<Vec<_>>(), [("s", 1)]);
    let opened = now - EVERY_MS + 1;
    assert!(rig.begin(at(opened + 29_999)).is_empty());
    let (_, id) = rig.begin(at(opened + 30_000)).remove(0);
    rig.fail(at(opened + 30_001), "s", id);
    assert_eq!(rig.sources.down().collect::<Vec<_>>(), [("s", 1)], "counted once");
    let (_, id) = rig.begin(at(opened + 60_001)).remove(0);
    assert_eq!(rig.came(at(opened + 60_002), "s", id, "1").as_deref(), Some("1"));
    assert!(!rig.sources.lacks_required() && rig.sources.down().count() == 0);
    assert_eq!(rig.sources.feeds["s"].failures, 11);
}

#[test]
fn a_source_that_is_paused_while_it_is_down_lets_the_server_be_ready_until_it_goes_on() {
    let mut required = feed("s", "http://h/");
    required.is_required = true;
    let mut rig = Rig::new(&[required]);
    for failure in 0..10 {
        let now = at(failure * EVERY_MS);
        let (_, id) = rig.begin(now).remove(0);
        rig.fail(now, "s", id);
    }
    let told = |rig: &Rig| {
        let overview = rig.sources.overviews()["s"];
        (rig.sources.lacks_required(), overview.state, overview.down)
    };
    assert_eq!(told(&rig), (true, "open", 1));
    rig.sources.pause(at(10_000), "s", true);
    assert_eq!(told(&rig), (false, "paused", 0));
    rig.sources.pause(at(10_001), "s", false);
    assert_eq!(told(&rig), (true, "open", 1));
}

#[test]
fn a_stream_that_goes_while_it_is_down_is_down_no_more() {
    let mut rig = Rig::new(&[feed("s:{id}", "http://h/{id}")]);
    rig.watch(at(0), "s:1", "s:{id}", true);
    for failure in 0..10 {
        let now = at(failure * EVERY_MS);
        let (_, id) = rig.begin(now).remove(0);
        rig.fail(now, "s:1", id);
    }
    assert_eq!(rig.sources.down().count(), 1);
    rig.watch(at(20_000), "s:1", "s:{id}", false);
    assert!(rig.begin(at(60_000)).is_empty());
    assert_eq!(rig.sources.down().count(), 0);
}

#[test]
fn what_is_paused_is_not_asked_until_it_goes_on() {
    let mut rig = Rig::new(&[feed("s", "http://h/")]);
    let (_, id) = rig.begin(at(0)).remove(0);
    assert!(rig.sources.pause(at(1), "t", true).is_none());
    assert!(rig.sources.pause(at(1), "s", true).unwrap().is_paused);
    assert_eq!(rig.came(at(2), "s", id, "1"), None, "what was under way is not told");
    assert!(rig.begin(at(60_000)).is_empty());
    rig.sources.pause(at(60_001), "s", false);
    assert_eq!(rig.begin(at(60_001)).len(), 1);
}

#[test]
fn what_is_declared_anew_goes_on_if_it_is_the_same_and_else_begins_again() {
    let (one, other) = (feed("a", "http://h/"), feed("b", "http://h/"));
    let mut rig = Rig::new(&[one.clone(), other.clone()]);
    let begun = rig.begin(at(0));
    rig.sources.pause(at(0), "b", true);
    let changed = feed("a", "http://other/");
    rig.declare(at(1), &[changed, other.clone()]);
    assert_eq!(rig.came(at(2), "a", begun[0].1, "1"), None, "the old one is nobody's any more");
    assert!(rig.sources.is_paused("b"));
    assert_eq!(rig.begin(at(2)).len(), 1, "only what has changed begins at once");
    rig.declare(at(3), &[other]);
    assert!(!rig.sources.feeds.contains_key("a") && rig.sources.polled.len() == 1);
    assert!(rig.begin(at(60_000)).is_empty());
}

#[test]
fn a_function_stays_whatever_is_declared() {
    let mut rig = Rig::new(&[feed("a", "http://h/")]);
    let run: Arc<PollFn> = Arc::new(|_: &StreamId| Ok(Data::Json("1".into())));
    let function = FunctionPoll { every_ms: 10, run };
    rig.sources.add_function(at(0), pattern("f"), function.clone());
    rig.sources.add_function(at(0), pattern("a"), function);
    rig.declare(at(1), &[]);
    let begun = rig.begin(at(1));
    let mut begun: Vec<String> = begun.iter().map(|(name, _)| name.to_string()).collect();
    begun.sort();
    assert_eq!(begun, ["a", "f"]);
}

fn watch(payer: Payer) -> PolledFor {
    PolledFor::Here(ConnId::new(0, 0), payer)
}

fn guest(last: u8) -> Payer {
    let peer = std::net::Ipv4Addr::new(127, 0, 0, last);
    Some(crate::base::rates::Asker::Address(crate::base::Address::of(peer.into())))
}

/// Polls until `end`, each for `takes_ms` on one of `threads`, and counts them by stream.
fn polled_until(rig: &mut Rig, takes_ms: u64, end: u64) -> BTreeMap<String, u32> {
    let (mut under_way, mut counts) = (Vec::<(u64, StreamId, JobId)>::new(), BTreeMap::new());
    for now in (0..end).step_by(10) {
        under_way.retain(|(until, stream, id)| {
            let is_over = *until <= now;
            if is_over {
                let got = Ok(JobOutput::Data(Data::Json(now.to_string().into())));
                rig.sources.take_result(at(now), stream, *id, got);
                *counts.entry(stream.as_str().to_owned()).or_insert(0) += 1;
            }
            !is_over
        });
        let begun = rig.begin(at(now));
        under_way.extend(begun.into_iter().map(|(stream, id)| (now + takes_ms, stream, id)));
        assert!(under_way.len() <= Limits::default().backend_poll_threads as usize);
        rig.sources.check_late_polls(at(now));
    }
    counts
}

#[test]
fn declarations_take_turns_and_within_one_those_for_whom_it_is_polled() {
    let feeds = [feed("price:{id}", "http://h/{id}"), feed("state", "http://h/")];
    let mut rig = Rig::new(&feeds);
    let declaration = Declaration::new(pattern("price:{id}"));
    for number in 0..2_000 {
        let name = format!("price:{number}");
        rig.sources.watched(at(0), &stream(&name), &declaration, watch(guest(1)));
    }
    rig.sources.watched(at(0), &stream("price:modest"), &declaration, watch(guest(2)));
    let counts = polled_until(&mut rig, 100, 10_000);
    // 2,001 polls a second are asked for; there is time for 80.
    assert!(counts["state"] >= 9, "{}", counts["state"]);
    assert!(counts["price:modest"] >= 8, "{}", counts["price:modest"]);
    assert!(counts.values().sum::<u32>() >= 690, "one thread is kept");
    assert!(counts.values().filter(|count| **count > 1).count() < 10, "each of the others in turn");
    let late = rig.sources.feeds["price:{id}"].late;
    assert!(late.streams > 1_000 && late.longest_ms > 8_000, "{late:?}");
    assert_eq!(rig.sources.feeds["state"].late.streams, 0);
}

#[test]
fn a_slow_declaration_leaves_a_thread_to_each_other() {
    let feeds =
        [feed("slow:{id}", "http://h/{id}"), feed("a", "http://h/"), feed("b", "http://h/")];
    let mut rig = Rig::new(&feeds);
    let begun = rig.begin(at(0));
    assert_eq!(begun.len(), 2);
    for (name, id) in &begun {
        rig.came(at(1), name.as_str(), *id, "1");
    }
    for number in 0..20 {
        rig.watch(at(2), &format!("slow:{number}"), "slow:{id}", true);
    }
    assert_eq!(rig.begin(at(2)).len(), 6, "two of eight are kept");
    assert_eq!(rig.begin(at(1_000)).len(), 2);
    assert!(rig.begin(at(1_000)).is_empty());
}

#[test]
fn a_stream_that_is_not_watched_any_more_gives_back_its_turn_and_its_place() {
    let mut rig = Rig::new(&[feed("s:{id}", "http://h/{id}")]);
    let declaration = Declaration::new(pattern("s:{id}"));
    for number in 0..20 {
        let name = format!("s:{number}");
        assert!(rig.sources.would_start_polling(&stream(&name), &declaration));
        rig.sources.watched(at(0), &stream(&name), &declaration, watch(guest(1)));
        assert!(!rig.sources.would_start_polling(&stream(&name), &declaration));
    }
    assert_eq!((rig.begin(at(0)).len(), rig.sources.turns.len()), (8, 12));
    assert_eq!(rig.sources.payers.of(&guest(1)), 20);
    // They are begun in the order of their names: 0, 1, 10 to 15.
    for number in 2..10 {
        rig.sources.watched(
            at(1),
            &stream(&format!("s:{number}")),
            &declaration,
            PolledFor::Nobody,
        );
    }
    assert!(rig.begin(at(POLL_LINGER_MS + 1)).is_empty());
    assert_eq!((rig.sources.turns.len(), rig.sources.payers.of(&guest(1))), (4, 12));
    // A stream that is watched again waits behind the others, once.
    rig.sources.watched(at(9_000), &stream("s:5"), &declaration, watch(guest(2)));
    assert!(rig.begin(at(9_000)).is_empty());
    assert_eq!((rig.sources.turns.len(), rig.sources.payers.of(&guest(2))), (5, 1));
}

#[test]
fn a_stream_counts_for_one_of_those_who_watch_it_and_nothing_else_of_it_changes() {
    let mut rig = Rig::new(&[feed("s:{id}", "http://h/{id}")]);
    let declaration = Declaration::new(pattern("s:{id}"));
    let watched = |rig: &mut Rig, now, by| {
        rig.sources.watched(at(now), &stream("s:1"), &declaration, by);
        (rig.sources.payers.of(&guest(1)), rig.sources.payers.of(&guest(2)))
    };
    assert_eq!(watched(&mut rig, 0, watch(guest(1))), (1, 0));
    let (_, id) = rig.begin(at(0)).remove(0);
    assert_eq!(watched(&mut rig, 1, watch(guest(1))), (1, 0), "told twice it counts once");
    assert_eq!(watched(&mut rig, 2, watch(guest(2))), (0, 1));
    assert_eq!(rig.came(at(3), "s:1", id, "1").as_deref(), Some("1"));
    assert!(rig.begin(at(999)).is_empty(), "it is not polled more often for that");
    assert_eq!(rig.begin(at(1_000)).len(), 1);
    let [here, there] = [ConnId::of_reactor(0, 1, 0), ConnId::of_reactor(1, 1, 0)];
    // Who left it tells that another thread's connection has it, before or after that one does.
    assert_eq!(watched(&mut rig, 1_001, PolledFor::Elsewhere(there)), (0, 0));
    assert_eq!(watched(&mut rig, 1_001, PolledFor::Here(there, guest(1))), (1, 0));
    assert_eq!(watched(&mut rig, 1_001, PolledFor::Elsewhere(there)), (1, 0));
    assert_eq!(watched(&mut rig, 1_001, PolledFor::Here(here, guest(2))), (0, 1));
    assert_eq!(watched(&mut rig, 1_001, PolledFor::Nobody), (0, 0));
    assert!(rig.begin(at(60_000)).is_empty());
    assert_eq!((rig.sources.payers.total(), rig.sources.payers.holders()), (0, 0));
}

#[test]
fn places_are_reserved_once_and_given_back_or_taken() {
    let mut rig = Rig::new(&[feed("s:{id}", "http://h/{id}")]);
    let declaration = Declaration::new(pattern("s:{id}"));
    let [one, two, three] = ["s:1", "s:2", "s:3"].map(stream);
    let payer = guest(1);
    let sources = &mut rig.sources;
    let first = sources.reserve(&payer, &[one.clone(), two.clone()], 2).unwrap();
    assert_eq!(first, [one.clone(), two.clone()]);
    // Another request at once: the same ones cost nothing, another one is too many.
    let second = sources.reserve(&payer, &[one.clone(), two.clone()], 2);
    assert_eq!(second, Some(Vec::new()));
    assert_eq!(sources.reserve(&payer, std::slice::from_ref(&three), 2), None);
    assert!(sources.reserve(&guest(2), std::slice::from_ref(&three), 1).is_some());
    // One of them is watched, the other was refused.
    sources.watched(at(0), &one, &declaration, watch(payer.clone()));
    assert_eq!(sources.payers.of(&payer), 2);
    sources.release(&payer, &first);
    assert_eq!(sources.payers.of(&payer), 1);
    sources.release(&guest(2), &[three]);
    assert_eq!((sources.payers.total(), sources.reserved.len()), (1, 0));
}

#[test]
fn what_is_polled_too_late_is_told_until_it_is_not() {
    let mut needed = feed("s", "http://h/");
    needed.is_required = true;
    let mut rig = Rig::new(&[needed]);
    let (_, id) = rig.begin(at(0)).remove(0);
    let late = |rig: &mut Rig, now| {
        rig.sources.check_late_polls(at(now));
        let late = rig.sources.feeds["s"].late;
        (late.streams, late.longest_ms, rig.sources.lacks_required())
    };
    assert_eq!(late(&mut rig, 3_000), (0, 3_000, false));
    assert_eq!(late(&mut rig, 3_500), (0, 3_000, false), "it was looked at a moment ago");
    assert_eq!(
        late(&mut rig, 4_000),
        (1, 4_000, true),
        "three times its interval and its time-out"
    );
    rig.came(at(4_200), "s", id, "1");
    assert_eq!(late(&mut rig, 5_000), (0, 800, false));
    let paused = rig.sources.pause(at(5_000), "s", true).is_some();
    assert!(paused && late(&mut rig, 60_000) == (0, 0, false), "nobody waits for it");
}
