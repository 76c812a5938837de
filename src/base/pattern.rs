//! Patterns of stream names, in declarations and in tokens.

use super::names::NAME_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// A pattern of names: segments between colons. Each is a text, or `{name}` for any one segment. A
/// `*` at the end matches any rest, even an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    segments: Vec<Segment>,
    /// If it ends with `*`: how the rest of the name after `segments` begins.
    open_end: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    /// Any one segment, with this placeholder name.
    Any(Box<str>),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It is empty, or longer than a name may be.
    Length,
    /// It has a character that no name has, or a brace or star in a wrong place.
    Character,
    /// Two placeholders have the same name.
    Twice,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::Length => "is empty or longer than 64 bytes",
            PatternError::Character => {
                "is not made of segments with colons between them, each of A-Z a-z 0-9 _ . @ - or {name}, \
                 with * at the end alone"
            }
            PatternError::Twice => "has two placeholders of one name",
        })
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(PatternError::Length);
        }
        let (closed, is_open) = match text.strip_suffix('*') {
            Some(before) => (before, true),
            None => (text, false),
        };
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for segment in closed.split(':') {
            if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                if name.is_empty() || !is_plain(name) {
                    return Err(PatternError::Character);
                }
                if names.contains(&name) {
                    return Err(PatternError::Twice);
                }
                names.push(name);
                segments.push(Segment::Any(name.into()));
            } else if is_plain(segment) {
                segments.push(Segment::Text(segment.into()));
            } else {
                return Err(PatternError::Character);
            }
        }
        let mut open_end = None;
        if is_open {
            // The text before the star is the beginning of a segment.
            match segments.pop() {
                Some(Segment::Text(beginning)) => open_end = Some(beginning),
                _ => return Err(PatternError::Character),
            }
        }
        Ok(Pattern { text: text.into(), segments, open_end })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it fits more than one name.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_end.is_some()
            || self.segments.iter().any(|segment| matches!(segment, Segment::Any(_)))
    }

    /// The names of its placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Text(_) => None,
            Segment::Any(name) => Some(&**name),
        })
    }

    /// Whether a name fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        self.bind(name).is_some()
    }

    /// The values of the placeholders in a name that fits, in order.
    #[must_use]
    pub fn bind<'a>(&'a self, name: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut bound = Vec::new();
        let mut rest = Some(name);
        for segment in &self.segments {
            let (here, behind) = match rest?.split_once(':') {
                Some((here, behind)) => (here, Some(behind)),
                None => (rest?, None),
            };
            match segment {
                Segment::Text(text) if **text == *here => {}
                Segment::Any(name) if !here.is_empty() => bound.push((&**name, here)),
                Segment::Text(_) | Segment::Any(_) => return None,
            }
            rest = behind;
        }
        match (&self.open_end, rest) {
            (None, None) => Some(bound),
            (Some(beginning), Some(rest)) if rest.starts_with(&**beginning) => Some(bound),
            (None, Some(_)) | (Some(_), _) => None,
        }
    }

    /// Whether some name fits both.
    #[must_use]
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let (short, long) =
            if self.segments.len() <= other.segments.len() { (self, other) } else { (other, self) };
        let (shared, behind) = long.segments.split_at(short.segments.len());
        shared.iter().zip(&short.segments).all(|(one, other)| one.meets(other))
            && match (&short.open_end, behind.first(), &long.open_end) {
                (None, None, None) => true,
                (Some(beginning), Some(next), _) => next.may_begin_with(beginning),
                (Some(one), None, Some(other)) => {
                    one.starts_with(&**other) || other.starts_with(&**one)
                }
                // One of the two needs more segments than the other has.
                (None, Some(_), _) | (None, None, Some(_)) | (Some(_), None, None) => false,
            }
    }

    /// The name with these values for the placeholders, in order; `None` if their number differs,
    /// or if it ends with a star.
    #[must_use]
    pub fn fill<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Option<String> {
        if self.open_end.is_some() {
            return None;
        }
        let mut values = values.into_iter();
        let mut segments = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            segments.push(match segment {
                Segment::Text(text) => &**text,
                Segment::Any(_) => values.next()?,
            });
        }
        values.next().is_none().then(|| segments.join(":"))
    }
}

impl Segment {
    /// Whether one text fits both.
    fn meets(&self, other: &Segment) -> bool {
        match (self, other) {
            (Segment::Text(one), Segment::Text(other)) => one == other,
            (Segment::Any(_), _) | (_, Segment::Any(_)) => true,
        }
    }

    fn may_begin_with(&self, beginning: &str) -> bool {
        match self {
            Segment::Text(text) => text.starts_with(beginning),
            Segment::Any(_) => true,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().fits(name)
    }

    #[test]
    fn a_placeholder_is_one_segment_and_a_star_the_rest() {
        assert!(fits("state", "state") && !fits("state", "state:1") && !fits("state", "stat"));
        assert!(fits("adw-state:{id}", "adw-state:7"));
        for other in ["adw-state", "adw-state:", "adw-state:7:8", "adw-stat:7", "x:adw-state:7"] {
            assert!(!fits("adw-state:{id}", other), "{other}");
        }
        assert!(fits("a:{x}:c:{y}", "a:1:c:2") && !fits("a:{x}:c:{y}", "a:1:d:2"));
        assert!(fits("*", "anything:at:all") && fits("a:*", "a:b:c") && fits("a:b*", "a:bc:d"));
        assert!(!fits("a:*", "a") && !fits("a:b*", "a:c") && fits("{x}:*", "q:r"));
    }

    #[test]
    fn placeholders_are_bound_in_their_order_and_filled_again() {
        let pattern = Pattern::parse("a:{x}:c:{y}").unwrap();
        assert_eq!(pattern.bind("a:1:c:2"), Some(vec![("x", "1"), ("y", "2")]));
        assert_eq!(pattern.fill(["1", "2"]).as_deref(), Some("a:1:c:2"));
        assert_eq!(pattern.fill(["1"]), None);
        assert_eq!(pattern.fill(["1", "2", "3"]), None);
        assert!(pattern.is_open() && !Pattern::parse("a:b").unwrap().is_open());
    }

    #[test]
    fn patterns_overlap_where_a_name_could_fit_both() {
        let overlap = |one: &str, other: &str| {
            let (one, other) = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
            assert_eq!(one.overlaps(&other), other.overlaps(&one));
            one.overlaps(&other)
        };
        for (one, other) in [
            ("a", "a"),
            ("a:{x}", "a:{y}"),
            ("a:{x}", "a:b"),
            ("a:{x}", "{y}:b"),
            ("{x}:{y}", "a:{z}"),
            ("*", "a:b"),
            ("a:*", "a:{x}:c"),
            ("cam:front*", "cam:{id}"),
            ("cam:front*", "cam:front:{part}"),
            ("cam:*", "{kind}:{id}"),
            ("{kind}:*", "cam:{id}"),
            ("a:b*", "a:*"),
            ("a:b*", "a:bc:d*"),
            ("a:b*", "a:{x}:d*"),
        ] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("a", "b"),
            ("a:{x}", "b:{x}"),
            ("a:{x}", "a"),
            ("a:{x}", "a:{x}:c"),
            ("{x}:b", "a:c"),
            ("a:*", "a"),
            ("a:*", "b:{x}"),
            ("cam:front*", "cam:back"),
            ("cam:front*", "cam:fro"),
            ("a:{x}:c*", "a:{x}"),
            ("a:b*", "a:c*"),
            ("a:b*", "a:c:d*"),
        ] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }

    // A slow and obvious model: tries each name made of all segments that could matter.
    #[test]
    fn patterns_overlap_as_all_names_of_three_segments_say() {
        let parts = ["a", "ab", "b"];
        let one = parts.map(String::from).to_vec();
        let add = |names: &[String]| -> Vec<String> {
            names.iter().flat_map(|name| parts.map(|part| format!("{name}:{part}"))).collect()
        };
        let (two, three) = (add(&one), add(&add(&one)));
        let names: Vec<String> = [one, two, three].concat();
        let texts = [
            "*",
            "a",
            "a*",
            "ab",
            "b*",
            "{x}",
            "a:*",
            "a:a",
            "a:a*",
            "a:ab*",
            "a:{x}",
            "{x}:*",
            "{x}:a",
            "{x}:b*",
            "{x}:{y}",
            "a:{x}:*",
            "a:{x}:b",
            "{x}:a:ab*",
            "{x}:{y}:a",
            "{x}:{y}:b*",
        ];
        for one in texts {
            for other in texts {
                let (one, other) = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
                let model = names.iter().any(|name| one.fits(name) && other.fits(name));
                assert_eq!(one.overlaps(&other), model, "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let fault = |text: &str| Pattern::parse(text).unwrap_err();
        assert_eq!(fault(""), PatternError::Length);
        assert_eq!(fault(&"x".repeat(65)), PatternError::Length);
        for wrong in ["a b", "a*b", "**", "a{x}", "{x}b", "{}", "{a b}", "{x", "{x}*", "ä", "a/b"]
        {
            assert_eq!(fault(wrong), PatternError::Character, "{wrong}");
        }
        assert_eq!(fault("{x}:{x}"), PatternError::Twice);
    }
}
