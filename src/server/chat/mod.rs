//! The chat itself: one struct, [`Chat`], and what it does with all that comes to it, by what it is about. Nothing else
//! is here: what can be decided without it is in the other folders of the server.

mod admin;
mod apply;
mod browser;
mod calls;
#[allow(clippy::module_inception)]
mod chat;
mod clocks;
mod deliver;
mod dispatch;
mod drain;
mod errands;
mod events;
mod http_answer;
mod http_call;
mod http_streams;
mod journal;
mod looking;
mod metrics;
mod pace;
mod paths;
mod pools;
mod proof;
mod ready;
mod reconfigure;
mod remote;
mod revoke;
mod rules;
mod say;
mod session;
mod sign_in;
mod source_requests;
mod sources;
mod storing;
mod streams;
mod watch;
mod webhook;
mod work;

pub use chat::Chat;
