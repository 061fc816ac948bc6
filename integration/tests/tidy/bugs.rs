//! Every historic bug has a row that says how it is kept from coming back, and what a row says is so.

use std::collections::BTreeSet;

use paddock_integration::sim::bugs::{BUGS, Bug, Kept, OUR_OWN};
use paddock_integration::sim::ensemble::EnsembleFault;

use super::sources::all;
use super::{invariants, report};

/// All numbers of compat zab, 12, in its order.
const ISSUES: &[u32] = &[
    2845, 3104, 3911, 4643, 4646, 4785, 4394, 4925, 4712, 2872, 3642, 3701, 2325, 3056, 3644, 3781, 3231,
    2307, 4269, 582, 1732, 1805, 1818, 3109, 2959, 2819, 2212, 1324, 1783, 2355, 3144, 3127, 3125, 3145,
    3306, 3531, 4858, 2678, 2418, 1277, 2201, 4537, 1863, 4799, 4475, 2623, 1576, 2982, 3756, 3398, 2164,
    3769, 4787, 3537, 3829, 2865, 1699, 2029, 2247, 3084, 3320, 4203, 4541, 5010, 3598, 2380, 2687, 3575,
    3774, 3574, 1675, 2136,
];

/// And its lines without a number.
const UNNUMBERED: &[&str] = &["clock jumps", "what the TLA+ specification found"];

#[test]
fn every_historic_bug_has_its_row() {
    let tests = invariants::tests(&all());
    report("integration/src/sim/bugs.rs and what it speaks of belong together", &wrong(BUGS, &tests));
}

fn wrong(bugs: &[Bug], tests: &BTreeSet<String>) -> Vec<String> {
    let numbers: BTreeSet<u32> = bugs.iter().flat_map(|bug| bug.issues).copied().collect();
    let names: BTreeSet<&str> = bugs.iter().map(|bug| bug.name).filter(|name| !name.is_empty()).collect();
    let mut wrong = Vec::new();
    for issue in ISSUES.iter().filter(|issue| !numbers.contains(issue)) {
        wrong
            .push(format!("ZOOKEEPER-{issue} has no row: add one that says how it is kept from coming back"));
    }
    for name in UNNUMBERED.iter().filter(|name| !names.contains(*name)) {
        wrong.push(format!("{name:?} has no row: add one that says how it is kept from coming back"));
    }
    for issue in numbers.iter().filter(|issue| !ISSUES.contains(issue)) {
        wrong.push(format!("ZOOKEEPER-{issue} has a row and is not in ISSUES: a slip, or add it there"));
    }
    for name in names.iter().filter(|name| !UNNUMBERED.contains(name)) {
        wrong.push(format!("{name:?} has a row and is not in UNNUMBERED: a slip, or add it there"));
    }
    wrong.extend(bugs.iter().flat_map(|bug| wrong_row(bug, tests)));
    wrong.extend(wrong_faults(bugs));
    wrong
}

fn wrong_row(bug: &Bug, tests: &BTreeSet<String>) -> Vec<String> {
    let row = if bug.name.is_empty() { format!("the row of {:?}", bug.issues) } else { bug.name.to_owned() };
    let mut wrong = Vec::new();
    if bug.issues.is_empty() == bug.name.is_empty() {
        wrong.push(format!("{row}: give it its numbers, or a name if it has none"));
    }
    let is_silent = |kept: &Kept| match kept {
        Kept::Found(faults) => faults.is_empty(),
        Kept::Impossible { because, tests } => because.is_empty() || tests.is_empty(),
    };
    if bug.rule.is_empty() || bug.kept.is_empty() || bug.kept.iter().any(is_silent) {
        wrong.push(format!("{row}: say what must hold, and what shows that it does"));
    }
    for kept in bug.kept {
        let Kept::Impossible { tests: named, .. } = kept else { continue };
        for test in named.iter().filter(|test| !tests.contains(**test)) {
            wrong.push(format!("{row}: no test function is called {test}: write its new name, or the test"));
        }
    }
    wrong
}

/// Each fault breaks what a row says, or is ours.
fn wrong_faults(bugs: &[Bug]) -> Vec<String> {
    let in_rows = |fault: EnsembleFault| {
        let kept = bugs.iter().flat_map(|bug| bug.kept);
        kept.filter(|kept| matches!(kept, Kept::Found(faults) if faults.contains(&fault))).count() > 0
    };
    let told = |fault: &EnsembleFault| match (in_rows(*fault), OUR_OWN.contains(fault)) {
        (false, false) => Some(format!("{fault:?} is in no row: add it to the row it breaks, or to OUR_OWN")),
        (true, true) => Some(format!("{fault:?} is in a row: take it out of OUR_OWN")),
        _ => None,
    };
    EnsembleFault::ALL.iter().filter_map(told).collect()
}

/// The check above can fail.
#[test]
fn a_bug_without_its_row_is_told() {
    let tests = BTreeSet::from(["there".to_owned()]);
    let kept = |tests| Kept::Impossible { because: "it is so", tests };
    let told = |bug: Bug| wrong(&[bug], &tests).join("\n");
    let gone: &'static [Kept] = Box::leak(Box::new([kept(&["gone"]), kept(&["there"])]));
    let text = told(Bug { issues: &[2845, 7], name: "", rule: "it holds", kept: gone });
    for part in [
        "ZOOKEEPER-3104 has no row",
        "\"clock jumps\" has no row",
        "ZOOKEEPER-7 has a row and is not in ISSUES",
        "the row of [2845, 7]: no test function is called gone",
        "LeaveGap is in no row",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("2845 has no row") && !text.contains("called there"), "{text}");
    let text = told(Bug { issues: &[], name: "", rule: "it holds", kept: &[Kept::Found(&[])] });
    for part in ["give it its numbers, or a name", "say what must hold"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = told(Bug {
        issues: &[1],
        name: "",
        rule: "it holds",
        kept: &[Kept::Found(&[EnsembleFault::NoSync])],
    });
    assert!(text.contains("NoSync is in a row: take it out of OUR_OWN"), "{text}");
}
