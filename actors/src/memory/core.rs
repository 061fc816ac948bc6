//! [`SoftLimit`]: from what the member takes to whether it takes on more.

/// What the member takes at one moment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of the machine's memory: the process' resident set.
    pub resident: u64,
    /// In the tree and the watch tables, about: what can be given back by deleting.
    pub stored: u64,
}

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Refuse what grows.
    Tight,
    /// No longer.
    Relaxed,
}

/// What a reading comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// If anything changed.
    pub change: Option<Verdict>,
    /// Whether the allocator should return what was freed, and a reading be taken at once.
    pub trim: bool,
}

/// Of so many bytes stored, one part must have been freed before the allocator is bothered.
const FREED_PART: u64 = 64;

/// Readings while tight after which it is asked in any case.
const TRIM_EVERY: u32 = 50;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SoftLimit {
    limit: u64,
    is_tight: bool,
    /// The most that was stored since the last trim.
    peak: u64,
    /// Readings since then.
    since: u32,
}

impl SoftLimit {
    /// Of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, is_tight: false, peak: 0, since: 0 }
    }

    /// In bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Below so many bytes it takes on more again: 5 % less, so that it does not flap.
    pub fn resumes_below(&self) -> u64 {
        self.limit - self.limit / 20
    }

    /// The member takes so much now.
    pub fn on_reading(&mut self, reading: Reading) -> Step {
        self.peak = self.peak.max(reading.stored);
        let was = self.is_tight;
        self.is_tight =
            if was { reading.resident >= self.resumes_below() } else { reading.resident > self.limit };
        let change = match (was, self.is_tight) {
            (false, true) => Some(Verdict::Tight),
            (true, false) => Some(Verdict::Relaxed),
            _ => None,
        };
        let freed = self.peak - reading.stored;
        self.since = self.since.saturating_add(1);
        // What is not stored is given back too: replies that nobody took, buffers of a burst.
        let is_time = !was || self.since >= TRIM_EVERY;
        let trim = self.is_tight && (is_time || (freed > 0 && freed >= self.peak / FREED_PART));
        if trim {
            self.since = 0;
            self.peak = reading.stored;
        }
        Step { change, trim }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mm1_tight_begins_above_the_limit_and_ends_below_95_percent() {
        let mut limit = SoftLimit::new(1_000);
        for (resident, stored, change, trim) in [
            (999, 640, None, false),
            (1_000, 640, None, false),                // at the limit is not above it
            (1_001, 640, Some(Verdict::Tight), true), // replies may wait, buffers be free
            (2_000, 640, None, false),
            (960, 640, None, false),
            (950, 631, None, false), // not below; too little freed to bother
            (950, 630, None, true),
            (950, 630, None, false), // once
            (949, 630, Some(Verdict::Relaxed), false),
            (1_000, 0, None, false), // not tight: nothing is trimmed
            (1_001, 0, Some(Verdict::Tight), true),
        ] {
            let step = limit.on_reading(Reading { resident, stored });
            assert_eq!(step, Step { change, trim }, "{resident} resident, {stored} stored");
        }
    }

    #[test]
    fn mm1_while_tight_the_allocator_is_asked_now_and_then() {
        let mut limit = SoftLimit::new(1_000);
        let trims = (0..101).filter(|_| limit.on_reading(Reading { resident: 1_100, stored: 10 }).trim);
        assert_eq!(trims.collect::<Vec<_>>(), [0, 50, 100]);
    }
}
