//! A server that is checked: how its connections are opened, and what is known of it.

use super::case::{CheckFinding, Nature};
use super::peer::{Came, Peer};
use super::raw_frame::{CLOSE, PING, RawFrame, TEXT};
use crate::client::{ByteStream, ConnectError, Tls, WebSocketUrl};
use crate::http1::AnswerHead;
use crate::protocol::Role;
use crate::protocol::deflate::{Offer, Parameters, offer};
use crate::protocol::extensions;
use crate::protocol::handshake::accept_key;
use crate::reactor::Clock;
use std::time::Duration;

/// The key of RFC 6455 §1.3: what it says does not matter.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// How much later than a Ping's answer a message may come back.
const QUIET: Duration = Duration::from_millis(300);

/// How to reach it, and what is known of it.
pub(super) struct CheckedServer {
    pub(super) url: WebSocketUrl,
    pub(super) tls: Option<Tls>,
    pub(super) fields: Vec<(String, String)>,
    pub(super) protocol: Option<String>,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    /// How long an idle or half-open connection may last.
    pub(super) patience: Duration,
    /// A text that it takes.
    pub(super) text: String,
    pub(super) nature: Nature,
}

/// What it answers to an opening request.
pub(super) struct UpgradeAnswer {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
    rest: Vec<u8>,
}

impl UpgradeAnswer {
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter();
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    fn only<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Which duty of RFC 6455 §4.2.2 it breaks, of an answer with 101.
    pub(super) fn fault(&self, protocols: &[&str]) -> Option<String> {
        if !self.only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
            return Some("its Upgrade is not websocket, once".to_owned());
        }
        let mut connection = self.values("connection").flat_map(|value| value.split(','));
        if !connection.any(|item| item.trim().eq_ignore_ascii_case("upgrade")) {
            return Some("its Connection does not list Upgrade".to_owned());
        }
        let accept = accept_key(KEY);
        match self.only("sec-websocket-accept") {
            None => return Some("it has not one Sec-WebSocket-Accept".to_owned()),
            Some(value) if value != accept => {
                return Some(format!("its Sec-WebSocket-Accept is {value:?}, not {accept:?}"));
            }
            Some(_) => {}
        }
        let mut chosen = self.values("sec-websocket-protocol");
        if let Some(wrong) = chosen.find(|name| !protocols.contains(name)) {
            return Some(format!("it chooses the subprotocol {wrong:?}, which was not offered"));
        }
        if self.values("sec-websocket-protocol").count() > 1 {
            return Some("it has Sec-WebSocket-Protocol more than once".to_owned());
        }
        None
    }

    /// What it agrees to of an offer of permessage-deflate; why that is wrong.
    pub(super) fn agreed(&self, offered: Option<&Offer>) -> Result<Option<Parameters>, String> {
        let lines: Vec<&str> = self.values("sec-websocket-extensions").collect();
        let line = match lines[..] {
            [] => return Ok(None),
            [line] => line,
            _ => return Err("it has Sec-WebSocket-Extensions more than once".to_owned()),
        };
        let wrong = || format!("it agrees to {line:?}, which was not offered so");
        let parsed = extensions::parse(line).map_err(|_| wrong())?;
        match (&parsed[..], offered) {
            ([one], Some(offer)) => offer::agreed(&[*offer], one).map(Some).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl CheckedServer {
    /// The fields of an opening request that is right, without its first line.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = [
            ("Host", &*self.url.authority()),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Version", "13"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some(protocol) = &self.protocol {
            fields.push(("Sec-WebSocket-Protocol".to_owned(), protocol.clone()));
        }
        fields.extend(self.fields.iter().cloned());
        fields
    }

    /// A request with these fields.
    pub(super) fn request(&self, fields: &[(String, String)]) -> Vec<u8> {
        self.request_line("GET", "HTTP/1.1", fields)
    }

    pub(super) fn request_line(
        &self,
        method: &str,
        version: &str,
        fields: &[(String, String)],
    ) -> Vec<u8> {
        let mut head = format!("{method} {} {version}\r\n", self.url.target());
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }

    /// A request that is right but for one field, which is changed or taken away.
    pub(super) fn request_with(&self, name: &str, value: Option<&str>) -> Vec<u8> {
        let mut fields = self.fields();
        match (value, fields.iter_mut().find(|field| field.0.eq_ignore_ascii_case(name))) {
            (Some(value), Some(field)) => field.1 = value.to_owned(),
            (Some(value), None) => fields.push((name.to_owned(), value.to_owned())),
            (None, _) => fields.retain(|field| !field.0.eq_ignore_ascii_case(name)),
        }
        self.request(&fields)
    }

    pub(super) fn stream(&self) -> Result<ByteStream, ConnectError> {
        ByteStream::connect(&self.url, self.tls.as_ref(), self.timeout)
    }

    /// Sends a request, and reads the answer's head; `None` if there is none.
    pub(super) fn ask(
        &self,
        request: &[u8],
    ) -> Result<(ByteStream, Option<UpgradeAnswer>), ConnectError> {
        let mut stream = self.stream()?;
        // It may refuse before it has read all of it.
        let _ = stream.write(request, self.timeout);
        let (clock, mut bytes) = (Clock::start(), Vec::new());
        loop {
            match stream.read(&mut bytes, self.timeout.saturating_sub(clock.elapsed())) {
                Ok(1..) => {}
                Ok(0) | Err(ConnectError::Io(_)) => return Ok((stream, None)),
                Err(error) => return Err(error),
            }
            match AnswerHead::parse(&bytes) {
                Ok(None) => {}
                Err(_) => return Ok((stream, None)),
                Ok(Some(head)) => {
                    let text = |value| String::from_utf8_lossy(value).trim().to_owned();
                    let fields = head.fields.iter();
                    let answer = UpgradeAnswer {
                        status: head.status,
                        fields: fields
                            .map(|(name, value)| ((*name).to_owned(), text(value)))
                            .collect(),
                        rest: bytes.get(head.len..).unwrap_or_default().to_vec(),
                    };
                    return Ok((stream, Some(answer)));
                }
            }
        }
    }

    /// Opens a WebSocket.
    pub(super) fn open(&self) -> Result<Peer, CheckFinding> {
        self.open_with(None).map(|(peer, _)| peer)
    }

    /// The same, with an offer of permessage-deflate, and what was agreed.
    pub(super) fn open_with(
        &self,
        offered: Option<&Offer>,
    ) -> Result<(Peer, Option<Parameters>), CheckFinding> {
        let mut fields = self.fields();
        if let Some(offer) = offered {
            fields.push(("Sec-WebSocket-Extensions".to_owned(), offer.to_field()));
        }
        let asked = self.ask(&self.request(&fields));
        let (stream, answer) =
            asked.map_err(|error| CheckFinding::fault(format!("no connection: {error}")))?;
        let Some(answer) = answer else {
            return Err(CheckFinding::fault("no answer to an opening request"));
        };
        if answer.status != 101 {
            let seen = format!("an opening request is answered with status {}", answer.status);
            return Err(CheckFinding::fault(seen));
        }
        let protocols: Vec<&str> = self.protocol.as_deref().into_iter().collect();
        if let Some(fault) = answer.fault(&protocols) {
            return Err(CheckFinding::fault(fault));
        }
        let agreed = answer.agreed(offered).map_err(CheckFinding::fault)?;
        let peer = Peer::new(stream, Role::Client, answer.rest, agreed.as_ref(), self.timeout);
        Ok((peer, agreed))
    }

    /// Finds out what it does with messages.
    ///
    /// # Errors
    /// The answer's status, if it opens no WebSocket.
    pub(super) fn look(&mut self) -> Result<(), u16> {
        let asked = self.ask(&self.request(&self.fields()));
        if let Ok((_, Some(answer))) = asked
            && answer.status != 101
        {
            return Err(answer.status);
        }
        self.nature.takes_text = self.takes(TEXT, self.text.clone().into_bytes());
        Ok(())
    }

    /// Whether it goes on behind such a message; says so if it comes back. What is wrong with it, the cases find.
    fn takes(&mut self, first: u8, payload: Vec<u8>) -> bool {
        let Ok(mut peer) = self.open() else { return false };
        peer.send(&RawFrame::new(first, payload.clone()));
        peer.send(&RawFrame::new(PING, "look"));
        peer.wait(self.timeout);
        let mut has_answered = false;
        loop {
            match peer.next() {
                Came::Pong(payload) if payload == b"look" && !has_answered => {
                    has_answered = true;
                    peer.wait(QUIET);
                }
                Came::Text(text) if text.as_bytes() == payload => self.nature.is_echo = true,
                Came::Nothing => {
                    peer.send(&RawFrame::new(CLOSE, []));
                    return has_answered;
                }
                Came::Close(..) | Came::End | Came::Violation(_) => return false,
                Came::Text(_)
                | Came::Bytes(_)
                | Came::Ping(_)
                | Came::Pong(_)
                | Came::AfterClose(_) => {}
            }
        }
    }
}
