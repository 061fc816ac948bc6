//! Ensembles of three, five and seven voters and their observers, by seed.

use paddock_integration::sim::ensemble::{EnsembleFault, run};

use super::{Runs, all_hold, is_found};

/// Seeds that found something once: they run first.
const FAILED_ONCE: &[u64] = &[
    0, 1, 2, 5, 10, 69, 102, 160, 190, 225, 236, 252, 292, 295, 296, 359, 362, 381, 426, 589, 611, 974, 1142,
    1221, 1482, 1566, 1854, 1896, 1959,
];

/// What 200 seeds must have met at least; more seeds that much more.
const LEAST_OF_200: &[(&str, u64)] = &[
    ("DIFF syncs", 3000),
    ("SNAP syncs", 300),
    ("TRUNC syncs", 45),
    ("ambushes", 700),
    ("amnesiac members healed", 20),
    ("clocks set back", 200),
    ("clocks set forward", 200),
    ("commits told with the log", 600),
    ("configurations heard of", 800),
    ("connections parked", 600),
    ("connections parked in vain", 25),
    ("connections that went on with a read between writes", 60),
    ("connections that went on with the next leader", 350),
    ("crashes during recovery", 5),
    ("crashes before acceptedEpoch is durable", 150),
    ("crashes between NEWLEADER's quorum and UPTODATE", 15),
    ("crashes between SNAP installed and its tree", 1),
    ("crashes between SNAP received and installed", 5),
    ("crashes between a commit and its telling", 90),
    ("crashes between a leader's append and its quorum's", 130),
    ("crashes between a quorum's appends and the commit", 40),
    ("crashes between acceptedEpoch and ACKEPOCH", 25),
    ("crashes between an append and its ack", 60),
    ("crashes between currentEpoch and the ack of NEWLEADER", 20),
    ("crashes between synced txns and currentEpoch", 45),
    ("crashes with mail in a box", 150),
    ("disks full", 100),
    ("disks with room again", 80),
    ("elections misled", 1000),
    ("ephemerals that went with their session", 2500),
    ("ephemerals refused to local sessions", 300),
    ("epochs begun with a quorum of groups", 400),
    ("epochs discovered and not established", 10),
    ("elections won", 800),
    ("damaged disks given up", 15),
    ("disks wiped", 20),
    ("epochs rolled over", 800),
    ("events delivered by setWatches", 200),
    ("faults: a crash", 150),
    ("faults: a crash at a disk operation", 150),
    ("faults: a damaged disk", 15),
    ("faults: a data lane reset", 150),
    ("faults: a failed sync", 150),
    ("faults: a leader alone with a reconfig", 45),
    ("faults: a leader far away", 150),
    ("faults: a late disk", 50),
    ("faults: a link flaps", 150),
    ("faults: a member alone", 150),
    ("faults: a member frozen", 150),
    ("faults: a partition", 150),
    ("faults: a slow disk", 150),
    ("faults: a silent disk", 150),
    ("faults: a slow link", 150),
    ("faults: a thread stands still", 150),
    ("faults: a leader told to have another lead", 200),
    ("faults: a member told to stop", 300),
    ("faults: all crash", 150),
    ("faults: ctl messages lost", 150),
    ("faults: disks filled", 250),
    ("faults: one way", 150),
    ("faults: the leader crashes", 150),
    ("handshakes without a leader", 15),
    ("heirs that lead", 100),
    ("histories made of what was left", 200),
    ("histories made of what was left that could lose nothing", 100),
    ("histories made of what was left that had lost something", 5),
    ("histories made of what was left that were cut short", 150),
    ("kills", 1200),
    ("leaders removed by their own reconfig", 35),
    ("leaders that handed over for a full disk", 15),
    ("leaders that refuse writes for a full disk", 6),
    ("leaders that handed over in good order", 150),
    ("leaders that handed over for a silent disk", 8),
    ("leaders that handed over for a slow disk", 4),
    ("leaders that had lost their vote and named another", 35),
    ("learners that left for a full disk", 70),
    ("letters delayed across a role's end", 8000),
    ("letters of an older lane ignored", 400),
    ("letters of an older role ignored", 300),
    ("learners of the build before turned back", 40),
    ("levels not raised: a member is away", 15),
    ("levels not raised: a member is of the build before", 60),
    ("levels raised", 25),
    ("members lost for good", 15),
    ("linearizable reads checked", 10000),
    ("links made as the configuration changed", 50),
    ("links made for one that nobody named", 5),
    ("local sessions begun", 400),
    ("local sessions ended by their clients", 10),
    ("local sessions expired", 8),
    ("local sessions found ended", 30),
    ("local sessions that became everybody's", 150),
    ("local sessions that came back", 15),
    ("logged and not known to be committed at a start", 10000),
    ("logs purged", 5000),
    ("logs truncated", 60),
    ("members that served reads alone", 100),
    ("members promoted", 150),
    ("members stopped in good order", 250),
    ("multis committed", 1200),
    ("pings answered", 10000),
    ("pings overtaken", 500),
    ("power failures", 1200),
    ("processes that a disk ended", 250),
    ("sessions closed", 250),
    ("sessions expired", 200),
    ("sessions moved", 2000),
    ("sessions moved to another arbiter", 100),
    ("roll-overs given up", 5),
    ("reads between writes answered by the next leader's log", 40),
    ("reads between writes asked again", 70),
    ("reads checked", 50000),
    ("reconfigs abandoned", 35),
    ("reconfigs activated", 500),
    ("reconfigs asked for", 300),
    ("reconfigs committed by a successor", 12),
    ("reconfigs committed by their proposer", 150),
    ("reconfigs from groups to a majority or back", 8),
    ("reconfigs refused for the groups", 45),
    ("reads answered without a leader", 60),
    ("requests refused for want of a leader", 200),
    ("silences", 500),
    ("silent learners dropped", 20),
    ("snapshots installed", 40),
    ("snapshots kept", 10000),
    ("starts", 3000),
    ("starts on data of a level that the build does not read", 20),
    ("starts that a disk failed", 15),
    ("synchronisation reads", 3000),
    ("synchronisation reads during which something was committed", 60),
    ("synchronisation reads during which something was proposed", 100),
    ("syncs answered", 30000),
    ("ticks without the core's thread", 20),
    ("torn tails cut", 8),
    ("trees replaced", 50),
    ("trees spoilt", 50),
    ("watch events", 60000),
    ("watches fired during a failover", 1500),
    ("watches set again after a reconnect", 4000),
    ("what a role needs refused by the log", 10),
    ("writes acknowledged", 100000),
    ("writes answered by the next leader's log", 200),
    ("writes asked again", 300),
    ("writes refused by a full disk", 150),
];

#[test]
fn en1_to_en20_hold_whatever_happens() {
    all_hold(FAILED_ONCE, &Runs { run: |seed| run(seed, None), test: "en1_to_en20" }, LEAST_OF_200);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}

/// The checks above can fail: each mistake is found. `FAULT=IgnoreRole` looks for that one alone, `FROM=1000` from that seed on.
#[test]
fn every_fault_of_an_ensemble_is_found() {
    let wanted = std::env::var("FAULT").ok();
    let is_wanted = |it: &EnsembleFault| wanted.as_ref().is_none_or(|wanted| format!("{it:?}") == *wanted);
    let faults: Vec<_> = EnsembleFault::ALL.into_iter().filter(is_wanted).collect();
    assert!(!faults.is_empty(), "there is no such fault: {wanted:?}");
    // One that was away while all that it knows were replaced, and needed: that is rare, and looked for where it is.
    let rare = |fault| if fault == EnsembleFault::RefuseGuests { 500 } else { 0 };
    let from = std::env::var("FROM").ok().map(|from| from.parse().expect("FROM is a seed"));
    let from = |fault| from.unwrap_or_else(|| rare(fault));
    faults.into_iter().for_each(|fault| is_found(fault, from(fault), run));
}
