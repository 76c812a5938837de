//! The C interface of parlor's client: `include/parlor.h` says what each function does.
//!
//! Whatever happens here, nothing of it reaches the program but by what the header names: no panic, no signal, no
//! `errno`, no line on standard error.

#![allow(non_camel_case_types, reason = "the types have the names of the header")]

mod abi;
mod about;
mod call;
mod delivery;
mod event;
mod functions;
mod logging;
mod opening;
mod registry;
mod signals;
