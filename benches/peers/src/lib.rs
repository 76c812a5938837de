//! What the servers, the load generator and the bench have in common.

pub mod crowd;
pub mod frame;
pub mod handshake;
pub mod listen;
pub mod workload;
