//! A process begins, on what the one before left on its disk.

use paddock_actors::storage::snapshot_files::RestoreError;
use paddock_actors::storage::{Crash, LogFailure, OpenError};
use paddock_messages::ids::ServerId;
use paddock_messages::level;

use super::node::{NoStart, Node};
use super::world::{Event, World};

impl World {
    pub(super) fn start(&mut self, id: ServerId) {
        let (now_ms, reads) = (self.now_us / 1_000, self.draw_build(id));
        let Self { rng, setup, truth, members, met, .. } = self;
        let member = members.get_mut(&id).expect("it is one of the members");
        let times = (now_ms, member.clock_ahead_ms);
        match Node::start(&member.disk, setup, (id, reads), times, rng, truth, met) {
            Ok(node) => {
                member.life += 1;
                member.is_damaged = false; // it was given up, and crashed behind that
                (member.node, member.disk_busy, member.applying) = (Some(Box::new(node)), false, false);
                let life = member.life;
                self.met.count("starts");
                self.at(0, Event::Tick(id, life));
                self.after(id);
            }
            Err(_) if member.disk.is_crashed() => {
                met.count("crashes during recovery");
                member.disk = member.disk.restart(Crash::PowerFailure);
                self.restart_in(id, 100);
            }
            Err(
                NoStart::Open(OpenError::Full { .. })
                | NoStart::Log(LogFailure::Full { .. })
                | NoStart::Restore(RestoreError::History(LogFailure::Full { .. })),
            ) => {
                met.count("starts that a full disk refused");
                member.disk = member.disk.restart(Crash::Kill);
                self.restart_in(id, 500);
            }
            Err(NoStart::Open(OpenError::Io { .. }) | NoStart::Log(LogFailure::Io { .. })) => {
                met.count("starts that a disk failed");
                member.disk = member.disk.restart(Crash::PowerFailure);
                self.restart_in(id, 100);
            }
            Err(NoStart::Restore(error)) if error.is_newer() && reads < level::KNOWN => {
                self.refuses_newer_data(id);
            }
            Err(error) if member.is_damaged => self.on_damage(id, &error),
            Err(error) => panic!("EN2: {id} does not start: {error}"),
        }
    }
}
