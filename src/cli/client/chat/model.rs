//! What the chat shows, and what it wants done: told what happens and what is typed, it has neither I/O nor a clock.

use super::loaded_log::LoadedLog;
use super::palette::Palette;
use super::room_lines::{LogPlace, RoomLines, UnsentLine};
use super::task::{ChatTask, JoinableRooms};
use super::times::LocalTimes;
use super::wrap::wrap;
use crate::base::{EntryKind, RoomId, Timestamp, UserId};
use crate::client::{ClientEvent, Hello, Membership, Part, Presences, Quality, RoomView, State};
use crate::wire::told::ToldObject;
use ratatui::layout::Rect;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tui_input::Input;

/// What the chat shows.
#[derive(Debug)]
pub(super) struct ChatModel {
    /// Where the server is.
    pub(super) url: String,
    pub(super) me: Option<UserId>,
    pub(super) state: State,
    pub(super) quality: Option<Quality>,
    pub(super) people: Option<Arc<Presences>>,
    /// The rooms of which something is known, by name.
    pub(super) rooms: BTreeMap<RoomId, ChatRoom>,
    pub(super) current: Option<RoomId>,
    /// What is typed while there is no room.
    pub(super) lobby_input: Input,
    pub(super) panel: Option<Panel>,
    /// One line about what has just happened.
    pub(super) notice: Option<String>,
    /// Rooms that a newcomer may join, once they were listed.
    pub(super) listed: Option<JoinableRooms>,
    pub(super) area: Rect,
    pub(super) times: LocalTimes,
    pub(super) palette: Palette,
    pub(super) typed: TypedBefore,
    /// Where to begin.
    wanted: Option<RoomId>,
    /// The client has been online.
    pub(super) has_begun: bool,
    pub(super) is_quitting: bool,
    tasks: Vec<ChatTask>,
}

/// A room.
#[derive(Debug, Default)]
pub(super) struct ChatRoom {
    pub(super) view: RoomView,
    pub(super) log: LoadedLog,
    pub(super) unsent: Vec<UnsentLine>,
    /// Where the user looks at; `None` for the newest.
    pub(super) place: Option<LogPlace>,
    /// Lines that are still to be gone up, once they are there.
    pub(super) owed: usize,
    /// Behind this entry was new what the user found when they came.
    pub(super) new_after: Option<u64>,
    /// Its members, once they are known; of a large room none.
    pub(super) members: Option<BTreeSet<UserId>>,
    /// Who of them was online when they were listed, and since then, if that is told room by room.
    pub(super) online: BTreeSet<UserId>,
    has_own_presence: bool,
    pub(super) input: Input,
    /// The server was told that this is read.
    marked: u64,
    members_are_asked: bool,
}

/// What a command has answered, in place of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// So many lines are above the screen.
    pub(super) above: usize,
}

/// Lines that were typed before, for the arrow keys.
#[derive(Debug, Default)]
pub(super) struct TypedBefore {
    pub(super) lines: Vec<String>,
    /// Which one is shown, counted from the newest.
    pub(super) at: usize,
}

impl Panel {
    /// Its lines in so many columns.
    pub(super) fn wrapped(&self, width: u16) -> Vec<String> {
        let width = usize::from(width).saturating_sub(1);
        self.lines.iter().flat_map(|line| wrap(line, width, 0)).collect()
    }
}

impl ChatModel {
    pub(super) fn new(
        url: String,
        wanted: Option<RoomId>,
        times: LocalTimes,
        palette: Palette,
    ) -> ChatModel {
        ChatModel {
            url,
            me: None,
            state: State::Connecting,
            quality: None,
            people: None,
            rooms: BTreeMap::new(),
            current: None,
            lobby_input: Input::default(),
            panel: None,
            notice: None,
            listed: None,
            area: Rect::new(0, 0, 80, 24),
            times,
            palette,
            typed: TypedBefore::default(),
            wanted,
            has_begun: false,
            is_quitting: false,
            tasks: Vec::new(),
        }
    }

    /// What is to be done, in this order.
    pub(super) fn take_tasks(&mut self) -> Vec<ChatTask> {
        std::mem::take(&mut self.tasks)
    }

    pub(super) fn wants(&mut self, task: ChatTask) {
        self.tasks.push(task);
    }

    // --- What is told ---

    pub(super) fn take_hello(&mut self, hello: &Hello) {
        self.me = Some(hello.user.clone());
    }

    /// What the client knows of a room.
    pub(super) fn take_view(&mut self, name: &RoomId, view: RoomView) {
        let is_wanted = matches!(view.membership, Membership::Member | Membership::Joining);
        if !is_wanted && !self.rooms.contains_key(name) {
            return;
        }
        let room = self.rooms.entry(name.clone()).or_default();
        let before = std::mem::replace(&mut room.view, view);
        let is_current = self.current.as_ref() == Some(name);
        if before.membership != room.view.membership {
            match &room.view.membership {
                Membership::Member if is_current => self.load(name),
                Membership::Left | Membership::Refused(_) | Membership::None => {
                    // What happens there from now on is not told.
                    room.log = LoadedLog::default();
                    (room.place, room.members, room.members_are_asked) = (None, None, false);
                }
                _ => {}
            }
        }
    }

    pub(super) fn take_event(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::State(state) => self.take_state(state),
            ClientEvent::Quality(quality) => self.quality = Some(*quality),
            ClientEvent::Presence(people) => self.people = Some(Arc::clone(people)),
            ClientEvent::Entry(entry) => {
                let Some(room) = self.rooms.get_mut(&entry.room) else { return };
                // A room that nobody has looked at is read when they do.
                if room.log.is_loaded || room.log.asked.is_some() {
                    room.log.take_entry(entry);
                }
                match &entry.kind {
                    EntryKind::Message { cid: Some(cid), .. } => {
                        room.unsent.retain(|unsent| unsent.id != *cid);
                    }
                    EntryKind::Joined { user, .. } => {
                        room.members.as_mut().map(|members| members.insert(user.clone()));
                    }
                    EntryKind::Left { user, .. } => {
                        room.members.as_mut().map(|members| members.remove(user));
                    }
                    _ => {}
                }
            }
            ClientEvent::Gap(gap) => {
                let Some(room) = self.rooms.get_mut(&gap.room) else { return };
                // What is held is not all, or of another life of the store.
                room.log = LoadedLog::default();
                (room.place, room.new_after, room.marked) = (None, None, 0);
                room.members_are_asked = false;
                self.notice = Some(match gap.reason {
                    "epoch_changed" => format!("{}: the server has begun anew", gap.room),
                    _ => format!(
                        "{}: {} to {} are not kept any more",
                        gap.room,
                        gap.after + 1,
                        gap.before.saturating_sub(1)
                    ),
                });
                if self.current.as_ref() == Some(&gap.room) {
                    let name = gap.room.clone();
                    self.load(&name);
                }
            }
            ClientEvent::Membership { room, membership } => self.take_membership(room, membership),
            ClientEvent::Push { kind, payload } => {
                if let Some(told) = ToldObject::parse(payload) {
                    self.take_push(kind, &told);
                }
            }
            // This server tells nobody who is online.
            ClientEvent::Error(error) if &*error.code == "forbidden" && self.people.is_none() => {}
            ClientEvent::Error(error) => self.notice = Some(error.to_string()),
            // The views have them.
            _ => {}
        }
    }

    fn take_push(&mut self, kind: &str, told: &ToldObject<'_>) {
        let Some(name) = told.room() else { return };
        if let ("room:invited", Some(by)) = (kind, told.user("by")) {
            self.notice = Some(format!("{by} invites you to {name}: /join {name}"));
        }
        // docs/protocol.md, "Presence": where only people in shared rooms are told of, each room has pushes of its own.
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let users = told.texts("users");
        let users = users.iter().filter_map(|user| UserId::parse(user).ok());
        match kind {
            "user:online" => room.online.extend(users),
            "user:offline" => users.for_each(|user| {
                room.online.remove(&user);
            }),
            _ => return,
        }
        room.has_own_presence = true;
        if told.flag("reset") {
            self.wants(ChatTask::Members { room: name, is_asked: false });
        }
    }

    fn take_state(&mut self, state: &State) {
        self.state = state.clone();
        if !state.is_online() {
            return;
        }
        if !self.has_begun {
            self.has_begun = true;
            let unread = |(_, room): &(&RoomId, &ChatRoom)| room.view.unread > 0;
            let mine = || self.my_rooms();
            let first = mine().find(unread).or_else(|| mine().next()).map(|(name, _)| name.clone());
            match self.wanted.take().or(first) {
                Some(name) => self.open(&name),
                None => self.wants(ChatTask::Rooms { is_asked: false }),
            }
        } else if let Some(name) = self.current.clone() {
            self.load(&name);
        }
    }

    fn take_membership(&mut self, name: &RoomId, membership: &Membership) {
        let shown = room_name(name, self.me.as_ref());
        match membership {
            // Another one was left by the user.
            Membership::Left if self.current.as_ref() == Some(name) => {
                self.notice = Some(format!("you are no longer in {shown}"))
            }
            Membership::Refused(error) => self.notice = Some(format!("{shown}: {error}")),
            _ => {}
        }
    }

    /// A message is on its way.
    pub(super) fn take_sent(&mut self, name: &RoomId, unsent: UnsentLine) {
        let room = self.rooms.entry(name.clone()).or_default();
        room.unsent.push(unsent);
    }

    // --- Rooms ---

    /// The rooms that the user is in, by name.
    pub(super) fn my_rooms(&self) -> impl Iterator<Item = (&RoomId, &ChatRoom)> {
        self.rooms.iter().filter(|(name, room)| {
            let is_mine = matches!(room.view.membership, Membership::Member | Membership::Joining);
            is_mine || self.current.as_ref() == Some(*name)
        })
    }

    pub(super) fn room(&self) -> Option<&ChatRoom> {
        self.rooms.get(self.current.as_ref()?)
    }

    pub(super) fn room_mut(&mut self) -> Option<&mut ChatRoom> {
        self.rooms.get_mut(self.current.as_ref()?)
    }

    pub(super) fn input_mut(&mut self) -> &mut Input {
        match self.current.as_ref().and_then(|name| self.rooms.get_mut(name)) {
            Some(room) => &mut room.input,
            None => &mut self.lobby_input,
        }
    }

    pub(super) fn input(&self) -> &Input {
        self.room().map_or(&self.lobby_input, |room| &room.input)
    }

    /// Shows a room; joins it first, if the user is not in it.
    pub(super) fn open(&mut self, name: &RoomId) {
        if let Some(room) = self.room_mut() {
            room.new_after = None;
        }
        let room = self.rooms.entry(name.clone()).or_default();
        let is_member = room.view.membership == Membership::Member;
        room.new_after = (room.view.unread > 0).then_some(room.view.read);
        (room.place, room.owed) = (None, 0);
        // What was typed before there was a room is for the first.
        if self.current.is_none() && room.input.value().is_empty() {
            std::mem::swap(&mut room.input, &mut self.lobby_input);
        }
        self.current = Some(name.clone());
        (self.panel, self.notice) = (None, None);
        if is_member {
            self.load(name);
        } else {
            self.wants(ChatTask::Join(name.clone()));
        }
    }

    /// Shows the room so many places below this one in the list.
    pub(super) fn open_beside(&mut self, places: isize) {
        let names: Vec<RoomId> = self.my_rooms().map(|(name, _)| name.clone()).collect();
        let at = names.iter().position(|name| Some(name) == self.current.as_ref());
        let len = isize::try_from(names.len()).unwrap_or(isize::MAX);
        let Some(to) = (at.map_or(0, |at| at as isize) + places).checked_rem_euclid(len) else {
            return;
        };
        if let Some(name) = usize::try_from(to).ok().and_then(|to| names.get(to)).cloned()
            && Some(&name) != self.current.as_ref()
        {
            self.open(&name);
        }
    }

    /// No room is shown any more: another one is, if there is one.
    pub(super) fn close(&mut self, name: &RoomId) {
        if self.current.as_ref() != Some(name) {
            return;
        }
        self.current = None;
        let next = self.my_rooms().map(|(name, _)| name.clone()).find(|other| other != name);
        match next {
            Some(next) => self.open(&next),
            None => self.wants(ChatTask::Rooms { is_asked: false }),
        }
    }

    /// Asks for what is not there yet of a room.
    pub(super) fn load(&mut self, name: &RoomId) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if room.view.membership != Membership::Member {
            return;
        }
        if !room.log.is_loaded && room.log.asked.is_none() {
            self.ask_page(name, Part::Newest);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        if !room.members_are_asked {
            room.members_are_asked = true;
            self.wants(ChatTask::Members { room: name.clone(), is_asked: false });
        }
    }

    pub(super) fn ask_page(&mut self, name: &RoomId, part: Part) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.log.asked = Some(part);
            self.wants(ChatTask::Page { room: name.clone(), part });
        }
    }

    pub(super) fn forget_members(&mut self, name: &RoomId) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.members_are_asked = false;
        }
    }

    /// How a room looks in so many columns.
    pub(super) fn lines<'a>(&'a self, room: &'a ChatRoom, width: usize) -> RoomLines<'a> {
        RoomLines {
            log: &room.log,
            unsent: &room.unsent,
            me: self.me.as_ref(),
            new_after: room.new_after,
            width,
            times: &self.times,
            palette: self.palette,
        }
    }

    /// What is seen is read; called when all that has happened was told.
    pub(super) fn mark_read(&mut self) {
        let is_online = self.state.is_online();
        let Some(name) = self.current.clone() else { return };
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let is_seen = room.place.is_none() && room.log.is_loaded && room.log.is_live;
        let is_unread = room.view.last > room.view.read.max(room.marked);
        if is_online && is_seen && is_unread && room.view.membership == Membership::Member {
            room.marked = room.view.last;
            self.wants(ChatTask::MarkRead(name));
        }
    }

    /// The messages that are on their way, and those that were refused.
    pub(super) fn unsent(&self) -> (usize, usize) {
        let all = self.rooms.values().flat_map(|room| &room.unsent);
        let (refused, waiting): (Vec<_>, Vec<_>) = all.partition(|one| one.refusal.is_some());
        (waiting.len(), refused.len())
    }

    /// Who is online of the room's members, as far as that is known.
    pub(super) fn people_here(&self) -> Vec<&UserId> {
        if !self.state.is_online() {
            return Vec::new();
        }
        let Some(room) = self.room() else { return Vec::new() };
        let is_online = |user: &&UserId| match &self.people {
            _ if room.has_own_presence => room.online.contains(*user),
            Some(people) => people.users.contains_key(*user),
            None => false,
        };
        room.members.iter().flatten().filter(is_online).collect()
    }

    pub(super) fn new_unsent(
        id: Arc<str>,
        text: String,
        reply_to: Option<u64>,
        at: Timestamp,
    ) -> UnsentLine {
        UnsentLine { id, text, reply_to, at, refusal: None }
    }
}

/// A room's name for people: of a direct conversation the other one's.
pub(super) fn room_name(name: &RoomId, me: Option<&UserId>) -> String {
    let Some(pair) = name.as_str().strip_prefix("dm:") else { return name.to_string() };
    let Some((one, other)) = pair.split_once(':') else { return name.to_string() };
    let is_me = |id: &str| me.is_some_and(|me| me.as_str() == id);
    format!("@{}", if is_me(one) { other } else { one })
}
