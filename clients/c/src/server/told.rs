//! What the program is told of its requests, paths and WebSockets.

use super::abi::*;
use super::given::{Given, fill_caller, text};
use super::open_server::{SERVERS, lock};
use super::replies::Waiting;
use crate::abi::parlor_str;
use parlor::http1::Status;
use parlor::protocol::CloseCode;
use parlor::server::{Call, PathAnswer, PathReply, PathRequest, Reply, Socket, SocketHandler};
use serde_json::{Map, Value, json};

const TOO_MANY: &str = "too many requests wait for the program";
const MICROS: u64 = 1_000;

/// Tells of a request.
pub(crate) fn tell_request(server: usize, given: &Given, call: &Call, reply: Reply) {
    // It is being freed: what is dropped is answered.
    let Ok(open) = SERVERS.find(server) else { return };
    // A handler may answer before this returns: the lock is not held then.
    let added = lock(&open.replies).add(Waiting::Request(reply));
    let number = match added {
        Ok(number) => number,
        Err(Waiting::Request(reply)) => {
            let _ = reply.error("overloaded", TOO_MANY);
            return;
        }
        Err(Waiting::Path(_)) => return,
    };
    drop(open);
    let payload = call.payload.to_string();
    let mut told = parlor_call::of_kind(PARLOR_CALL_REQUEST);
    told.p_reply = number;
    (told.p_type, told.p_data) = (text(&call.kind), text(&payload));
    told.p_connection = call.connection.map_or(0, |connection| connection.to_u64());
    fill_caller(&mut told, call.caller.as_ref());
    given.call(&told);
}

fn params<'a>(pairs: impl Iterator<Item = &'a (String, String)>) -> String {
    let pairs = pairs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::Object(pairs.collect::<Map<String, Value>>()).to_string()
}

/// Tells of an HTTP request.
pub(crate) fn tell_path(server: usize, given: &Given, request: &PathRequest, reply: PathReply) {
    let Ok(open) = SERVERS.find(server) else { return };
    let added = lock(&open.replies).add(Waiting::Path(reply));
    let number = match added {
        Ok(number) => number,
        Err(Waiting::Path(reply)) => {
            let error = json!({ "error": { "code": "overloaded", "message": TOO_MANY } });
            let _ = reply.send(PathAnswer::json(Status::ServiceUnavailable, &error));
            return;
        }
        Err(Waiting::Request(_)) => return,
    };
    drop(open);
    let (params, address) = (params(request.params.iter()), request.address.to_string());
    let lines = request.fields.iter().map(|(name, value)| format!("{name}: {value}\n"));
    let fields: String = lines.collect();
    let mut told = parlor_call::of_kind(PARLOR_CALL_PATH);
    told.p_reply = number;
    (told.p_method, told.p_path) = (text(&request.method), text(&request.path));
    (told.p_query, told.p_params) = (text(&request.query), text(&params));
    (told.p_fields, told.p_data) = (text(&fields), parlor_str::of(&request.body));
    told.p_address = text(&address);
    fill_caller(&mut told, request.caller.as_ref());
    given.call(&told);
}

/// Tells of WebSockets, and remembers those that are open.
pub(crate) struct SocketCalls {
    pub(crate) server: usize,
    pub(crate) given: Given,
}

impl SocketCalls {
    fn told(socket: &Socket, kind: i32) -> parlor_call {
        let mut told = parlor_call::of_kind(kind);
        told.p_connection = socket.id().to_u64();
        fill_caller(&mut told, socket.caller());
        told
    }
}

impl SocketHandler for SocketCalls {
    fn opened(&self, socket: &Socket) {
        let Ok(open) = SERVERS.find(self.server) else { return };
        lock(&open.sockets).insert(socket.id(), socket.clone());
        drop(open);
        let (params, query) = (params(socket.params().iter()), socket.whole_query());
        let mut told = SocketCalls::told(socket, PARLOR_CALL_OPENED);
        (told.p_params, told.p_query) = (text(&params), text(query));
        self.given.call(&told);
    }

    fn text(&self, socket: &Socket, said: &str) {
        let mut told = SocketCalls::told(socket, PARLOR_CALL_TEXT);
        told.p_data = text(said);
        self.given.call(&told);
    }

    fn binary(&self, socket: &Socket, bytes: &[u8]) {
        let mut told = SocketCalls::told(socket, PARLOR_CALL_BYTES);
        told.p_data = parlor_str::of(bytes);
        self.given.call(&told);
    }

    fn closed(&self, socket: &Socket, code: Option<CloseCode>) {
        if let Ok(open) = SERVERS.find(self.server) {
            lock(&open.sockets).remove(&socket.id());
        }
        let mut told = SocketCalls::told(socket, PARLOR_CALL_CLOSED);
        told.p_code = code.map_or(0, |code| i32::from(code.0));
        self.given.call(&told);
    }

    fn limited(&self, socket: &Socket, retry_after_ms: u64) {
        let mut told = SocketCalls::told(socket, PARLOR_CALL_LIMITED);
        told.p_time = micros(retry_after_ms);
        self.given.call(&told);
    }

    fn draining(&self, socket: &Socket, spread_ms: u64) {
        let mut told = SocketCalls::told(socket, PARLOR_CALL_DRAINING);
        told.p_time = micros(spread_ms);
        self.given.call(&told);
    }
}

fn micros(ms: u64) -> i64 {
    i64::try_from(ms.saturating_mul(MICROS)).unwrap_or(i64::MAX)
}
