//! What a client says to a proxy before the connection is its own: HTTP `CONNECT` (RFC 9110 §9.3.6), SOCKS5 (RFC 1928,
//! RFC 1929). Bytes in, bytes out; no I/O.

use super::proxy_url::{Proxy, ProxyKind};
use crate::http1::AnswerHead;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::net::IpAddr;

/// RFC 1928 §3: the version, and the methods.
const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const WITH_PASSWORD: u8 = 2;
/// RFC 1929 §2.
const LOGIN_VERSION: u8 = 1;
/// RFC 1928 §4: the command, and the kinds of addresses.
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A conversation with a proxy.
#[derive(Debug)]
pub(super) struct ProxyTalk {
    proxy: Proxy,
    host: Box<str>,
    port: u16,
    stage: ProxyStage,
    /// What it has said and is not understood yet. An answer that is too long is none.
    said: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum ProxyStage {
    Tunnel,
    Method,
    Login,
    Request,
}

/// What came of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// More is to come.
    Nothing,
    /// This is to be sent.
    Say(Vec<u8>),
    /// The connection is the server's; this has come of it already.
    Done(Vec<u8>),
}

impl ProxyTalk {
    /// Asks a proxy for a connection to this host, and what is to be sent first.
    pub(super) fn begin(proxy: &Proxy, host: &str, port: u16) -> (ProxyTalk, Vec<u8>) {
        let stage = match proxy.kind {
            ProxyKind::Http => ProxyStage::Tunnel,
            ProxyKind::Socks5 => ProxyStage::Method,
        };
        let (proxy, host, said) = (proxy.clone(), host.into(), Vec::new());
        let talk = ProxyTalk { proxy, host, port, stage, said };
        let first = match stage {
            ProxyStage::Tunnel => talk.connect(),
            _ if talk.proxy.login.is_some() => vec![VERSION, 2, NO_LOGIN, WITH_PASSWORD],
            _ => vec![VERSION, 1, NO_LOGIN],
        };
        (talk, first)
    }

    fn connect(&self) -> Vec<u8> {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let to = format!("{open}{}{close}:{}", self.host, self.port);
        let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some((user, password)) = &self.proxy.login {
            // RFC 7617 §2.
            let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
            head += &format!("Proxy-Authorization: Basic {login}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }

    /// Something has come.
    ///
    /// # Errors
    /// Why there is no connection, as a sentence.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<Heard, String> {
        self.said.extend_from_slice(bytes);
        let heard = match self.stage {
            ProxyStage::Tunnel => self.tunnel(),
            ProxyStage::Method => self.method(),
            ProxyStage::Login => self.login(),
            ProxyStage::Request => self.request(),
        };
        heard.map_err(|why| format!("the proxy {} {why}", self.proxy))
    }

    fn tunnel(&mut self) -> Result<Heard, String> {
        let head = AnswerHead::parse(&self.said).map_err(|_| "does not speak HTTP".to_owned())?;
        let Some(AnswerHead { status, len, .. }) = head else { return Ok(Heard::Nothing) };
        match status {
            200..300 => Ok(Heard::Done(self.said.split_off(len))),
            407 if self.proxy.login.is_none() => Err("asks for a user and a password".to_owned()),
            407 => Err("does not take this user and password".to_owned()),
            _ => Err(format!(
                "makes no connection to {}:{}: it answers with status {status}",
                self.host, self.port
            )),
        }
    }

    fn method(&mut self) -> Result<Heard, String> {
        let Some((&[version, method], rest)) = self.said.split_first_chunk() else {
            return self.partial();
        };
        if version != VERSION || !rest.is_empty() {
            return Err("does not speak SOCKS5".to_owned());
        }
        self.said.clear();
        match (method, &self.proxy.login) {
            (NO_LOGIN, _) => Ok(self.ask()),
            (WITH_PASSWORD, Some((user, password))) => {
                let mut login = vec![LOGIN_VERSION];
                for text in [user, password] {
                    // At most 255 bytes (`Proxy::parse`).
                    login.push(text.len() as u8);
                    login.extend_from_slice(text.as_bytes());
                }
                self.stage = ProxyStage::Login;
                Ok(Heard::Say(login))
            }
            (_, None) => Err("asks for a user and a password".to_owned()),
            (_, Some(_)) => Err("asks for a login of a kind that this client has not".to_owned()),
        }
    }

    fn login(&mut self) -> Result<Heard, String> {
        match self.said[..] {
            [_, 0] => {
                self.said.clear();
                Ok(self.ask())
            }
            [_, _, ..] => Err("does not take this user and password".to_owned()),
            _ => self.partial(),
        }
    }

    fn ask(&mut self) -> Heard {
        let mut request = vec![VERSION, CONNECT, 0];
        match self.host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend_from_slice(&address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend_from_slice(&address.octets());
            }
            Err(_) => {
                // A name has at most 253 bytes (RFC 1035 §2.3.4); a longer one is looked up in vain.
                let name: Vec<u8> = self.host.bytes().take(255).collect();
                request.push(NAME);
                request.push(name.len() as u8);
                request.extend_from_slice(&name);
            }
        }
        request.extend_from_slice(&self.port.to_be_bytes());
        self.stage = ProxyStage::Request;
        Heard::Say(request)
    }

    fn request(&mut self) -> Result<Heard, String> {
        let Some((&[version, reply, _, kind, first], _)) = self.said.split_first_chunk() else {
            return self.partial();
        };
        if version != VERSION {
            return Err("does not speak SOCKS5".to_owned());
        }
        if reply != 0 {
            // RFC 1928 §6.
            let why = match reply {
                2 => "does not allow it",
                3 => "the network cannot be reached",
                4 => "the host cannot be reached, or has no address",
                5 => "the connection was refused",
                6 => "the host does not answer",
                _ => "it failed",
            };
            return Err(format!("makes no connection to {}:{}: {why}", self.host, self.port));
        }
        let address = match kind {
            IPV4 => 4,
            IPV6 => 16,
            NAME => 1 + usize::from(first),
            _ => return Err("does not speak SOCKS5".to_owned()),
        };
        let len = 4 + address + 2;
        if self.said.len() < len {
            return self.partial();
        }
        Ok(Heard::Done(self.said.split_off(len)))
    }

    /// No answer of SOCKS5 is as long as that.
    fn partial(&self) -> Result<Heard, String> {
        const ANSWER_BYTES_MAX: usize = 512;
        let is_one = self.said.len() < ANSWER_BYTES_MAX
            && self.said.first().is_none_or(|&byte| byte <= VERSION);
        if is_one { Ok(Heard::Nothing) } else { Err("does not speak SOCKS5".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation: what the proxy says, and what came of it; each answer comes byte by byte.
    fn talk(proxy: &str, host: &str, answers: &[&[u8]]) -> (Vec<Vec<u8>>, Result<Vec<u8>, String>) {
        let (mut talk, first) = ProxyTalk::begin(&Proxy::parse(proxy).unwrap(), host, 443);
        let mut said = vec![first];
        for answer in answers {
            for (place, byte) in answer.iter().enumerate() {
                match talk.hear(&[*byte]) {
                    Ok(Heard::Nothing) => {}
                    Ok(Heard::Say(bytes)) => said.push(bytes),
                    Ok(Heard::Done(early)) => {
                        assert_eq!(early, b"");
                        return (said, Ok(answer[place + 1..].to_vec()));
                    }
                    Err(error) => return (said, Err(error)),
                }
            }
        }
        (said, Err("it waits".into()))
    }

    #[test]
    fn http_makes_a_tunnel() {
        let (said, done) =
            talk("http://a:b@p:1", "x.example", &[b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest"]);
        let head = "CONNECT x.example:443 HTTP/1.1\r\nHost: x.example:443\r\nProxy-Authorization: Basic YTpi\r\n\r\n";
        assert_eq!(said, [head.as_bytes()]);
        assert_eq!(done, Ok(b"rest".to_vec()));
        let proxy = Proxy::parse("http://p:1").unwrap();
        let (mut talk, first) = ProxyTalk::begin(&proxy, "::1", 80);
        assert!(first.starts_with(b"CONNECT [::1]:80 "));
        assert_eq!(talk.hear(b"HTTP/1.1 200 OK\r\n\r\nrest"), Ok(Heard::Done(b"rest".to_vec())));
    }

    #[test]
    fn a_proxy_that_refuses_says_why() {
        for (proxy, answer, why) in [
            (
                "http://p:1",
                &b"HTTP/1.1 407 x\r\n\r\n"[..],
                "the proxy http://p:1 asks for a user and a password",
            ),
            (
                "http://a:b@p:1",
                b"HTTP/1.1 407 x\r\n\r\n",
                "the proxy http://p:1 does not take this user and password",
            ),
            (
                "http://p:1",
                b"HTTP/1.1 502 x\r\n\r\n",
                "the proxy http://p:1 makes no connection to h:443: it answers with status 502",
            ),
            ("http://p:1", b"\x05\x00", "the proxy http://p:1 does not speak HTTP"),
            ("socks5://p:1", b"HTTP", "the proxy socks5://p:1 does not speak SOCKS5"),
            ("socks5://p:1", &[5, 0xff], "the proxy socks5://p:1 asks for a user and a password"),
            (
                "socks5://a:b@p:1",
                &[5, 2, 1, 1],
                "the proxy socks5://p:1 does not take this user and password",
            ),
            (
                "socks5://p:1",
                &[5, 0, 5, 5, 0, 1, 0],
                "the proxy socks5://p:1 makes no connection to h:443: the connection was refused",
            ),
        ] {
            assert_eq!(talk(proxy, "h", &[answer]).1, Err(why.into()));
        }
    }

    #[test]
    fn socks_connects_to_names_and_addresses() {
        let done = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (said, result) = talk("socks5://u:pw@p:1", "x.example", &[&[5, 2], &[1, 0], &done]);
        let login = [1, 1, b'u', 2, b'p', b'w'];
        let request = [&[5, 1, 0, 3, 9][..], b"x.example", &[1, 0xbb]].concat();
        assert_eq!(said, [&[5, 2, 0, 2][..], &login, &request]);
        assert_eq!(result, Ok(Vec::new()));
        let by_name = [5, 0, 0, 3, 2, b'a', b'b', 0, 1];
        let (said, result) = talk("socks5://p:1", "127.0.0.1", &[&[5, 0], &by_name]);
        assert_eq!(said[1], [5, 1, 0, 1, 127, 0, 0, 1, 1, 0xbb]);
        assert_eq!(result, Ok(Vec::new()));
        let (said, _) = talk("socks5://p:1", "::1", &[&[5, 0]]);
        assert_eq!((said[1][3], said[1].len()), (4, 22));
    }
}
