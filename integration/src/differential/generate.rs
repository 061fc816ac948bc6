//! What a seed makes two sessions do.

mod reads;
mod scenes;
mod writes;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::body::{Body, odd_paths, usual_paths};
use super::op::{Action, Op, PREFIX};

/// `user:password` and the id a digest ACL names it by.
const USERS: [(&str, &str); 2] =
    [("u1:p1", "u1:fpT/y03U+EjItKZOSLGvjnJlyng="), ("u2:p2", "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE=")];

/// The operations of `seed`, in order, about `count`. The first makes the run's own root.
pub fn operations(seed: u64, count: usize) -> Vec<Op> {
    let mut rng = StdRng::seed_from_u64(seed);
    // Java checks quotas against what is applied, so that they refuse one or other of several writes in
    // flight: a run has quotas, or writes in flight.
    let quotas = rng.random_range(0..3) == 0;
    let mut draw = Draw { rng, quotas, alone: true, watched: Vec::new() };
    let root = Body::default().text(PREFIX).data(Some(b"")).raw(&open().0).int(0);
    let mut ops = vec![request(0, 1, root, format!("create {PREFIX}"))];
    // Some of the usual znodes, or most requests would find nothing.
    for tail in ["/a", "/b", "/c", "/a/x", "/a/y"] {
        if !draw.one_in(3) {
            let path = format!("{PREFIX}{tail}");
            let body = Body::default().text(&path).data(draw.payload().as_deref()).raw(&open().0).int(0);
            ops.push(request(draw.session(), 1, body, format!("create {path}")));
        }
    }
    while ops.len() < count {
        ops.extend(draw.step());
    }
    if draw.one_in(6) {
        ops.push(draw.last());
    }
    ops
}

fn request(session: usize, opcode: i32, body: Body, text: String) -> Op {
    Op { session, action: Action::Request { xid: None, opcode, body: body.0 }, text }
}

/// The ACL that lets everybody do everything.
fn open() -> Body {
    Body::default().int(1).int(31).text("world").text("anyone")
}

/// A path as it is sent, and as it is shown.
type Path = Option<Vec<u8>>;

fn show(path: &Path) -> String {
    path.as_ref().map_or("null".into(), |bytes| bytes.escape_ascii().to_string())
}

/// Draws one step of a session.
type Make = fn(&mut Draw, usize) -> Op;
/// Draws several steps that belong together.
type Scene = fn(&mut Draw, usize) -> Vec<Op>;

struct Draw {
    rng: StdRng,
    /// Whether quotas are set, and nothing is pipelined.
    quotas: bool,
    /// Whether what is drawn is applied before anything else is checked.
    alone: bool,
    /// Watches that have been asked for: whose, where, and their kind as removeWatches names it.
    watched: Vec<(usize, Path, i32)>,
}

/// With which weight single steps are drawn.
const STEPS: &[(u32, Make)] = &[
    (30, Draw::write),
    (20, Draw::read),
    (16, Draw::watch),
    (10, Draw::multi),
    (3, Draw::multi_read),
    (4, Draw::set_watches),
    (3, Draw::auth),
    (8, Draw::small),
    (3, Draw::undecodable),
    (2, Draw::reattach),
    (1, Draw::close),
    (1, Draw::reconfig),
    (1, Draw::unknown),
];

impl Draw {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())].clone()
    }

    fn session(&mut self) -> usize {
        self.rng.random_range(0..2)
    }

    fn step(&mut self) -> Vec<Op> {
        let session = self.session();
        let scenes: &[(u32, Scene)] = &[
            (if self.quotas { 0 } else { 14 }, Self::pipeline),
            (if self.quotas { 6 } else { 0 }, Self::quota_step),
            (if self.quotas { 8 } else { 0 }, Self::quota_scene),
            (3, Self::stale_watches),
            (1, Self::deep),
            (1, Self::large),
        ];
        let all = STEPS.iter().map(|(weight, _)| weight).sum::<u32>();
        let all = all + scenes.iter().map(|(weight, _)| weight).sum::<u32>();
        let mut at = self.rng.random_range(0..all);
        for (weight, make) in STEPS {
            if at < *weight {
                return vec![make(self, session)];
            }
            at -= weight;
        }
        for (weight, make) in scenes {
            if at < *weight {
                return make(self, session);
            }
            at -= weight;
        }
        unreachable!("`at` is below the sum")
    }

    /// What leaves the two trees different comes last. Of a znode that is there, Apache's server deletes
    /// it and comes to differ; and a TTL it cannot apply ends it.
    fn last(&mut self) -> Op {
        let nowhere = Body::default().text(&format!("{PREFIX}/none/x"));
        let (opcode, body) = match self.rng.random_range(0..3) {
            0 => (20, nowhere),
            1 => (-10, Body::default().int(30_000)),
            _ => (21, nowhere.data(None).raw(&open().0).int(0).long(-1)),
        };
        request(self.session(), opcode, body, format!("opcode {opcode}, at the end"))
    }

    fn path(&mut self) -> Path {
        if self.one_in(9) { self.of(&odd_paths()) } else { Some(self.of(&usual_paths()).into_bytes()) }
    }

    fn usual(&mut self) -> String {
        self.of(&usual_paths())
    }

    /// A path whose ACL may change for good: one of this run's own.
    fn own_path(&mut self) -> Path {
        loop {
            let path = self.path();
            if path.as_ref().is_none_or(|p| p.starts_with(PREFIX.as_bytes()) || !p.starts_with(b"/")) {
                return path;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same() {
        assert_eq!(operations(7, 60), operations(7, 60));
        assert_ne!(operations(7, 60), operations(8, 60));
    }

    #[test]
    fn every_opcode_is_drawn() {
        let drawn: std::collections::BTreeSet<i32> =
            (0..200).flat_map(|seed| operations(seed, 60)).filter_map(|op| op.opcode()).collect();
        for opcode in paddock_messages::client::OpCode::ALL {
            assert!(drawn.contains(&(*opcode as i32)), "{opcode:?} is never drawn");
        }
    }
}
