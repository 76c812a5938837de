//! Connections of an HTTP client that stay open when it has done with them, as a WebSocket's does.

use std::sync::{Arc, Mutex, PoisonError};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// Holds connections until it is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldConnections(Arc<Mutex<Vec<Box<dyn Transport>>>>);

impl<In: Transport> Connector<In> for HeldConnections {
    type Out = HeldTransport;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<HeldTransport>, Error> {
        let held = |transport: In| HeldTransport {
            transport: Some(Box::new(transport)),
            // It takes no zero.
            nothing: LazyBuffers::new(1, 1),
            holder: self.clone(),
        };
        Ok(chained.map(held))
    }
}

/// A connection that goes to its holder.
#[derive(Debug)]
pub(super) struct HeldTransport {
    /// None only while it is dropped.
    transport: Option<Box<dyn Transport>>,
    nothing: LazyBuffers,
    holder: HeldConnections,
}

impl HeldTransport {
    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut dyn Transport) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &mut self.transport {
            Some(transport) => act(transport.as_mut()),
            None => Err(Error::ConnectionFailed),
        }
    }
}

impl Transport for HeldTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.transport {
            Some(transport) => transport.buffers(),
            None => &mut self.nothing,
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.with(|transport| transport.transmit_output(amount, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.with(|transport| transport.await_input(timeout))
    }

    fn is_open(&mut self) -> bool {
        // One call a connection.
        false
    }

    fn is_tls(&self) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.is_tls())
    }
}

impl Drop for HeldTransport {
    fn drop(&mut self) {
        let mut held = self.holder.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(self.transport.take());
    }
}
