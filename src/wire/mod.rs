//! JSON of the protocol: requests, answers, notices, and the framing of Server-Sent Events
//! (`docs/protocol.md`). It depends on `base` alone, so that a client can use it.

pub(crate) mod admin_request;
pub(crate) mod close_codes;
pub(crate) mod display_name;
pub(crate) mod encode;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod json;
pub mod request;
#[cfg(test)]
pub(crate) mod schema_tests;
pub(crate) mod server_encode;
pub(crate) mod sse;
pub(crate) mod stream_encode;
pub(crate) mod stream_request;
pub(crate) mod told;
#[cfg(test)]
mod told_schema_tests;
pub(crate) mod types;
