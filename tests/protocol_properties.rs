//! The protocol under random conversations. An endpoint's output does not depend on how its input
//! is split. It sends what a slow and plain model of RFC 6455 and RFC 7692 sends
//! (`fuzz/bodies/model.rs`), it receives what an independent implementation receives
//! (`fuzz/bodies/independent.rs`), and two endpoints understand each other.

#[path = "../fuzz/bodies/conversation.rs"]
mod conversation;
#[path = "../fuzz/bodies/independent.rs"]
mod independent;
#[path = "../fuzz/bodies/model.rs"]
mod model;
#[path = "../fuzz/bodies/slow_header.rs"]
mod slow_header;
#[path = "../fuzz/bodies/slow_inflate.rs"]
mod slow_inflate;

use conversation::{CountedKeys, Outcome, Seen, Settings, drain, endpoint, run};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use parlor::base::{Class, Moment, Outbox};
use parlor::protocol::deflate::{Parameters, RSV1};
use parlor::protocol::endpoint::{Broadcast, Closing};
use parlor::protocol::{
    CloseCode, Endpoint, EndpointLimits, FrameHeader, MaskKeys, Message, Opcode, Received, Role,
    mask,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::VecDeque;

/// A frame as its sender thinks of it.
#[derive(Clone, Debug)]
struct Sent {
    fin: bool,
    rsv: u8,
    opcode: Opcode,
    payload: Vec<u8>,
}

impl Sent {
    fn whole(opcode: Opcode, payload: Vec<u8>) -> Sent {
        Sent { fin: true, rsv: 0, opcode, payload }
    }
}

/// A valid conversation: the frames, the events that they are, and what was agreed of compression.
#[derive(Clone, Debug, Default)]
struct Conversation {
    frames: Vec<Sent>,
    events: Vec<Seen>,
    deflate: Option<Parameters>,
}

/// What a conversation is made of.
#[derive(Clone, Debug)]
enum Part {
    Control(Seen),
    /// A message, how it is compressed if it may be, where it is cut into fragments, and the control
    /// frames that follow its first fragments, one each.
    Data {
        message: Seen,
        compression: Option<Compression>,
        cuts: Vec<Index>,
        between: Vec<Seen>,
    },
}

/// How a sender compresses, and whether it marks the last block.
#[derive(Clone, Copy, Debug)]
struct Compression {
    level: i32,
    is_final: bool,
}

fn compression() -> impl Strategy<Value = Compression> {
    (0i32..=10, any::<bool>()).prop_map(|(level, is_final)| Compression { level, is_final })
}

impl Compression {
    /// RFC 7692 §7.2.1, by `miniz_oxide`: a compressor that shares no line with the one that is
    /// tried here. `stream` is that of the message before, where it lives on.
    fn compress(self, payload: &[u8], stream: &mut CompressorOxide) -> Vec<u8> {
        let mut compressed = Vec::new();
        let flush = if self.is_final { TDEFLFlush::Finish } else { TDEFLFlush::Sync };
        compress_to_output(stream, payload, flush, |bytes| {
            compressed.extend_from_slice(bytes);
            true
        });
        if self.is_final {
            compressed.push(0x00);
        } else {
            compressed.truncate(compressed.len() - 4);
        }
        compressed
    }

    fn stream(self) -> CompressorOxide {
        CompressorOxide::new(create_comp_flags_from_zip_params(self.level, -15, 0))
    }
}

fn control() -> impl Strategy<Value = Seen> {
    let payload = || prop_oneof![3 => vec(any::<u8>(), 0..9), 1 => vec(any::<u8>(), 120..=125)];
    prop_oneof![payload().prop_map(Seen::Ping), payload().prop_map(Seen::Pong)]
}

fn message() -> impl Strategy<Value = Seen> {
    let text = prop_oneof![
        4 => any::<String>(),
        2 => "[aé€😀]{0,20}",
        1 => "[aé€😀]{40,90}",
        // What one message says another has said already.
        3 => ("[ab]{1,3}", 1usize..40).prop_map(|(word, times)| word.repeat(times)),
    ];
    let binary = prop_oneof![
        6 => vec(any::<u8>(), 0..40),
        2 => vec(any::<u8>(), 120..140),
        1 => (0usize..3, any::<u8>()).prop_map(|(more, byte)| vec![byte; 65_534 + more]),
    ];
    prop_oneof![text.prop_map(Seen::Text), binary.prop_map(Seen::Binary)]
}

fn part() -> impl Strategy<Value = Part> {
    let compression = proptest::option::weighted(0.7, compression());
    let data = (message(), compression, vec(any::<Index>(), 0..4), vec(control(), 0..4)).prop_map(
        |(message, compression, cuts, between)| Part::Data { message, compression, cuts, between },
    );
    prop_oneof![1 => control().prop_map(Part::Control), 3 => data]
}

fn close() -> impl Strategy<Value = Seen> {
    let code = prop_oneof![1000u16..=1003, 1007u16..=1014, 3000u16..=4999];
    prop_oneof![
        Just(Seen::Closed(None, String::new())),
        (code, "[aé€😀]{0,30}").prop_map(|(code, reason)| Seen::Closed(Some(code), reason)),
    ]
}

fn payload(event: &Seen) -> (Opcode, Vec<u8>) {
    match event.clone() {
        Seen::Text(text) => (Opcode::Text, text.into_bytes()),
        Seen::Binary(bytes) => (Opcode::Binary, bytes),
        Seen::Ping(bytes) => (Opcode::Ping, bytes),
        Seen::Pong(bytes) => (Opcode::Pong, bytes),
        Seen::Closed(None, _) => (Opcode::Close, Vec::new()),
        Seen::Closed(Some(code), reason) => {
            (Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
        }
    }
}

impl Conversation {
    /// Messages are compressed if `deflate` says whether the context is taken over.
    fn of(parts: Vec<Part>, close: Option<Seen>, deflate: Option<bool>) -> Conversation {
        let deflate = deflate.map(|takes_over| Parameters {
            server_no_context_takeover: !takes_over,
            client_no_context_takeover: !takes_over,
            ..Parameters::default()
        });
        let mut conversation = Conversation { deflate, ..Conversation::default() };
        // One stream for all messages, until one of them has ended it.
        let mut stream = None;
        for part in parts {
            match part {
                Part::Control(event) => conversation.say(event),
                Part::Data { message, compression, cuts, between } => {
                    let (opcode, mut payload) = payload(&message);
                    let compression = compression.filter(|_| deflate.is_some());
                    if let Some(compression) = compression {
                        let stream = stream.get_or_insert_with(|| compression.stream());
                        payload = compression.compress(&payload, stream);
                    }
                    if deflate.is_some_and(|agreed| agreed.server_no_context_takeover)
                        || compression.is_some_and(|compression| compression.is_final)
                    {
                        stream = None;
                    }
                    let rsv = if compression.is_some() { RSV1 } else { 0 };
                    conversation.tell(opcode, rsv, &payload, &cuts, between);
                    conversation.events.push(message);
                }
            }
        }
        if let Some(close) = close {
            conversation.say(close);
        }
        conversation
    }

    /// One frame that is one event.
    fn say(&mut self, event: Seen) {
        let (opcode, payload) = payload(&event);
        self.frames.push(Sent::whole(opcode, payload));
        self.events.push(event);
    }

    /// A message in fragments.
    fn tell(
        &mut self,
        opcode: Opcode,
        rsv: u8,
        payload: &[u8],
        cuts: &[Index],
        between: Vec<Seen>,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([payload.len()]);
        let mut between = between.into_iter();
        for (i, (start, end)) in starts.zip(ends).enumerate() {
            let (opcode, rsv) = if i == 0 { (opcode, rsv) } else { (Opcode::Continuation, 0) };
            let fin = i == cuts.len();
            self.frames.push(Sent { fin, rsv, opcode, payload: payload[start..end].to_vec() });
            if !fin && let Some(control) = between.next() {
                self.say(control);
            }
        }
    }

    /// As the other end of one with `role` would write it.
    fn encoded_for(&self, role: Role) -> Vec<u8> {
        let (mut bytes, mut keys) = (Vec::new(), CountedKeys::default());
        for Sent { fin, rsv, opcode, payload } in &self.frames {
            let mask = (role == Role::Server).then(|| keys.next_key());
            let payload_len = payload.len() as u64;
            let (fin, rsv, opcode) = (*fin, *rsv, *opcode);
            FrameHeader { fin, rsv, opcode, mask, payload_len }.encode(&mut bytes);
            let start = bytes.len();
            bytes.extend_from_slice(payload);
            mask::apply(&mut bytes[start..], mask.unwrap_or([0; 4]), 0);
        }
        bytes
    }
}

prop_compose! {
    fn conversation()(
        parts in vec(part(), 0..5),
        close in proptest::option::of(close()),
        deflate in proptest::option::of(any::<bool>()),
    ) -> Conversation {
        Conversation::of(parts, close, deflate)
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

/// An end with roomy limits.
fn roomy(role: Role, deflate: Option<Parameters>, has_closed: bool) -> Settings {
    Settings { role, deflate, has_closed, limits: EndpointLimits::default() }
}

prop_compose! {
    /// Anything that may be agreed upon.
    fn parameters()(
        server_no_context_takeover: bool,
        client_no_context_takeover: bool,
        server_max_window_bits in 8u8..=15,
        client_max_window_bits in 8u8..=15,
    ) -> Parameters {
        Parameters {
            server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        }
    }
}

prop_compose! {
    /// An end with any limits: mostly so small that they are met.
    fn any_settings()(
        role in role(),
        deflate in proptest::option::of(parameters()),
        has_closed: bool,
        frame_bytes in prop_oneof![0u64..200, Just(u64::MAX)],
        message_bytes in prop_oneof![0u64..200, Just(u64::MAX)],
        fragments in prop_oneof![0u32..5, Just(u32::MAX)],
    ) -> Settings {
        let limits = EndpointLimits { frame_bytes, message_bytes, fragments };
        Settings { role, deflate, has_closed, limits }
    }
}

/// `bytes` cut into pieces whose lengths come over and over.
fn pieces<'b>(bytes: &'b [u8], lens: &[usize]) -> Vec<&'b [u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for len in lens.iter().cycle() {
        let (piece, after) = rest.split_at((*len).min(rest.len()));
        pieces.push(piece);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

fn lens() -> impl Strategy<Value = Vec<usize>> {
    let len = prop_oneof![4 => 1usize..8, 2 => 1usize..200, 1 => 1usize..70_000];
    vec(len, 1..6)
}

/// What happens to bytes on their way through an attacker's hands.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => (place(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (place(), 1usize..9).prop_map(|(at, len)| Mutation::Remove(at, len)),
        1 => (place(), 1usize..20).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        1 => place().prop_map(Mutation::Cut),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let here = bytes.len();
    let range = |at: &Index, len: usize| at.index(here)..(at.index(here) + len).min(here);
    match mutation {
        Mutation::Flip(at, bit) => bytes[at.index(here)] ^= bit,
        Mutation::Set(at, byte) => bytes[at.index(here)] = *byte,
        Mutation::Insert(at, more) => {
            bytes.splice(range(at, 0), more.iter().copied());
        }
        Mutation::Remove(at, len) => {
            bytes.drain(range(at, *len));
        }
        Mutation::Repeat(at, len) => bytes.extend_from_within(range(at, *len)),
        Mutation::Cut(at) => bytes.truncate(at.index(here)),
    }
}

/// First bytes of frames, mostly good ones.
fn first_byte() -> impl Strategy<Value = u8> {
    let good = vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A];
    prop_oneof![6 => proptest::sample::select(good), 1 => any::<u8>()]
}

/// A length in one of its three forms, at and around every boundary, shortest form or not.
fn length() -> impl Strategy<Value = Vec<u8>> {
    let short = prop_oneof![6 => 0u8..6, 6 => 0x80u8..0x86, 1 => any::<u8>()];
    let middle = vec![0u16, 125, 126, 127, 0xFF, 0x100, 0xFFFF];
    let long = vec![0u64, 125, 126, 0xFFFF, 0x1_0000, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX];
    let masked = any::<bool>().prop_map(|masked| if masked { 0x80 } else { 0 });
    prop_oneof![
        4 => short.prop_map(|len| vec![len]),
        1 => (masked.clone(), proptest::sample::select(middle))
            .prop_map(|(masked, len)| [&[masked | 126], &len.to_be_bytes()[..]].concat()),
        1 => (masked, proptest::sample::select(long))
            .prop_map(|(masked, len)| [&[masked | 127], &len.to_be_bytes()[..]].concat()),
    ]
}

/// A Close frame with any code, masked with zeros or not at all.
fn any_close() -> impl Strategy<Value = Vec<u8>> {
    let boundaries =
        vec![0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 2999, 3000, 4999, 5000];
    let code = prop_oneof![3 => proptest::sample::select(boundaries), 1 => any::<u16>()];
    (any::<bool>(), code).prop_map(|(masked, code)| {
        let header = if masked { &[0x88, 0x82, 0, 0, 0, 0][..] } else { &[0x88, 0x02] };
        [header, &code.to_be_bytes()].concat()
    })
}

/// Bytes that often look like frames.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let frame = (first_byte(), length(), vec(any::<u8>(), 0..10))
        .prop_map(|(first, length, rest)| [&[first], &length[..], &rest].concat());
    let frames = vec(prop_oneof![5 => frame, 1 => any_close()], 0..5);
    prop_oneof![1 => vec(any::<u8>(), 0..60), 3 => frames.prop_map(|frames| frames.concat())]
}

/// Asserts that the endpoint says to `stream` what the model says, however it is cut, and hears what
/// another implementation hears.
fn assert_is_the_model(
    settings: &Settings,
    stream: &[u8],
    lens: &[usize],
) -> Result<Outcome, TestCaseError> {
    let model = model::outcome(settings, stream);
    prop_assert_eq!(&run(settings, [stream]), &model, "whole");
    prop_assert_eq!(&run(settings, pieces(stream, lens)), &model, "in pieces");
    prop_assert_eq!(&run(settings, stream.chunks(1)), &model, "byte by byte");
    if settings.deflate.is_none() {
        independent::assert_agrees(settings, stream);
    }
    Ok(model)
}

/// Cases of each property: together some seconds in a debug build.
const CASES: u32 = 600;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_encoded_is_heard_however_it_is_cut(
        conversation in conversation(),
        role in role(),
        has_closed: bool,
        lens in lens(),
    ) {
        let settings = roomy(role, conversation.deflate, has_closed);
        let stream = conversation.encoded_for(role);
        let outcome = assert_is_the_model(&settings, &stream, &lens)?;
        prop_assert_eq!(outcome.error, None);
        prop_assert_eq!(outcome.events, conversation.events);
    }

    #[test]
    fn valid_conversations_meet_any_limits_as_the_model_says(
        mut conversation in conversation(),
        mut settings in any_settings(),
        rsv in vec((any::<Index>(), 0u8..8), 0..2),
        lens in lens(),
    ) {
        settings.deflate = conversation.deflate.or(settings.deflate);
        for (frame, rsv) in rsv {
            if !conversation.frames.is_empty() {
                let frame = frame.index(conversation.frames.len());
                conversation.frames[frame].rsv = rsv;
            }
        }
        assert_is_the_model(&settings, &conversation.encoded_for(settings.role), &lens)?;
    }

    #[test]
    fn mutated_conversations_are_what_the_model_says(
        conversation in conversation(),
        mutations in vec(mutation(), 1..4),
        settings in any_settings(),
        is_roomy: bool,
        lens in lens(),
    ) {
        let mut stream = conversation.encoded_for(settings.role);
        for mutation in &mutations {
            mutate(&mut stream, mutation);
        }
        let roomy = roomy(settings.role, conversation.deflate, settings.has_closed);
        assert_is_the_model(if is_roomy { &roomy } else { &settings }, &stream, &lens)?;
    }

    #[test]
    fn random_bytes_are_what_the_model_says(
        stream in noise(),
        settings in any_settings(),
        lens in lens(),
    ) {
        assert_is_the_model(&settings, &stream, &lens)?;
    }
}

// Two endpoints and a wire between them.

/// What one of the two does next.
#[derive(Clone, Debug)]
enum Act {
    Send(Seen),
    /// As to many, in the class of what may be refused.
    Broadcast(Seen),
    Close(Option<u16>),
    /// Some of what the other has sent arrives.
    Hear(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let ping = vec(any::<u8>(), 0..130).prop_map(Seen::Ping);
    prop_oneof![
        6 => message().prop_map(Act::Send),
        3 => message().prop_map(Act::Broadcast),
        2 => ping.prop_map(Act::Send),
        1 => proptest::option::of(3000u16..4000).prop_map(Act::Close),
        8 => prop_oneof![0usize..20, 0usize..100_000].prop_map(Act::Hear),
    ]
}

/// One of the two.
struct End {
    endpoint: Endpoint,
    out: Outbox,
    /// What is on its way from the other.
    wire: VecDeque<u8>,
    heard: Vec<Seen>,
    /// What was sent that the other must hear: messages and pings.
    said: Vec<Seen>,
    /// The code of this end's Close, once it was asked for.
    closed_with: Option<Option<u16>>,
}

impl End {
    fn new(role: Role, deflate: Option<Parameters>) -> End {
        let mut out = Outbox::alone(1 << 20);
        End {
            endpoint: endpoint(&roomy(role, deflate, false), &mut out),
            out,
            wire: VecDeque::new(),
            heard: Vec::new(),
            said: Vec::new(),
            closed_with: None,
        }
    }

    fn send(&mut self, event: Seen) {
        let message = match &event {
            Seen::Text(text) => Message::Text(text),
            Seen::Binary(bytes) => Message::Binary(bytes),
            Seen::Ping(bytes) => Message::Ping(bytes),
            other => panic!("{other:?} is not sent"),
        };
        let was_open = self.endpoint.send.closing() == Closing::Open;
        let taken = self.endpoint.send.message(message, &mut self.out).is_ok();
        assert_eq!(taken, was_open);
        if taken {
            self.said.push(match event {
                Seen::Ping(mut bytes) => {
                    bytes.truncate(125);
                    Seen::Ping(bytes)
                }
                other => other,
            });
        }
    }

    fn broadcast(&mut self, event: Seen) {
        let mut broadcast = Broadcast::new(match &event {
            Seen::Text(text) => Message::Text(text),
            Seen::Binary(bytes) => Message::Binary(bytes),
            other => panic!("{other:?} is for one"),
        });
        let was_open = self.endpoint.send.closing() == Closing::Open;
        let Endpoint { send, .. } = &mut self.endpoint;
        let taken = send.broadcast(&mut broadcast, Class::Ephemeral, 1, &mut self.out).is_ok();
        assert!(was_open || !taken);
        if taken {
            self.said.push(event);
        }
    }

    fn close(&mut self, code: Option<u16>) {
        if self.endpoint.send.closing() == Closing::Open {
            self.closed_with = Some(code);
        }
        self.endpoint.send.start_close(code.map(CloseCode), "", Moment::NEVER, &mut self.out);
    }

    fn hear(&mut self, len: usize) {
        let len = len.min(self.wire.len());
        let mut bytes: Vec<u8> = self.wire.drain(..len).collect();
        let mut input = Received::new(&mut bytes);
        while let Some(event) = self.endpoint.next_event(&mut input, &mut self.out).unwrap() {
            self.heard.push(event.into());
        }
    }
}

fn deliver(from: &mut End, to: &mut End) {
    let mut bytes = Vec::new();
    drain(&mut from.out, &mut bytes);
    to.wire.extend(bytes);
}

/// The events that are no answers: what the other end said of itself, without its Close.
fn said_of_itself(heard: &[Seen]) -> Vec<&Seen> {
    heard.iter().filter(|event| !matches!(event, Seen::Pong(_) | Seen::Closed(..))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn two_endpoints_hear_what_the_other_says_in_order_and_close_together(
        acts in vec((any::<bool>(), act()), 0..30),
        deflate in proptest::option::weighted(0.8, parameters()),
    ) {
        let mut server = End::new(Role::Server, deflate);
        let mut client = End::new(Role::Client, deflate);
        for (is_server, act) in acts {
            let (end, other) =
                if is_server { (&mut server, &mut client) } else { (&mut client, &mut server) };
            match act {
                Act::Send(event) => end.send(event),
                Act::Broadcast(event) => end.broadcast(event),
                Act::Close(code) => end.close(code),
                Act::Hear(len) => {
                    deliver(other, end);
                    end.hear(len);
                }
            }
        }
        // Until all is said: what is heard may have to be answered.
        for _ in 0..4 {
            deliver(&mut server, &mut client);
            client.hear(usize::MAX);
            deliver(&mut client, &mut server);
            server.hear(usize::MAX);
        }
        prop_assert!(server.out.is_empty() && client.out.is_empty());

        for (end, other) in [(&server, &client), (&client, &server)] {
            prop_assert_eq!(said_of_itself(&end.heard), Vec::from_iter(&other.said));
            // The newest ping is answered, unless a Close was received before it.
            let last_ping = other.said.iter().rev().find_map(|event| match event {
                Seen::Ping(bytes) => Some(bytes),
                _ => None,
            });
            let last_pong = other.heard.iter().rev().find_map(|event| match event {
                Seen::Pong(bytes) => Some(bytes),
                _ => None,
            });
            let is_closed = end.closed_with.is_some() || other.closed_with.is_some();
            prop_assert!(is_closed || last_ping == last_pong);
            // A Close is the last event, once, with the code of whoever began.
            let closes = end.heard.iter().filter(|event| matches!(event, Seen::Closed(..)));
            prop_assert_eq!(closes.count(), usize::from(is_closed));
            if is_closed {
                let code = other.closed_with.or(end.closed_with).unwrap();
                prop_assert_eq!(end.heard.last(), Some(&Seen::Closed(code, String::new())));
                prop_assert_eq!(end.endpoint.send.closing(), Closing::Closed);
            }
        }
    }
}
