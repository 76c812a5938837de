//! A stream, which a client only watches. It goes on from its position after each loss.

use super::core::Core;
use super::deadlines::Timer;
use super::effect::{ClientEvent, StreamData, StreamUpdate, WatchOptions};
use super::error::RequestError;
use super::requests::Question;
use crate::base::{StreamId, Timestamp};
use crate::wire::json::{Writer, object};
use crate::wire::told::{ToldObject, items};

const RETRY_MS: u64 = 1_000;
/// How many streams a client watches at most: as a server allows, tenfold.
const STREAMS_MAX: usize = 1_000;

/// A stream, as far as the client knows it.
#[derive(Debug, Default)]
pub(super) struct StreamWatch {
    /// How the program watches it; `None` if it does not.
    options: Option<WatchOptions>,
    /// How this connection is subscribed to it.
    current: Option<WatchOptions>,
    /// The change of that which the server has not answered.
    asked: Option<Option<WatchOptions>>,
    /// Whether the server took the last change is not known.
    is_unsure: bool,
    /// It cannot be watched so, as the server says.
    is_refused: bool,
    epoch: Option<Box<str>>,
    seq: u64,
    stale_since: Option<Timestamp>,
    /// What the program is told as soon as it takes something.
    untold_gap: Option<(u64, &'static str)>,
    untold: Option<StreamUpdate>,
    untold_refusal: Option<RequestError>,
    is_age_untold: bool,
}

#[derive(Debug)]
struct StreamNews {
    seq: u64,
    previous: Option<u64>,
    ts: Option<Timestamp>,
    data: StreamData,
}

impl StreamWatch {
    /// The connection is another, or gone.
    pub(super) fn lose(&mut self) {
        (self.current, self.asked) = (None, None);
        (self.is_refused, self.is_unsure) = (false, false);
    }

    /// Who watches is another: what one was told is not the other's.
    pub(super) fn forget(&mut self) {
        let options = self.options.take();
        *self = StreamWatch { options, ..StreamWatch::default() };
    }
}

impl StreamNews {
    fn read(payload: &ToldObject<'_>) -> Option<StreamNews> {
        Some(StreamNews {
            seq: payload.number("seq")?,
            previous: payload.number("prev"),
            ts: payload.integer("ts").map(Timestamp),
            data: StreamData::Json(payload.raw("data").unwrap_or("null").into()),
        })
    }
}

impl Core {
    /// The program watches a stream, or no more.
    pub(super) fn watch(&mut self, name: StreamId, options: Option<WatchOptions>) {
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&name) {
            let error = RequestError::own("overloaded");
            return self.tell_or_leave_out(ClientEvent::StreamRefused { stream: name, error });
        }
        let stream = self.streams.entry(name.clone()).or_default();
        stream.options = options;
        // After a refusal the program asks once more.
        stream.is_refused = false;
        self.settle_stream(&name);
    }

    pub(super) fn settle_streams(&mut self) {
        for name in self.streams.keys().cloned().collect::<Vec<_>>() {
            self.settle_stream(&name);
        }
    }

    /// Subscribes or not, as is wanted now.
    pub(super) fn settle_stream(&mut self, name: &StreamId) {
        let is_online = self.link.state.is_online();
        let Some(stream) = self.streams.get_mut(name) else { return };
        if !is_online || stream.asked.is_some() {
            if !is_online && stream.options.is_none() {
                self.streams.remove(name);
            }
            return;
        }
        let wanted = stream.options.clone().filter(|_| !stream.is_refused);
        if wanted == stream.current && !stream.is_unsure {
            if stream.options.is_none() {
                self.streams.remove(name);
            }
            return;
        }
        stream.asked = Some(wanted.clone());
        let Some(options) = wanted else {
            let payload = object(|w| w.text("stream", name.as_str()));
            return self.ask_for("unsubscribe", payload, Question::Unsubscribe(name.clone()));
        };
        let payload = object(|w| {
            w.text("stream", name.as_str());
            w.if_some("filter", options.filter.as_deref(), Writer::raw);
            w.if_some("max_rate", options.max_rate, Writer::number);
            if let Some(epoch) = &stream.epoch {
                w.number("since", stream.seq);
                w.text("epoch", epoch);
            }
        });
        self.ask_for("subscribe", payload, Question::Subscribe(name.clone()));
    }

    pub(super) fn unsubscribed(&mut self, name: &StreamId, error: Option<RequestError>) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        if stream.asked.take().is_none() {
            return;
        }
        match error.filter(RequestError::is_passing) {
            None => {
                (stream.current, stream.is_unsure) = (None, false);
                self.settle_stream(name);
            }
            Some(error) => self.settle_later(name, &error),
        }
    }

    pub(super) fn subscribed(&mut self, name: &StreamId, answer: Result<&str, RequestError>) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        // That of an earlier connection has no answer any more.
        let Some(asked) = stream.asked.take() else { return };
        match answer {
            Ok(raw) => {
                (stream.current, stream.is_unsure) = (asked, false);
                let payload = ToldObject::parse(raw).unwrap_or_default();
                if let Some(told) = payload.objects("streams").first() {
                    self.begin_stream(name, told);
                }
                self.settle_stream(name);
            }
            Err(error) if error.is_passing() => self.settle_later(name, &error),
            Err(error) => {
                // What was before this is still so. If the program has changed its mind, that is asked.
                let is_other = stream.options != asked;
                stream.is_refused = !is_other;
                // What came of it meanwhile was not handed on. It may have been unsure before.
                stream.is_unsure |= stream.current.is_some();
                if !is_other {
                    stream.untold_refusal = Some(error);
                    self.tell_stream(name);
                }
                self.settle_stream(name);
            }
        }
    }

    fn settle_later(&mut self, name: &StreamId, error: &RequestError) {
        // The next connection asks again.
        if &*error.code == "disconnected" {
            return;
        }
        if let Some(stream) = self.streams.get_mut(name) {
            stream.is_unsure = true;
            let wait = error.retry_after_ms.unwrap_or_default().max(RETRY_MS);
            self.deadlines.set(Timer::Stream(name.clone()), self.now.moment.plus_millis(wait));
        }
    }

    /// The server has ended it.
    pub(super) fn stream_ended(&mut self, name: &StreamId, message: &str) {
        if let Some(stream) = self.streams.get_mut(name) {
            (stream.current, stream.options) = (None, None);
            let (code, message) = ("unsubscribed".into(), message.into());
            stream.untold_refusal = Some(RequestError { code, message, ..RequestError::default() });
            self.tell_stream(name);
        }
    }

    /// Where a subscription begins.
    fn begin_stream(&mut self, name: &StreamId, told: &ToldObject<'_>) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        let epoch = told.text("epoch").map(|epoch| epoch.into_owned().into_boxed_str());
        let is_same_life = epoch == stream.epoch;
        stream.epoch = epoch;
        let replayed = told.raw("replayed");
        // In a new life nothing is missing for whoever had no event of the old one.
        if replayed == Some("false") && (is_same_life || stream.seq > 0) {
            let reason = if is_same_life { "gone" } else { "epoch_changed" };
            stream.untold_gap.get_or_insert((stream.seq, reason));
        }
        let has_gone_on = replayed == Some("true");
        if !has_gone_on {
            stream.seq = 0;
        }
        let head = told.number("seq").unwrap_or_default();
        if let Some(snapshot) = told.raw("snapshot") {
            let log = log_of(snapshot);
            if log.is_empty() {
                let data = StreamData::Json(snapshot.into());
                self.stream_event(name, StreamNews { seq: head, previous: None, ts: None, data });
            }
            for event in log {
                self.stream_event(name, event);
            }
            if !has_gone_on && let Some(stream) = self.streams.get_mut(name) {
                stream.seq = stream.seq.max(head);
            }
        }
        self.age_of_stream(name, told.object("stale").as_ref());
        self.tell_stream(name);
    }

    /// `event` or `stream:stale` came; whether it was of a stream that is watched.
    pub(super) fn stream_told(&mut self, payload: &ToldObject<'_>) -> bool {
        let name = payload.stream().filter(|name| self.streams.contains_key(name));
        let Some(name) = name else { return false };
        match StreamNews::read(payload) {
            Some(event) => self.stream_came(&name, event),
            None => self.age_of_stream(&name, Some(payload)),
        }
        true
    }

    /// A message of bytes: n, n bytes of the stream's name, 8 of the `seq`, the data.
    pub(super) fn hears_bytes(&mut self, bytes: &[u8]) {
        let read = || {
            let (len, rest) = bytes.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(*len))?;
            let (seq, data) = rest.split_first_chunk::<8>()?;
            let name = StreamId::parse(std::str::from_utf8(name).ok()?).ok()?;
            let data = StreamData::Bytes(data.into());
            let (seq, previous) = (u64::from_be_bytes(*seq), None);
            Some((name, StreamNews { seq, previous, ts: None, data }))
        };
        if let Some((name, event)) = read() {
            self.stream_came(&name, event);
        }
    }

    fn stream_came(&mut self, name: &StreamId, event: StreamNews) {
        // Before the answer, what comes is of the subscription before: the new one has it, too, if it wants it.
        let is_its = |stream: &StreamWatch| {
            let is_settled = stream.asked.is_none() && !stream.is_unsure;
            is_settled && stream.current.is_some() && stream.current == stream.options
        };
        if !self.streams.get(name).is_some_and(is_its) {
            return;
        }
        self.stream_event(name, event);
        self.tell_stream(name);
    }

    fn stream_event(&mut self, name: &StreamId, event: StreamNews) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        let StreamNews { seq, previous, ts, data } = event;
        if seq <= stream.seq {
            return;
        }
        stream.seq = seq;
        let has_skipped = previous.is_some_and(|previous| seq - previous.min(seq) > 1);
        let is_skipped = has_skipped || stream.untold.is_some();
        stream.untold = Some(StreamUpdate { stream: name.clone(), seq, data, ts, is_skipped });
        if self.credit > 0 {
            self.tell_stream(name);
        }
    }

    fn age_of_stream(&mut self, name: &StreamId, told: Option<&ToldObject<'_>>) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        let since = told.and_then(|told| told.integer("since")).map(Timestamp);
        if stream.stale_since != since {
            stream.stale_since = since;
            stream.is_age_untold = true;
            self.tell_stream(name);
        }
    }

    // --- What the program is told ---

    pub(super) fn tell_streams(&mut self) {
        let has_news = |stream: &StreamWatch| {
            let is_refused = stream.untold_refusal.is_some();
            stream.untold.is_some()
                || stream.untold_gap.is_some()
                || stream.is_age_untold
                || is_refused
        };
        let names: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, stream)| has_news(stream))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.tell_stream(&name);
        }
    }

    fn tell_stream(&mut self, name: &StreamId) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        if self.credit > 0
            && let Some((after, reason)) = stream.untold_gap.take()
        {
            self.tell(ClientEvent::StreamGap { stream: name.clone(), after, reason });
        }
        let Some(stream) = self.streams.get_mut(name) else { return };
        if self.credit > 0
            && let Some(update) = stream.untold.take()
        {
            self.tell(ClientEvent::Stream(update));
        }
        let Some(stream) = self.streams.get_mut(name) else { return };
        if self.credit > 0 && std::mem::take(&mut stream.is_age_untold) {
            let since = stream.stale_since;
            self.tell(ClientEvent::StreamStale { stream: name.clone(), since });
        }
        let Some(stream) = self.streams.get_mut(name) else { return };
        if self.credit > 0
            && let Some(error) = stream.untold_refusal.take()
        {
            self.tell(ClientEvent::StreamRefused { stream: name.clone(), error });
        }
    }
}

/// The events of a snapshot, if it is that of a log; that of a state is its data, which may be a list, too.
fn log_of(snapshot: &str) -> Vec<StreamNews> {
    let read = |raw: &&str| {
        let payload = ToldObject::parse(raw)?;
        let is_event = payload.number("ts").is_some() && payload.raw("data").is_some();
        StreamNews::read(&payload).filter(|event| event.seq > 0 && is_event)
    };
    let items = if snapshot.starts_with('[') { items(snapshot) } else { Vec::new() };
    let events: Vec<StreamNews> = items.iter().map_while(read).collect();
    if events.len() == items.len() { events } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::effect::CoreInput;
    use super::super::for_tests::{Scene, stream};
    use super::super::options::CoreOptions;
    use super::*;
    use serde_json::{Value, json};

    fn with_queue(queue: u32) -> CoreOptions {
        CoreOptions { ping_interval_ms: 0, queue, ..CoreOptions::default() }
    }

    fn watch(scene: &mut Scene, options: Option<WatchOptions>) {
        scene.input(CoreInput::Watch { stream: stream("depth"), options });
    }

    fn event(seq: u64, prev: Option<u64>) -> Value {
        json!({"type": "event", "payload": {"stream": "depth", "seq": seq, "prev": prev, "ts": 5, "data": {"n": seq}}})
    }

    fn begins(told: Value) -> Value {
        let mut told = told;
        told["stream"] = json!("depth");
        json!({"streams": [told]})
    }

    /// Numbers of events; with a minus where some before it are missing.
    fn events(scene: &mut Scene) -> Vec<i64> {
        let told = std::mem::take(&mut scene.told);
        let events = told.into_iter().filter_map(|told| match told {
            ClientEvent::Stream(update) => {
                let seq = update.seq as i64;
                Some(if update.is_skipped { -seq } else { seq })
            }
            _ => None,
        });
        events.collect()
    }

    #[test]
    fn it_begins_with_what_there_is_and_then_each_event_comes_once() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(
            &mut scene,
            Some(WatchOptions { filter: Some(r#"{"a":1}"#.into()), max_rate: Some(5) }),
        );
        let begin = begins(json!({"epoch": "s1", "seq": 7, "snapshot": {"n": 7}}));
        let asked = scene.replies("subscribe", begin);
        assert_eq!(asked, json!({"stream": "depth", "filter": {"a": 1}, "max_rate": 5}));
        for (seq, prev) in [(8, None), (9, Some(8)), (12, Some(11)), (13, Some(9))] {
            scene.hears(&event(seq, prev));
        }
        assert_eq!(events(&mut scene), [7, 8, 9, 12, -13]);
    }

    #[test]
    fn after_a_loss_it_goes_on_and_what_is_not_kept_is_told() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 7})));
        scene.hears(&event(8, None));
        for (epoch, replayed, reason) in
            [("s1", true, None), ("s1", false, Some("gone")), ("s2", false, Some("epoch_changed"))]
        {
            scene.loses(1006);
            scene.passes(30_000);
            scene.greets(&[], "e1");
            scene.told.clear();
            let begin =
                begins(json!({"epoch": epoch, "seq": 20, "replayed": replayed, "snapshot": 20}));
            let asked = scene.replies("subscribe", begin);
            assert!(asked["since"].as_u64() >= Some(8) && asked["epoch"].is_string(), "{asked}");
            let gap = scene.told.iter().find_map(|told| match told {
                ClientEvent::StreamGap { reason, .. } => Some(*reason),
                _ => None,
            });
            assert_eq!(gap, reason);
        }
        assert_eq!(events(&mut scene), [20]);
    }

    #[test]
    fn the_snapshot_of_a_log_is_its_events() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        let log = json!([{"seq": 3, "ts": 1, "data": 1}, {"seq": 4, "ts": 2, "data": 2}]);
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 4, "snapshot": log})));
        assert_eq!(events(&mut scene), [3, 4]);
        // A state may be a list of anything.
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 4, "snapshot": [1, 2]})));
        let data = scene.told.iter().find_map(|told| match told {
            ClientEvent::Stream(update) => Some(update.data.clone()),
            _ => None,
        });
        assert_eq!(data, Some(StreamData::Json("[1,2]".into())));
    }

    #[test]
    fn for_a_program_that_takes_nothing_the_newest_is_kept() {
        let mut scene = Scene::online(with_queue(8), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        scene.input(CoreInput::Taken(8));
        scene.told.clear();
        (1..=50).for_each(|seq| scene.hears(&event(seq, None)));
        scene.hears(&json!({"type": "stream:stale", "payload": {"stream": "depth", "since": 9}}));
        scene.input(CoreInput::Taken(8));
        let stale = ClientEvent::StreamStale { stream: stream("depth"), since: Some(Timestamp(9)) };
        assert!(scene.told.contains(&stale));
        assert_eq!(events(&mut scene), [1, 2, 3, 4, 5, 6, 7, 8, -50]);
    }

    #[test]
    fn bytes_are_what_they_are_and_what_is_none_is_ignored() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        let serial = scene.serial;
        let bytes = b"\x05depth\0\0\0\0\0\0\0\x02ab";
        for end in 0..=bytes.len() {
            scene.input(CoreInput::Bytes { serial, bytes: &bytes[..end] });
        }
        let data: Vec<_> = scene
            .told
            .iter()
            .filter_map(|told| match told {
                ClientEvent::Stream(update) => Some((update.seq, update.data.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(data, [(2, StreamData::Bytes([].into()))]);
    }

    #[test]
    fn it_is_watched_no_more_or_in_another_way() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        watch(&mut scene, None);
        watch(&mut scene, Some(WatchOptions { max_rate: Some(1), ..WatchOptions::default() }));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        scene.told.clear();
        watch(&mut scene, None);
        scene.hears(&event(1, None));
        scene.replies("unsubscribe", json!({}));
        scene.hears(&event(2, None));
        assert!(events(&mut scene).len() <= 1);
        scene.loses(1006);
        scene.passes(1_000);
        scene.greets(&[], "e1");
        assert!(!scene.is_asked("subscribe"));
        watch(&mut scene, Some(WatchOptions::default()));
        scene.refuses("subscribe", json!({"code": "no_such_stream", "message": ""}));
        assert!(matches!(scene.told.last(), Some(ClientEvent::StreamRefused { .. })));
        scene.passes(10_000);
        assert!(!scene.is_asked("subscribe"));
        watch(&mut scene, Some(WatchOptions::default()));
        assert!(scene.is_asked("subscribe"));
    }

    #[test]
    fn what_still_comes_of_the_subscription_before_makes_no_hole() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions { filter: Some("{}".into()), max_rate: None }));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        watch(&mut scene, Some(WatchOptions::default()));
        // The filter has left out the first.
        scene.hears(&event(2, Some(0)));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 2, "replayed": true})));
        scene.hears(&event(1, Some(0)));
        scene.hears(&event(2, Some(1)));
        assert_eq!(events(&mut scene), [1, 2]);
    }

    #[test]
    fn a_change_that_is_refused_ends_it() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        let filter = Some(r#"{"/a":[]}"#.into());
        watch(&mut scene, Some(WatchOptions { filter, max_rate: None }));
        scene.hears(&event(1, Some(0)));
        scene.refuses("subscribe", json!({"code": "bad_request", "message": ""}));
        scene.hears(&event(2, Some(1)));
        scene.replies("unsubscribe", json!({}));
        assert!(scene.told.iter().any(|told| matches!(told, ClientEvent::StreamRefused { .. })));
        assert!(events(&mut scene).is_empty());
        watch(&mut scene, Some(WatchOptions::default()));
        assert_eq!(scene.asked("subscribe")["payload"]["since"], 0);
    }

    #[test]
    fn one_of_which_nothing_was_heard_in_time_ends_with_a_refusal_of_the_next() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.asked("subscribe");
        scene.passes(CoreOptions::default().timeout_ms);
        let filter = Some(r#"{"/a":[]}"#.into());
        watch(&mut scene, Some(WatchOptions { filter, max_rate: None }));
        scene.refuses("subscribe", json!({"code": "bad_request", "message": ""}));
        // The server may have the first one.
        scene.replies("unsubscribe", json!({}));
    }

    #[test]
    fn what_came_while_a_change_was_refused_comes_again() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        let filter = Some(r#"{"/a":[]}"#.into());
        watch(&mut scene, Some(WatchOptions { filter, max_rate: None }));
        watch(&mut scene, Some(WatchOptions::default()));
        scene.hears(&event(1, Some(0)));
        scene.refuses("subscribe", json!({"code": "bad_request", "message": ""}));
        let begin = begins(json!({"epoch": "s1", "seq": 1, "replayed": true}));
        assert_eq!(scene.replies("subscribe", begin)["since"], 0);
        scene.hears(&event(1, Some(0)));
        assert_eq!(events(&mut scene), [1]);
    }

    #[test]
    fn one_that_the_server_ends_is_ended() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.replies("subscribe", begins(json!({"epoch": "s1", "seq": 0})));
        let ended = json!({"code": "unsubscribed", "message": "m", "streams": ["depth", "other"]});
        scene.hears(&json!({"type": "notice", "payload": ended}));
        let refused = scene.told.iter().any(
            |told| matches!(told, ClientEvent::StreamRefused { error, .. } if &*error.code == "unsubscribed"),
        );
        assert!(refused);
        scene.loses(1006);
        scene.passes(1_000);
        scene.greets(&[], "e1");
        assert!(!scene.is_asked("subscribe"));
    }

    #[test]
    fn one_that_cannot_be_had_now_is_asked_for_again() {
        let mut scene = Scene::online(with_queue(100), &[]);
        watch(&mut scene, Some(WatchOptions::default()));
        scene.refuses(
            "subscribe",
            json!({"code": "unavailable", "message": "", "retry_after_ms": 3_000}),
        );
        scene.passes(2_999);
        assert!(!scene.is_asked("subscribe"));
        scene.passes(1);
        assert!(scene.is_asked("subscribe"));
        // No answer: it may be watched, which is made sure of although nobody wants it.
        watch(&mut scene, None);
        assert!(!scene.is_asked("unsubscribe"));
        scene.passes(21_000);
        scene.replies("unsubscribe", json!({}));
        scene.passes(60_000);
        assert!(!scene.is_asked("subscribe") && !scene.is_asked("unsubscribe"));
    }
}
