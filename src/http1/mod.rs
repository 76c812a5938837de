//! HTTP/1.1 as bytes (RFC 9110, RFC 9112): heads, body framing, complete answers. No I/O, no clock,
//! no WebSocket.

pub mod answer_head;
pub mod framing;
pub mod head;
pub mod percent;
pub mod response;

pub use answer_head::AnswerHead;
pub use framing::{BodyError, BodyReader, Framing};
pub use head::{HeadError, HeadReader, RequestHead};
pub use percent::percent_encoded;
pub use response::{HttpRefusal, Response, ResponseOptions, Status};
