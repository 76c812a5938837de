//! Clients that do not behave: whatever they do is their own harm and nobody else's.

use super::checker::What;
use super::client::{Client, Stage};
use super::world::World;
use parlor::base::Moment;
use parlor::protocol::CloseCode;
use serde_json::json;

impl World {
    pub(crate) fn misbehaves(&mut self, client: &mut Client) {
        self.coverage.count("misdeeds");
        let Some(link) = client.link else { return };
        if !client.is_open() {
            if self.dice.one_in(4) {
                self.sends(link, b"\r\n\r\nGET / HTTP/9\r\n".to_vec());
            }
            return;
        }
        let deed = self.dice.below(14);
        self.trace(|| format!("c{} misbehaves, {deed}", client.index));
        match deed {
            0 => self.raw(client, b"{\"type\":\"ping\",\"id\":", true),
            1 => self.raw(client, b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", true),
            2 => self.raw(client, b"\xff\xfe", false),
            3 => {
                let junk: Vec<u8> =
                    (0..self.dice.range(1, 40)).map(|_| self.dice.below(256) as u8).collect();
                self.sends(link, junk);
            }
            // Unmasked.
            4 => self.sends(link, b"\x81\x02{}".to_vec()),
            // A frame that promises much.
            5 => self.sends(link, b"\x81\xff\0\0\0\xff\0\0\0\0abcd".to_vec()),
            6 => {
                for _ in 0..self.dice.range(20, 120) {
                    self.asks(client, "ping", json!({}), What::Plain, "");
                }
            }
            7 => {
                let payload = json!({"epoch": "epoch", "rooms": {"r0": 0, "r1": 1}, "more": true});
                let positions = [("r0".to_owned(), 0), ("r1".to_owned(), 1)].into();
                let what = What::Resume { positions, is_last: false };
                self.asks(client, "resume", payload, what, "");
            }
            8 => {
                for _ in 0..10 {
                    let what = What::History { after: None, before: None };
                    self.asks(client, "chat:history", json!({"room": "r0"}), what, "r0");
                }
            }
            9 => self.asks(client, "nonsense", json!({"room": 7}), What::Plain, ""),
            10 => self.asks(client, "auth", json!({"token": "a.b.c"}), What::Plain, ""),
            11 => self.closes(client),
            12 => {
                // A message that begins and does not end.
                self.sends(link, b"\x01\x81\0\0\0\0{".to_vec());
            }
            _ => {
                self.hangs_up(link, false);
                self.loses(client, true);
            }
        }
    }

    /// A message that is no request.
    fn raw(&mut self, client: &mut Client, bytes: &[u8], is_text: bool) {
        let Some(link) = client.link else { return };
        let mut frame =
            vec![if is_text { 0x81 } else { 0x82 }, 0x80 | bytes.len() as u8, 0, 0, 0, 0];
        frame.extend(bytes);
        self.sends(link, frame);
    }

    /// The closing handshake, from this end.
    fn closes(&mut self, client: &mut Client) {
        let now = Moment::from_millis(self.now);
        if let Stage::Open(endpoint) = &mut client.stage {
            let mut out = parlor::base::Outbox::alone(u32::MAX);
            endpoint.send.start_close(
                Some(CloseCode::NORMAL),
                "bye",
                now.plus_millis(2_000),
                &mut out,
            );
            let bytes = out.pieces().flatten().copied().collect();
            if let Some(link) = client.link {
                self.sends(link, bytes);
            }
        }
    }
}
