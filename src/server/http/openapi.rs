//! The description of the API for programs (OpenAPI 3.1): the file `docs/openapi.json`.

use std::sync::LazyLock;

pub(super) const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

pub(super) static TAG: LazyLock<String> =
    LazyLock::new(|| crate::routes::assets::tag(DOCUMENT.as_bytes()));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::own::{OPENAPI_PATH, PREFIX, SIGN_IN_PATH, TICKET_PATH};
    use crate::routes::table::ROUTES;
    use crate::server::http::browser::METHODS;
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
        let others = [OPENAPI_PATH, "/healthz", "/readyz", crate::routes::own::METRICS_PATH]
            .map(|path| format!("GET {path}"));
        // Endless answers are not described: a program that tries every call would wait for ever.
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
