//! Events that wait for the program, and a descriptor that says so.

use super::descriptor::Descriptor;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

/// Events that wait for the program. Whoever fills it keeps to a bound.
#[derive(Debug)]
pub(in crate::client) struct EventQueue<E> {
    events: VecDeque<E>,
    descriptor: Option<Descriptor>,
    is_over: bool,
}

impl<E> EventQueue<E> {
    pub(in crate::client) fn new() -> EventQueue<E> {
        EventQueue { events: VecDeque::new(), descriptor: None, is_over: false }
    }

    pub(in crate::client) fn len(&self) -> usize {
        self.events.len()
    }

    pub(in crate::client) fn push(&mut self, event: E) {
        self.events.push_back(event);
        self.show();
    }

    pub(in crate::client) fn pop(&mut self) -> Option<E> {
        let event = self.events.pop_front()?;
        if let Some(descriptor) = &self.descriptor
            && self.events.is_empty()
            && !self.is_over
        {
            descriptor.clear();
        }
        Some(event)
    }

    /// Nothing more comes.
    pub(in crate::client) fn end(&mut self) {
        self.is_over = true;
        self.show();
    }

    pub(in crate::client) fn is_over(&self) -> bool {
        self.is_over
    }

    fn show(&self) {
        if let Some(descriptor) = &self.descriptor
            && (self.events.len() == 1 || self.is_over)
        {
            descriptor.set();
        }
    }

    /// A descriptor that is readable while events wait, and for good once nothing more comes.
    pub(in crate::client) fn descriptor(&mut self) -> io::Result<OwnedFd> {
        if let Some(descriptor) = &self.descriptor {
            return descriptor.reader();
        }
        let descriptor = Descriptor::new()?;
        if self.is_over || !self.events.is_empty() {
            descriptor.set();
        }
        let reader = descriptor.reader();
        self.descriptor = Some(descriptor);
        reader
    }
}
