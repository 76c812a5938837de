//! What the program has not answered yet, by numbers.

use crate::abi::PARLOR_E_REQUEST;
use crate::call::{Failure, failure};
use parlor::server::{PathReply, Reply};
use std::collections::HashMap;

/// How many requests the program may leave unanswered; more are refused.
const REPLIES_MAX: usize = 100_000;

pub(crate) enum Waiting {
    Request(Reply),
    Path(PathReply),
}

#[derive(Default)]
pub(crate) struct Replies {
    last: u64,
    waiting: HashMap<u64, Waiting>,
}

impl Replies {
    /// A number for one; or the one back, if there are too many.
    pub(crate) fn add(&mut self, waiting: Waiting) -> Result<u64, Waiting> {
        if self.waiting.len() >= REPLIES_MAX {
            return Err(waiting);
        }
        self.last += 1;
        self.waiting.insert(self.last, waiting);
        Ok(self.last)
    }

    pub(crate) fn take(&mut self, number: u64) -> Result<Waiting, Failure> {
        let none = || failure(PARLOR_E_REQUEST, "there is no such request: it was answered");
        self.waiting.remove(&number).ok_or_else(none)
    }

    /// Puts one back that was not answered after all.
    pub(crate) fn put_back(&mut self, number: u64, waiting: Waiting) {
        self.waiting.insert(number, waiting);
    }

    /// All of them: dropping them answers them.
    pub(crate) fn take_all(&mut self) -> Vec<Waiting> {
        self.waiting.drain().map(|(_, waiting)| waiting).collect()
    }
}
