//! Opens a client as a configuration says.

use super::delivery::{Callback, Shared, is_thread_of};
use super::open_client::{CLIENTS, Kind, OpenClient};
use crate::abi::*;
use crate::call::{Failure, failure, read_sized, text};
use crate::logging::{self, LogSink, Logging};
use crate::signals::Blocked;
use crate::user_data::UserData;
use parlor::base::UserId;
use parlor::client::{Backoff, Client, FileOutbox, Proxy, StartError, Tls, WebSocket};
use parlor::protocol::deflate::{CodecsConfig, Offer};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a configuration must have at least: its size, what the program's functions are handed, and the URL.
const CONFIG_SIZE_MIN: usize = std::mem::offset_of!(parlor_config, p_token);

/// The texts and numbers of a configuration, read.
struct Read<'a> {
    url: &'a str,
    token: &'a str,
    name: &'a str,
    thread_name: &'a str,
    ca_file: &'a str,
    proxy: Option<Proxy>,
    outbox: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    protocols: Vec<&'a str>,
    backoff: Backoff,
    ping: (Duration, Duration),
    timeout: Duration,
}

/// Opens a client.
///
/// # Safety
/// The configuration is as the header says; the place is one for a client's name.
pub(crate) unsafe fn open_client(
    config: *const parlor_config,
    place: *mut *mut parlor_client,
) -> Result<(), Failure> {
    // SAFETY: as the caller says.
    let (config, judged) = unsafe { read_sized(config, parlor_config::DEFAULT, CONFIG_SIZE_MIN) }?;
    // From here on `p_drop` is called, whatever comes.
    let user = Arc::new(UserData { pointer: config.p_user, drop: config.p_drop });
    judged?;
    if place.is_null() {
        return Err(failure(PARLOR_E_ARGUMENT, "p_client is NULL"));
    }
    logging::begin();
    let sink = config.p_on_log.filter(|_| config.p_log_level > PARLOR_LOG_OFF).map(|on_log| {
        Arc::new(LogSink { on_log, level: config.p_log_level, user: Arc::clone(&user) })
    });
    let _logging = Logging::to(sink.clone());
    // SAFETY: as the caller says.
    let read = unsafe { read(&config) }?;
    if read.thread_name.contains('\0') {
        return Err(failure(PARLOR_E_ARGUMENT, "p_thread_name has a zero in it"));
    }
    let shared = Arc::new(Shared::new(user));
    let name = CLIENTS.keep_place()?;
    let begun = {
        // The client's thread, and those that it starts, have this, too.
        let _blocked = Blocked::all();
        let callback =
            config.p_on_event.map(|on_event| Callback { on_event, shared: Arc::clone(&shared) });
        match config.p_mode {
            PARLOR_MODE_CHAT => begin_chat(&config, &read, name, sink.clone(), callback),
            PARLOR_MODE_SOCKET => begin_socket(&config, &read, name, sink.clone(), callback),
            _ => Err(failure(PARLOR_E_ARGUMENT, "p_mode is none of PARLOR_MODE_*")),
        }
    };
    let kind = match begun {
        Ok(kind) => kind,
        Err(failure) => {
            CLIENTS.remove(name);
            return Err(failure);
        }
    };
    let opened = OpenClient {
        name,
        kind,
        shared: Arc::clone(&shared),
        sink,
        has_callback: config.p_on_event.is_some(),
        wait_handle: OnceLock::new(),
        has_ended: AtomicBool::new(false),
        is_being_freed: AtomicBool::new(false),
    };
    CLIENTS.open(name, opened);
    // SAFETY: as the caller says; it is not NULL.
    unsafe { place.write(std::ptr::without_provenance_mut(name)) };
    // Events are told from now on: the program has the name that it needs for what it does about them.
    let _ = shared.is_open.set(());
    Ok(())
}

unsafe fn read(config: &parlor_config) -> Result<Read<'_>, Failure> {
    // SAFETY: as the caller says.
    let text = |name, data| unsafe { text(name, data) };
    let time = |name: &str, micros: i64| {
        let micros = u64::try_from(micros);
        let bad = |_| failure(PARLOR_E_ARGUMENT, format!("{name} is less than 0"));
        micros.map(Duration::from_micros).map_err(bad)
    };
    let by_mode = |micros, chat: u64, socket: u64| match (micros, config.p_mode) {
        (parlor_config::BY_MODE, PARLOR_MODE_SOCKET) => i64::try_from(socket).unwrap_or(i64::MAX),
        (parlor_config::BY_MODE, _) => i64::try_from(chat).unwrap_or(i64::MAX),
        _ => micros,
    };
    let proxy = match text("p_proxy", config.p_proxy)? {
        "" => None,
        url => Some(
            Proxy::parse(url)
                .map_err(|error| failure(PARLOR_E_ARGUMENT, format!("p_proxy: {error}")))?,
        ),
    };
    let mut fields = Vec::new();
    for line in text("p_fields", config.p_fields)?.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| {
            failure(PARLOR_E_ARGUMENT, "a line of p_fields is no \"Name: value\"")
        })?;
        fields.push((name.trim(), value.trim()));
    }
    let protocols = text("p_protocols", config.p_protocols)?.split(',').map(str::trim);
    let more_than_nothing = |name, micros| match time(name, micros)? {
        time if time >= Duration::from_millis(1) => Ok(time),
        _ => Err(failure(PARLOR_E_ARGUMENT, format!("{name} is less than a millisecond"))),
    };
    let in_range = |name: &str, is_one: bool| match is_one {
        true => Ok(()),
        false => Err(failure(PARLOR_E_ARGUMENT, format!("{name} is out of its range"))),
    };
    in_range("p_attempts", config.p_attempts >= -1)?;
    in_range("p_backoff_factor", config.p_backoff_factor > 0)?;
    in_range("p_backoff_max", config.p_backoff_max >= config.p_backoff_min)?;
    in_range("p_queue", config.p_queue > 0)?;
    in_range("p_log_level", (PARLOR_LOG_OFF..=PARLOR_LOG_TRACE).contains(&config.p_log_level))?;
    let backoff = Backoff {
        min_ms: millis(more_than_nothing("p_backoff_min", config.p_backoff_min)?),
        max_ms: millis(time("p_backoff_max", config.p_backoff_max)?),
        factor: config.p_backoff_factor,
        has_jitter: config.p_jitter != 0,
        attempts: u32::try_from(config.p_attempts).ok(),
        stable_ms: millis(time("p_stable", config.p_stable)?),
    };
    let interval = by_mode(config.p_ping_interval, 5_000_000, 20_000_000);
    Ok(Read {
        url: text("p_url", config.p_url)?,
        token: text("p_token", config.p_token)?,
        name: text("p_name", config.p_name)?,
        thread_name: text("p_thread_name", config.p_thread_name)?,
        ca_file: text("p_ca_file", config.p_ca_file)?,
        proxy,
        outbox: text("p_outbox", config.p_outbox)?,
        fields,
        protocols: protocols.filter(|protocol| !protocol.is_empty()).collect(),
        backoff,
        ping: (
            time("p_ping_interval", interval)?,
            more_than_nothing("p_ping_timeout", config.p_ping_timeout)?,
        ),
        timeout: more_than_nothing("p_timeout", by_mode(config.p_timeout, 20_000_000, 15_000_000))?,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn not_begun(error: StartError) -> Failure {
    let rc = match &error {
        StartError::Url(_) => PARLOR_E_URL,
        StartError::Request(_) => PARLOR_E_ARGUMENT,
        StartError::Trust(_) => PARLOR_E_TRUST,
        _ => PARLOR_E_SYSTEM,
    };
    failure(rc, error)
}

fn trust(read: &Read<'_>) -> Result<Option<Tls>, Failure> {
    match read.ca_file {
        "" => Ok(None),
        path => Tls::ca_file(path).map(Some).map_err(|error| failure(PARLOR_E_TRUST, error)),
    }
}

/// What is done first on a client's thread.
fn first(name: usize, sink: Option<Arc<LogSink>>) -> impl FnOnce() + Send + 'static {
    move || {
        is_thread_of(name);
        logging::of_thread(sink);
    }
}

fn begin_chat(
    config: &parlor_config,
    read: &Read<'_>,
    name: usize,
    sink: Option<Arc<LogSink>>,
    callback: Option<Callback>,
) -> Result<Kind, Failure> {
    if !read.protocols.is_empty() {
        return Err(failure(PARLOR_E_ARGUMENT, "p_protocols is for PARLOR_MODE_SOCKET"));
    }
    let mut builder = Client::builder(read.url)
        .backoff(read.backoff)
        .ping(read.ping.0, read.ping.1)
        .timeout(read.timeout)
        .queue(config.p_queue)
        .on_start(first(name, sink));
    if !read.token.is_empty() {
        builder = builder.token(read.token);
    } else if config.p_asks_token != 0 {
        builder = builder.token_by_event();
    }
    if !read.name.is_empty() {
        let user = UserId::parse_any(read.name);
        builder = builder
            .user(user.map_err(|error| failure(PARLOR_E_ARGUMENT, format!("p_name: {error}")))?);
    }
    if !read.thread_name.is_empty() {
        builder = builder.thread_name(read.thread_name);
    }
    if let Some(tls) = trust(read)? {
        builder = builder.tls(tls);
    }
    if let Some(proxy) = &read.proxy {
        builder = builder.proxy(proxy.clone());
    }
    for (field, value) in &read.fields {
        builder = builder.field(field, value);
    }
    if config.p_deflate != 0 {
        builder = builder.deflate(&[Offer::default()]);
    }
    if !read.outbox.is_empty() {
        let outbox =
            FileOutbox::open(read.outbox).map_err(|error| failure(PARLOR_E_OUTBOX, error))?;
        builder = builder.outbox(outbox);
    }
    if let Some(callback) = callback {
        builder = builder.on_event(move |event| callback.tell_of_chat(event));
    }
    let client = builder.start().map_err(not_begun)?;
    let events = client.events();
    Ok(Kind::Chat(client, events))
}

fn begin_socket(
    config: &parlor_config,
    read: &Read<'_>,
    name: usize,
    sink: Option<Arc<LogSink>>,
    callback: Option<Callback>,
) -> Result<Kind, Failure> {
    if !read.name.is_empty() || !read.outbox.is_empty() || config.p_asks_token != 0 {
        let message = "p_name, p_outbox and p_asks_token are for PARLOR_MODE_CHAT";
        return Err(failure(PARLOR_E_ARGUMENT, message));
    }
    let mut builder = WebSocket::builder(read.url)
        .backoff(read.backoff)
        .ping(read.ping.0, read.ping.1)
        .connect_timeout(read.timeout)
        .queue(config.p_queue)
        .on_start(first(name, sink));
    if !read.thread_name.is_empty() {
        builder = builder.thread_name(read.thread_name);
    }
    if !read.token.is_empty() {
        builder = builder.field("Authorization", &format!("Bearer {}", read.token));
    }
    if let Some(tls) = trust(read)? {
        builder = builder.tls(tls);
    }
    if let Some(proxy) = &read.proxy {
        builder = builder.proxy(proxy.clone());
    }
    for (field, value) in &read.fields {
        builder = builder.field(field, value);
    }
    for protocol in &read.protocols {
        builder = builder.protocol(protocol);
    }
    if config.p_deflate != 0 {
        builder = builder.deflate(&[Offer::default()], CodecsConfig::default());
    }
    if let Some(callback) = callback {
        builder = builder.on_event(move |news| callback.tell_of_socket(&news));
    }
    let socket = builder.start().map_err(not_begun)?;
    let events = socket.events();
    Ok(Kind::Socket(socket, events))
}
