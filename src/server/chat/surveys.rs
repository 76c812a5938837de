//! What one thread of the server asks all of them: who is connected, how much was counted, to end or to
//! reach connections. The answer is put together where it was asked.

use super::admin::push_to;
use super::audit::AuditEntry;
use super::chat::Chat;
use crate::base::limits::{SURVEY_MS, SURVEYS_MAX};
use crate::base::{ConnId, Moment, Origin, Refusal, RefusalCode, Revocation, UserId};
use crate::http1::{HttpRefusal, Response, Status};
use crate::server::http::sealed;
use crate::server::metrics::page::CONTENT_TYPE;
use crate::server::metrics::snapshot::MetricsSnapshot;
use crate::store::RecordStore;
use crate::web::{Exchange, Net};
use crate::wire::admin_request::ConnectionSelector;
use crate::wire::close_codes::KICKED;
use crate::wire::encode;
use crate::wire::server_encode;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is asked of each thread.
#[derive(Clone, Debug)]
pub(super) enum Survey {
    /// The first of its connections behind one, as JSON.
    Connections { after: Option<ConnId>, limit: usize },
    /// Which connections a user has there.
    ConnectionsOf(UserId),
    /// To end these connections.
    End(EndedConnections),
    /// To hand a push to connections.
    Push { to: ConnectionSelector, kind: String, payload: String },
    /// How many connections ended there with these tokens.
    Revoked(Revocation),
    /// What is counted there.
    Metrics,
}

/// Which connections an admin ends.
#[derive(Clone, Debug)]
pub(super) enum EndedConnections {
    One(ConnId),
    Of(UserId),
}

/// What a thread answers.
#[derive(Debug)]
pub(super) enum SurveyPart {
    Connections {
        listed: Vec<(ConnId, String)>,
        more: bool,
    },
    Conns(Vec<ConnId>),
    Count(Result<usize, Refusal>),
    /// It has counted, and put that into its desk.
    Counted,
}

/// Who asks, and on which thread.
#[derive(Clone, Copy, Debug)]
struct SurveyId {
    thread: usize,
    number: u64,
}

/// For whom it is.
#[derive(Debug)]
pub(super) enum SurveyReader {
    Request(Origin),
    /// A request for the metrics.
    Page(Exchange),
    /// The stream of how the server is.
    Vitals,
}

#[derive(Debug)]
struct PendingSurvey {
    survey: Survey,
    reader: SurveyReader,
    found: Vec<SurveyPart>,
    /// Threads that have not answered.
    left: usize,
    due: Moment,
    /// What the audit is to say of it, once it is known how it ends.
    entry: Option<AuditEntry>,
}

impl PendingSurvey {
    fn is_of(&self, origin: &Origin) -> bool {
        match &self.reader {
            SurveyReader::Request(waiting) => waiting == origin,
            SurveyReader::Page(_) | SurveyReader::Vitals => false,
        }
    }
}

/// How many revocations it is remembered of how many connections they ended: of each, until it is
/// asked for.
const REVOCATIONS_REMEMBERED: usize = 64;

/// A question to a thread. Nobody waits for its answer any more when it is due.
#[derive(Debug)]
struct AskedSurvey {
    survey: Survey,
    by: SurveyId,
    due: Moment,
}

/// What a thread has found.
#[derive(Debug)]
struct SurveyFinding {
    number: u64,
    part: SurveyPart,
}

/// What a thread is asked by others, and what they have answered it: of each at most [`SURVEYS_MAX`]
/// that are not due.
#[derive(Debug, Default)]
pub(super) struct SurveyDesk {
    /// What the thread has counted last: what stands for it when it is late, as counters never become
    /// less.
    counted: Mutex<Option<Arc<MetricsSnapshot>>>,
    asked: Mutex<Vec<AskedSurvey>>,
    found: Mutex<Vec<SurveyFinding>>,
}

impl SurveyDesk {
    // Whoever panics while they hold one of these leaves nothing half done.
    fn asked(&self) -> MutexGuard<'_, Vec<AskedSurvey>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self) -> MutexGuard<'_, Option<Arc<MetricsSnapshot>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> MutexGuard<'_, Vec<SurveyFinding>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The surveys that wait for other threads.
#[derive(Debug, Default)]
pub(super) struct Surveys {
    pending: BTreeMap<u64, PendingSurvey>,
    next: u64,
    /// How many connections ended here with the last revocations.
    revoked: VecDeque<(Revocation, usize)>,
}

const TOO_MANY_WAIT: Refusal =
    Refusal::new(RefusalCode::Overloaded, "too many requests wait for the server's other threads");

impl Surveys {
    /// So many connections ended here with these tokens.
    pub(super) fn note_revoked(&mut self, revocation: &Revocation, ended: usize) {
        if self.revoked.len() == REVOCATIONS_REMEMBERED {
            self.revoked.pop_front();
        }
        self.revoked.push_back((revocation.clone(), ended));
    }

    /// Keeps what the audit is to say of a request that waits for other threads; gives it back if it does
    /// not wait.
    pub(super) fn keep_entry(&mut self, origin: &Origin, entry: AuditEntry) -> Option<AuditEntry> {
        match self.pending.values_mut().find(|one| one.is_of(origin)) {
            Some(pending) => {
                pending.entry = Some(entry);
                None
            }
            None => Some(entry),
        }
    }

    fn revoked_by(&mut self, revocation: &Revocation) -> usize {
        let found = self.revoked.iter().rposition(|(one, _)| one == revocation);
        let found = found.and_then(|at| self.revoked.remove(at));
        found.map_or(0, |(_, ended)| ended)
    }

    /// Whether anybody waits for other threads.
    pub(super) fn wait(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a request of a connection waits for other threads.
    pub(super) fn waits(&self, conn: ConnId) -> bool {
        let of_conn = |one: &PendingSurvey| match &one.reader {
            SurveyReader::Request(origin) => origin.conn() == Some(conn),
            SurveyReader::Page(_) | SurveyReader::Vitals => false,
        };
        self.pending.values().any(of_conn)
    }
}

impl<S: RecordStore> Chat<S> {
    /// Asks all threads something, and tells the reader what they say.
    pub(super) fn survey(&mut self, net: &mut Net<'_>, survey: Survey, reader: SurveyReader) {
        if self.surveys.pending.len() >= SURVEYS_MAX {
            return self.refuse_survey(net, reader);
        }
        let number = self.surveys.next;
        self.surveys.next += 1;
        let by = SurveyId { thread: self.number, number };
        let asked = self.shared.len() - 1;
        let (now, due) = (net.now(), net.now().plus_millis(SURVEY_MS));
        for other in (0..=asked).filter(|other| *other != self.number) {
            let mut desk = self.team.survey_desk(other).asked();
            if desk.len() >= SURVEYS_MAX {
                desk.retain(|one| one.due > now);
            }
            desk.push(AskedSurvey { survey: survey.clone(), by, due });
            drop(desk);
            self.shared.thread(other).wake.wake();
        }
        let pending =
            PendingSurvey { survey, reader, found: Vec::new(), left: asked, due, entry: None };
        if asked == 0 {
            return self.surveyed(net, pending);
        }
        net.wake_at(due);
        self.surveys.pending.insert(number, pending);
    }

    fn refuse_survey(&mut self, net: &mut Net<'_>, reader: SurveyReader) {
        match reader {
            SurveyReader::Request(origin) => self.refuse(net, &origin, (&TOO_MANY_WAIT).into()),
            SurveyReader::Page(exchange) => {
                let (status, message) = (Status::ServiceUnavailable, TOO_MANY_WAIT.message);
                let refusal = HttpRefusal::new(status, "overloaded", message);
                net.answer(exchange, sealed(refusal.into()));
            }
            SurveyReader::Vitals => self.vitals_left_out(net),
        }
    }

    /// Answers other threads, and takes what they have answered.
    pub(super) fn take_surveys(&mut self, net: &mut Net<'_>) {
        if !self.shared.is_alone() {
            self.answer_surveys(net);
            self.take_findings(net);
        }
    }

    /// Answers other threads.
    fn answer_surveys(&mut self, net: &mut Net<'_>) {
        let asked = std::mem::take(&mut *self.team.survey_desk(self.number).asked());
        let now = net.now();
        for AskedSurvey { survey, by, .. } in asked.into_iter().filter(|one| one.due > now) {
            // Whoever asks has heard of what it is about.
            self.hear_first(net);
            let finding = SurveyFinding { number: by.number, part: self.find(net, &survey) };
            self.team.survey_desk(by.thread).found().push(finding);
            self.shared.thread(by.thread).wake.wake();
        }
    }

    /// Takes what other threads have answered.
    fn take_findings(&mut self, net: &mut Net<'_>) {
        let findings = std::mem::take(&mut *self.team.survey_desk(self.number).found());
        for SurveyFinding { number, part } in findings {
            let Some(pending) = self.surveys.pending.get_mut(&number) else { continue };
            pending.found.push(part);
            pending.left -= 1;
        }
        let now = net.now();
        let is_over = |(_, one): &(&u64, &PendingSurvey)| one.left == 0 || one.due <= now;
        let over: Vec<u64> =
            self.surveys.pending.iter().filter(is_over).map(|(number, _)| *number).collect();
        for number in over {
            if let Some(pending) = self.surveys.pending.remove(&number) {
                if pending.left > 0 {
                    log::warn!(threads = pending.left; "threads of the server do not answer: they are left out");
                }
                self.surveyed(net, pending);
            }
        }
        if let Some(due) = self.surveys.pending.values().map(|one| one.due).min() {
            net.wake_at(due);
        }
    }

    /// What is to be said of this thread.
    fn find(&mut self, net: &mut Net<'_>, survey: &Survey) -> SurveyPart {
        match survey {
            Survey::Connections { after, limit } => self.connections_here(net, *after, *limit),
            Survey::ConnectionsOf(user) => {
                SurveyPart::Conns(self.hub.connections_of(user).to_vec())
            }
            Survey::End(which) => {
                let conns = self.to_be_ended(which);
                for conn in &conns {
                    self.close_with(net, *conn, KICKED, "an admin has ended this connection");
                }
                SurveyPart::Count(Ok(conns.len()))
            }
            Survey::Push { to, kind, payload } => {
                let text = encode::push_raw(kind, payload);
                let reached = self.recipients(to).map(|conns| push_to(net, &conns, &text));
                SurveyPart::Count(reached)
            }
            Survey::Revoked(revocation) => {
                SurveyPart::Count(Ok(self.surveys.revoked_by(revocation)))
            }
            Survey::Metrics => {
                let counted = Arc::new(self.metrics(net));
                *self.team.survey_desk(self.number).counted() = Some(counted);
                SurveyPart::Counted
            }
        }
    }

    fn to_be_ended(&self, which: &EndedConnections) -> Vec<ConnId> {
        match which {
            EndedConnections::One(conn) => {
                self.signed_in(*conn).map(|_| *conn).into_iter().collect()
            }
            EndedConnections::Of(user) => {
                let here = self.sessions.signed_in(None);
                let of_user = here.filter(|(_, known)| known.user == *user);
                of_user.map(|(conn, _)| conn).collect()
            }
        }
    }

    /// All threads that could have answered.
    fn surveyed(&mut self, net: &mut Net<'_>, mut pending: PendingSurvey) {
        let entry = pending.entry.take();
        let is_awaited = entry.is_some();
        self.audit.go_on(entry);
        self.tell_surveyed(net, pending);
        if is_awaited {
            self.write_resumed(net);
        }
    }

    fn tell_surveyed(&mut self, net: &mut Net<'_>, pending: PendingSurvey) {
        let PendingSurvey { survey, reader, mut found, .. } = pending;
        if let (Survey::End(which), SurveyReader::Request(origin)) = (&survey, &reader) {
            return self.told_ended(net, which, origin, &found);
        }
        if matches!(survey, Survey::Metrics) {
            return self.tell_metrics(net, reader);
        }
        found.push(self.find(net, &survey));
        match (survey, reader) {
            (Survey::Connections { limit, .. }, SurveyReader::Request(origin)) => {
                let (mut listed, mut has_more) = (Vec::new(), false);
                for one in found {
                    let SurveyPart::Connections { listed: here, more } = one else { continue };
                    listed.extend(here);
                    has_more |= more;
                }
                listed.sort_by_key(|(conn, _)| *conn);
                has_more |= listed.len() > limit;
                listed.truncate(limit);
                self.reply(net, &origin, |w| server_encode::connections(w, &listed, has_more));
            }
            (Survey::ConnectionsOf(user), SurveyReader::Request(origin)) => {
                let of_thread = |one| match one {
                    SurveyPart::Conns(conns) => conns,
                    _ => Vec::new(),
                };
                let mut conns: Vec<ConnId> = found.into_iter().flat_map(of_thread).collect();
                conns.sort();
                self.tell_user(net, &origin, &user, &conns);
            }
            (Survey::Push { .. }, SurveyReader::Request(origin)) => match count(&found) {
                Ok(reached) => self.reply(net, &origin, |w| server_encode::reached(w, reached)),
                Err(refusal) => self.refuse(net, &origin, (&refusal).into()),
            },
            (Survey::Revoked(_), SurveyReader::Request(origin)) => {
                let ended = count(&found).unwrap_or(0);
                self.reply(net, &origin, |w| server_encode::closed(w, ended));
                self.end_revoked(net);
            }
            // Nobody else asks that.
            (_, SurveyReader::Request(_) | SurveyReader::Page(_) | SurveyReader::Vitals) => {}
        }
    }

    /// Ends this thread's connections last, as the asker's own may be among them, and is told before.
    fn told_ended(
        &mut self,
        net: &mut Net<'_>,
        which: &EndedConnections,
        origin: &Origin,
        found: &[SurveyPart],
    ) {
        let here = self.to_be_ended(which);
        let ended = count(found).unwrap_or(0) + here.len();
        if ended == 0 && matches!(which, EndedConnections::One(_)) {
            return self.refuse(net, origin, (&super::admin::NO_SUCH_CONNECTION).into());
        }
        self.reply(net, origin, |w| server_encode::closed(w, ended));
        for conn in here {
            self.close_with(net, conn, KICKED, "an admin has ended this connection");
        }
    }

    fn tell_metrics(&mut self, net: &mut Net<'_>, reader: SurveyReader) {
        // What is not of one thread is taken from this one.
        let mut all = self.metrics(net);
        for other in (0..self.shared.len()).filter(|other| *other != self.number) {
            if let Some(counted) = &*self.team.survey_desk(other).counted() {
                all.add(counted);
            }
        }
        match reader {
            SurveyReader::Page(exchange) => {
                let response =
                    Response::new(crate::http1::Status::Ok, CONTENT_TYPE, all.text().into_bytes());
                net.answer(exchange, sealed(response.with("Cache-Control", "no-store")));
            }
            SurveyReader::Vitals => self.publish_vitals(net, all),
            SurveyReader::Request(_) => {}
        }
    }
}

/// How many there are at all threads together; a refusal if none has any.
fn count(found: &[SurveyPart]) -> Result<usize, Refusal> {
    let (mut sum, mut refusal, mut is_found) = (0, None, false);
    for one in found {
        match one {
            SurveyPart::Count(Ok(count)) => (sum, is_found) = (sum + count, true),
            SurveyPart::Count(Err(one)) => refusal = Some(one.clone()),
            SurveyPart::Connections { .. } | SurveyPart::Conns(_) | SurveyPart::Counted => {}
        }
    }
    match refusal {
        Some(refusal) if !is_found => Err(refusal),
        _ => Ok(sum),
    }
}
