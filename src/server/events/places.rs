//! The position of a client of events, in one `id`: in all rooms by a time, in each stream by its
//! `seq`.

use crate::base::limits::{EVENT_ID_BYTES_MAX, LISTENED_STREAMS_MAX};
use crate::base::subscription::{Ask, Subscribed};
use crate::base::{Priority, StreamId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha1::{Digest, Sha1};

/// Bytes of a stream's position: its tag and its `seq`.
const PLACE_BYTES: usize = TAG_BYTES + SEQ_BYTES;
const TAG_BYTES: usize = 4;
/// Enough for the `seq` of any stream.
const SEQ_BYTES: usize = 7;
const EPOCH_BYTES: usize = 16;
/// The digits of a time, and its sign.
const TIME_BYTES: usize = 20;

const _: () = assert!(
    EPOCH_BYTES + 1 + TIME_BYTES + 1 + (LISTENED_STREAMS_MAX * PLACE_BYTES * 4).div_ceil(3)
        < EVENT_ID_BYTES_MAX
);

/// A hash of a stream's name and epoch. It is short because an `id` has the positions of many
/// streams.
type Tag = [u8; TAG_BYTES];

fn tag(stream: &StreamId, epoch: &str) -> Tag {
    let mut hash = Sha1::new();
    hash.update(stream.as_str());
    // This byte is in no name and in no epoch.
    hash.update([0]);
    hash.update(epoch);
    let hash: [u8; 20] = hash.finalize().into();
    let [first, second, third, fourth, ..] = hash;
    [first, second, third, fourth]
}

/// The streams that a client of events watches beside its user's pushes, and its position in each.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// `None` until the streams have begun: until then no `id` may cover them.
    streams: Option<Vec<StreamPlace>>,
    /// The streams have been asked for: a refusal that comes now refuses them.
    pub(crate) is_asking: bool,
    /// The lowest priority among events that may wait. Events above it are sent first.
    lowest: Option<Priority>,
}

#[derive(Debug)]
struct StreamPlace {
    stream: StreamId,
    tag: Tag,
    seq: u64,
}

impl Places {
    /// The streams have begun.
    pub(crate) fn begin(&mut self, streams: &[Subscribed]) {
        self.is_asking = false;
        let place = |one: &Subscribed| StreamPlace {
            stream: one.stream.clone(),
            tag: tag(&one.stream, &one.epoch),
            seq: one.position,
        };
        self.streams = Some(streams.iter().map(place).collect());
    }

    /// Some streams are no longer watched.
    pub(crate) fn end(&mut self, streams: &[StreamId]) {
        if let Some(places) = &mut self.streams {
            places.retain(|place| !streams.contains(&place.stream));
        }
    }

    /// Moves a stream's position to an event that is handed over. Returns the one before, in case
    /// the event is refused.
    pub(crate) fn hand(&mut self, stream: &StreamId, seq: u64) -> u64 {
        let mut places = self.streams.iter_mut().flatten();
        let place = places.find(|place| place.stream == *stream);
        place.map_or(0, |place| std::mem::replace(&mut place.seq, seq))
    }

    /// Whether the `id` of an event that is handed over now may cover all events before it. It may
    /// not if the event could be sent before one that waits.
    pub(crate) fn is_last(&mut self, priority: Priority, others_wait: bool) -> bool {
        let lowest = self.lowest.filter(|_| others_wait);
        self.lowest = Some(lowest.map_or(priority, |lowest| lowest.min(priority)));
        lowest.is_none_or(|lowest| priority <= lowest)
    }

    /// Whether an `id` may cover the streams.
    pub(crate) fn are_known(&self) -> bool {
        self.streams.is_some()
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for place in self.streams.iter().flatten() {
            bytes.extend_from_slice(&place.tag);
            bytes.extend_from_slice(&place.seq.to_be_bytes()[8 - SEQ_BYTES..]);
        }
        bytes
    }
}

/// `epoch.time`, or `epoch.time.places`.
pub(crate) fn id(epoch: &str, time: Timestamp, places: Option<&Places>) -> String {
    let Some(places) = places else { return format!("{epoch}.{}", time.0) };
    format!("{epoch}.{}.{}", time.0, URL_SAFE_NO_PAD.encode(places.written()))
}

/// The position that a client says it has seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LastSeen {
    pub(crate) epoch: Box<str>,
    pub(crate) time: Timestamp,
    /// Only of the streams that were watched then.
    places: Vec<(Tag, u64)>,
}

impl LastSeen {
    /// Reads an `id`. One that cannot be read counts as an unknown position, so that the client is
    /// told of a gap everywhere and misses nothing in silence.
    pub(crate) fn of(id: &str) -> LastSeen {
        LastSeen::parse(id).unwrap_or(LastSeen {
            epoch: "".into(),
            time: Timestamp(i64::MAX),
            places: Vec::new(),
        })
    }

    fn parse(id: &str) -> Option<LastSeen> {
        let mut parts = id.split('.');
        let (epoch, time) = (parts.next()?.into(), Timestamp(parts.next()?.parse().ok()?));
        let places = match parts.next() {
            None => Vec::new(),
            Some(places) => read(places)?,
        };
        parts.next().is_none().then_some(LastSeen { epoch, time, places })
    }

    /// Continues streams where the client was; `epoch` returns the epoch of an existing stream. A
    /// stream that was not watched then, or has another epoch, is told to have a gap.
    pub(crate) fn continue_streams(
        &self,
        asks: &mut [Ask],
        epoch: impl Fn(&StreamId) -> Option<Box<str>>,
    ) {
        for ask in asks {
            let known = epoch(&ask.stream);
            let own = known.as_ref().map(|epoch| tag(&ask.stream, epoch));
            let place = self.places.iter().find(|(tag, _)| Some(tag) == own.as_ref());
            (ask.since, ask.epoch) = match place {
                Some((_, seq)) => (Some(*seq), known),
                None => (Some(u64::MAX), Some("".into())),
            };
        }
    }
}

/// Reads the `id` of a single stream's event: its epoch and its `seq`. One that cannot be read
/// becomes an unknown epoch and the largest `seq`.
pub(crate) fn of_one(id: &str) -> (Box<str>, u64) {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = id.split_once('.').filter(|(_, seq)| is_number(seq));
    let parsed = parts.and_then(|(epoch, seq)| Some((epoch.into(), seq.parse().ok()?)));
    parsed.unwrap_or_else(|| ("".into(), u64::MAX))
}

fn read(places: &str) -> Option<Vec<(Tag, u64)>> {
    let bytes = URL_SAFE_NO_PAD.decode(places).ok()?;
    let (places, rest) = bytes.as_chunks::<PLACE_BYTES>();
    if !rest.is_empty() || places.len() > LISTENED_STREAMS_MAX {
        return None;
    }
    let place = |bytes: &[u8; PLACE_BYTES]| {
        let (tag, seq) = bytes.split_first_chunk::<TAG_BYTES>()?;
        Some((*tag, seq.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
    };
    places.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamId {
        StreamId::parse(name).unwrap()
    }

    fn subscribed(name: &str, epoch: &str, position: u64) -> Subscribed {
        let (stream, epoch) = (stream(name), epoch.into());
        let (snapshot, replayed, stale) = (None, None, None);
        Subscribed { stream, seq: position, epoch, position, snapshot, replayed, stale }
    }

    fn ask(name: &str) -> Ask {
        Ask::whole(stream(name))
    }

    fn continued(id: &str, names: &[&str]) -> Vec<(Option<u64>, Option<Box<str>>)> {
        let mut asks: Vec<Ask> = names.iter().map(|name| ask(name)).collect();
        let epoch = |stream: &StreamId| match stream.as_str() {
            "log" => Some("life-of-the-log".into()),
            "state" => Some("life-of-the-state".into()),
            _ => None,
        };
        LastSeen::of(id).continue_streams(&mut asks, epoch);
        asks.into_iter().map(|ask| (ask.since, ask.epoch)).collect()
    }

    #[test]
    fn each_stream_goes_on_where_it_was_whatever_the_order() {
        let mut places = Places::default();
        assert!(!places.are_known());
        places.begin(&[
            subscribed("log", "life-of-the-log", 7),
            subscribed("state", "life-of-the-state", 1 << 50),
        ]);
        assert_eq!(places.hand(&stream("log"), 9), 7);
        let id = id("epoch", Timestamp(17), Some(&places));
        let seen = LastSeen::of(&id);
        assert_eq!((&*seen.epoch, seen.time), ("epoch", Timestamp(17)));
        assert_eq!(
            continued(&id, &["state", "log"]),
            [
                (Some(1 << 50), Some("life-of-the-state".into())),
                (Some(9), Some("life-of-the-log".into())),
            ]
        );
        places.end(&[stream("state")]);
        let id = super::id("epoch", Timestamp(17), Some(&places));
        assert_eq!(continued(&id, &["state"]), [(Some(u64::MAX), Some("".into()))]);
    }

    #[test]
    fn what_goes_before_others_does_not_stand_for_them() {
        use Priority::{High, Low, Normal};
        let mut places = Places::default();
        let told = [(High, false), (Normal, true), (Normal, true), (High, true), (Low, true)];
        assert_eq!(
            told.map(|(priority, others)| places.is_last(priority, others)),
            [true, true, true, false, true]
        );
        assert!(!places.is_last(Normal, true));
        assert!(places.is_last(High, false) && places.is_last(High, true));
    }

    #[test]
    fn one_of_another_life_has_a_gap() {
        let mut places = Places::default();
        places.begin(&[subscribed("log", "an-earlier-life", 7), subscribed("gone", "life", 7)]);
        let id = id("epoch", Timestamp(17), Some(&places));
        let gap = (Some(u64::MAX), Some("".into()));
        assert_eq!(continued(&id, &["log", "gone"]), [gap.clone(), gap]);
    }

    #[test]
    fn one_that_did_not_come_along_before_has_a_gap() {
        let gap = (Some(u64::MAX), Some("".into()));
        assert_eq!(continued(&id("epoch", Timestamp(17), None), &["log"]), [gap]);
    }

    #[test]
    fn the_id_of_one_stream_is_its_life_and_its_seq() {
        assert_eq!(of_one("life.7"), ("life".into(), 7));
        for none in
            ["", "x", ".", "life.", "life.-1", "life.+5", "life.7.x", "life.99999999999999999999"]
        {
            assert_eq!(of_one(none), ("".into(), u64::MAX), "{none}");
        }
    }

    #[test]
    fn what_is_no_id_is_a_gap_in_all() {
        let gap = (Some(u64::MAX), Some("".into()));
        for id in ["", "x", ".", "x.y", "x.1.", "x.1.AAAA", "x.1.%", "x.1.AAAA.x", "x.1.-.-"] {
            let is_empty_list = id == "x.1.";
            assert_eq!(continued(id, &["log"]), std::slice::from_ref(&gap), "{id}");
            assert_eq!(LastSeen::of(id).time == Timestamp(i64::MAX), !is_empty_list, "{id}");
        }
        let too_many = URL_SAFE_NO_PAD.encode([0; PLACE_BYTES * (LISTENED_STREAMS_MAX + 1)]);
        assert_eq!(LastSeen::parse(&format!("x.1.{too_many}")), None);
    }

    #[test]
    fn the_longest_id_has_its_room() {
        let mut places = Places::default();
        let name = |n: usize| format!("stream-{n}");
        let all = (0..LISTENED_STREAMS_MAX).map(|n| subscribed(&name(n), "life", (1 << 56) - 1));
        places.begin(&all.collect::<Vec<_>>());
        let id = id("0123456789abcdef", Timestamp(i64::MIN), Some(&places));
        assert!(id.len() < EVENT_ID_BYTES_MAX, "{}", id.len());
        let seen = LastSeen::of(&id).places;
        assert_eq!(seen.len(), LISTENED_STREAMS_MAX);
        assert!(seen.iter().all(|(_, seq)| *seq == (1 << 56) - 1));
    }
}
