#[cfg(test)]
mod handover;
pub(crate) mod thread;
