//! Transfers between accounts, each a multi that leaves a marker: whoever reads all accounts at once finds all the
//! money, and each transfer is there once, or not at all.

use std::collections::{BTreeMap, BTreeSet};

/// What each account has at first.
pub(super) const INITIAL: i64 = 100;

/// One attempt, by its marker's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) marker: String,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) amount: i64,
    /// `None` if there was no answer.
    pub(super) done: Option<bool>,
}

/// Everything that must not be; `reads` are of all accounts at once, the last one when nobody wrote any more.
pub(super) fn judge(transfers: &[Transfer], reads: &[Vec<i64>], markers: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for read in reads {
        if read.iter().sum::<i64>() != INITIAL * read.len() as i64 {
            found.push(format!("money was made or lost: {read:?}"));
        }
    }
    let sent: BTreeMap<_, _> = transfers.iter().map(|one| (one.marker.as_str(), one)).collect();
    let markers: BTreeSet<_> = markers.iter().map(String::as_str).collect();
    found.extend(markers.iter().filter(|it| !sent.contains_key(*it)).map(|it| format!("nobody sent {it}")));
    let Some(last) = reads.last() else { return found };
    let mut balances = vec![INITIAL; last.len()];
    for one in transfers {
        let there = markers.contains(one.marker.as_str());
        if one.done.is_some_and(|done| done != there) {
            found.push(format!("its marker is {} there: {one:?}", if there { "" } else { "not" }));
        }
        if there {
            balances[one.from] -= one.amount;
            balances[one.to] += one.amount;
        }
    }
    if balances != *last {
        found.push(format!("the markers make {balances:?} of it, and it is {last:?}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(done: [Option<bool>; 2], reads: &[[i64; 3]], markers: &[&str]) -> Vec<String> {
        let transfer =
            |marker: &str, from, to, amount, done| Transfer { marker: marker.into(), from, to, amount, done };
        let transfers = [transfer("a", 0, 1, 10, done[0]), transfer("b", 1, 2, 20, done[1])];
        let reads: Vec<_> = reads.iter().map(|read| read.to_vec()).collect();
        judge(&transfers, &reads, &markers.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_may_be_is_accepted() {
        for (name, done, reads, markers) in [
            ("both", [Some(true); 2], &[[100; 3], [90, 110, 100], [90, 90, 120]][..], &["a", "b"][..]),
            ("none", [Some(false), None], &[[100; 3]], &[]),
            ("one without an answer", [Some(true), None], &[[90, 90, 120]], &["a", "b"]),
        ] {
            assert_eq!(found(done, reads, markers), [""; 0], "{name}");
        }
    }

    #[test]
    fn what_must_not_be_is_found() {
        let (yes, both) = (Some(true), [90, 90, 120]);
        for (name, done, reads, markers, expected) in [
            ("half of one was read", [yes; 2], &[[90, 100, 100], both][..], &["a", "b"][..], "money was"),
            ("half of one is there", [yes; 2], &[[90, 90, 100]], &["a", "b"], "money was"),
            ("one is lost", [yes; 2], &[[90, 110, 100]], &["a"], "its marker is not there"),
            (
                "one was refused and is there",
                [yes, Some(false)],
                &[both],
                &["a", "b"],
                "its marker is  there",
            ),
            ("one was done twice", [yes; 2], &[[90, 70, 140]], &["a", "b"], "the markers make"),
            ("one without its marker", [yes, None], &[both], &["a"], "the markers make"),
            ("nobody's", [yes; 2], &[both], &["a", "b", "c"], "nobody sent c"),
        ] {
            let found = found(done, reads, markers);
            assert!(found.iter().any(|one| one.contains(expected)), "{name}: {found:#?}");
        }
    }
}
