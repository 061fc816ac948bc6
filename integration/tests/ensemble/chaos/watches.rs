//! What a client sees that watches znodes with one-shot watches: each change of a watched one is told before it is
//! seen, once, and what is read behind a sync is no older than what was told.

use std::collections::BTreeMap;

/// What a client sees, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It read a znode, behind a sync or not, and left a watch or not.
    Read { path: String, version: i32, mzxid: i64, synced: bool, watch: bool },
    /// It was told of a change by this txn; -1 if it missed it while it had no connection.
    Event { path: String, zxid: i64 },
    /// It has no session any more, and no watches.
    Expired,
}

/// What a client knows of one znode.
#[derive(Default)]
struct Known {
    /// The version that the watch is for.
    watched: Option<i32>,
    version: i32,
    /// What it was told of: the least version and zxid that a read behind a sync may show.
    told: (i32, i64),
}

/// Everything that must not be.
pub(super) fn judge(steps: &[Step]) -> Vec<String> {
    let (mut found, mut known) = (Vec::new(), BTreeMap::<&str, Known>::new());
    for step in steps {
        match step {
            Step::Expired => known.values_mut().for_each(|it| it.watched = None),
            Step::Event { path, zxid } => {
                let it = known.entry(path).or_default();
                match it.watched.take() {
                    Some(version) => it.told = (version + 1, *zxid),
                    None => found.push(format!("nobody watches it: {step:?}")),
                }
            }
            Step::Read { path, version, mzxid, synced, watch } => {
                let it = known.entry(path).or_default();
                if let Some(watched) = it.watched.filter(|watched| version > watched) {
                    found.push(format!("nothing was told of what came after version {watched}: {step:?}"));
                }
                if *synced && (*version < it.told.0 || *mzxid < it.told.1) {
                    let (least, zxid) = it.told;
                    found.push(format!("version {least} was told of, by {zxid:#x}: {step:?}"));
                }
                if *version < it.version {
                    found.push(format!("version {} was seen: {step:?}", it.version));
                }
                it.version = *version;
                if *watch {
                    it.watched = Some(*version);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get version`, `watch version`, with `sync` before either for a synced one; `event zxid`; `expired`. A
    /// version `n` was made by zxid `10 n`.
    fn found(steps: &str) -> Vec<String> {
        let step = |text: &str| {
            let synced = text.starts_with("sync ");
            let (what, number) = text.trim_start_matches("sync ").split_once(' ').unwrap_or((text, "0"));
            let path = "/a".to_owned();
            let number: i64 = number.parse().unwrap();
            match what {
                "expired" => Step::Expired,
                "event" => Step::Event { path, zxid: number },
                _ => {
                    let (version, mzxid, watch) = (number as i32, number * 10, what == "watch");
                    Step::Read { path, version, mzxid, synced, watch }
                }
            }
        };
        judge(&steps.split(", ").map(step).collect::<Vec<_>>())
    }

    #[test]
    fn what_may_be_is_accepted() {
        for steps in [
            "watch 1, event 20, sync watch 2, event 30, sync get 5",
            "watch 1, get 1, event 20, get 1, sync get 2",
            "watch 1, event -1, sync watch 4",
            "watch 1, expired, get 3, watch 3",
            "get 1, get 3",
        ] {
            assert_eq!(found(steps), [""; 0], "{steps}");
        }
    }

    #[test]
    fn what_must_not_be_is_found() {
        for (steps, expected) in [
            ("watch 1, get 2", "nothing was told of what came after version 1"),
            ("watch 1, event 20, sync watch 2, sync get 3", "nothing was told of what came after version 2"),
            ("watch 1, event 20, sync get 1", "version 2 was told of, by 0x14"),
            ("watch 1, event 30, sync get 2", "version 2 was told of, by 0x1e"),
            ("watch 1, event -1, sync get 1", "version 2 was told of"),
            ("watch 1, event 20, event 20", "nobody watches it"),
            ("watch 1, expired, event 20", "nobody watches it"),
            ("get 2, get 1", "version 2 was seen"),
        ] {
            let found = found(steps);
            assert!(found.iter().any(|one| one.contains(expected)), "{steps}: {found:#?}");
        }
    }
}
