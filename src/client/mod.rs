//! A client for programs: what `clients/js` is for pages.
//!
//! [`core`] decides, without sockets and without a clock.

pub mod core;
