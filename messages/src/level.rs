//! Feature levels: what every member of an ensemble can read, as they have agreed in the log.
//!
//! A txn of a kind, or in a form, that an older build cannot read is numbered only behind a
//! [`TxnBody::FeatureLevel`](crate::txn::TxnBody::FeatureLevel) that raises the ensemble to its level; and that is numbered
//! only while every member is there and can read it. So a build can be undone until something new has been used.
//!
//! - FL1  Nothing that needs level N is numbered before the txn that raises the level to N, which is in the same log.
//! - FL2  The level never falls.
//! - FL3  A member that cannot read the level is sent none of it, counts in no quorum, and acknowledges nothing.
//! - FL4  The level is raised only while every member of the ensemble, voter or not, is connected and can read it, but for those
//!   that leave by the very reconfig that needs it.
//!
//! What a member can read goes by the frames it speaks: a level that needs more than older builds read comes with a
//! version of frames of its own.

/// From this level on the configuration is what the log says: there are reconfigs.
pub const RECONFIG: u8 = 1;

/// The highest level that this build reads.
pub const KNOWN: u8 = 1;

/// The lowest version of frames of each level from 1 on, in order.
const FRAMES: [u8; KNOWN as usize] = [4];

/// The highest level that a member can read that speaks frames up to version `speaking`.
pub fn readable_in(speaking: u8) -> u8 {
    FRAMES.iter().take_while(|first| speaking >= **first).count() as u8
}

/// The lowest version of frames that a member of an ensemble at `level` must speak; for a level that this build does not
/// know, one that nobody speaks.
pub fn frames_of(level: u8) -> u8 {
    match usize::from(level).checked_sub(1) {
        None => 1,
        Some(at) => FRAMES.get(at).copied().unwrap_or(u8::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SPOKEN;

    #[test]
    fn fl3_a_level_is_read_from_its_frames_on_and_by_no_older_build() {
        assert_eq!(readable_in(SPOKEN.highest), KNOWN, "what this build speaks");
        assert_eq!([0, 1, 3, 4, 5].map(readable_in), [0, 0, 0, 1, 1]);
        assert_eq!([0, 1, 2, 255].map(frames_of), [1, 4, 255, 255]);
        for level in 1..=KNOWN {
            assert_eq!(readable_in(frames_of(level)), level);
            assert_eq!(readable_in(frames_of(level) - 1), level - 1, "each level has frames of its own");
        }
    }
}
