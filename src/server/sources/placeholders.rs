//! Fills a stream's placeholders into what is polled for it.

use crate::backend::PollFrom;
use crate::base::pattern::Pattern;
use crate::config::{FeedTarget, Program};
use crate::http1::percent_encoded;

/// What is asked for the stream of a family with this name. `None` if the name does not fit, or if
/// a value would not mean a name there: `.` and `..` in a path, or an option of a program.
pub(super) fn fill_placeholders(
    target: &FeedTarget,
    pattern: &Pattern,
    stream: &str,
) -> Option<PollFrom> {
    let values = pattern.bind(stream)?;
    let is_dots = |value: &str| value.bytes().all(|byte| byte == b'.');
    match target {
        FeedTarget::Url(_) if values.iter().any(|(_, value)| is_dots(value)) => None,
        FeedTarget::Url(url) => {
            let values: Vec<(&str, String)> =
                values.into_iter().map(|(name, value)| (name, percent_encoded(value))).collect();
            Some(PollFrom::Url(replace_placeholders(url, |name| value_of(&values, name))?))
        }
        FeedTarget::Command(Program { parts, env }) => {
            let part = |part: &std::sync::Arc<str>| {
                let filled = replace_placeholders(part, |name| value_of(&values, name))?;
                let becomes_option = filled.starts_with('-') && !part.starts_with('-');
                (!becomes_option).then_some(filled)
            };
            let env = env.iter().map(|one| one.to_string()).collect();
            Some(PollFrom::Command(parts.iter().map(part).collect::<Option<_>>()?, env))
        }
    }
}

fn value_of<'v>(values: &'v [(&str, impl AsRef<str>)], name: &str) -> Option<&'v str> {
    values.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_ref())
}

fn replace_placeholders<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut filled = String::with_capacity(text.len());
    let mut pieces = text.split('{');
    filled.push_str(pieces.next()?);
    for piece in pieces {
        let (name, rest) = piece.split_once('}')?;
        filled.push_str(value(name)?);
        filled.push_str(rest);
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(pattern: &str, url: &str, stream: &str) -> Option<String> {
        match fill_placeholders(
            &FeedTarget::Url(url.into()),
            &Pattern::parse(pattern).unwrap(),
            stream,
        )? {
            PollFrom::Url(url) => Some(url),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn placeholders_are_filled_and_mean_nothing_else_there() {
        let both = |stream: &str| url("s:{a}:{b}", "http://h/{b}/x?y={a}&z={a}", stream);
        assert_eq!(both("s:1:a@b").as_deref(), Some("http://h/a%40b/x?y=1&z=1"));
        assert_eq!(both("s:.a:..b").as_deref(), Some("http://h/..b/x?y=.a&z=.a"));
        assert_eq!(both("s:..:b"), None);
        assert_eq!(both("s:a:."), None);
        assert_eq!(both("t:1:2"), None);
        assert_eq!(url("s", "http://h/", "s").as_deref(), Some("http://h/"));
        let command = |stream: &str| {
            let parts = ["show", "-n{id}", "{id}"].map(Into::into).to_vec();
            let pattern = Pattern::parse("s:{id}").unwrap();
            let program = Program { parts, env: Vec::new() };
            match fill_placeholders(&FeedTarget::Command(program), &pattern, stream)? {
                PollFrom::Command(parts, _) => Some(parts),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(command("s:7").unwrap(), ["show", "-n7", "7"]);
        assert_eq!(command("s:.."), Some(["show", "-n..", ".."].map(str::to_owned).to_vec()));
        assert_eq!(command("s:-rf"), None, "no option by a name");
    }
}
