//! Path templates: a segment may be a name in braces, which stands for any one segment.

use crate::http1::head::percent_decoded_path;

/// The first of some, each with its method, that is for a method and fits a path; or, if it is there with other
/// methods, those.
pub(crate) fn find<T, P>(
    all: impl Iterator<Item = (&'static str, T)>,
    method: &str,
    fits: impl Fn(&T) -> Option<P>,
) -> Option<Result<(T, P), String>> {
    let mut methods = Vec::new();
    for (its, one) in all {
        let Some(params) = fits(&one) else { continue };
        if its == method || (its == "GET" && method == "HEAD") {
            return Some(Ok((one, params)));
        }
        methods.push(its);
        if its == "GET" {
            methods.push("HEAD");
        }
    }
    if methods.is_empty() {
        return None;
    }
    methods.push("OPTIONS");
    Some(Err(methods.join(", ")))
}

/// What stands for a template's placeholders, percent-decoded.
pub(crate) fn bind<'t>(template: &'t str, path: &str) -> Option<Vec<(&'t str, String)>> {
    let bound = segments(template, path)?.into_iter();
    bound.map(|(name, value)| Some((name, percent_decoded_path(value)?.into_owned()))).collect()
}

/// The same, as it came.
pub(super) fn segments<'t, 'p>(
    template: &'t str,
    path: &'p str,
) -> Option<Vec<(&'t str, &'p str)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut bound = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(bound),
            (Some(wanted), Some(given)) => match placeholder(wanted) {
                Some(name) => bound.push((name, given)),
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
