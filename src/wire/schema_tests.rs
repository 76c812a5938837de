//! `docs/wire.schema.json`: what each request may have, learned from what parses it. A payload is tried, and what is said of
//! it decides what is tried next; no list of members is written down here. Replies and pushes are of `told_schema_tests.rs`.
//!
//! `PARLOR_WRITE=1 cargo test --lib wire::schema_tests` writes the file anew.

use super::admin_request::admin_request;
use super::json::looked_at;
use super::request::{Envelope, Fault, TYPES};
use super::stream_request::stream_request;
use super::told_schema_tests::told;
use crate::base::{Limits, RefusalCode, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type PayloadMembers = Map<String, Value>;

/// Parses a request as the server does, up to where it would be done.
fn parse(kind: &str, payload: &PayloadMembers) -> Result<(), Fault> {
    let text = json!({"type": kind, "payload": payload}).to_string();
    let limits = Limits::default();
    let envelope = Envelope::parse(&text).map_err(|(_, fault)| fault)?;
    looked_at::begin();
    if kind == "auth" {
        return envelope.auth().map(drop);
    }
    if envelope.request(&limits, Timestamp(0))?.is_some() {
        return Ok(());
    }
    let fields = envelope.fields(&limits, Timestamp(0));
    let is_known = stream_request(&envelope, &fields)?.is_some()
        || admin_request(&envelope, &fields)?.is_some();
    assert!(is_known || kind == "ping", "nobody parses {kind}");
    Ok(())
}

/// What a member may be: of each kind of JSON one that some member takes.
fn samples() -> Vec<Value> {
    vec![
        json!("tea"),
        json!("7-1a2b3c"),
        json!(1),
        json!(true),
        json!(["tea"]),
        json!({"tea": 1}),
        json!({"/tea": 1}),
    ]
}

fn with(payload: &PayloadMembers, name: &str, value: Value) -> PayloadMembers {
    let mut more = payload.clone();
    more.insert(name.to_owned(), value);
    more
}

fn without(payload: &PayloadMembers, names: &[&String]) -> PayloadMembers {
    let mut less = payload.clone();
    less.retain(|name, _| !names.contains(&name));
    less
}

/// One way to say a request: what it needs, and what it may have beside that.
#[derive(Debug)]
struct RequestWay {
    needed: PayloadMembers,
    optional: PayloadMembers,
    /// Members that go only with another.
    goes_with: BTreeMap<String, String>,
    /// Optional members that exclude each other.
    either: Vec<[String; 2]>,
    /// Members of other ways, beside which this is refused.
    refused: Vec<String>,
}

impl RequestWay {
    fn members(&self) -> impl Iterator<Item = (String, Value)> {
        self.needed.clone().into_iter().chain(self.optional.clone())
    }
}

struct Learner {
    kind: &'static str,
    looked: BTreeSet<String>,
}

impl Learner {
    fn is_good(&mut self, payload: &PayloadMembers) -> bool {
        self.fault(payload).is_none()
    }

    fn fault(&mut self, payload: &PayloadMembers) -> Option<Fault> {
        let fault = parse(self.kind, payload).err();
        self.looked.extend(looked_at::take());
        fault
    }

    /// The least that is accepted, begun with this.
    fn least(&mut self, mut payload: PayloadMembers) -> Option<PayloadMembers> {
        while let Some(fault) = self.fault(&payload) {
            let missing = fault.field?;
            if payload.contains_key(missing) {
                return None;
            }
            // What is right is not complained of.
            let mut right = samples().into_iter().filter(|sample| {
                let next = self.fault(&with(&payload, missing, sample.clone()));
                next.is_none_or(|next| next.field != Some(missing))
            });
            payload.insert(missing.to_owned(), right.next()?);
        }
        Some(payload)
    }

    /// The first sample that a member may be beside these; none of one that is not looked at then.
    fn sample(&mut self, payload: &PayloadMembers, name: &str) -> Option<Value> {
        samples().into_iter().find(|sample| {
            let is_good = parse(self.kind, &with(payload, name, sample.clone())).is_ok();
            is_good && looked_at::take().contains(name)
        })
    }

    /// Without what is not needed.
    fn least_of(&mut self, payload: PayloadMembers) -> PayloadMembers {
        payload.keys().fold(payload.clone(), |rest, name| {
            let less = without(&rest, &[name]);
            if self.is_good(&less) { less } else { rest }
        })
    }

    fn ways(&mut self) -> Vec<RequestWay> {
        let first = self.least(PayloadMembers::new()).expect(self.kind);
        let mut found = vec![first.clone()];
        // In place of one that is needed, or of two.
        for name in self.looked.clone() {
            if first.contains_key(&name) || self.sample(&first, &name).is_some() {
                continue;
            }
            let needed: Vec<&String> = first.keys().collect();
            let pairs = needed
                .iter()
                .enumerate()
                .flat_map(|(at, one)| needed[at + 1..].iter().map(move |other| vec![*one, *other]));
            let singles = needed.iter().map(|one| vec![*one]);
            for left_out in singles.chain(pairs) {
                let rest = without(&first, &left_out);
                if let Some(sample) = self.sample(&rest, &name) {
                    let way = self.least_of(with(&rest, &name, sample));
                    found.push(way);
                    break;
                }
            }
        }
        let mut ways: Vec<_> = found.into_iter().map(|needed| self.way(needed)).collect();
        let all: PayloadMembers = ways.iter().flat_map(RequestWay::members).collect();
        for way in &mut ways {
            let has = |name: &&String| way.members().any(|(of_it, _)| of_it == **name);
            let others: Vec<&String> = all.keys().filter(|name| !has(name)).collect();
            for name in others {
                if !self.is_good(&with(&way.needed, name, all[name].clone())) {
                    way.refused.push(name.clone());
                }
            }
        }
        ways
    }

    fn way(&mut self, needed: PayloadMembers) -> RequestWay {
        let names: Vec<String> =
            self.looked.iter().filter(|name| !needed.contains_key(*name)).cloned().collect();
        let mut optional = PayloadMembers::new();
        for name in &names {
            if let Some(sample) = self.sample(&needed, name) {
                optional.insert(name.clone(), sample);
            }
        }
        let mut goes_with = BTreeMap::new();
        let alone = optional.clone();
        for name in names.iter().filter(|name| !alone.contains_key(*name)) {
            for (other, value) in &alone {
                let both = with(&needed, other, value.clone());
                if let Some(sample) = self.sample(&both, name) {
                    goes_with.insert(name.clone(), other.clone());
                    optional.insert(name.clone(), sample);
                    break;
                }
            }
        }
        let mut either = Vec::new();
        let given: Vec<(&String, &Value)> = optional.iter().collect();
        for (at, (one, value)) in given.iter().enumerate() {
            for (other, its) in &given[at + 1..] {
                let is_free = ![one, other].iter().any(|name| goes_with.contains_key(**name));
                let both = with(&with(&needed, one, (*value).clone()), other, (*its).clone());
                if is_free && !self.is_good(&both) {
                    either.push([(*one).clone(), (*other).clone()]);
                }
            }
        }
        RequestWay { needed, optional, goes_with, either, refused: Vec::new() }
    }

    /// What a member of a request that is accepted may be.
    fn kind_of(&mut self, payload: &PayloadMembers, name: &str) -> Value {
        let mut takes = |value: Value| self.is_good(&with(payload, name, value));
        let kinds = [json!("tea"), json!("7-1a2b3c"), json!(1), json!(true), json!(["tea"])];
        let taken: Vec<bool> = kinds.into_iter().map(&mut takes).collect();
        let takes_object = takes(json!({"tea": 1})) || takes(json!({"/tea": 1}));
        match (&taken[..], takes_object) {
            ([true, true, true, true, true], true) => json!({}),
            ([true, true, false, false, false], false) => text(&mut takes),
            ([false, true, false, false, false], false) => json!({"$ref": "#/$defs/connection"}),
            ([false, false, true, false, false], false) => number(&mut takes),
            ([false, false, false, true, false], false) if takes(json!(false)) => {
                json!({"type": "boolean"})
            }
            ([false, false, false, true, false], false) => json!({"const": true}),
            ([false, false, false, false, true], false) => {
                let items = text(&mut |value| takes(json!([value])));
                let mut list = json!({"type": "array", "items": items});
                if !takes(json!([])) {
                    list["minItems"] = json!(1);
                }
                list
            }
            ([false, false, false, false, false], true) => object(&mut takes),
            other => panic!("{} {name}: {other:?}", self.kind),
        }
    }
}

fn text(takes: &mut dyn FnMut(Value) -> bool) -> Value {
    let taken = ["", "a b", "x:y", ":guest-1"].map(|sample| takes(json!(sample)));
    match taken {
        // Names of rooms and streams.
        [false, false, true, true] => json!({"$ref": "#/$defs/name"}),
        [false, false, false, false] => json!({"$ref": "#/$defs/user"}),
        [false, false, false, true] => json!({"$ref": "#/$defs/anybody"}),
        [true, true, true, true] => json!({"type": "string"}),
        [false, true, true, true] => json!({"type": "string", "minLength": 1}),
        other => panic!("{other:?}"),
    }
}

fn number(takes: &mut dyn FnMut(Value) -> bool) -> Value {
    assert!(!takes(json!(-1)) && !takes(json!(1.5)));
    let mut kind = json!({"type": "integer", "minimum": i32::from(!takes(json!(0)))});
    if !takes(json!(1_i64 << 53)) {
        // By halves.
        let (mut least, mut most) = (1_u64, 1_u64 << 53);
        while most - least > 1 {
            let middle = least.midpoint(most);
            if takes(json!(middle)) { least = middle } else { most = middle }
        }
        kind["maximum"] = json!(least);
    }
    kind
}

fn object(takes: &mut dyn FnMut(Value) -> bool) -> Value {
    match (takes(json!({"tea": 1})), takes(json!({"/tea": 1})), takes(json!({"tea": "x"}))) {
        (true, false, false) => {
            let position = json!({"type": "integer", "minimum": 0});
            let names = json!({"$ref": "#/$defs/name"});
            json!({"type": "object", "propertyNames": names, "additionalProperties": position})
        }
        (false, true, false) => json!({"type": "object", "propertyNames": {"pattern": "^(/|$)"}}),
        (true, true, true) => json!({"type": "object"}),
        other => panic!("{other:?}"),
    }
}

fn of_way(learner: &mut Learner, way: &RequestWay) -> Value {
    let mut properties = Map::new();
    for name in way.needed.keys() {
        properties.insert(name.clone(), learner.kind_of(&way.needed, name));
    }
    for name in way.optional.keys() {
        let mut beside = way.needed.clone();
        if let Some(other) = way.goes_with.get(name) {
            beside = with(&beside, other, way.optional[other].clone());
        }
        properties.insert(name.clone(), learner.kind_of(&beside, name));
    }
    properties.extend(way.refused.iter().map(|name| (name.clone(), json!(false))));
    let mut schema = json!({"type": "object", "properties": properties});
    if !way.needed.is_empty() {
        schema["required"] = way.needed.keys().cloned().collect();
    }
    for (name, other) in &way.goes_with {
        schema["dependentRequired"][name] = json!([other]);
    }
    if !way.either.is_empty() {
        let both = way.either.iter().map(|pair| json!({"required": pair}));
        schema["not"] = json!({"anyOf": both.collect::<Vec<_>>()});
    }
    schema
}

fn of_request(kind: &'static str) -> Value {
    let mut learner = Learner { kind, looked: BTreeSet::new() };
    let ways = learner.ways();
    let mut schemas: Vec<Value> = ways.iter().map(|way| of_way(&mut learner, way)).collect();
    if schemas.len() == 1 { schemas.remove(0) } else { json!({"oneOf": schemas}) }
}

/// A name's pattern and length, by trying each character of ASCII in it.
fn of_name(kind: &'static str, rest: &PayloadMembers, member: &str) -> Value {
    let takes = |name: &str| parse(kind, &with(rest, member, json!(name))).is_ok();
    let class = |place: fn(char) -> String| {
        let good = |byte: &u8| takes(&place(char::from(*byte)));
        ranges(&(0..128_u8).filter(good).collect::<Vec<_>>())
    };
    let [first, others] = [class(|one| format!("{one}a")), class(|one| format!("a{one}"))];
    assert_eq!(first, others, "a character may stand anywhere");
    // A folder and the one above it are no names.
    assert!([".", "..", "..."].iter().all(|dots| !takes(dots)) && takes("-"));
    let pattern = format!("^(?!\\.*$)[{first}]+$");
    let longest = (1..1_000).take_while(|len| takes(&"a".repeat(*len))).last();
    assert!(!takes("é"), "names are ASCII");
    json!({"type": "string", "pattern": pattern, "maxLength": longest})
}

/// Names that begin otherwise may be longer: of these characters, too.
fn longer(kind: &'static str, member: &str, prefix: &str, plain: &Value) -> Value {
    let takes = |name: &str| {
        let payload = with(&PayloadMembers::new(), member, json!(format!("{prefix}{name}")));
        parse(kind, &payload).is_ok()
    };
    let longest = (1..200).take_while(|len| takes(&"a".repeat(*len))).last().unwrap();
    assert!(!takes("/") && !takes("é"), "{prefix}: the characters are the same");
    let pattern = plain["pattern"].as_str().unwrap();
    // With the prefix of a direct room there is something that is no dot.
    let is_whole = takes("");
    assert_eq!(is_whole, takes(".."), "{prefix}");
    let class = &pattern[pattern.find('[').unwrap()..=pattern.rfind(']').unwrap()];
    let rest = if is_whole { format!("{class}*") } else { format!("(?!\\.*$){class}+") };
    json!({"type": "string", "pattern": format!("^{prefix}{rest}$"), "maxLength": prefix.len() + longest})
}

/// A connection has one text.
fn of_connection() -> Value {
    let takes = |id: &str| {
        parse("admin:disconnect", &with(&PayloadMembers::new(), "connection", json!(id))).is_ok()
    };
    let good = ["0-0", "10-1a2b3c", "4294967295-ffffffff"];
    let bad = ["01-1", "1-01", "1-A", "-1", "1-", "4294967296-0", "0-100000000"];
    assert!(good.into_iter().all(takes) && !bad.into_iter().any(takes));
    json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,9})-(0|[1-9a-f][0-9a-f]{0,7})$"})
}

/// Characters as a class of a regular expression has them.
fn ranges(characters: &[u8]) -> String {
    let runs = characters.chunk_by(|one, next| one + 1 == *next);
    let of_one = |one: &u8| if *one == b'-' { "\\-".into() } else { char::from(*one).to_string() };
    let of_run = |run: &[u8]| match run {
        [first, _, .., last] => format!("{}-{}", char::from(*first), char::from(*last)),
        few => few.iter().map(of_one).collect(),
    };
    runs.map(of_run).collect()
}

fn schema() -> Value {
    let requests: Map<String, Value> =
        TYPES.iter().map(|kind| ((*kind).to_owned(), of_request(kind))).collect();
    let [shapes, replies, pushes] = told();
    let name = of_name("room:info", &PayloadMembers::new(), "room");
    let user = of_name("chat:send", &with(&PayloadMembers::new(), "text", json!("")), "to");
    // Direct conversations are named by both of their users; guests, and the server itself, by what no user is.
    let direct = longer("room:info", "room", "dm:", &name);
    let of_server = longer("admin:user", "user", ":", &user);
    let mut named = json!({
        "name": {"anyOf": [name, direct]},
        "user": user,
        "anybody": {"anyOf": [{"$ref": "#/$defs/user"}, of_server]},
        "connection": of_connection(),
    });
    for (name, shape) in shapes {
        named[name] = shape;
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The payloads of parlor's messages (protocol.md)",
        "$comment": "Made of what parses requests and writes the rest: PARLOR_WRITE=1 cargo test --lib wire::schema_tests. \
            To the server a member of a request that is null is as one that is missing; here it is left out.",
        "$defs": named,
        "requests": requests,
        "replies": replies,
        "pushes": pushes,
    })
}

#[test]
fn the_schema_is_what_parses_requests_and_writes_the_rest() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wire.schema.json");
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("PARLOR_WRITE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/wire.schema.json is not what the server reads and writes: PARLOR_WRITE=1 cargo test --lib wire::schema_tests"
    );
}

/// The schema has these words at a place, and no other: samples of `told_schema_tests.rs` name words that are others' to say.
pub(crate) fn assert_words<'w>(place: &str, said: impl IntoIterator<Item = &'w str>) {
    let schema: Value = serde_json::from_str(include_str!("../../docs/wire.schema.json")).unwrap();
    let known = schema.pointer(place).expect(place).as_array().expect(place);
    let known: BTreeSet<&str> = known.iter().filter_map(Value::as_str).collect();
    assert_eq!(known, said.into_iter().collect(), "{place}");
}

#[test]
fn what_is_learned_is_found_again() {
    let mut learner = Learner { kind: "chat:send", looked: BTreeSet::new() };
    let ways = learner.ways();
    let needed: Vec<Vec<&String>> = ways.iter().map(|way| way.needed.keys().collect()).collect();
    assert_eq!(needed, [["room", "text"], ["text", "to"]]);
    assert!(ways.iter().all(|way| way.optional.keys().eq(["cid", "data", "reply_to"])));
    let kinds = of_request("subscribe");
    assert_eq!(kinds["oneOf"][0]["dependentRequired"], json!({"epoch": ["since"]}));
    assert_eq!(kinds["oneOf"][0]["properties"]["max_rate"]["maximum"], 1_000);
    assert_eq!(
        of_request("chat:history")["not"]["anyOf"][0]["required"],
        json!(["after", "before"])
    );
    assert_eq!(
        parse("chat:send", &PayloadMembers::new()).unwrap_err().code,
        RefusalCode::BadRequest
    );
}
