//! `parlor admin` and `parlor health`: what operators ask a running server.

use super::log_line::is_plain;
use super::server_link::{LinkArgs, ServerLink};
use super::{CommandFailure, print_out};
use crate::base::Timestamp;
use crate::base::date::rfc3339;
use crate::base::limits::LINK_ROWS_MAX;
use crate::http1::percent_encoded;
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::io::IsTerminal;

/// Options of `parlor health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    link: LinkArgs,
}

/// Options of `parlor admin`.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// List who is online
    Users(ListArgs),
    /// List all connections
    Connections(ListArgs),
    /// List all rooms
    Rooms(ListArgs),
    /// List all streams
    Streams(ListArgs),
    /// End the connections of a user, or one
    Kick(KickArgs),
    /// Revoke all tokens of a user so far, or one token, and end the connections with it
    Revoke(RevokeArgs),
    /// Make a user a member of a room
    Invite(InviteArgs),
    /// Send a message to connections, which is not stored
    Push(PushArgs),
}

/// The options of a list.
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct FormArgs {
    /// Print JSON, as where the output is no terminal
    #[arg(long)]
    json: bool,
}

/// Options of `parlor admin kick`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kicked").required(true).args(["user", "connection"])))]
struct KickArgs {
    /// The user
    user: Option<String>,

    /// One connection, as `parlor admin connections` names it
    #[arg(long, value_name = "ID")]
    connection: Option<String>,

    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Options of `parlor admin revoke`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("revoked").required(true).args(["user", "token_id"])))]
struct RevokeArgs {
    /// The user
    user: Option<String>,

    /// The id (`jti`) of one token
    #[arg(long, value_name = "ID")]
    token_id: Option<String>,

    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Options of `parlor admin invite`.
#[derive(Debug, Args)]
struct InviteArgs {
    /// The room
    room: String,
    /// The user
    user: String,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Options of `parlor admin push`.
#[derive(Debug, Args)]
struct PushArgs {
    /// The type of the message
    kind: String,

    /// Its payload, a JSON object
    #[arg(default_value = "{}")]
    payload: String,

    /// To all connections of this user (may be repeated)
    #[arg(long, value_name = "ID")]
    user: Vec<String>,

    /// To the connections that follow this room
    #[arg(long, value_name = "ROOM", conflicts_with_all = ["user", "connection", "all"])]
    room: Option<String>,

    /// To one connection
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "all"])]
    connection: Option<String>,

    /// To all connections
    #[arg(long, conflicts_with = "user")]
    all: bool,

    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// A list of the API: its path, its member, and the columns of its table.
struct Listing {
    path: &'static str,
    member: &'static str,
    columns: &'static [&'static str],
}

const USERS: Listing =
    Listing { path: "users?", member: "users", columns: &["user", "name", "connections", "since"] };
const CONNECTIONS: Listing = Listing {
    path: "connections?",
    member: "connections",
    columns: &[
        "connection",
        "user",
        "kind",
        "address",
        "received",
        "sent",
        "waiting_bytes",
        "errors",
        "drops",
    ],
};
const ROOMS: Listing = Listing {
    path: "rooms?all=true&",
    member: "rooms",
    columns: &["room", "title", "open", "members", "head"],
};
const STREAMS: Listing = Listing {
    path: "streams?",
    member: "streams",
    columns: &["stream", "keep", "binary", "seq", "ts", "subscribers"],
};

pub(super) fn health(args: HealthArgs) -> Result<(), CommandFailure> {
    let (status, answer) = args.link.open(false)?.call("GET", "/readyz", None)?;
    print_out(&format!("{}\n", shown(&answer)))?;
    if status == 200 { Ok(()) } else { Err(CommandFailure::new("the server is not ready")) }
}

pub(super) fn run(args: AdminArgs) -> Result<(), CommandFailure> {
    match args.command {
        AdminCommand::Users(list) => print_list(list, &USERS),
        AdminCommand::Connections(list) => print_list(list, &CONNECTIONS),
        AdminCommand::Rooms(list) => print_list(list, &ROOMS),
        AdminCommand::Streams(list) => print_list(list, &STREAMS),
        AdminCommand::Kick(KickArgs { user, connection, form, link }) => {
            let path = match (user, connection) {
                (_, Some(connection)) => format!("connections/{}", percent_encoded(&connection)),
                (user, None) => {
                    format!("users/{}/connections", percent_encoded(&user.unwrap_or_default()))
                }
            };
            act(link, form, ("DELETE", &path), None)
        }
        AdminCommand::Revoke(RevokeArgs { user, token_id, form, link }) => {
            let what = match token_id {
                Some(id) => json!({ "jti": id }),
                None => json!({ "user": user }),
            };
            act(link, form, ("POST", "call/auth:revoke"), Some(&what))
        }
        AdminCommand::Invite(InviteArgs { room, user, form, link }) => {
            let path =
                format!("rooms/{}/members/{}", percent_encoded(&room), percent_encoded(&user));
            act(link, form, ("PUT", &path), None)
        }
        AdminCommand::Push(push) => {
            let (form, message) = (push.form, message(&push)?);
            act(push.link, form, ("POST", "call/admin:push"), Some(&message))
        }
    }
}

fn message(push: &PushArgs) -> Result<Value, CommandFailure> {
    let payload: Map<String, Value> = serde_json::from_str(&push.payload).map_err(|error| {
        CommandFailure::usage(format!("the payload is no JSON object: {error}"))
    })?;
    let mut message = json!({ "type": push.kind, "payload": payload });
    let (to, whom) = match (&push.room, &push.connection) {
        (Some(room), _) => ("room", json!(room)),
        (None, Some(connection)) => ("connection", json!(connection)),
        (None, None) if !push.user.is_empty() => ("users", json!(push.user)),
        (None, None) if push.all => ("all", json!(true)),
        (None, None) => {
            let message = "say to whom: --user, --room, --connection or --all";
            return Err(CommandFailure::usage(message));
        }
    };
    message[to] = whom;
    Ok(message)
}

/// Makes a call that changes something, and prints its answer.
fn act(
    link: LinkArgs,
    form: FormArgs,
    (method, path): (&str, &str),
    body: Option<&Value>,
) -> Result<(), CommandFailure> {
    let answer = call(&link.open(true)?, method, path, body)?;
    let lines = match (&answer, form.is_json()) {
        (Value::Object(members), false) => {
            let line =
                |(name, value): (&String, &Value)| format!("{}: {}\n", plain(name), shown(value));
            members.iter().map(line).collect()
        }
        _ => format!("{answer}\n"),
    };
    print_out(&lines)
}

/// All connections of a server.
pub(super) fn connections(link: &ServerLink) -> Result<Vec<Value>, CommandFailure> {
    rows(link, &CONNECTIONS)
}

/// Prints all pages of a list.
fn print_list(args: ListArgs, listing: &Listing) -> Result<(), CommandFailure> {
    let rows = rows(&args.link.open(true)?, listing)?;
    if args.form.is_json() {
        print_out(&format!("{}\n", json!({ (listing.member): rows })))
    } else {
        print_out(&table(listing.columns, &rows))
    }
}

/// The rows of all pages of a list.
fn rows(link: &ServerLink, listing: &Listing) -> Result<Vec<Value>, CommandFailure> {
    let mut rows: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = call(link, "GET", &format!("{}{after}", listing.path), None)?;
        let Some(found) = page.get_mut(listing.member).and_then(Value::as_array_mut) else {
            return Err(CommandFailure::new("the server's answer is not that of a parlor"));
        };
        rows.append(found);
        if rows.len() > LINK_ROWS_MAX {
            let message =
                format!("there are more than {LINK_ROWS_MAX}: this is not the list of a parlor");
            return Err(CommandFailure::new(message));
        }
        let last = rows.last().and_then(|row| row.get(listing.columns.first()?)?.as_str());
        match last.filter(|_| page["more"] == json!(true)) {
            Some(last) => after = format!("after={}", percent_encoded(last)),
            None => return Ok(rows),
        }
    }
}

/// A call of the API; an error says what the server refused.
fn call(
    link: &ServerLink,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, CommandFailure> {
    let (status, answer) = link.call(method, &format!("/api/v1/{path}"), body)?;
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let error = answer.get("error");
    let said = error.and_then(|error| error["message"].as_str()).unwrap_or("no reason was given");
    let code = error.and_then(|error| error["code"].as_str()).unwrap_or_default();
    Err(CommandFailure::new(format!("{status} {}: {}", plain(code), plain(said))))
}

impl FormArgs {
    pub(super) fn is_json(self) -> bool {
        self.json || !std::io::stdout().is_terminal()
    }
}

/// Rows below their columns' names. Values come from strangers.
fn table(columns: &[&str], rows: &[Value]) -> String {
    let cell = |row: &Value, column: &&str| match (*column, &row[*column]) {
        ("since" | "ts", Value::Number(ms)) => {
            ms.as_i64().map(|ms| rfc3339(Timestamp(ms))).unwrap_or_default()
        }
        (_, value) => shown(value),
    };
    let cells = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    let heads = columns.iter().map(|column| column.to_uppercase()).collect::<Vec<String>>();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(cells).collect();
    let width = |place: usize| lines.iter().map(|line| line[place].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|place| width(place).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut written = String::new();
        for (value, width) in line.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(written, "{value:<width$}  ");
        }
        text += written.trim_end();
        text.push('\n');
    }
    text
}

/// A value as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// Without what could control a terminal.
pub(super) fn plain(text: &str) -> String {
    let escaped = |char: char| -> String {
        if is_plain(char) { char.into() } else { char.escape_default().collect() }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_columns_below_each_other_and_controls_no_terminal() {
        let rows = [
            json!({ "user": "ada", "name": "A\u{1b}[2J", "connections": 12, "since": 0 }),
            json!({ "user": "a longer one", "connections": 1, "since": 1_000 }),
        ];
        let expected = "\
USER          NAME        CONNECTIONS  SINCE
ada           A\\u{1b}[2J  12           1970-01-01T00:00:00.000Z
a longer one              1            1970-01-01T00:00:01.000Z
";
        assert_eq!(table(USERS.columns, &rows), expected);
        assert_eq!(table(&["a"], &[]), "A\n");
    }
}
