//! `parlor.h`: a client, and WebSockets of any server.

mod about;
mod delivery;
mod event;
mod functions;
mod open_client;
mod opening;
