use std::fmt::Write;

use paddock_config::Members;
use proptest::prelude::*;

use super::*;

/// The quorum of members 1, 2, … with these `group.N` and `weight.N` lines.
fn configured(members: u64, more: &str) -> paddock_config::Quorum {
    let mut text = String::new();
    for id in 1..=members {
        writeln!(text, "server.{id}=host{id}:2888:3888").unwrap();
    }
    text.push_str(more);
    Members::read(&text).unwrap().quorum()
}

/// The trait's: the configuration's own takes a set.
fn holds(quorum: &impl Quorum, agrees: impl Fn(ServerId) -> bool) -> bool {
    quorum.holds(agrees)
}

fn check(quorum: &impl Quorum, cases: &[(&[u64], bool)]) {
    for (agreeing, expected) in cases {
        assert_eq!(quorum.holds(|it| agreeing.contains(&it.0)), *expected, "{agreeing:?}");
    }
}

#[test]
fn a_majority_is_more_than_half() {
    for (voters, agreeing, expected) in
        [(1, 0, false), (1, 1, true), (2, 1, false), (2, 2, true), (3, 2, true), (4, 2, false), (0, 0, false)]
    {
        let majority = Majority((1..=voters).map(ServerId).collect());
        assert_eq!(majority.holds(|it| it.0 <= agreeing), expected, "{agreeing} of {voters}");
    }
}

#[test]
fn members_without_groups_decide_by_majority() {
    let three = configured(3, "server.4=host4:2888:3888:observer\n");
    check(&three, &[(&[1], false), (&[1, 3], true), (&[1, 4], false), (&[1, 2, 3, 4], true)]);
    assert!(three.is_voter(ServerId(1)) && three.can_lead(ServerId(3)));
    assert!(!three.is_voter(ServerId(4)) && !three.can_lead(ServerId(4)));
}

#[test]
fn members_in_groups_decide_by_more_than_half_of_the_weight_in_more_than_half_of_the_groups() {
    let three_sites = configured(9, "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n");
    check(
        &three_sites,
        &[
            (&[1, 2, 4, 5], true),     // four of nine
            (&[1, 2, 3], false),       // one site
            (&[1, 2, 3, 4, 7], false), // one site, and a minority of each other
            (&[1, 4, 7], false),       // a minority everywhere
            (&[2, 3, 4, 6, 7, 8, 9], true),
        ],
    );
    let two_sites = configured(4, "group.1=1:2\ngroup.2=3:4\n");
    check(&two_sites, &[(&[1, 2], false), (&[1, 2, 3], false), (&[1, 2, 3, 4], true)]); // half is not more
    let heavy = configured(4, "group.1=1:2:3:4\nweight.1=3\n");
    check(&heavy, &[(&[1], false), (&[1, 2], true), (&[2, 3, 4], false)]);
}

#[test]
fn qs2_a_voter_of_weight_0_counts_for_nothing_and_never_leads() {
    let quorum = configured(5, "group.1=1:2:3\ngroup.2=4:5\nweight.3=0\nweight.4=0\nweight.5=0\n");
    check(&quorum, &[(&[1, 2], true), (&[1, 3, 4, 5], false), (&[4, 5], false)]); // group 2 is none
    for (id, has_a_say) in [(1, true), (2, true), (3, false), (4, false), (5, false), (6, false)] {
        assert_eq!(quorum.is_voter(ServerId(id)), has_a_say, "{id}");
        assert_eq!(quorum.can_lead(ServerId(id)), has_a_say, "{id}");
    }
    check(&configured(1, "group.1=1\nweight.1=0\n"), &[(&[], false), (&[1], false)]); // no voter, no quorum
}

/// A majority, or groups of up to four, each voter with a weight up to 3.
fn any_members() -> impl Strategy<Value = paddock_config::Quorum> {
    let groups = proptest::collection::vec(proptest::collection::vec(0_u64..4, 1..5), 0..4);
    (1_u64..8, groups).prop_map(|(voters, groups)| {
        let (mut id, mut lines) = (0, String::new());
        for (group, weights) in groups.iter().enumerate() {
            let ids: Vec<_> = (id + 1..).take(weights.len()).map(|it| it.to_string()).collect();
            writeln!(lines, "group.{}={}", group + 1, ids.join(":")).unwrap();
            for weight in weights {
                id += 1;
                writeln!(lines, "weight.{id}={weight}").unwrap();
            }
        }
        configured(if groups.is_empty() { voters } else { id }, &lines)
    })
}

fn all_from(chosen: u16) -> impl Fn(ServerId) -> bool + Copy {
    move |id| chosen >> id.0 & 1 == 1
}

proptest! {
    /// QS1: were two sets apart, one would be within what the other leaves.
    #[test]
    fn qs1_two_sets_that_hold_have_a_voter_in_common(quorum in any_members(), a: u16, b: u16) {
        let (a, b) = (all_from(a), all_from(b));
        if holds(&quorum, a) {
            prop_assert!(!holds(&quorum, |id| !a(id)));
            if holds(&quorum, b) {
                prop_assert!((0..16).map(ServerId).any(|id| a(id) && b(id) && quorum.is_voter(id)));
            }
        }
    }

    #[test]
    fn qs2_who_has_no_say_changes_nothing(quorum in any_members(), chosen: u16) {
        let chosen = all_from(chosen);
        prop_assert_eq!(holds(&quorum, chosen), holds(&quorum, |id| chosen(id) && quorum.is_voter(id)));
        prop_assert_eq!(holds(&quorum, chosen), holds(&quorum, |id| chosen(id) || !quorum.is_voter(id)));
    }
}
