//! Path templates: a segment may be a name in braces, which stands for any one segment.

use crate::http1::head::percent_decoded_path;

/// The values of a template's placeholders, percent-decoded.
pub(crate) fn bind<'t>(template: &'t str, path: &str) -> Option<Vec<(&'t str, String)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut bound = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(bound),
            (Some(wanted), Some(given)) => match placeholder(wanted) {
                Some(name) => bound.push((name, percent_decoded_path(given)?.into_owned())),
                None if wanted == given => {}
                None => return None,
            },
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Whether some path fits both templates.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let (mut of_one, mut of_other) = (one.split('/'), other.split('/'));
    loop {
        match (of_one.next(), of_other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) => {
                let is_open = placeholder(one).is_some() || placeholder(other).is_some();
                if one != other && !is_open {
                    return false;
                }
            }
            (Some(_), None) | (None, Some(_)) => return false,
        }
    }
}

pub(crate) fn placeholder(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}
