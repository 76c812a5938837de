//! RFC 8259 as plainly as it can be read, and what this server asks beyond it: no more than 32
//! levels, no half of a surrogate pair. It shares no code with `server::json`, which it is there to
//! contradict, nor, but for numbers, with the library that that uses.

use std::ops::Range;

/// Why a text is no JSON, or none that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    Grammar,
    TooDeep,
    LoneSurrogate,
}

/// A value, and where in the text it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// `null`, `true`, `false`.
    Word,
    Number,
    /// What it says.
    Text(String),
    Array(Vec<Node>),
    /// Names may come twice.
    Object(Vec<(String, Node)>),
}

const DEPTH_MAX: usize = 32;

/// The value that a text is.
pub(crate) fn read(text: &str) -> Result<Node, Defect> {
    let mut reader = Reader { text, place: 0, depth: 0 };
    reader.skip_space();
    let node = reader.value()?;
    reader.skip_space();
    if reader.place == text.len() { Ok(node) } else { Err(Defect::Grammar) }
}

/// Whether a name comes twice.
pub(crate) fn has_name_twice(members: &[(String, Node)]) -> bool {
    members.iter().enumerate().any(|(i, (name, _))| members[..i].iter().any(|(n, _)| n == name))
}

/// The value in the form that programs get; `None` if a number is no double.
pub(crate) fn value(text: &str, node: &Node) -> Option<serde_json::Value> {
    use serde_json::{Map, Value};
    Some(match &node.kind {
        // These have no names: nothing of them is read otherwise.
        Kind::Word | Kind::Number => serde_json::from_str(&text[node.place.clone()]).ok()?,
        Kind::Text(text) => Value::String(text.clone()),
        Kind::Array(items) => {
            Value::Array(items.iter().map(|item| value(text, item)).collect::<Option<_>>()?)
        }
        Kind::Object(members) => {
            let mut map = Map::new();
            for (name, member) in members {
                map.insert(name.clone(), value(text, member)?);
            }
            Value::Object(map)
        }
    })
}

/// Whether a member anywhere has this name.
pub(crate) fn has_name(node: &Node, wanted: &str) -> bool {
    match &node.kind {
        Kind::Word | Kind::Number | Kind::Text(_) => false,
        Kind::Array(items) => items.iter().any(|item| has_name(item, wanted)),
        Kind::Object(members) => {
            members.iter().any(|(name, value)| name == wanted || has_name(value, wanted))
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    place: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.place..]
    }

    fn peek(&self) -> u8 {
        // No NUL is anything in JSON.
        self.rest().first().copied().unwrap_or(0)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let is_there = self.rest().starts_with(wanted.as_bytes());
        self.place += if is_there { wanted.len() } else { 0 };
        is_there
    }

    fn must_eat(&mut self, wanted: &str) -> Result<(), Defect> {
        if self.eat(wanted) { Ok(()) } else { Err(Defect::Grammar) }
    }

    fn skip_space(&mut self) {
        while b" \t\n\r".contains(&self.peek()) {
            self.place += 1;
        }
    }

    fn value(&mut self) -> Result<Node, Defect> {
        let start = self.place;
        let kind = match self.peek() {
            b'{' => self.nested(Reader::object)?,
            b'[' => self.nested(Reader::array)?,
            b'"' => Kind::Text(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            _ if self.eat("null") || self.eat("true") || self.eat("false") => Kind::Word,
            _ => return Err(Defect::Grammar),
        };
        Ok(Node { place: start..self.place, kind })
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Kind, Defect>,
    ) -> Result<Kind, Defect> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Defect::TooDeep);
        }
        self.place += 1;
        self.skip_space();
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind, Defect> {
        let mut members = Vec::new();
        while !self.eat("}") {
            if !members.is_empty() {
                self.must_eat(",")?;
                self.skip_space();
            }
            let name = self.string()?;
            self.skip_space();
            self.must_eat(":")?;
            self.skip_space();
            members.push((name, self.value()?));
            self.skip_space();
        }
        Ok(Kind::Object(members))
    }

    fn array(&mut self) -> Result<Kind, Defect> {
        let mut items = Vec::new();
        while !self.eat("]") {
            if !items.is_empty() {
                self.must_eat(",")?;
                self.skip_space();
            }
            items.push(self.value()?);
            self.skip_space();
        }
        Ok(Kind::Array(items))
    }

    /// `[ minus ] int [ frac ] [ exp ]`
    fn number(&mut self) -> Result<Kind, Defect> {
        self.eat("-");
        if !self.eat("0") {
            self.digits()?;
        }
        if self.eat(".") {
            self.digits()?;
        }
        if self.eat("e") || self.eat("E") {
            let _ = self.eat("+") || self.eat("-");
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), Defect> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.place += count;
        if count == 0 { Err(Defect::Grammar) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, Defect> {
        self.must_eat("\"")?;
        // Sixteen bits each, as RFC 8259 §7 escapes them.
        let mut units: Vec<u16> = Vec::new();
        loop {
            let next = self.text[self.place..].chars().next().ok_or(Defect::Grammar)?;
            self.place += next.len_utf8();
            match next {
                '"' => break,
                '\0'..='\x1F' => return Err(Defect::Grammar),
                '\\' => units.push(self.escaped()?),
                other => units.extend_from_slice(other.encode_utf16(&mut [0; 2])),
            }
        }
        String::from_utf16(&units).map_err(|_| Defect::LoneSurrogate)
    }

    fn escaped(&mut self) -> Result<u16, Defect> {
        const LETTERS: &[u8; 8] = b"\"\\/bfnrt";
        const MEANINGS: &[u8; 8] = b"\"\\/\x08\x0C\n\r\t";
        let letter = self.peek();
        self.place += 1;
        if letter == b'u' {
            let digits = self.rest().get(..4).ok_or(Defect::Grammar)?;
            let digit =
                |unit: Option<u32>, byte: &u8| Some(unit? * 16 + char::from(*byte).to_digit(16)?);
            let unit = digits.iter().fold(Some(0), digit).ok_or(Defect::Grammar)?;
            self.place += 4;
            return Ok(unit as u16);
        }
        let place = LETTERS.iter().position(|known| *known == letter).ok_or(Defect::Grammar)?;
        Ok(u16::from(MEANINGS[place]))
    }
}
