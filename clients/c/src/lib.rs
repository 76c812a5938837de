//! The C interface of parlor: `include/parlor.h` says what each function of the client's does, `include/parlor_server.h`
//! what each of the server's. They are two libraries, each with its own copy of what is below the folders.
//!
//! Whatever happens here, nothing of it reaches the program but by what the header names: no panic, no signal, no
//! `errno`, no line on standard error.

#![allow(non_camel_case_types, reason = "the types have the names of the header")]

#[cfg_attr(
    not(all(feature = "client", feature = "server")),
    allow(dead_code, reason = "each library uses a part of what the headers name")
)]
mod abi;
mod call;
#[cfg(feature = "client")]
mod client;
mod logging;
mod registry;
#[cfg(feature = "server")]
mod server;
mod signals;
mod user_data;
