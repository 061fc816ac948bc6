//! What there is to say about the disk.

use std::path::PathBuf;
use std::time::Duration;

use crate::storage::Stuck;

/// What takes longer than this is reported; shorter waits are the slow syncs that the log itself tells.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// One line for the operator.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// The disk does not answer.
    Silent(Stuck),
    /// It does again, and was last seen silent for so long.
    Answers {
        /// What it was asked to write or sync.
        file: PathBuf,
        /// At least.
        after: Duration,
    },
}

/// What was reported last.
#[derive(Debug, Default)]
pub struct DiskWatch {
    silent: Option<Stuck>,
}

impl DiskWatch {
    /// To be called each second, with what is under way (K1).
    pub fn on_tick(&mut self, stuck: Option<Stuck>) -> Option<Report> {
        let before = std::mem::replace(&mut self.silent, stuck.filter(|it| it.since >= PATIENCE));
        match (&self.silent, before) {
            (Some(now), _) => Some(Report::Silent(now.clone())),
            (None, Some(Stuck { file, since })) => Some(Report::Answers { file, after: since }),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuck(ms: u64) -> Option<Stuck> {
        Some(Stuck { file: "segment".into(), since: Duration::from_millis(ms) })
    }

    #[test]
    fn k1_each_second_of_silence_is_a_line_and_so_is_its_end() {
        let silent = |ms| stuck(ms).map(Report::Silent);
        let answers = |ms| Some(Report::Answers { file: "segment".into(), after: Duration::from_millis(ms) });
        let mut watch = DiskWatch::default();
        for (seen, said) in [
            (None, None),
            (stuck(999), None), // a slow sync
            (stuck(1_000), silent(1_000)),
            (stuck(2_000), silent(2_000)),
            (stuck(3), answers(2_000)), // another one
            (None, None),
            (stuck(1_500), silent(1_500)),
            (None, answers(1_500)),
        ] {
            assert_eq!(watch.on_tick(seen.clone()), said, "{seen:?}");
        }
    }
}
