//! Runs one job, on a thread that may block: an HTTP request with `ureq`, a program, or a function.
//!
//! It follows no redirects, uses no proxy from the environment, and reads no more than its limit. A
//! job ends at its timeout, whatever the other end does.

use super::child::{self, ProgramError};
use super::job::{Failure, HttpRequest, JobOutput, JobResult, Pick, PollFrom, Task};
use crate::base::Data;
use crate::base::limits::{
    BACKEND_HEAD_BYTES_MAX, BACKEND_IDLE_CONNECTION_MS, BACKEND_REASON_BYTES_MAX, JSON_DEPTH_MAX,
};
use crate::wire::json;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

/// Two objects enclose the data of an event: the envelope and its payload.
const AROUND_DATA: usize = 2;

/// Runs jobs. It keeps connections for a while.
#[derive(Debug, Default)]
pub(super) struct Client {
    plain: OnceLock<Agent>,
    /// The system's root certificates are read on first use.
    secure: OnceLock<Agent>,
}

/// A job's timeout and its most bytes of input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) timeout: Duration,
    pub(super) bytes_max: usize,
}

impl Client {
    /// Runs a job. Jobs that can be interrupted poll `is_stopping`.
    pub(super) fn run(
        &self,
        task: &Task,
        bounds: Bounds,
        is_stopping: &dyn Fn() -> bool,
    ) -> JobResult {
        match task {
            Task::Call(request) => self.call(request, bounds),
            Task::Poll { from: PollFrom::Function(run, stream), .. } => {
                let output =
                    run(stream).map_err(|error| Failure::Function(cut(error.to_string())))?;
                Ok(JobOutput::Data(output))
            }
            Task::Poll { from: PollFrom::Command(command, env), pick } => {
                let Bounds { timeout, bytes_max } = bounds;
                let output = child::output((command, env), timeout, bytes_max, is_stopping)?;
                pick_data(output, pick).map(JobOutput::Data)
            }
            Task::Poll { from: PollFrom::Url(url), pick } => {
                let url = url.as_str().into();
                let request = HttpRequest { url, fields: Vec::new(), body: None };
                let JobOutput::Answer { status, body, .. } = self.call(&request, bounds)? else {
                    return Ok(JobOutput::Nothing);
                };
                match status {
                    204 => Ok(JobOutput::Nothing),
                    200..=299 => pick_data(body, pick).map(JobOutput::Data),
                    _ => Err(Failure::Status(status)),
                }
            }
        }
    }

    fn call(&self, request: &HttpRequest, bounds: Bounds) -> JobResult {
        let agent = self.agent(&request.url)?;
        let mut built = Request::builder().uri(&*request.url);
        for (name, value) in &request.fields {
            built = built.header(name, value);
        }
        let timeout = Some(bounds.timeout);
        let unfit = |error: ureq::http::Error| Failure::Unreached(cut(error.to_string()));
        let sent = match &request.body {
            None => {
                let request = built.body(()).map_err(unfit)?;
                agent.run(agent.configure_request(request).timeout_global(timeout).build())
            }
            Some(body) => {
                let request = built.method("POST").body(body.as_slice()).map_err(unfit)?;
                agent.run(agent.configure_request(request).timeout_global(timeout).build())
            }
        };
        answer(sent.map_err(failure)?, bounds.bytes_max)
    }

    fn agent(&self, url: &str) -> Result<&Agent, Failure> {
        if !url.starts_with("https:") {
            return Ok(self.plain.get_or_init(|| agent(TlsConfig::default())));
        }
        if let Some(agent) = self.secure.get() {
            return Ok(agent);
        }
        let found = rustls_native_certs::load_native_certs();
        let certificates: Vec<Certificate<'static>> =
            found.certs.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
        if certificates.is_empty() {
            let why = "the system has no certificates to judge it by";
            return Err(Failure::Unreached(why.to_owned()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::Specific(Arc::new(certificates)));
        Ok(self.secure.get_or_init(|| agent(tls.build())))
    }
}

fn agent(tls: TlsConfig) -> Agent {
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("parlor/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(BACKEND_HEAD_BYTES_MAX)
        .max_idle_age(Duration::from_millis(BACKEND_IDLE_CONNECTION_MS))
        .build()
        .new_agent()
}

fn answer(mut response: Response<Body>, bytes_max: usize) -> JobResult {
    let status = response.status().as_u16();
    let fields = response.headers().iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let fields = fields.collect();
    // `ureq` treats a limit that is exactly reached as exceeded.
    let body = response.body_mut().with_config().limit(bytes_max as u64 + 1).read_to_vec();
    Ok(JobOutput::Answer { status, fields, body: body.map_err(failure)? })
}

fn failure(error: ureq::Error) -> Failure {
    use io::ErrorKind as Kind;
    match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            Failure::Unreached("it took too long to connect".to_owned())
        }
        ureq::Error::Timeout(_) => Failure::Timeout,
        ureq::Error::BodyExceedsLimit(_) => Failure::TooLarge,
        ureq::Error::HostNotFound => Failure::Unreached("its host is not found".to_owned()),
        ureq::Error::ConnectionFailed => Failure::Unreached("no connection".to_owned()),
        ureq::Error::BadUri(_) => Failure::Unreached("this is no URL".to_owned()),
        ureq::Error::Io(error) => match error.kind() {
            Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::AddrNotAvailable => Failure::Unreached(cut(error.to_string())),
            Kind::TimedOut => Failure::Timeout,
            _ => Failure::Broken(cut(error.to_string())),
        },
        error => Failure::Broken(cut(error.to_string())),
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Failure {
        match error {
            ProgramError::Timeout => Failure::Timeout,
            ProgramError::TooLarge => Failure::TooLarge,
            ProgramError::Stopped => Failure::Stopped,
            ProgramError::Start(_) | ProgramError::Read(_) | ProgramError::Status(_) => {
                Failure::Program(cut(error.to_string()))
            }
        }
    }
}

/// The data in the received bytes.
///
/// # Errors
/// [`Failure::NoData`].
pub(crate) fn pick_data(bytes: Vec<u8>, pick: &Pick) -> Result<Data, Failure> {
    match pick {
        Pick::Bytes => Ok(Data::Binary(bytes.into())),
        Pick::Json(pointer) => {
            let text = str::from_utf8(&bytes).map_err(|_| Failure::NoData("it is not UTF-8"))?;
            let whole = json::whole(text, JSON_DEPTH_MAX - AROUND_DATA);
            let whole = whole.map_err(|error| Failure::NoData(error.message()))?;
            let nowhere = Failure::NoData("the pointer leads nowhere");
            Ok(Data::Json(json::at(whole, pointer).ok_or(nowhere)?.into()))
        }
    }
}

/// Cuts a reason to its limit, because others' text may be of any length.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(BACKEND_REASON_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tree::pointer;

    fn json(text: &str, path: &str) -> Result<String, Failure> {
        let pick = Pick::Json(pointer(path).unwrap().into());
        pick_data(text.as_bytes().to_vec(), &pick).map(|data| match data {
            Data::Json(text) => text.to_string(),
            Data::Binary(_) => panic!("bytes"),
        })
    }

    #[test]
    fn data_are_picked_as_they_stand() {
        let whole = r#" {"a":[1.50,{"b":"\u00e9"}],"c":{"d":null}} "#;
        assert_eq!(json(whole, "").as_deref(), Ok(whole.trim()));
        assert_eq!(json(whole, "/a/0").as_deref(), Ok("1.50"));
        assert_eq!(json(whole, "/a/1/b").as_deref(), Ok(r#""\u00e9""#));
        assert_eq!(json(whole, "/c/d").as_deref(), Ok("null"));
        for nowhere in ["/b", "/a/2", "/a/01", "/a/b", "/c/d/e"] {
            assert_eq!(json(whole, nowhere), Err(Failure::NoData("the pointer leads nowhere")));
        }
        for wrong in ["", "{", "{} x", "nan", "\"\\ud800\"", &"[".repeat(40)] {
            assert!(matches!(json(wrong, ""), Err(Failure::NoData(_))), "{wrong}");
        }
        assert_eq!(pick_data(vec![0, 255], &Pick::Bytes), Ok(Data::Binary([0, 255].into())));
        let pick = Pick::Json([].into());
        assert_eq!(pick_data(vec![255], &pick), Err(Failure::NoData("it is not UTF-8")));
    }

    #[test]
    fn a_reason_is_cut_between_letters() {
        let long = cut("é".repeat(BACKEND_REASON_BYTES_MAX));
        assert!(long.len() <= BACKEND_REASON_BYTES_MAX && long.chars().all(|one| one == 'é'));
    }
}
