//! `parlor chat`: a chat at a terminal.
//!
//! [`model`] has what is shown and what is wanted, without I/O: keys and events go in, tasks come out. [`draw`] makes cells
//! of it. [`live`] has the terminal and the client; [`lines`] is the form without a terminal.

mod answers;
mod bell;
mod command;
mod draw;
#[cfg(test)]
mod for_tests;
mod keys;
mod layout;
mod lines;
mod live;
mod loaded_log;
mod model;
mod orders;
mod palette;
mod room_lines;
mod screen;
mod scrolling;
mod slash;
mod task;
#[cfg(test)]
mod tests;
mod times;
mod words;
mod wrap;

pub(in crate::cli) use command::{ChatArgs, run};
