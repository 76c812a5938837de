//! `parlor load`: many connections at once, at rates that do not wait for the server, with everything looked at that comes.

mod command;
mod crowd;
mod figures;
mod hearing;
mod mark;
mod pace;
mod page;
mod plan;
mod report;
mod scenario;
mod slo;
mod track;
mod user;

pub(super) use command::{LoadArgs, run};
