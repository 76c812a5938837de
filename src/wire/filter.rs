//! JSON → a filter: `{"<JSON pointer>": value | {"eq"|"ne"|"lt"|"le"|"gt"|"ge"|"in"|"prefix": …}}`.

use super::request::{Fault, within};
use crate::base::filter::{Compare, Condition, Filter, Order};
use crate::base::limits::FILTER_CONDITIONS_MAX;
use crate::base::{Limits, Tree};

pub(crate) fn filter(tree: Tree, limits: &Limits) -> Result<Filter, Fault> {
    let Tree::Object(members) = tree else {
        return Err(wrong("a filter is an object of JSON pointers"));
    };
    let mut conditions = Vec::new();
    for (path, wanted) in members {
        for compare in compares(wanted, limits)? {
            let condition = Condition::new(&path, compare)
                .ok_or_else(|| wrong("its names are JSON pointers, as /a/b"))?;
            within("filter", condition.pointer.len(), limits.filter_depth as usize)?;
            conditions.push(condition);
            within("filter", conditions.len(), FILTER_CONDITIONS_MAX)?;
        }
    }
    Ok(Filter::new(conditions))
}

/// A plain value is compared for equality; an object names its operators.
fn compares(wanted: Tree, limits: &Limits) -> Result<Vec<Compare>, Fault> {
    let Tree::Object(operators) = wanted else { return Ok(vec![Compare::Equal(wanted)]) };
    if operators.is_empty() {
        return Err(wrong("a condition is a value, or has eq, ne, lt, le, gt, ge, in or prefix"));
    }
    operators.into_iter().map(|(operator, bound)| compare(&operator, bound, limits)).collect()
}

fn compare(operator: &str, bound: Tree, limits: &Limits) -> Result<Compare, Fault> {
    let order = match operator {
        "eq" => return Ok(Compare::Equal(bound)),
        "ne" => return Ok(Compare::NotEqual(bound)),
        "in" => {
            let Tree::Array(values) = bound else { return Err(wrong("in has a list of values")) };
            within("filter", values.len(), limits.filter_values as usize)?;
            return Ok(Compare::OneOf(values));
        }
        "prefix" => {
            let Tree::Text(prefix) = bound else { return Err(wrong("prefix has a string")) };
            return Ok(Compare::Prefix(prefix));
        }
        "lt" => Order::Less,
        "le" => Order::LessOrEqual,
        "gt" => Order::Greater,
        "ge" => Order::GreaterOrEqual,
        _ => {
            return Err(wrong(
                "a condition's operator is eq, ne, lt, le, gt, ge, in or prefix; to compare with \
                 an object use eq",
            ));
        }
    };
    if matches!(bound, Tree::Integer(_) | Tree::Natural(_) | Tree::Double(_) | Tree::Text(_)) {
        Ok(Compare::Ordered(order, bound))
    } else {
        Err(wrong("lt, le, gt and ge have a number or a string"))
    }
}

fn wrong(message: &'static str) -> Fault {
    Fault::bad_request("filter", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::tree;

    fn read(text: &str) -> Result<Filter, Fault> {
        filter(tree(text).unwrap(), &Limits::default())
    }

    #[test]
    fn a_filter_holds_where_all_its_conditions_do() {
        let filter =
            read(r#"{"/kind":"temp","/value":{"gt":20,"le":30.5},"/at/room":{"in":["a","b"]}}"#);
        let filter = filter.unwrap();
        let passes = |data: &str| filter.passes(&tree(data).unwrap());
        assert!(passes(r#"{"kind":"temp","value":21,"at":{"room":"b"}}"#));
        assert!(!passes(r#"{"kind":"temp","value":20,"at":{"room":"b"}}"#));
        assert!(!passes(r#"{"kind":"temp","value":31,"at":{"room":"b"}}"#));
        assert!(!passes(r#"{"kind":"temp","value":21,"at":{"room":"c"}}"#));
        assert!(!passes("7"));
        assert!(read("{}").unwrap().passes(&Tree::Null));
        assert!(
            read(r#"{"/o":{"eq":{"b":1,"a":2}}}"#)
                .unwrap()
                .passes(&tree(r#"{"o":{"a":2,"b":1}}"#).unwrap())
        );
    }

    #[test]
    fn what_is_no_filter_is_refused_by_its_name() {
        let long = format!(r#"{{"/a":{{"in":[{}0]}}}}"#, "0,".repeat(64));
        let deep = format!(r#"{{"{}":1}}"#, "/a".repeat(9));
        let many: Vec<String> = (0..17).map(|place| format!("\"/{place}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        let all = r#"{"ne":1,"lt":1,"le":1,"gt":1,"ge":1,"in":[1]}"#;
        let operators = format!(r#"{{"/a":{all},"/b":{all},"/c":{all}}}"#);
        for wrong in [
            "[]",
            "7",
            r#"{"a":1}"#,
            r#"{"/a":{}}"#,
            r#"{"/a":{"like":1}}"#,
            r#"{"/a":{"in":1}}"#,
            r#"{"/a":{"prefix":1}}"#,
            r#"{"/a":{"lt":null}}"#,
            r#"{"/a~":1}"#,
            &long,
            &deep,
            &many,
            &operators,
        ] {
            assert_eq!(read(wrong).unwrap_err().field, Some("filter"), "{wrong}");
        }
    }
}
