//! How the open files that the process may have are shared out.

use paddock_actors::client::listener::Room;
use rustix::process::{Resource, getrlimit};

/// For the node itself: log segments, snapshots, threads' wake-ups, the metrics' port. A quarter of the
/// limit if that is less.
const KEPT: u64 = 128;

/// What is left for clients.
pub(crate) fn room() -> Room {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    Room::new(usize::try_from(limit - KEPT.min(limit / 4)).unwrap_or(usize::MAX))
}
