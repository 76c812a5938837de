//! `parlor doctor`: looks for what is wrong with a server, and changes nothing. What it says of each
//! subject is a line; the last words of a line that finds fault mend it.

mod data;
#[allow(clippy::module_inception)]
mod doctor;
mod keys;
mod listeners;
mod report;
mod system;
mod through;

pub(super) use doctor::{DoctorArgs, run};
