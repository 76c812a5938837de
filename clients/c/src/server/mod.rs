//! `parlor_server.h`: a server within a program.

mod abi;
mod given;
mod head;
mod life;
mod messages;
mod open_server;
mod own;
mod replies;
mod rooms;
mod told;

pub(crate) use open_server::Within;
