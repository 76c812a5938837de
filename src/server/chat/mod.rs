//! The chat itself: one struct, [`Chat`], and what it does, in a file for each subject. What can be
//! decided without it is in the other folders of the server.

mod admin;
mod apply;
mod audit;
mod browser;
mod calls;
#[allow(clippy::module_inception)]
mod chat;
mod deliver;
mod dispatch;
mod drain;
mod errands;
mod events;
mod http_answer;
mod http_call;
mod journal;
mod pace;
mod paths;
mod proof;
mod reconfigure;
mod remote;
mod scan_queue;
mod session;
mod sessions;
mod sign_in;
mod sources;
mod state;
mod store_client;
mod storing;
mod streams;
mod surveys;
mod team;
mod vitals;

pub use chat::Chat;
pub use team::{Seat, Team};
