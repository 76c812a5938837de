//! A chat as an application has it that was there before parlor: its users and conversations are its own, in its own
//! SQLite, under numbers of its own. parlor is what they talk over: conversation 7 is the closed room `7`, user 2 is
//! who signs in as `2`. The page has the hooks and components of such an application, over `parlor-client/compat/sohbet`.
//!
//! Run: `node examples/build.mjs sohbet && cargo run --release --example sohbet`, then open the printed address in two
//! browsers, or in a private window beside the first. Behind the command may stand where to listen, and a directory
//! for the data: `-- 127.0.0.1:8081 target/sohbet`.
//!
//! Whoever says a name is who has it: an application has its own sign-in in place of `POST /api/login`.

use parlor::auth::{Claims, Secret};
use parlor::base::request::Part;
use parlor::base::{Entry, EntryKind};
use parlor::config::Creators;
use parlor::http1::Status;
use parlor::server::{
    Access, Config, Handle, HandleError, NewRoom, PathAnswer, PathReply, PathRequest, Server,
};
use parlor::store::Place;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, UNIX_EPOCH};

/// Requests that wait for the database.
const WAITING_MAX: usize = 256;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;
/// What one list has.
const LISTED_MAX: u32 = 200;
/// How long a sign-in is good.
const SIGN_IN_SECONDS: u64 = 30 * 24 * 3_600;
/// How long parlor may take for what must be on its disk.
const PATIENCE: Duration = Duration::from_secs(5);
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS conversations (id INTEGER PRIMARY KEY, user1_id INTEGER NOT NULL REFERENCES users,
        user2_id INTEGER NOT NULL REFERENCES users, UNIQUE (user1_id, user2_id), CHECK (user1_id < user2_id)) STRICT;
    CREATE TABLE IF NOT EXISTS secrets (id INTEGER PRIMARY KEY CHECK (id = 1), secret TEXT NOT NULL) STRICT;";

/// A status, and a sentence for people.
type Refused = (Status, String);
type Answered = Result<Value, Refused>;
type Job = (fn(&Desk, i64, &PathRequest) -> Answered, PathRequest, PathReply);

fn refused(status: Status, why: &str) -> Refused {
    (status, why.to_owned())
}

/// What the program does by itself, on a thread of its own: it waits for disks, and parlor's must not.
struct Desk {
    data: Connection,
    secret: Secret,
    parlor: Handle,
}

impl Desk {
    /// Answers one request after the other, until nobody can ask any more.
    fn serve(self, jobs: &Receiver<Job>) {
        for (answer, request, reply) in jobs {
            // parlor has looked at the token; who it is for is a number of ours.
            let user = request.caller.as_ref().and_then(|caller| caller.user.as_str().parse().ok());
            let (status, body) = match answer(&self, user.unwrap_or_default(), &request) {
                Ok(body) => (Status::Ok, body),
                Err((status, why)) => (status, json!({ "error": why })),
            };
            // Whoever has gone meanwhile needs no answer.
            let _ = reply.send(PathAnswer::json(status, &body));
        }
    }

    fn login(&self, _: i64, request: &PathRequest) -> Answered {
        let body = request.json().unwrap_or_default();
        let name = body["username"].as_str().unwrap_or_default().trim();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(refused(Status::BadRequest, "username has 1 to 64 bytes"));
        }
        let insert = "INSERT INTO users (username) VALUES (?1) ON CONFLICT DO NOTHING";
        self.data.execute(insert, [name]).map_err(failed)?;
        let find = "SELECT id, username FROM users WHERE username = ?1";
        let user = self.data.query_row(find, [name], user).map_err(failed)?;
        let claims = Claims {
            sub: user["id"].to_string().into(),
            exp: Some((UNIX_EPOCH.elapsed().map_err(failed)?.as_secs() + SIGN_IN_SECONDS).into()),
            name: Some(name.to_owned()),
            ..Claims::default()
        };
        Ok(json!({ "token": self.secret.sign(&claims).map_err(failed)?, "user": user }))
    }

    fn users(&self, me: i64, _: &PathRequest) -> Answered {
        let find = "SELECT id, username FROM users WHERE id != ?1 ORDER BY username LIMIT ?2";
        Ok(json!({ "users": self.list(find, params![me, LISTED_MAX], user)? }))
    }

    fn user(&self, _: i64, request: &PathRequest) -> Answered {
        let find = "SELECT id, username FROM users WHERE id = ?1";
        let found = self.data.query_row(find, [number(request)?], user).optional();
        found.map_err(failed)?.ok_or(refused(Status::NotFound, "there is no such user"))
    }

    fn conversations(&self, me: i64, _: &PathRequest) -> Answered {
        let find = "SELECT id, user1_id, user2_id FROM conversations
            WHERE ?1 IN (user1_id, user2_id) ORDER BY id LIMIT ?2";
        Ok(json!({ "conversations": self.list(find, params![me, LISTED_MAX], conversation)? }))
    }

    /// The conversation with somebody: the one that there is, or a new one.
    fn converse(&self, me: i64, request: &PathRequest) -> Answered {
        let body = request.json().unwrap_or_default();
        let other = body["user_id"].as_i64().filter(|other| *other != me);
        let pair = other.map(|other| (me.min(other), me.max(other)));
        let Some((one, two)) = pair else {
            return Err(refused(Status::BadRequest, "user_id is another user's"));
        };
        let insert = "INSERT INTO conversations (user1_id, user2_id)
            SELECT a.id, b.id FROM users a, users b WHERE a.id = ?1 AND b.id = ?2 ON CONFLICT DO NOTHING";
        self.data.execute(insert, [one, two]).map_err(failed)?;
        let find = "SELECT id, user1_id, user2_id FROM conversations WHERE user1_id = ?1 AND user2_id = ?2";
        let found = self.data.query_row(find, [one, two], conversation).optional();
        let found =
            found.map_err(failed)?.ok_or(refused(Status::NotFound, "there is no such user"))?;
        self.make_room(&found).map_err(failed)?;
        Ok(found)
    }

    /// The newest first, as the application has them.
    fn messages(&self, me: i64, request: &PathRequest) -> Answered {
        let id = number(request)?;
        let mine = "SELECT 1 FROM conversations WHERE id = ?1 AND ?2 IN (user1_id, user2_id)";
        // That it is there is told to nobody else.
        if !self.data.prepare(mine).and_then(|mut all| all.exists([id, me])).map_err(failed)? {
            return Err(refused(Status::NotFound, "there is no such conversation"));
        }
        let history = self.parlor.history(&id.to_string(), Part::Newest).map_err(failed)?;
        let entries = history.wait(PATIENCE).map_err(failed)?.entries;
        let messages = entries.iter().rev().filter_map(|entry| self.message(id, entry).transpose());
        Ok(json!({ "messages": messages.collect::<Result<Vec<_>, _>>()? }))
    }

    fn message(&self, conversation: i64, entry: &Entry) -> Result<Option<Value>, Refused> {
        let EntryKind::Message { from, body, changes, .. } = &entry.kind else { return Ok(None) };
        if changes.as_ref().is_some_and(|changes| changes.deleted.is_some()) {
            return Ok(None);
        }
        let format = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch')";
        let at: String =
            self.data.query_row(format, [entry.ts.0], |row| row.get(0)).map_err(failed)?;
        let from: Option<i64> = from.as_str().parse().ok();
        Ok(Some(json!({
            "id": entry.seq, "conversation_id": conversation, "sender_id": from,
            "content": &*body.text, "created_at": at,
        })))
    }

    /// The closed room of a conversation, with both in it: nobody else learns that it is there.
    fn make_room(&self, conversation: &Value) -> Result<(), HandleError> {
        let [id, one, two] =
            ["id", "user1_id", "user2_id"].map(|name| conversation[name].to_string());
        let new = NewRoom { members: &[&two], ..NewRoom::default() };
        match self.parlor.create(&id, &one, new)?.wait(PATIENCE) {
            // It is there already.
            Err(HandleError::Refused { code: "conflict", .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the rooms that a crash has left unmade between the two disks.
    fn catch_up(&self) -> Result<(), Box<dyn Error>> {
        let mut all = self.data.prepare("SELECT id, user1_id, user2_id FROM conversations")?;
        for found in all.query_map([], conversation)? {
            self.make_room(&found?)?;
        }
        Ok(())
    }

    fn list(
        &self,
        find: &str,
        with: impl rusqlite::Params,
        read: fn(&Row<'_>) -> rusqlite::Result<Value>,
    ) -> Result<Vec<Value>, Refused> {
        let mut all = self.data.prepare(find).map_err(failed)?;
        let rows = all.query_map(with, read).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({ "id": row.get::<_, i64>(0)?, "username": row.get::<_, String>(1)? }))
}

fn conversation(row: &Row<'_>) -> rusqlite::Result<Value> {
    let [id, one, two] = [row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?];
    Ok(json!({ "id": id, "user1_id": one, "user2_id": two }))
}

fn number(request: &PathRequest) -> Result<i64, Refused> {
    let id = request.param("id").and_then(|id| id.parse().ok());
    id.ok_or(refused(Status::BadRequest, "the id is a number"))
}

/// What went wrong is for the log; whoever asked can only try again.
fn failed(error: impl std::fmt::Display) -> Refused {
    eprintln!("sohbet: {error}");
    refused(Status::InternalServerError, "something is wrong here; try again later")
}

/// The secret that signs tokens, the same after a restart.
fn secret(data: &Connection) -> Result<Secret, Box<dyn Error>> {
    let mut new = [0; 32];
    getrandom::fill(&mut new)?;
    let new: String = new.iter().map(|byte| format!("{byte:02x}")).collect();
    data.execute("INSERT INTO secrets (id, secret) VALUES (1, ?1) ON CONFLICT DO NOTHING", [new])?;
    let kept: String = data.query_row("SELECT secret FROM secrets", [], |row| row.get(0))?;
    Ok(Secret::new(kept.as_bytes())
        .map_err(|len| format!("a secret of {len} bytes is too short"))?)
}

fn own_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    // It has the secret: nobody else is to read it.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// A file of the page.
fn hand_out(
    parlor: &Handle,
    path: &str,
    kind: &'static str,
    body: String,
) -> Result<(), HandleError> {
    parlor.answer_path("GET", path, Access::Public, move |_, reply| {
        if let Ok(answer) = PathAnswer::new(Status::Ok, kind, body.clone()) {
            let _ = reply.send(answer);
        }
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let directory = PathBuf::from(arguments.next().unwrap_or("target/sohbet/data".to_owned()));
    let bundle = arguments.next().unwrap_or("target/sohbet/app.js".to_owned());
    let script = fs::read_to_string(&bundle)
        .map_err(|error| format!("{bundle}: {error}; node examples/build.mjs sohbet makes it"))?;
    let address = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    own_directory(&directory)?;
    let data = Connection::open(directory.join("sohbet.db"))?;
    data.execute_batch(SCHEMA)?;

    let mut config = Config::new(address, Place::Directory(directory.join("parlor")));
    let secret = secret(&data)?;
    config.secret = Some(secret.clone());
    // Conversations are the application's to make.
    config.rooms_create = Creators::Admin;
    let server = Server::start(config)?;
    server.stop_on_signals()?;
    let parlor = server.handle();
    let desk = Desk { data, secret, parlor: parlor.clone() };
    desk.catch_up()?;
    let (jobs, waiting) = sync_channel(WAITING_MAX);
    std::thread::spawn(move || desk.serve(&waiting));

    hand_out(&parlor, "/", "text/html; charset=utf-8", include_str!("page.html").to_owned())?;
    hand_out(&parlor, "/app.js", "text/javascript; charset=utf-8", script)?;
    let route = |method, path, access, answer| route(&parlor, &jobs, method, path, access, answer);
    route("POST", "/api/login", Access::Public, Desk::login)?;
    route("GET", "/api/users", Access::User, Desk::users)?;
    route("GET", "/api/users/{id}", Access::User, Desk::user)?;
    route("GET", "/api/conversations", Access::User, Desk::conversations)?;
    route("POST", "/api/conversations", Access::User, Desk::converse)?;
    route("GET", "/api/conversations/{id}/messages", Access::User, Desk::messages)?;
    println!("Sohbet: http://{}/", server.local_addr());
    Ok(server.join()?)
}

fn route(
    parlor: &Handle,
    jobs: &SyncSender<Job>,
    method: &str,
    path: &str,
    access: Access,
    answer: fn(&Desk, i64, &PathRequest) -> Answered,
) -> Result<(), HandleError> {
    let jobs = jobs.clone();
    parlor.answer_path(method, path, access, move |request, reply| {
        if let Err(TrySendError::Full((.., reply)) | TrySendError::Disconnected((.., reply))) =
            jobs.try_send((answer, request, reply))
        {
            let body = json!({ "error": "there is too much to do; try again later" });
            let _ = reply.send(PathAnswer::json(Status::ServiceUnavailable, &body));
        }
    })
}
