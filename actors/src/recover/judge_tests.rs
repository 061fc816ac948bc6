use super::*;

const THREE: &str = "server.1=a:1:2;3\nserver.2=b:1:2;3\nserver.3=c:1:2;3\n";
const FIVE: &str =
    "server.1=a:1:2;3\nserver.2=b:1:2;3\nserver.3=c:1:2;3\nserver.4=d:1:2;3\nserver.5=e:1:2:observer;3\n";

fn holding(server: u64, epoch: u32, counter: u32) -> Holding {
    Holding {
        server: ServerId(server),
        ensemble: Some("e".into()),
        accepted_epoch: Epoch(epoch),
        current_epoch: Epoch(epoch),
        last: Zxid::new(Epoch(epoch), counter),
        last_ms: None,
        committed: Zxid::ZERO,
        is_incomplete: false,
        tree_differs: false,
    }
}

fn judged(own: &Holding, others: &[Holding], configurations: &[&str], running: &[u64]) -> Verdict {
    let configurations: Vec<_> =
        configurations.iter().map(|text| Members::read(text).expect("members")).collect();
    let running = running.iter().copied().map(ServerId).collect();
    judge(Findings { own, others, configurations: &configurations, running: &running })
}

fn words(verdict: &Verdict) -> String {
    verdict.refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn nh5_what_would_be_wrong_is_refused_and_why() {
    let own = holding(1, 4, 7);
    for (own, others, configuration, running, says) in [
        (own.clone(), vec![], THREE, &[][..], ""),
        (own.clone(), vec![holding(2, 4, 7)], THREE, &[], "servers 1, 2 are a quorum: start them"),
        (
            own.clone(),
            vec![],
            THREE,
            &[3],
            "server 3 answers where the configuration has it: if it has its data",
        ),
        (own.clone(), vec![], FIVE, &[3], "server 3 answers where the configuration has it"),
        (own.clone(), vec![holding(2, 4, 7)], FIVE, &[], ""),
        (
            own.clone(),
            vec![holding(2, 4, 8)],
            FIVE,
            &[],
            "the disk of server 2 holds more, epoch 4 through 0x400000008",
        ),
        (
            own.clone(),
            vec![holding(2, 5, 1), holding(3, 4, 9)],
            FIVE,
            &[],
            "the disk of server 2 holds more, epoch 5",
        ),
        (own.clone(), vec![holding(1, 4, 8)], THREE, &[], "the disk of server 1 holds more"), // a later copy of its own
        (own.clone(), vec![holding(5, 4, 8)], THREE, &[], "the disk of server 5 holds more"), // an observer's counts here
        (
            Holding { is_incomplete: true, ..own.clone() },
            vec![],
            THREE,
            &[],
            "a part of what server 1 held is lost",
        ),
        (Holding { ensemble: None, ..own.clone() }, vec![], THREE, &[], "belongs to no ensemble"),
        (Holding { tree_differs: true, ..own }, vec![], THREE, &[], "was found to differ"),
    ] {
        let verdict = judged(&own, &others, &[configuration], running);
        let told = words(&verdict);
        assert!(if says.is_empty() { told.is_empty() } else { told.contains(says) }, "{says}: {told}");
        let is_final = verdict.refusals.iter().any(Refusal::is_final);
        assert_eq!(is_final, own.is_incomplete || own.ensemble.is_none(), "{told}");
    }
}

#[test]
fn nh5_disks_that_do_not_count_change_nothing() {
    let own = holding(1, 4, 7);
    for other in [
        Holding { is_incomplete: true, ..holding(2, 9, 9) },
        Holding { ensemble: Some("another".into()), ..holding(2, 9, 9) },
        Holding { ensemble: None, ..holding(2, 9, 9) },
    ] {
        assert_eq!(
            judged(&own, std::slice::from_ref(&other), &[THREE], &[]),
            judged(&own, &[], &[THREE], &[]),
            "{other:?}"
        );
    }
}

/// Each way in which a quorum of up to five voters may have acknowledged, and each set of disks that is left.
#[test]
fn nh6_nothing_is_lost_exactly_where_every_quorum_has_a_disk_that_is_shown() {
    let line = |id: u64| format!("server.{id}=h{id}:1:2;3\n");
    for voters in 1..=5_u64 {
        let text: String = (1..=voters).map(line).collect();
        for seen in 1_u64..1 << voters {
            let ids: Vec<u64> = (1..=voters).filter(|id| seen >> (id - 1) & 1 == 1).collect();
            let all: Vec<Holding> = ids.iter().map(|id| holding(*id, 1, 1)).collect();
            let verdict = judged(&all[0], &all[1..], &[&text], &[]);
            let missed = (1_u64..1 << voters)
                .any(|quorum| u64::from(quorum.count_ones()) * 2 > voters && quorum & seen == 0);
            assert_eq!(verdict.may_lose, missed, "{ids:?} of {voters}");
            let unseen: BTreeSet<ServerId> =
                (1..=voters).filter(|id| !ids.contains(id)).map(ServerId).collect();
            assert_eq!(verdict.unseen, unseen);
        }
    }
    // Whatever of it another disk has is lost, too.
    assert!(judged(&holding(1, 4, 7), &[holding(2, 4, 8)], &[FIVE], &[]).may_lose);
    // Of four, two of which are an old configuration whose end is not known here: either may have decided.
    let (four, two) = (FIVE, "server.3=c:1:2;3\nserver.4=d:1:2;3\n");
    let left = [holding(2, 4, 7)];
    assert!(!judged(&holding(1, 4, 7), &left, &[four], &[]).may_lose);
    assert!(judged(&holding(1, 4, 7), &left, &[four, two], &[]).may_lose);
}
