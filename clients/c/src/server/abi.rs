//! The types and constants of `include/parlor_server.h`, which says what they mean; a test compares them.

use super::head::{parlor_head, parlor_out};
use crate::abi::{PARLOR_LOG_WARN, parlor_drop_fn, parlor_log_fn, parlor_rc, parlor_str};
use libc::c_void;
use std::ptr;

pub const PARLOR_CALL_REQUEST: i32 = 1;
pub const PARLOR_CALL_PATH: i32 = 2;
pub const PARLOR_CALL_OPENED: i32 = 3;
pub const PARLOR_CALL_TEXT: i32 = 4;
pub const PARLOR_CALL_BYTES: i32 = 5;
pub const PARLOR_CALL_CLOSED: i32 = 6;
pub const PARLOR_CALL_LIMITED: i32 = 7;
pub const PARLOR_CALL_DRAINING: i32 = 8;
pub const PARLOR_CALL_DONE: i32 = 9;

pub const PARLOR_HEAD_METHOD: i32 = 0;
pub const PARLOR_HEAD_PATH: i32 = 1;
pub const PARLOR_HEAD_FIELD: i32 = 2;
pub const PARLOR_HEAD_QUERY: i32 = 3;
pub const PARLOR_HEAD_ADDRESS: i32 = 4;

pub const PARLOR_ACCESS_PUBLIC: i32 = 0;
pub const PARLOR_ACCESS_USERS: i32 = 1;
pub const PARLOR_ACCESS_ADMINS: i32 = 2;

pub const PARLOR_MEMBER_JOIN: i32 = 0;
pub const PARLOR_MEMBER_INVITE: i32 = 1;
pub const PARLOR_MEMBER_REMOVE: i32 = 2;
pub const PARLOR_MEMBER_BAN: i32 = 3;
pub const PARLOR_MEMBER_UNBAN: i32 = 4;

/// A server's name; there is nothing behind the address.
#[repr(C)]
pub struct parlor_server {
    _private: [u8; 0],
}

#[repr(C)]
pub struct parlor_call {
    pub(crate) p_size: usize,
    pub(crate) p_kind: i32,
    pub(crate) p_rc: i32,
    pub(crate) p_code: i32,
    pub(crate) p_is_admin: i32,
    pub(crate) p_reply: u64,
    pub(crate) p_connection: u64,
    pub(crate) p_seq: u64,
    pub(crate) p_time: i64,
    pub(crate) p_type: parlor_str,
    pub(crate) p_data: parlor_str,
    pub(crate) p_user: parlor_str,
    pub(crate) p_name: parlor_str,
    pub(crate) p_room: parlor_str,
    pub(crate) p_method: parlor_str,
    pub(crate) p_path: parlor_str,
    pub(crate) p_query: parlor_str,
    pub(crate) p_params: parlor_str,
    pub(crate) p_fields: parlor_str,
    pub(crate) p_address: parlor_str,
    pub(crate) p_error: parlor_str,
    pub(crate) p_message: parlor_str,
}

impl parlor_call {
    pub(crate) const fn of_kind(kind: i32) -> parlor_call {
        let none = parlor_str::EMPTY;
        parlor_call {
            p_size: size_of::<parlor_call>(),
            p_kind: kind,
            p_rc: 0,
            p_code: 0,
            p_is_admin: 0,
            p_reply: 0,
            p_connection: 0,
            p_seq: 0,
            p_time: 0,
            p_type: none,
            p_data: none,
            p_user: none,
            p_name: none,
            p_room: none,
            p_method: none,
            p_path: none,
            p_query: none,
            p_params: none,
            p_fields: none,
            p_address: none,
            p_error: none,
            p_message: none,
        }
    }
}

pub type parlor_call_fn = unsafe extern "C-unwind" fn(*mut c_void, *const parlor_call);
pub type parlor_head_fn =
    unsafe extern "C-unwind" fn(*mut c_void, *const parlor_head, *mut parlor_out) -> parlor_rc;
pub type parlor_poll_fn =
    unsafe extern "C-unwind" fn(*mut c_void, parlor_str, *mut parlor_out) -> parlor_rc;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct parlor_server_config {
    pub(crate) p_size: usize,
    pub(crate) p_user: *mut c_void,
    pub(crate) p_on_head: Option<parlor_head_fn>,
    pub(crate) p_on_log: Option<parlor_log_fn>,
    pub(crate) p_drop: Option<parlor_drop_fn>,
    pub(crate) p_file: parlor_str,
    pub(crate) p_settings: parlor_str,
    pub(crate) p_listen: parlor_str,
    pub(crate) p_data: parlor_str,
    pub(crate) p_log_level: i32,
    pub(crate) p_reserved: i32,
}

impl parlor_server_config {
    pub(crate) const DEFAULT: parlor_server_config = parlor_server_config {
        p_size: size_of::<parlor_server_config>(),
        p_user: ptr::null_mut(),
        p_on_head: None,
        p_on_log: None,
        p_drop: None,
        p_file: parlor_str::EMPTY,
        p_settings: parlor_str::EMPTY,
        p_listen: parlor_str::EMPTY,
        p_data: parlor_str::EMPTY,
        p_log_level: PARLOR_LOG_WARN,
        p_reserved: 0,
    };
}
