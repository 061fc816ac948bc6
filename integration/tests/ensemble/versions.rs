//! Members of two builds: one that knows no newer frames than the version before, as the others then say to it, and
//! nothing else changes; until the feature level is raised, which keeps it out.

use std::collections::BTreeMap;

use paddock_actors::runtime::ExitCode;
use paddock_integration::ensemble::{Ensemble, Id, Mode};
use paddock_integration::rounds::seed;
use paddock_messages::frame::SPOKEN;

use crate::load::{ANSWERED_WITHIN, Progress, under_load};
use crate::operators::mntr;
use crate::world::{those, waiting};

const NEW: u8 = SPOKEN.highest;
const OLD: u8 = NEW - 1;
/// Has whoever leads raise the feature level as soon as it may.
const RAISES: &str = "PADDOCK_TEST_LEVEL=1";
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

fn level_of(ensemble: &Ensemble, id: Id) -> Option<String> {
    mntr(ensemble, id).remove("zk_paddock_feature_level")
}

fn await_level(ensemble: &mut Ensemble, wanted: &str) {
    for id in ensemble.running() {
        ensemble.wait_for(&format!("level {wanted} at {id}"), |ensemble| {
            level_of(ensemble, id).filter(|it| it == wanted)
        });
    }
}

/// From its next start on this member is of the build before, or of this one; as a leader it raises the level.
fn set_build(ensemble: &mut Ensemble, id: Id, is_old: bool) {
    let old = format!("PADDOCK_TEST_FRAMES={OLD}");
    ensemble.set_variables(id, if is_old { vec![RAISES, &old] } else { vec![RAISES] }.as_slice());
}

/// An observer of the build before is in the way; nobody is once it is upgraded. From then on the build before starts on
/// no data of the ensemble, and with none it is refused by all, and says why; under load, of which nothing is lost.
#[test]
fn fl3_fl4_the_level_is_raised_once_all_can_read_it_and_keeps_the_build_before_out() {
    let (_dir, mut ensemble) = waiting(3, 1, "");
    let observer =
        ensemble.ids().into_iter().find(|id| !ensemble.voters().contains(id)).expect("there is one");
    for id in ensemble.ids() {
        set_build(&mut ensemble, id, id == observer);
    }
    ensemble.start_all();
    ensemble.await_all_serving();
    let told = under_load(&mut ensemble, seed("levels"), ANSWERED_WITHIN, |ensemble, progress, _| {
        let leader = ensemble.await_leader();
        let says = format!("server {observer} reads feature level 0 at most");
        ensemble.await_line(leader, &["the feature level is not raised", &says]);
        await_level(ensemble, "0");
        progress.await_more(BETWEEN);

        ensemble.stop(observer);
        set_build(ensemble, observer, false);
        ensemble.start(observer);
        ensemble.await_all_serving();
        await_level(ensemble, "1");
        progress.await_more(BETWEEN);

        // A downgrade, which comes too late.
        let follower = those(ensemble, Mode::Follower)[0];
        ensemble.stop(follower);
        set_build(ensemble, follower, true);
        ensemble.start(follower);
        let code = ensemble.wait_for_end(follower).code();
        assert_eq!(code, Some(i32::from(ExitCode::NewerFormat.code())), "{}", ensemble.log(follower));
        let says = "feature level 1, and this version of paddock reads 0 at most";
        assert!(ensemble.log(follower).contains(says), "{}", ensemble.log(follower));
        progress.await_more(BETWEEN);

        // The same, with an empty disk: it learns from the others' hellos.
        ensemble.wipe(follower);
        ensemble.start(follower);
        ensemble.await_line(follower, &["we speak frames of version 1 to 3, the peer speaks 4 to 4"]);
        let leader = ensemble.await_leader();
        ensemble.await_line(leader, &["the ensemble is at feature level 1", "run a newer build there"]);
        progress.await_more(BETWEEN);
        assert_eq!(ensemble.mode(follower), None, "it is let in nowhere: {}", ensemble.log(follower));

        ensemble.stop(follower);
        set_build(ensemble, follower, false);
        ensemble.start(follower);
        ensemble.await_all_serving();
        await_level(ensemble, "1");
        progress.await_more(BETWEEN);
    });
    told.verify(&mut ensemble);
}
