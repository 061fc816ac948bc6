//! A lock by the recipe: an ephemeral, sequential child each, and the lowest holds it. A holder writes in multis
//! that check that its child is there, so zxids tell who held the lock when: nobody did while another did.

/// One holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// Of its child.
    pub(super) number: i64,
    /// Of the reply that showed its child to be the lowest.
    pub(super) zxid: i64,
    /// Of its acknowledged writes.
    pub(super) writes: Vec<i64>,
}

/// Everything that must not be.
pub(super) fn judge(mut holdings: Vec<Holding>) -> Vec<String> {
    holdings.sort_by_key(|one| one.number);
    let (mut found, mut last) = (Vec::new(), None::<(i64, i64)>);
    for one in &holdings {
        if let Some((zxid, holder)) = last.filter(|(zxid, _)| *zxid > one.zxid) {
            found.push(format!("{holder} wrote at {zxid:#x}, when another held the lock: {one:x?}"));
        }
        if let Some(zxid) = one.writes.iter().find(|zxid| **zxid <= one.zxid) {
            found.push(format!("it wrote at {zxid:#x}, before it held the lock: {one:x?}"));
        }
        last = last.into_iter().chain(one.writes.iter().map(|zxid| (*zxid, one.number))).max();
    }
    for pair in holdings.windows(2).filter(|pair| pair[0].number == pair[1].number) {
        found.push(format!("two had number {}", pair[0].number));
    }
    found
}

#[test]
fn two_holders_at_once_are_found() {
    for (name, holdings, expected) in [
        ("one after the other", &[(1, 5, &[6, 7][..]), (2, 8, &[9])][..], ""),
        ("the same reply shows the last write", &[(1, 5, &[6]), (2, 6, &[9])], ""),
        ("one wrote nothing", &[(1, 5, &[]), (2, 6, &[9]), (4, 9, &[])], ""),
        ("a deposed holder writes on", &[(1, 5, &[6, 9]), (2, 7, &[8])], "1 wrote at 0x9"),
        ("also beyond one that wrote nothing", &[(1, 5, &[9]), (2, 10, &[]), (3, 7, &[])], "1 wrote at 0x9"),
        ("a write before its time", &[(1, 5, &[4])], "it wrote at 0x4"),
        ("a number for two", &[(1, 5, &[6]), (1, 7, &[8])], "two had number 1"),
    ] {
        let holding = |(number, zxid, writes): &(i64, i64, &[i64])| Holding {
            number: *number,
            zxid: *zxid,
            writes: writes.to_vec(),
        };
        let found = judge(holdings.iter().rev().map(holding).collect());
        assert_eq!(found.is_empty(), expected.is_empty(), "{name}: {found:#?}");
        assert!(expected.is_empty() || found.iter().any(|one| one.contains(expected)), "{name}: {found:#?}");
    }
}
