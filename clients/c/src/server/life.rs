//! Starting, reloading, stopping.

use super::abi::*;
use super::given::Done;
use super::head::authenticate;
use super::open_server::{OpenServer, SERVERS, Thread, Within, call_of, fault, lock};
use super::replies::Replies;
use crate::abi::*;
use crate::call::{
    Failure, call, failure, fill_sized, last_error, put, rc_text, read_sized, text, zero_ended,
};
use crate::logging::{self, LogSink};
use crate::signals::{Blocked, Errno};
use crate::user_data::UserData;
use parlor::config::{Assignment, ConfigSources, RawValue};
use parlor::server::{Config, HandleError, ReloadError, Running, Server, ServerError};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a configuration must have at least: all but what came later.
const CONFIG_SIZE_MIN: usize = std::mem::offset_of!(parlor_server_config, p_log_level);

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_rc_text(rc: parlor_rc) -> *const c_char {
    rc_text(rc)
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_last_error() -> *const c_char {
    last_error()
}

/// # Safety
/// The text is NULL, or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_text(text: *const c_char) -> parlor_str {
    // SAFETY: as the caller says.
    unsafe { zero_ended(text) }
}

/// # Safety
/// The place is NULL, or has so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_config_init(config: *mut parlor_server_config, size: usize) {
    // SAFETY: as the caller says.
    unsafe { fill_sized(config, size, parlor_server_config::DEFAULT) };
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_start(
    config: *const parlor_server_config,
    server: *mut *mut parlor_server,
) -> parlor_rc {
    // SAFETY: as the caller says.
    call(|| unsafe { start(config, server) })
}

/// # Safety
/// As the header says.
unsafe fn start(
    given: *const parlor_server_config,
    place: *mut *mut parlor_server,
) -> Result<(), Failure> {
    // SAFETY: as the caller says.
    let (given, judged) =
        unsafe { read_sized(given, parlor_server_config::DEFAULT, CONFIG_SIZE_MIN) }?;
    // From here on `p_drop` is called, whatever comes.
    let user = Arc::new(UserData { pointer: given.p_user, drop: given.p_drop });
    judged?;
    if place.is_null() {
        return Err(failure(PARLOR_E_ARGUMENT, "p_server is NULL"));
    }
    if Within::is() {
        return Err(failure(PARLOR_E_MODE, "a server's function must not wait for another"));
    }
    logging::begin();
    // SAFETY: as the caller says.
    let mut config = unsafe { read_config(&given) }?;
    config.authenticate = given.p_on_head.map(|on_head| authenticate(on_head, Arc::clone(&user)));
    let name = SERVERS.keep_place()?;
    if let Some(on_log) = given.p_on_log.filter(|_| given.p_log_level > PARLOR_LOG_OFF) {
        let (level, user) = (given.p_log_level, Arc::clone(&user));
        logging::of_all(Arc::new(LogSink { on_log, level, user }));
    }
    let started = {
        // The server's threads have this, too.
        let _blocked = Blocked::all();
        // On a thread of its own: the standard library keeps something for each that waits for another so.
        let starts = std::thread::Builder::new().spawn(|| Server::start(config));
        starts.map(JoinHandle::join)
    };
    let started = match started {
        Ok(Ok(started)) => started,
        Ok(Err(_)) => Err(ServerError::Panicked),
        Err(error) => Err(ServerError::System(error)),
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            logging::not_to(&user);
            SERVERS.remove(name);
            let rc = match &error {
                ServerError::Config(_) => PARLOR_E_CONFIG,
                _ => PARLOR_E_SYSTEM,
            };
            return Err(failure(rc, error));
        }
    };
    SERVERS.open(name, opened(running, user));
    // SAFETY: as the caller says; it is not NULL.
    unsafe { put(place, std::ptr::without_provenance_mut(name)) };
    Ok(())
}

fn opened(running: Running, user: Arc<UserData>) -> OpenServer {
    OpenServer {
        handle: running.handle(),
        reloader: running.reloader(),
        address: running.local_addr(),
        thread: Mutex::new(Thread::Runs(running)),
        replies: Mutex::new(Replies::default()),
        sockets: Mutex::new(HashMap::new()),
        is_being_freed: AtomicBool::new(false),
        user,
    }
}

/// The configuration: the file's, the settings', and what has a member of its own.
///
/// # Safety
/// The texts are as the header says.
unsafe fn read_config(given: &parlor_server_config) -> Result<Config, Failure> {
    // SAFETY: as the caller says.
    let texts = unsafe {
        [
            text("p_file", given.p_file)?,
            text("p_settings", given.p_settings)?,
            text("p_listen", given.p_listen)?,
            text("p_data", given.p_data)?,
        ]
    };
    let [file, settings, listen, data] = texts;
    let mut flags: Vec<Assignment> = settings.lines().filter(is_setting).map(setting).collect();
    for (key, value) in [("listen", listen), ("data", data)] {
        if !value.is_empty() {
            let flag = format!("p_{key} {value}");
            let value = RawValue::Text(value.to_owned());
            flags.push(Assignment { flag, key: Some(key), value });
        }
    }
    if data.is_empty()
        && file.is_empty()
        && !settings.lines().any(|line| line.split('=').next().map(str::trim) == Some("data"))
    {
        return Err(failure(PARLOR_E_CONFIG, "p_data is empty: name a folder, or \":memory:\""));
    }
    let sources = ConfigSources {
        file: (!file.is_empty()).then(|| Path::new(file).into()),
        flags,
        ..ConfigSources::default()
    };
    let config = sources.read().map_err(|faults| failure(PARLOR_E_CONFIG, faults))?.config;
    if config.thread_count() > 1 {
        let why = "threads: a server within a program of C has one, as the program's functions are called one at a time";
        return Err(failure(PARLOR_E_CONFIG, why));
    }
    Ok(config)
}

fn is_setting(line: &&str) -> bool {
    !line.trim().is_empty()
}

fn setting(line: &str) -> Assignment {
    let line = line.trim();
    Assignment { flag: line.to_owned(), key: None, value: RawValue::Text(line.to_owned()) }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_port(server: *mut parlor_server) -> i32 {
    let mut port = 0;
    let rc = call_of(server, |open| {
        port = i32::from(open.address.port());
        Ok(())
    });
    if rc == PARLOR_OK { port } else { rc }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parlor_server_reload(
    server: *mut parlor_server,
    settings: parlor_str,
    done: Option<parlor_call_fn>,
    user: *mut c_void,
) -> parlor_rc {
    call_of(server, |open| {
        if Within::is() {
            return Err(failure(
                PARLOR_E_MODE,
                "a function of the server's must not wait for the disk",
            ));
        }
        // SAFETY: as the caller says.
        let settings = unsafe { text("p_settings", settings) }?;
        let mut config = open.reloader.config();
        for line in settings.lines().filter(is_setting) {
            config.set(line.trim()).map_err(|error| failure(PARLOR_E_CONFIG, error))?;
        }
        let reloaded = open.reloader.reload(&config).map_err(|error| match error {
            ReloadError::Config(error) => failure(PARLOR_E_CONFIG, error),
            ReloadError::Server(error) => fault(error),
        })?;
        let changes = |changes: &[parlor::server::Change]| -> Value {
            changes.iter().map(|one| json!({ "key": one.key, "what": one.what })).collect()
        };
        let told = json!({
            "taken": changes(&reloaded.taken),
            "waiting": changes(&reloaded.waiting),
            "keys": reloaded.keys,
        });
        Done::new(done, user).tell(Ok((told.to_string(), None)));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_stop(server: *mut parlor_server) -> parlor_rc {
    call_of(server, |open| begun(open.handle.stop()))
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_restart(server: *mut parlor_server) -> parlor_rc {
    call_of(server, |open| begun(open.handle.restart()))
}

/// One that has stopped stops no more: that is no fault.
fn begun(done: Result<(), HandleError>) -> Result<(), Failure> {
    match done {
        Ok(()) | Err(HandleError::Stopped) => Ok(()),
        Err(error) => Err(fault(error)),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_join(server: *mut parlor_server) -> parlor_rc {
    call_of(server, |open| {
        if Within::is() {
            return Err(failure(PARLOR_E_MODE, "a function of the server's must not wait for it"));
        }
        joined(open).map_err(|error| failure(PARLOR_E_SYSTEM, error))
    })
}

/// Waits for its end; the second who asks waits for the first.
fn joined(open: &OpenServer) -> Result<(), String> {
    let mut thread = lock(&open.thread);
    if let Thread::Runs(_) = &*thread {
        let before = std::mem::replace(&mut *thread, Thread::HasEnded(Ok(())));
        if let Thread::Runs(running) = before {
            *thread = Thread::HasEnded(running.join().map_err(|error| error.to_string()));
        }
    }
    match &*thread {
        Thread::HasEnded(result) => result.clone(),
        Thread::Runs(_) => Ok(()),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn parlor_server_free(server: *mut parlor_server) {
    if server.is_null() {
        return;
    }
    let _errno = Errno::keep();
    call_of(server, |open| {
        // Its own functions may ask about it until it has ended. Somebody else may free it, too: the first does it.
        if open.is_being_freed.swap(true, Ordering::AcqRel) {
            return Err(failure(PARLOR_E_FREED, "another thread frees the server"));
        }
        // It can only have stopped already.
        let _ = open.handle.stop();
        let unanswered = lock(&open.replies).take_all();
        drop(unanswered);
        if !Within::is() {
            let _ = joined(open);
        }
        logging::not_to(&open.user);
        SERVERS.remove(server.addr());
        Ok(())
    });
}
