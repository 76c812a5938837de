#[path = "../../../../../src/client/thread/descriptor.rs"]
mod descriptor;
pub(crate) mod locks;
#[path = "../../../../../src/client/thread/monitor.rs"]
pub(crate) mod monitor;
#[path = "../../../../../src/client/thread/queue.rs"]
pub(crate) mod queue;
