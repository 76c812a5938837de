//! The types and constants of `include/parlor.h`, which says what they mean; a test compares them.

use libc::c_void;
use std::ptr;

pub type parlor_rc = i32;

pub const PARLOR_OK: parlor_rc = 0;
pub const PARLOR_E_ARGUMENT: parlor_rc = -1;
pub const PARLOR_E_URL: parlor_rc = -2;
pub const PARLOR_E_TRUST: parlor_rc = -3;
pub const PARLOR_E_SYSTEM: parlor_rc = -4;
pub const PARLOR_E_OUTBOX: parlor_rc = -5;
pub const PARLOR_E_FULL: parlor_rc = -6;
pub const PARLOR_E_NOT_OPEN: parlor_rc = -7;
pub const PARLOR_E_CLOSED: parlor_rc = -8;
pub const PARLOR_E_TIMEOUT: parlor_rc = -9;
pub const PARLOR_E_MODE: parlor_rc = -10;
pub const PARLOR_E_FORK: parlor_rc = -11;
pub const PARLOR_E_FREED: parlor_rc = -12;
pub const PARLOR_E_INTERNAL: parlor_rc = -13;
pub const PARLOR_E_REQUEST: parlor_rc = -14;
pub const PARLOR_E_CONFIG: parlor_rc = -15;
pub const PARLOR_E_REFUSED: parlor_rc = -16;
pub const PARLOR_E_UNAUTHORIZED: parlor_rc = -17;
pub const PARLOR_E_FORBIDDEN: parlor_rc = -18;

/// What results mean, from `PARLOR_OK` downwards.
pub(crate) const RC_TEXTS: [&std::ffi::CStr; 19] = [
    c"all is well",
    c"an argument is wrong",
    c"the URL is none, or not ws:// or wss://",
    c"there is nobody to trust",
    c"the system does not give what it needs: a thread, a descriptor, a port",
    c"the folder of the outbox cannot be used",
    c"too much waits",
    c"the WebSocket is not open",
    c"the client is stopping or has ended",
    c"nothing came in time",
    c"not in this mode, or not here",
    c"this process is a child of the one that opened clients",
    c"there is none: it was freed, or never opened",
    c"a fault of the library's",
    c"there is no such request",
    c"the configuration is wrong",
    c"the server refuses it",
    c"nobody has said who sends it",
    c"it is not theirs to do",
];

pub const PARLOR_MODE_CHAT: i32 = 0;
pub const PARLOR_MODE_SOCKET: i32 = 1;

pub const PARLOR_STATE_IDLE: i32 = 0;
pub const PARLOR_STATE_CONNECTING: i32 = 1;
pub const PARLOR_STATE_AUTHENTICATING: i32 = 2;
pub const PARLOR_STATE_ONLINE: i32 = 3;
pub const PARLOR_STATE_WAITING: i32 = 4;
pub const PARLOR_STATE_PAUSED: i32 = 5;
pub const PARLOR_STATE_CLOSED: i32 = 6;
pub const PARLOR_STATE_FAILED: i32 = 7;

pub const PARLOR_EVENT_STATE: i32 = 1;
pub const PARLOR_EVENT_ENTRY: i32 = 2;
pub const PARLOR_EVENT_GAP: i32 = 3;
pub const PARLOR_EVENT_MEMBERSHIP: i32 = 4;
pub const PARLOR_EVENT_READ: i32 = 5;
pub const PARLOR_EVENT_DELIVERED: i32 = 6;
pub const PARLOR_EVENT_TYPING: i32 = 7;
pub const PARLOR_EVENT_PRESENCE: i32 = 8;
pub const PARLOR_EVENT_STREAM: i32 = 9;
pub const PARLOR_EVENT_STREAM_GAP: i32 = 10;
pub const PARLOR_EVENT_STREAM_STALE: i32 = 11;
pub const PARLOR_EVENT_STREAM_REFUSED: i32 = 12;
pub const PARLOR_EVENT_QUALITY: i32 = 13;
pub const PARLOR_EVENT_ANSWER: i32 = 14;
pub const PARLOR_EVENT_SENT: i32 = 15;
pub const PARLOR_EVENT_TOKEN: i32 = 16;
pub const PARLOR_EVENT_ERROR: i32 = 17;
pub const PARLOR_EVENT_PUSH: i32 = 18;
pub const PARLOR_EVENT_LEFT_OUT: i32 = 19;
pub const PARLOR_EVENT_OPENED: i32 = 20;
pub const PARLOR_EVENT_TEXT: i32 = 21;
pub const PARLOR_EVENT_BYTES: i32 = 22;
pub const PARLOR_EVENT_LOST: i32 = 23;
pub const PARLOR_EVENT_ENDED: i32 = 24;

pub const PARLOR_HINT_ONLINE: i32 = 0;
pub const PARLOR_HINT_OFFLINE: i32 = 1;
pub const PARLOR_HINT_SLEEP: i32 = 2;
pub const PARLOR_HINT_WAKE: i32 = 3;

pub const PARLOR_ABOUT_WHY: i32 = 0;
pub const PARLOR_ABOUT_HELLO: i32 = 1;
pub const PARLOR_ABOUT_ROOMS: i32 = 2;
pub const PARLOR_ABOUT_ROOM: i32 = 3;
pub const PARLOR_ABOUT_UNSENT: i32 = 4;

pub const PARLOR_LOG_OFF: i32 = 0;
pub const PARLOR_LOG_ERROR: i32 = 1;
pub const PARLOR_LOG_WARN: i32 = 2;
pub const PARLOR_LOG_INFO: i32 = 3;
pub const PARLOR_LOG_DEBUG: i32 = 4;
pub const PARLOR_LOG_TRACE: i32 = 5;

/// A client's name; there is nothing behind the address.
#[repr(C)]
pub struct parlor_client {
    _private: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct parlor_str {
    pub(crate) p_size: usize,
    pub(crate) p_data: *const u8,
}

impl parlor_str {
    pub(crate) const EMPTY: parlor_str = parlor_str { p_size: 0, p_data: ptr::null() };

    /// These bytes, which must outlive it.
    pub(crate) fn of(bytes: &[u8]) -> parlor_str {
        parlor_str { p_size: bytes.len(), p_data: bytes.as_ptr() }
    }
}

#[repr(C)]
pub struct parlor_event {
    pub(crate) p_size: usize,
    pub(crate) p_kind: i32,
    pub(crate) p_state: i32,
    pub(crate) p_code: i32,
    pub(crate) p_reserved: i32,
    pub(crate) p_request: u64,
    pub(crate) p_seq: u64,
    pub(crate) p_target: u64,
    pub(crate) p_count: u64,
    pub(crate) p_time: i64,
    pub(crate) p_room: parlor_str,
    pub(crate) p_stream: parlor_str,
    pub(crate) p_user: parlor_str,
    pub(crate) p_type: parlor_str,
    pub(crate) p_id: parlor_str,
    pub(crate) p_text: parlor_str,
    pub(crate) p_data: parlor_str,
    pub(crate) p_error: parlor_str,
    pub(crate) p_message: parlor_str,
}

impl parlor_event {
    pub(crate) const fn of_kind(kind: i32) -> parlor_event {
        let none = parlor_str::EMPTY;
        parlor_event {
            p_size: size_of::<parlor_event>(),
            p_kind: kind,
            p_state: 0,
            p_code: 0,
            p_reserved: 0,
            p_request: 0,
            p_seq: 0,
            p_target: 0,
            p_count: 0,
            p_time: 0,
            p_room: none,
            p_stream: none,
            p_user: none,
            p_type: none,
            p_id: none,
            p_text: none,
            p_data: none,
            p_error: none,
            p_message: none,
        }
    }
}

// "C-unwind": what a program throws in spite of the header ends it, and is no undefined behaviour.
pub type parlor_event_fn = unsafe extern "C-unwind" fn(*mut c_void, *const parlor_event);
pub type parlor_log_fn = unsafe extern "C-unwind" fn(*mut c_void, i32, parlor_str);
pub type parlor_drop_fn = unsafe extern "C-unwind" fn(*mut c_void);

#[repr(C)]
#[derive(Clone, Copy)]
pub struct parlor_config {
    pub(crate) p_size: usize,
    pub(crate) p_user: *mut c_void,
    pub(crate) p_on_event: Option<parlor_event_fn>,
    pub(crate) p_on_log: Option<parlor_log_fn>,
    pub(crate) p_drop: Option<parlor_drop_fn>,
    pub(crate) p_url: parlor_str,
    pub(crate) p_token: parlor_str,
    pub(crate) p_name: parlor_str,
    pub(crate) p_thread_name: parlor_str,
    pub(crate) p_ca_file: parlor_str,
    pub(crate) p_proxy: parlor_str,
    pub(crate) p_outbox: parlor_str,
    pub(crate) p_fields: parlor_str,
    pub(crate) p_protocols: parlor_str,
    pub(crate) p_mode: i32,
    pub(crate) p_log_level: i32,
    pub(crate) p_asks_token: i32,
    pub(crate) p_jitter: i32,
    pub(crate) p_backoff_min: i64,
    pub(crate) p_backoff_max: i64,
    pub(crate) p_backoff_factor: u32,
    pub(crate) p_attempts: i32,
    pub(crate) p_stable: i64,
    pub(crate) p_ping_interval: i64,
    pub(crate) p_ping_timeout: i64,
    pub(crate) p_timeout: i64,
    pub(crate) p_queue: u32,
    pub(crate) p_deflate: u32,
}

impl parlor_config {
    /// Of which the mode decides: its default.
    pub(crate) const BY_MODE: i64 = -1;

    pub(crate) const DEFAULT: parlor_config = parlor_config {
        p_size: size_of::<parlor_config>(),
        p_user: ptr::null_mut(),
        p_on_event: None,
        p_on_log: None,
        p_drop: None,
        p_url: parlor_str::EMPTY,
        p_token: parlor_str::EMPTY,
        p_name: parlor_str::EMPTY,
        p_thread_name: parlor_str::EMPTY,
        p_ca_file: parlor_str::EMPTY,
        p_proxy: parlor_str::EMPTY,
        p_outbox: parlor_str::EMPTY,
        p_fields: parlor_str::EMPTY,
        p_protocols: parlor_str::EMPTY,
        p_mode: PARLOR_MODE_CHAT,
        p_log_level: PARLOR_LOG_WARN,
        p_asks_token: 0,
        p_jitter: 1,
        p_backoff_min: 1_000_000,
        p_backoff_max: 30_000_000,
        p_backoff_factor: 2,
        p_attempts: -1,
        p_stable: 30_000_000,
        p_ping_interval: parlor_config::BY_MODE,
        p_ping_timeout: 10_000_000,
        p_timeout: parlor_config::BY_MODE,
        p_queue: 4_096,
        p_deflate: 0,
    };
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct parlor_message {
    pub(crate) p_size: usize,
    pub(crate) p_room: parlor_str,
    pub(crate) p_text: parlor_str,
    pub(crate) p_data: parlor_str,
    pub(crate) p_id: parlor_str,
    pub(crate) p_reply_to: u64,
}
