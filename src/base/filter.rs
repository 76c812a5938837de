//! Filters: which events of a stream a subscriber wants. Each distinct filter is evaluated once per
//! event.

use super::Tree;
use super::tree::pointer;
use std::cmp::Ordering;

/// Conditions that must all hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
    /// What evaluating it costs, as bytes of an event.
    pub weight: usize,
}

/// A condition on one member of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The member: a JSON pointer's reference tokens (RFC 6901).
    pub pointer: Vec<Box<str>>,
    /// The comparison.
    pub compare: Compare,
}

/// A comparison. A value that is missing or cannot be compared matches only [`Compare::NotEqual`].
#[derive(Clone, Debug, PartialEq)]
pub enum Compare {
    /// `eq`: the same value.
    Equal(Tree),
    /// `ne`: another value, or no value.
    NotEqual(Tree),
    /// `lt`, `le`, `gt`, `ge`: of two numbers, or of two strings by code points.
    Ordered(Order, Tree),
    /// `in`: one of these values.
    OneOf(Vec<Tree>),
    /// `prefix`: a string with this beginning.
    Prefix(Box<str>),
}

/// The ordered comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
}

impl Filter {
    /// A filter with these conditions, in any order.
    #[must_use]
    pub fn new(conditions: Vec<Condition>) -> Filter {
        /// The weight of a name to look up, and of a value to compare.
        const NAME: usize = 16;
        const VALUE: usize = 2;
        let weight = |condition: &Condition| {
            let values = match &condition.compare {
                Compare::OneOf(values) => values.len(),
                _ => 1,
            };
            (1 + condition.pointer.len()) * NAME + values * VALUE
        };
        let weight = conditions.iter().map(weight).sum();
        Filter { conditions, weight }
    }

    /// Whether all conditions hold for `data`.
    #[must_use]
    pub fn passes(&self, data: &Tree) -> bool {
        self.conditions.iter().all(|condition| condition.holds(data))
    }
}

impl Condition {
    /// A condition; `None` if `path` is no JSON pointer.
    #[must_use]
    pub fn new(path: &str, compare: Compare) -> Option<Condition> {
        Some(Condition { pointer: pointer(path)?, compare })
    }

    fn holds(&self, data: &Tree) -> bool {
        let Some(value) = data.at(&self.pointer) else {
            return matches!(self.compare, Compare::NotEqual(_));
        };
        match &self.compare {
            Compare::Equal(wanted) => is_same(value, wanted),
            Compare::NotEqual(other) => !is_same(value, other),
            Compare::Ordered(order, bound) => {
                let Some(found) = compare(value, bound) else { return false };
                match order {
                    Order::Less => found == Ordering::Less,
                    Order::LessOrEqual => found != Ordering::Greater,
                    Order::Greater => found == Ordering::Greater,
                    Order::GreaterOrEqual => found != Ordering::Less,
                }
            }
            Compare::OneOf(values) => values.iter().any(|wanted| is_same(value, wanted)),
            Compare::Prefix(prefix) => match value {
                Tree::Text(text) => text.starts_with(&**prefix),
                _ => false,
            },
        }
    }
}

/// Compares numbers by value, and objects regardless of order.
fn is_same(one: &Tree, other: &Tree) -> bool {
    match (one, other) {
        (Tree::Null, Tree::Null) => true,
        (Tree::Bool(one), Tree::Bool(other)) => one == other,
        (Tree::Array(one), Tree::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Tree::Object(one), Tree::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| one.0 == other.0 && is_same(&one.1, &other.1))
        }
        _ => compare(one, other) == Some(Ordering::Equal),
    }
}

/// The order of two numbers or of two strings.
fn compare(one: &Tree, other: &Tree) -> Option<Ordering> {
    match (one, other) {
        (Tree::Text(one), Tree::Text(other)) => Some(one.cmp(other)),
        (Tree::Double(one), Tree::Double(other)) => one.partial_cmp(other),
        (Tree::Double(one), other) => mixed(whole(other)?, *one).map(Ordering::reverse),
        (one, Tree::Double(other)) => mixed(whole(one)?, *other),
        (one, other) => Some(whole(one)?.cmp(&whole(other)?)),
    }
}

fn whole(value: &Tree) -> Option<i128> {
    match value {
        Tree::Integer(number) => Some((*number).into()),
        Tree::Natural(number) => Some((*number).into()),
        _ => None,
    }
}

/// Compares an integer and a double exactly: the integer may have more bits than a double holds.
fn mixed(integer: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // A double outside of i128 stays outside of all integers here.
    let (whole, fraction) = (double.trunc(), double.fract());
    Some(integer.cmp(&(whole as i128)).then(0.0.partial_cmp(&fraction)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Tree {
        Tree::object(vec![
            ("n".into(), Tree::Integer(7)),
            ("f".into(), Tree::Double(7.5)),
            ("t".into(), Tree::Text("seven".into())),
            ("o".into(), Tree::object(vec![("deep".into(), Tree::Bool(true))])),
        ])
    }

    fn holds(path: &str, compare: Compare) -> bool {
        Filter::new(vec![Condition::new(path, compare).unwrap()]).passes(&data())
    }

    #[test]
    fn each_comparison_holds_where_it_should() {
        use Compare::{Equal, NotEqual, OneOf, Ordered, Prefix};
        let integer = Tree::Integer;
        let text = |text: &str| Tree::Text(text.into());
        assert!(holds("/n", Equal(integer(7))) && holds("/n", Equal(Tree::Double(7.0))));
        assert!(!holds("/n", Equal(text("7"))) && !holds("/x", Equal(Tree::Null)));
        assert!(holds("/n", NotEqual(integer(8))) && holds("/x", NotEqual(integer(7))));
        assert!(holds("/o/deep", Equal(Tree::Bool(true))));
        for (order, below, same, above) in [
            (Order::Less, false, false, true),
            (Order::LessOrEqual, false, true, true),
            (Order::Greater, true, false, false),
            (Order::GreaterOrEqual, true, true, false),
        ] {
            for (bound, expected) in [(6, below), (7, same), (8, above)] {
                assert_eq!(
                    holds("/n", Ordered(order, integer(bound))),
                    expected,
                    "{order:?} {bound}"
                );
            }
        }
        assert!(holds("/f", Ordered(Order::Greater, integer(7))));
        assert!(holds("/t", Ordered(Order::Less, text("six"))));
        assert!(!holds("/t", Ordered(Order::Less, integer(8))), "they have no order");
        assert!(holds("/t", OneOf(vec![integer(1), text("seven")])) && !holds("/t", OneOf(vec![])));
        assert!(holds("/t", Prefix("sev".into())) && !holds("/t", Prefix("x".into())));
        assert!(!holds("/n", Prefix("7".into())));
    }

    #[test]
    fn integers_and_doubles_are_compared_exactly() {
        let large = (1_i128 << 53) + 1;
        assert_eq!(mixed(large, (1_i128 << 53) as f64), Some(Ordering::Greater));
        assert_eq!(mixed(i64::MAX.into(), 9.3e18), Some(Ordering::Less));
        assert_eq!(mixed(i64::MIN.into(), -9.3e18), Some(Ordering::Greater));
        assert_eq!(mixed(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(mixed(1, 1.5), Some(Ordering::Less));
        assert_eq!(mixed(0, -0.0), Some(Ordering::Equal));
    }

    #[test]
    fn all_conditions_must_hold_and_none_always_does() {
        let on = |path: &str, value| Condition::new(path, Compare::Equal(value)).unwrap();
        let both = vec![on("/n", Tree::Integer(7)), on("/t", Tree::Text("six".into()))];
        assert!(!Filter::new(both).passes(&data()));
        assert!(Filter::new(Vec::new()).passes(&Tree::Null));
    }
}
