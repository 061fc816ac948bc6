//! The Proposer's lines in the log that clients cause: each kind at most once a second. What an operator causes is not spared.

use super::actor::ProposerActor;
use crate::runtime::Ctx;

/// At most a line a second.
#[derive(Debug, Default)]
struct Sparing {
    next_ms: u64,
    left_out: u64,
}

impl Sparing {
    /// How many lines were left out since the last, if one may be written.
    fn may_say(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms < self.next_ms {
            self.left_out += 1;
            return None;
        }
        self.next_ms = now_ms + 1_000;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// Each kind by itself: none hides another.
#[derive(Debug, Default)]
pub(super) struct Spared {
    /// Of soft limits, which refuse nobody, and of hard ones.
    quotas: [Sparing; 2],
    reconfigs: Sparing,
}

impl ProposerActor {
    /// What was refused since the last call, and which limits were passed.
    pub(super) fn tell_refusals(&mut self, ctx: &Ctx<'_, Self>) {
        let (Some(core), now_ms) = (&mut self.core, ctx.clock().now_ms()) else { return };
        for over in core.take_over_quota() {
            if over.is_hard {
                self.meters.quota_exceeded(&over.path);
            }
            if let Some(left_out) = self.spared.quotas[usize::from(over.is_hard)].may_say(now_ms) {
                tracing::warn!(left_out, "{over}");
            }
        }
        for refused in core.take_refused_reconfigs() {
            let spared = &mut self.spared.reconfigs;
            let left_out = if refused.is_operators { Some(0) } else { spared.may_say(now_ms) };
            if let Some(left_out) = left_out {
                tracing::warn!(left_out, session = %refused.session, code = refused.code.code(), "{refused}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_tells_of_those_left_out() {
        let mut sparing = Sparing::default();
        let said = [5_000, 5_000, 5_999, 6_000, 6_500, 9_000, 10_000].map(|now_ms| sparing.may_say(now_ms));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1), Some(0)]);
    }
}
