//! Members of two builds: one that knows no newer frames than the version before, as the others then say to it, and
//! nothing else changes.

use std::collections::BTreeMap;

use paddock_integration::ensemble::{Ensemble, Id};
use paddock_integration::rounds::seed;
use paddock_messages::frame::SPOKEN;

use crate::load::{ANSWERED_WITHIN, Progress, under_load};
use crate::operators::mntr;
use crate::world::waiting;

const NEW: u8 = SPOKEN.highest;
const OLD: u8 = NEW - 1;
/// Operations that are done between two members' upgrades.
const BETWEEN: u64 = 200;

/// From its next start on this member knows frames up to this version.
fn set_version(ensemble: &mut Ensemble, id: Id, version: u8) {
    let variable = format!("PADDOCK_TEST_FRAMES={version}");
    ensemble.set_variables(id, if version == NEW { vec![] } else { vec![variable.as_str()] }.as_slice());
}

/// Each pair speaks the newest version that both know, on each lane that is up; of votes, all are.
fn speak(ensemble: &mut Ensemble, knows: &BTreeMap<Id, u8>) {
    ensemble.wait_for("links between all", |ensemble| {
        let mut has_all = true;
        for (id, own) in knows {
            let told = mntr(ensemble, *id);
            for (peer, theirs) in knows.iter().filter(|(peer, _)| *peer != id) {
                for lane in ["ctl", "data"] {
                    let version = told.get(&format!("zk_paddock_link_version_{peer}_{lane}"));
                    has_all &= version.is_some() || lane == "data";
                    let expected = (*own).min(*theirs).to_string();
                    assert!(
                        version.is_none_or(|it| *it == expected),
                        "{id} with {peer}: {version:?}, {knows:?}"
                    );
                }
            }
            let lanes = told
                .keys()
                .filter(|name| name.starts_with("zk_paddock_link_version_") && name.ends_with("_data"));
            has_all &= lanes.count() > 0;
        }
        has_all.then_some(())
    });
}

fn go_on(ensemble: &mut Ensemble, progress: &Progress, knows: &BTreeMap<Id, u8>) {
    ensemble.await_all_serving();
    speak(ensemble, knows);
    progress.await_more(BETWEEN);
}

/// Under load, so that all that members say to each other is said between two builds.
#[test]
fn fr5_members_are_upgraded_one_by_one_and_back_and_each_pair_speaks_what_both_know() {
    let (_dir, mut ensemble) = waiting(3, 1, "");
    let mut knows: BTreeMap<Id, u8> = ensemble.ids().into_iter().map(|id| (id, OLD)).collect();
    knows.keys().for_each(|id| set_version(&mut ensemble, *id, OLD));
    ensemble.start_all();
    ensemble.await_all_serving();
    let told = under_load(&mut ensemble, seed("versions"), ANSWERED_WITHIN, |ensemble, progress, _| {
        go_on(ensemble, progress, &knows);
        // And back again, as an upgrade that is undone.
        let (upwards, downwards) = (ensemble.ids().into_iter(), ensemble.ids().into_iter().rev());
        for (id, version) in upwards.map(|id| (id, NEW)).chain(downwards.map(|id| (id, OLD))) {
            ensemble.stop(id);
            set_version(ensemble, id, version);
            ensemble.start(id);
            knows.insert(id, version);
            go_on(ensemble, progress, &knows);
        }
    });
    told.verify(&mut ensemble);
}
