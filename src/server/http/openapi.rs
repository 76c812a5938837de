//! The description of the API for programs (OpenAPI 3.1), which is `docs/openapi.json` itself.

use std::sync::LazyLock;

/// Where it is served.
pub(super) const PATH: &str = "/api/v1/openapi.json";

/// The document.
pub(super) const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Its entity tag.
pub(super) static TAG: LazyLock<String> = LazyLock::new(|| super::assets::tag(DOCUMENT.as_bytes()));

#[cfg(test)]
mod tests {
    use super::super::browser::{METHODS, SIGN_IN_PATH};
    use super::super::routes::{PREFIX, ROUTES};
    use super::*;
    use crate::server::events::TICKET_PATH;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_every_call_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(operation["operationId"].is_string(), "{method} {path}");
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let calls = ROUTES.iter().map(|route| format!("{} {PREFIX}{}", route.method, route.path));
        let others = [PATH, "/healthz", "/readyz", super::super::route::METRICS_PATH]
            .map(|path| format!("GET {path}"));
        // What does not end is not described: a program that tries all would wait for ever.
        let ticket = [format!("POST {TICKET_PATH}")];
        let sign_in = METHODS.split(", ").filter(|method| *method != "HEAD");
        let sign_in = sign_in.map(|method| format!("{method} {SIGN_IN_PATH}"));
        assert_eq!(described, calls.chain(others).chain(ticket).chain(sign_in).collect());
    }

    #[test]
    fn the_parameters_are_those_of_the_table() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        for route in ROUTES {
            let operation =
                &document["paths"][format!("{PREFIX}{}", route.path)][route.method.to_lowercase()];
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let of_query: BTreeSet<&str> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let expected = route.texts.iter().chain(route.plain).copied().collect();
            assert_eq!(of_query, expected, "{} {}", route.method, route.path);
            assert_eq!(operation["requestBody"].is_object(), route.has_body, "{}", route.path);
        }
    }
}
