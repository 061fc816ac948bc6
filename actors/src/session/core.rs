//! The SessionTracker's decisions, on clocks that run only while those whose they are live.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Home, SessionChange, Touched};

/// Deadlines of all sessions. Times are ms; each home's `lived` time runs only while that home does (E3), and
/// a session is judged by the clock of its home alone: that clock moves with the home's reports, by its own
/// measure, so it never runs ahead of what it has told (E1).
#[derive(Debug)]
pub struct SessionTracker {
    sessions: HashMap<SessionId, Session>,
    homes: BTreeMap<Home, Clock>,
    tick_ms: u64,
    /// With other members, those that are served, and for how long one that is not may go on to make promises.
    members: Option<(BTreeSet<ServerId>, u64)>,
}

#[derive(Debug)]
struct Session {
    attach: AttachNumber,
    home: Home,
    timeout_ms: u64,
    /// Its home's lived time until which it has proved to be alive.
    heard: u64,
    /// The bucket in which it is looked at next; one that names it otherwise is out of date.
    bucket: u64,
}

/// One home, as far as it has reported.
#[derive(Debug, Default)]
struct Clock {
    /// By its own clock; `None` before its first report.
    as_of_ms: Option<u64>,
    lived: u64,
    /// When to look at which of its sessions, in its lived time.
    buckets: BTreeMap<u64, Vec<SessionId>>,
}

/// How often each home reports, in parts of a tick.
pub const REPORTS_PER_TICK: u64 = 4;

impl SessionTracker {
    /// None yet; `now_ms` is the monotonic time at which `arbiters` of this member begin to serve.
    pub fn new(arbiters: usize, tick_ms: u64, now_ms: u64) -> Self {
        let clock = |at| (Home::Arbiter(at), Clock { as_of_ms: Some(now_ms), ..Clock::default() });
        let homes = (0..arbiters as u16).map(clock).collect();
        Self { sessions: HashMap::new(), homes, tick_ms, members: None }
    }

    /// Of a leader of several: a session counts as another member's only while that is served ([`Self::on_member`]).
    pub fn among_members(self, peer_timeout_ms: u64) -> Self {
        Self { members: Some((BTreeSet::new(), peer_timeout_ms)), ..self }
    }

    /// A member is served from now on, as a new process perhaps: what was on its last stay is void.
    pub fn on_member(&mut self, member: ServerId) {
        let more_ms = self.members.as_ref().map_or(0, |(_, more_ms)| *more_ms);
        self.on_member_gone(member, more_ms);
        if let Some((served, _)) = &mut self.members {
            served.insert(member);
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// What the Learner applied. A session that begins, attaches anew or is found at the start has a
    /// full timeout from now.
    pub fn on_changes(&mut self, changes: &[SessionChange]) {
        for change in changes {
            match *change {
                SessionChange::Lives { session, attach, timeout_ms, home } => {
                    let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
                    self.live(session, attach, timeout_ms, home, 0);
                }
                SessionChange::Ended(id) => drop(self.sessions.remove(&id)), // its bucket forgets it
                SessionChange::LocalLives { .. } | SessionChange::LocalEnded(_) => {} // E5: not this clock's
            }
        }
    }

    /// The same, of sessions that are this member's alone (E5).
    pub fn on_local_changes(&mut self, changes: &[SessionChange]) {
        for change in changes {
            match *change {
                SessionChange::LocalLives { session, attach, timeout_ms, arbiter } => {
                    let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
                    self.live(session, attach, timeout_ms, Home::Arbiter(arbiter), 0);
                }
                SessionChange::LocalEnded(id) => drop(self.sessions.remove(&id)),
                SessionChange::Lives { .. } | SessionChange::Ended(_) => {}
            }
        }
    }

    /// Whether it is one of them.
    pub fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// The sessions that a new leader finds: whoever served them may have promised a timeout from `more_ms`
    /// later on than now.
    pub fn on_found(&mut self, sessions: impl Iterator<Item = (SessionId, i32)>, more_ms: u64) {
        for (id, timeout_ms) in sessions {
            let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
            self.live(id, AttachNumber::default(), timeout_ms, Home::Nobody, more_ms);
        }
    }

    fn live(&mut self, id: SessionId, attach: AttachNumber, timeout_ms: u64, home: Home, more_ms: u64) {
        let (home, more_ms) = match (home, &self.members) {
            // What it asked is applied behind its end: nobody would report it.
            (Home::Member(member), Some((served, more))) if !served.contains(&member) => {
                (Home::Nobody, more_ms + more)
            }
            _ => (home, more_ms),
        };
        let clock = self.homes.entry(home).or_default();
        // Its home may have lived two intervals since its last report, and no longer (E3).
        let heard = clock.lived + 2 * (self.tick_ms / REPORTS_PER_TICK) + more_ms;
        let bucket = bucket(self.tick_ms, heard + timeout_ms);
        clock.buckets.entry(bucket).or_default().push(id);
        self.sessions.insert(id, Session { attach, home, timeout_ms, heard, bucket });
    }

    /// What a client arbiter met; appends those of its sessions that are to be expired now.
    pub fn on_touched(&mut self, touched: &Touched, expired: &mut Vec<(SessionId, AttachNumber)>) {
        self.on_report(Home::Arbiter(touched.arbiter), touched.as_of_ms, &touched.sessions, expired);
    }

    /// Time has passed: sessions that nobody serves are judged by our own clock.
    pub fn on_tick(&mut self, now_ms: u64, expired: &mut Vec<(SessionId, AttachNumber)>) {
        self.on_report(Home::Nobody, now_ms, &[], expired);
    }

    /// A home has told all that it met before `as_of_ms` of its own clock; appends those of its sessions that
    /// are to be expired now.
    ///
    /// A gap between two reports that is longer than two intervals is time that the home did not live: it
    /// moves every deadline by its own length (E3).
    pub fn on_report(
        &mut self,
        home: Home,
        as_of_ms: u64,
        sessions: &[SessionId],
        expired: &mut Vec<(SessionId, AttachNumber)>,
    ) {
        let interval = self.tick_ms / REPORTS_PER_TICK;
        let clock = self.homes.entry(home).or_default();
        let gap = as_of_ms.saturating_sub(clock.as_of_ms.unwrap_or(as_of_ms));
        clock.lived += if gap > 2 * interval { interval } else { gap };
        clock.as_of_ms = clock.as_of_ms.max(Some(as_of_ms));
        let lived = clock.lived;
        for id in sessions {
            // One that has moved to another home is that one's to vouch for.
            if let Some(session) = self.sessions.get_mut(id).filter(|session| session.home == home) {
                session.heard = session.heard.max(lived);
            }
        }
        self.expire(home, lived, expired);
    }

    /// A member is served no more: its sessions have a full timeout from `more_ms` later on than now, which is
    /// how long it may have gone on to make promises.
    pub fn on_member_gone(&mut self, member: ServerId, more_ms: u64) {
        let home = Home::Member(member);
        self.homes.remove(&home); // its next process has another clock
        if let Some((served, _)) = &mut self.members {
            served.remove(&member);
        }
        let left = self.sessions.iter().filter(|(_, session)| session.home == home);
        let mut left: Vec<_> = left.map(|(id, it)| (*id, it.attach, it.timeout_ms)).collect();
        left.sort_unstable();
        for (id, attach, timeout_ms) in left {
            self.live(id, attach, timeout_ms, Home::Nobody, more_ms);
        }
    }

    fn expire(&mut self, home: Home, lived: u64, expired: &mut Vec<(SessionId, AttachNumber)>) {
        while let Some((at, ids)) = self.due(home, lived) {
            for id in ids {
                let Some(session) = self.sessions.get_mut(&id) else { continue };
                if session.home != home || session.bucket != at {
                    continue;
                }
                let deadline = session.heard + session.timeout_ms;
                if deadline < lived {
                    expired.push((id, session.attach)); // E4: looked at again, until it has ended
                }
                session.bucket = bucket(self.tick_ms, deadline.max(lived));
                let clock = self.homes.entry(home).or_default();
                clock.buckets.entry(session.bucket).or_default().push(id);
            }
        }
        expired.sort_unstable();
    }

    fn due(&mut self, home: Home, lived: u64) -> Option<(u64, Vec<SessionId>)> {
        let entry = self.homes.get_mut(&home)?.buckets.first_entry()?;
        (*entry.key() <= lived).then(|| entry.remove_entry())
    }

    /// For `dump`: ms from now at which sessions are next looked at, and which, soonest first.
    pub fn buckets(&self) -> BTreeMap<i64, Vec<SessionId>> {
        let mut buckets = BTreeMap::<_, Vec<_>>::new();
        for (id, session) in &self.sessions {
            let lived = self.homes.get(&session.home).map_or(0, |clock| clock.lived);
            buckets.entry(session.bucket as i64 - lived as i64).or_default().push(*id);
        }
        buckets.values_mut().for_each(|ids| ids.sort_unstable());
        buckets
    }
}

/// Deadlines are looked at twice a tick.
fn bucket(tick_ms: u64, deadline: u64) -> u64 {
    let width = (tick_ms / 2).max(1);
    (deadline / width + 1) * width
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 2000;
    const STEP: u64 = TICK / REPORTS_PER_TICK;

    /// Reports from every arbiter at each step up to `until`; `touch` says which sessions live when.
    fn run(
        tracker: &mut SessionTracker,
        from: u64,
        until: u64,
        arbiters: u16,
        touch: impl Fn(u16, u64) -> Vec<SessionId>,
    ) -> Option<(u64, Vec<SessionId>)> {
        for now in (from + STEP..=until).step_by(STEP as usize) {
            for arbiter in 0..arbiters {
                let mut expired = vec![];
                let sessions = touch(arbiter, now);
                tracker.on_touched(&Touched { arbiter, as_of_ms: now, sessions }, &mut expired);
                if !expired.is_empty() {
                    return Some((now, expired.into_iter().map(|(id, _)| id).collect()));
                }
            }
        }
        None
    }

    fn lives(id: i64, timeout_ms: i32, home: u16) -> SessionChange {
        let (session, home) = (SessionId(id), Home::Arbiter(home));
        SessionChange::Lives { session, attach: AttachNumber::default(), timeout_ms, home }
    }

    /// Sessions 1, 2, … with these timeouts, all at home on arbiter 0.
    fn with(timeouts: &[i32], arbiters: usize) -> SessionTracker {
        let mut tracker = SessionTracker::new(arbiters, TICK, 0);
        for (at, &timeout_ms) in timeouts.iter().enumerate() {
            tracker.on_changes(&[lives(at as i64 + 1, timeout_ms, 0)]);
        }
        tracker
    }

    #[test]
    fn e2_a_silent_session_goes_within_a_tick_and_a_half_of_its_timeout() {
        for timeout in [4000, 4001, 5999, 40_000] {
            let mut tracker = with(&[timeout], 1);
            let (at, ids) = run(&mut tracker, 0, 100_000, 1, |_, _| vec![]).expect("it expires");
            assert_eq!(ids, [SessionId(1)]);
            let late = at as i64 - i64::from(timeout);
            assert!((1..=3000).contains(&late), "timeout {timeout}: {late} ms late");
        }
    }

    #[test]
    fn e1_a_touch_holds_for_a_whole_timeout() {
        let mut tracker = with(&[4000, 4000], 1);
        let last_touch = 9500;
        let touch = |_, now| if now <= last_touch { vec![SessionId(1)] } else { vec![] };
        let (at, ids) = run(&mut tracker, 0, 9500, 1, touch).expect("the silent one goes");
        assert_eq!(ids, [SessionId(2)]);
        tracker.on_changes(&[SessionChange::Ended(SessionId(2))]);
        let (at, ids) = run(&mut tracker, at, 60_000, 1, touch).expect("then the other");
        assert!(at > last_touch + 4000 && ids == [SessionId(1)], "{at} {ids:?}");
    }

    #[test]
    fn e1_a_session_is_judged_by_its_own_arbiters_reports_alone() {
        let mut tracker = with(&[4000], 2);
        tracker.on_changes(&[lives(1, 4000, 1)]);
        let late = |arbiter, _| if arbiter == 0 { vec![SessionId(1)] } else { vec![] };
        assert_eq!(run(&mut tracker, 0, 60_000, 1, |_, _| vec![]), None, "arbiter 1 has told nothing yet");
        let (at, _) = run(&mut tracker, 60_000, 90_000, 2, late).expect("arbiter 0 vouches for it in vain");
        assert!(at <= 60_000 + 4000 + TICK * 3 / 2, "{at}");
    }

    #[test]
    fn e3_a_stall_moves_every_deadline_by_its_own_length() {
        let mut tracker = with(&[4000], 1);
        assert_eq!(run(&mut tracker, 0, 3500, 1, |_, _| vec![]), None);
        let stall = 30_000;
        let expired = run(&mut tracker, 3000 + stall, 60_000, 1, |_, _| vec![]);
        let (at, _) = expired.expect("it expires in the end");
        assert!(at > stall + 4000 - STEP && at <= stall + 4000 + TICK * 3 / 2, "{at}");
    }

    #[test]
    fn e4_expiry_is_asked_for_until_the_session_has_ended() {
        let mut tracker = with(&[4000], 1);
        let (at, _) = run(&mut tracker, 0, 60_000, 1, |_, _| vec![]).expect("asked");
        let (again, _) = run(&mut tracker, at, 60_000, 1, |_, _| vec![]).expect("asked again");
        assert!(again <= at + TICK);
        tracker.on_changes(&[SessionChange::Ended(SessionId(1))]);
        assert_eq!(run(&mut tracker, again, 90_000, 1, |_, _| vec![]), None);
        assert!(tracker.is_empty());
    }

    #[test]
    fn a_reattach_may_shorten_the_timeout() {
        let mut tracker = with(&[40_000], 1);
        tracker.on_changes(&[lives(1, 4000, 0)]);
        let (at, _) = run(&mut tracker, 0, 60_000, 1, |_, _| vec![]).expect("it expires");
        assert!(at <= 4000 + TICK * 3 / 2, "{at}");
    }

    /// When session 1 is expired whose home is nobody's, looked at every step from `from` on.
    fn until_gone(tracker: &mut SessionTracker, from: u64) -> u64 {
        (from..)
            .step_by(STEP as usize)
            .find(|now| {
                let mut expired = vec![];
                tracker.on_tick(*now, &mut expired);
                !expired.is_empty()
            })
            .expect("it expires")
    }

    #[test]
    fn e1_what_a_new_leader_finds_is_given_what_may_have_been_promised() {
        let mut tracker = SessionTracker::new(1, TICK, 0);
        tracker.on_found([(SessionId(1), 4000)].into_iter(), 2000);
        let gone = until_gone(&mut tracker, 0);
        assert!((6001..=6000 + TICK * 2).contains(&gone), "{gone}");
    }

    /// Session 1, of 4 s, which member 2 serves.
    fn served_by_a_member() -> (SessionTracker, SessionId, Home) {
        let mut tracker = SessionTracker::new(1, TICK, 0);
        let (session, attach, home) = (SessionId(1), AttachNumber::default(), Home::Member(ServerId(2)));
        tracker.on_changes(&[SessionChange::Lives { session, attach, timeout_ms: 4000, home }]);
        (tracker, session, home)
    }

    #[test]
    fn e1_a_member_is_judged_by_its_own_clock_and_once_it_is_gone_by_ours() {
        let (mut tracker, session, home) = served_by_a_member();
        let mut expired = vec![];
        for now in (0..60_000).step_by(STEP as usize) {
            tracker.on_tick(now, &mut expired);
        }
        assert_eq!(expired, [], "the member has told nothing");
        for its in (900_000..903_500).step_by(STEP as usize) {
            tracker.on_report(home, its, &[], &mut expired);
        }
        assert_eq!(expired, [], "its clock is another, and has run for less than the timeout");
        tracker.on_member_gone(ServerId(2), 1000);
        let gone = until_gone(&mut tracker, 60_000);
        assert!((65_001..=65_000 + TICK * 2).contains(&gone), "{gone}");
        tracker.on_report(home, 990_000, &[session], &mut expired);
        assert_eq!(expired, [], "what it says now is about nobody's sessions");
    }

    #[test]
    fn e5_a_member_s_own_sessions_have_deadlines_of_their_own() {
        let change = SessionChange::LocalLives {
            session: SessionId(1),
            attach: AttachNumber::local(1),
            timeout_ms: 4000,
            arbiter: 0,
        };
        let (mut leaders, mut own) = (SessionTracker::new(1, TICK, 0), SessionTracker::new(1, TICK, 0));
        leaders.on_changes(&[change]);
        own.on_local_changes(&[change, lives(2, 4000, 0)]);
        assert!(leaders.is_empty() && own.knows(SessionId(1)), "each has its own");
        own.on_local_changes(&[SessionChange::Ended(SessionId(1))]);
        let (at, who) =
            run(&mut own, 0, 60_000, 1, |_, now| if now < 9_000 { vec![SessionId(1)] } else { vec![] })
                .expect("it expires");
        assert!((12_500..=12_500 + TICK * 3 / 2).contains(&at) && who == [SessionId(1)], "{at}");
        own.on_local_changes(&[SessionChange::LocalEnded(SessionId(1))]);
        assert!(!own.knows(SessionId(1)));
    }

    #[test]
    fn e2_a_session_that_its_member_reports_as_silent_goes() {
        let (mut tracker, session, home) = served_by_a_member();
        let gone = (0..60_000).step_by(STEP as usize).find(|its| {
            let (touched, mut expired) = (if *its < 10_000 { vec![session] } else { vec![] }, vec![]);
            tracker.on_report(home, *its, &touched, &mut expired);
            !expired.is_empty()
        });
        assert!(gone.is_some_and(|gone| (13_500..=13_500 + TICK * 3 / 2).contains(&gone)), "{gone:?}");
    }
}
