//! What the servers, the load generator and the benches have in common.

pub mod cpu_time;
pub mod crowd;
pub mod frame;
pub mod handshake;
pub mod latency;
pub mod listen;
pub mod spread;
pub mod workload;
