//! Where the server listens: whether it may, who is there already, and proxies in front.

use super::super::server_link::LinkArgs;
use super::report::{Report, word};
use crate::base::limits::DOCTOR_STEP_MS;
use crate::config::{Config, ListenAddress, Listener};
use crate::reactor::can_listen;
use rustix::fs::{Access, access};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

const PORT: &str = "port";
const SOCKET: &str = "socket";
const PROXY: &str = "proxy";

/// What keeps a server from listening at each of its addresses, with the rights of this process.
pub(super) fn try_all(config: &Config) -> Vec<(Listener, io::Result<()>)> {
    let tried = |listener: Listener| {
        let result = match &listener.address {
            ListenAddress::Tcp(address) => can_listen(*address),
            ListenAddress::Unix(path) => {
                let rights = Access::WRITE_OK | Access::EXEC_OK;
                access(folder_of(path), rights).map_err(io::Error::from)
            }
            ListenAddress::Passed(_) => Ok(()),
        };
        (listener, result)
    };
    config.all_listeners().into_iter().map(tried).collect()
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Looks at all listeners.
pub(super) fn look(
    report: &mut Report,
    config: &Config,
    holder: Option<u32>,
    listeners: Vec<(Listener, io::Result<()>)>,
) {
    for (listener, tried) in listeners {
        match &listener.address {
            ListenAddress::Tcp(address) => {
                port(report, &listener, *address, tried, holder, config);
            }
            ListenAddress::Unix(path) => socket(report, path, tried, holder),
            ListenAddress::Passed(_) => {
                let text = format!("{} comes from systemd at the start", listener.address);
                report.ok(SOCKET, text);
            }
        }
    }
    proxies(report, config);
}

fn port(
    report: &mut Report,
    listener: &Listener,
    address: SocketAddr,
    tried: io::Result<()>,
    holder: Option<u32>,
    config: &Config,
) {
    let other = another(address, config);
    match tried {
        Ok(()) if holder.is_some() && address.port() != 0 => {
            let text = format!("a server runs, and does not listen at {address}");
            report.error(PORT, text, "parlor serve --replace");
        }
        Ok(()) => report.ok(PORT, format!("{address} is free")),
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse => in_use(report, listener, (address, &other), holder, config),
            ErrorKind::PermissionDenied => {
                let text = format!(
                    "{address} is for root: start as root with --user, or let systemd give the \
                     right (AmbientCapabilities=CAP_NET_BIND_SERVICE)"
                );
                report.error(PORT, text, "sudo parlor serve --user parlor");
            }
            ErrorKind::AddrNotAvailable => {
                report.error(PORT, format!("{address} is no address of this machine"), other);
            }
            _ => report.error(PORT, format!("{address}: {error}"), other),
        },
    }
}

/// The line that lets a listener have another port.
fn another(address: SocketAddr, config: &Config) -> String {
    let next = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080));
    let key = if config.listeners.is_empty() { "listen" } else { "address" };
    format!("{key} = \"{next}\"")
}

fn in_use(
    report: &mut Report,
    listener: &Listener,
    (address, other): (SocketAddr, &str),
    holder: Option<u32>,
    config: &Config,
) {
    match (who_answers(listener), holder) {
        (Answers::Parlor, Some(pid)) => {
            report.ok(PORT, format!("{address} is served, by process {pid} as it seems"));
        }
        (Answers::Parlor, None) if config.data.directory().is_none() => {
            let text =
                "is served by a parlor; of data in memory nothing tells whether it is this one";
            report.ok(PORT, format!("{address} {text}"));
        }
        (Answers::Parlor, None) => {
            let text = format!("another parlor, with other data, listens at {address}");
            report.error(PORT, text, other);
        }
        // It asks for a certificate, or speaks the PROXY protocol.
        (Answers::Nobody, Some(pid)) => {
            let text = format!(
                "{address} is in use, by process {pid} if it is its own, but does not answer here"
            );
            report.ok(PORT, text);
        }
        (Answers::Other | Answers::Nobody, _) => {
            let text = format!("another program listens at {address}");
            let who = format!("{other} (who it is: ss -ltnp 'sport = :{}')", address.port());
            report.error(PORT, text, who);
        }
    }
}

/// Who answers at an address.
enum Answers {
    Parlor,
    Other,
    Nobody,
}

fn who_answers(listener: &Listener) -> Answers {
    let link = LinkArgs::default().to_listener(listener, None);
    let asked =
        link.and_then(|link| link.patient_for(DOCTOR_STEP_MS).call("GET", "/healthz", None));
    match asked {
        Ok((200, answer)) if answer["version"].is_string() && answer["open"].is_boolean() => {
            Answers::Parlor
        }
        // Where a proxy must begin with its header, or a page be asked for by its name.
        Ok((_, answer)) if answer["error"]["code"].is_string() => Answers::Parlor,
        Ok(_) => Answers::Other,
        Err(_) => Answers::Nobody,
    }
}

fn socket(report: &mut Report, path: &Path, tried: io::Result<()>, holder: Option<u32>) {
    let (shown, folder) = (path.display(), folder_of(path));
    match path.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => {
            let text = format!("{shown} is there already, and is no socket");
            report.error(SOCKET, text, format!("mv {0} {0}.old", word(path)));
        }
        Ok(_) if holder.is_some() => report.ok(SOCKET, format!("{shown} is there")),
        Ok(_) => report.ok(SOCKET, format!("{shown} is left of a server, and is replaced")),
        // The data's directory is made at the first start.
        Err(_) if !folder.exists() => {
            let text = format!("{} is not there, for {shown}", folder.display());
            report.warn(SOCKET, text, format!("install -d {}", word(folder)));
        }
        Err(_) if tried.is_err() => {
            let text = format!("{shown} may not be made");
            report.warn(SOCKET, text, format!("ls -ld {}", word(folder)));
        }
        Err(_) => report.ok(SOCKET, format!("{shown} is free")),
    }
}

/// Proxies that nobody has named. Whether they work is seen from the other side of them.
fn proxies(report: &mut Report, config: &Config) {
    let named = config.proxies.trusted.len() + config.proxies.protocol.len();
    let listeners = config.all_listeners();
    let is_named = named > 0 || listeners.iter().any(|listener| listener.rules.proxy.is_some());
    let is_for_proxy = |listener: &Listener| {
        matches!(listener.address, ListenAddress::Tcp(_))
            && listener.address.beyond_loopback().is_none()
            && listener.serves.public
            && !listener.tls
    };
    if is_named {
        let text = "clients are named by proxies; --url tells whether those do";
        report.ok(PROXY, text);
    } else if !config.is_open() && listeners.iter().any(is_for_proxy) {
        let text = "none is named: if one stands before this loopback address, all people share the limits of one";
        report.warn(PROXY, text, "proxies.trusted = [\"127.0.0.1\"]");
    } else {
        report.ok(PROXY, "none is named");
    }
}
