//! The SessionTracker's decisions, on a clock that runs only while the server lives.

use std::collections::{BTreeMap, HashMap};

use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::letters::{SessionChange, Touched};

/// Deadlines of all sessions. Times are ms; each client arbiter's `lived` time runs only while that
/// arbiter does (E3), and a session is judged by the clock of the arbiter that serves it, its home:
/// that clock moves with the arbiter's reports, so it never runs ahead of what it has told (E1).
#[derive(Debug)]
pub struct SessionTracker {
    sessions: HashMap<SessionId, Session>,
    homes: Vec<Home>,
    tick_ms: u64,
}

#[derive(Debug)]
struct Session {
    attach: AttachNumber,
    home: u16,
    timeout_ms: u64,
    /// Its home's lived time until which it has proved to be alive.
    heard: u64,
    /// The bucket in which it is looked at next; one that names it otherwise is out of date.
    bucket: u64,
}

/// One client arbiter, as far as it has reported.
#[derive(Debug)]
struct Home {
    as_of_ms: u64,
    lived: u64,
    /// When to look at which of its sessions, in its lived time.
    buckets: BTreeMap<u64, Vec<SessionId>>,
}

/// How often each client arbiter reports, in parts of a tick.
pub const REPORTS_PER_TICK: u64 = 4;

impl SessionTracker {
    /// None yet; `now_ms` is the monotonic time at which `arbiters` begin to serve.
    pub fn new(arbiters: usize, tick_ms: u64, now_ms: u64) -> Self {
        let home = || Home { as_of_ms: now_ms, lived: 0, buckets: BTreeMap::new() };
        Self { sessions: HashMap::new(), homes: (0..arbiters).map(|_| home()).collect(), tick_ms }
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
                    self.live((session, attach), timeout_ms, home);
                }
                SessionChange::Ended(id) => drop(self.sessions.remove(&id)), // its bucket forgets it
            }
        }
    }

    fn live(&mut self, (id, attach): (SessionId, AttachNumber), timeout_ms: i32, home: u16) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        // Its home may have lived two intervals since its last report, and no longer (E3).
        let heard = self.homes[usize::from(home)].lived + 2 * (self.tick_ms / REPORTS_PER_TICK);
        let bucket = self.bucket(heard + timeout_ms);
        self.sessions.insert(id, Session { attach, home, timeout_ms, heard, bucket });
        self.homes[usize::from(home)].buckets.entry(bucket).or_default().push(id);
    }

    /// What a client arbiter met; appends those of its sessions that are to be expired now.
    ///
    /// A gap between two reports that is longer than two intervals is time that the arbiter did not
    /// live: it moves every deadline by its own length (E3).
    pub fn on_touched(&mut self, touched: &Touched, expired: &mut Vec<(SessionId, AttachNumber)>) {
        let interval = self.tick_ms / REPORTS_PER_TICK;
        let home = &mut self.homes[usize::from(touched.arbiter)];
        let gap = touched.as_of_ms.saturating_sub(home.as_of_ms);
        home.lived += if gap > 2 * interval { interval } else { gap };
        home.as_of_ms = home.as_of_ms.max(touched.as_of_ms);
        for id in &touched.sessions {
            // One that has moved to another arbiter is that one's to vouch for.
            if let Some(session) = self.sessions.get_mut(id).filter(|s| s.home == touched.arbiter) {
                session.heard = session.heard.max(home.lived);
            }
        }
        self.expire(touched.arbiter, expired);
    }

    fn expire(&mut self, arbiter: u16, expired: &mut Vec<(SessionId, AttachNumber)>) {
        let lived = self.homes[usize::from(arbiter)].lived;
        while let Some((at, ids)) = self.due(arbiter, lived) {
            for id in ids {
                let Some(session) = self.sessions.get(&id) else { continue };
                if session.home != arbiter || session.bucket != at {
                    continue;
                }
                let deadline = session.heard + session.timeout_ms;
                if deadline < lived {
                    expired.push((id, session.attach)); // E4: looked at again, until it has ended
                }
                let bucket = self.bucket(deadline.max(lived));
                self.sessions.entry(id).and_modify(|session| session.bucket = bucket);
                self.homes[usize::from(arbiter)].buckets.entry(bucket).or_default().push(id);
            }
        }
        expired.sort_unstable();
    }

    fn due(&mut self, arbiter: u16, lived: u64) -> Option<(u64, Vec<SessionId>)> {
        let entry = self.homes[usize::from(arbiter)].buckets.first_entry()?;
        (*entry.key() <= lived).then(|| entry.remove_entry())
    }

    /// Deadlines are looked at twice a tick.
    fn bucket(&self, deadline: u64) -> u64 {
        let width = (self.tick_ms / 2).max(1);
        (deadline / width + 1) * width
    }

    /// For `dump`: ms from now at which sessions are next looked at, and which, soonest first.
    pub fn buckets(&self) -> BTreeMap<i64, Vec<SessionId>> {
        let mut buckets = BTreeMap::<_, Vec<_>>::new();
        for (id, session) in &self.sessions {
            let lived = self.homes[usize::from(session.home)].lived;
            buckets.entry(session.bucket as i64 - lived as i64).or_default().push(*id);
        }
        buckets.values_mut().for_each(|ids| ids.sort_unstable());
        buckets
    }
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
        SessionChange::Lives { session: SessionId(id), attach: AttachNumber::default(), timeout_ms, home }
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
}
