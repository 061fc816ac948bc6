//! What a row of the table says.

use crate::sim::ensemble::EnsembleFault;

/// One line of the table.
#[derive(Debug)]
pub struct Bug {
    /// ZOOKEEPER-n in the public tracker; none for what was found otherwise.
    pub issues: &'static [u32],
    /// What it is called where it has no number; else empty.
    pub name: &'static str,
    /// What must hold so that it cannot happen.
    pub rule: &'static str,
    /// How that is kept, part by part.
    pub kept: &'static [Kept],
}

/// How a rule, or a part of it, is kept.
#[derive(Debug)]
pub enum Kept {
    /// Broken on purpose by these, the simulation finds it within 500 seeds.
    Found(&'static [EnsembleFault]),
    /// A type or a design makes it impossible, or a core refuses it; these test functions show that.
    Impossible {
        /// What makes it so.
        because: &'static str,
        /// By their names.
        tests: &'static [&'static str],
    },
}

pub(super) const fn bug(issues: &'static [u32], rule: &'static str, kept: &'static [Kept]) -> Bug {
    Bug { issues, name: "", rule, kept }
}

pub(super) const fn unnumbered(name: &'static str, rule: &'static str, kept: &'static [Kept]) -> Bug {
    Bug { issues: &[], name, rule, kept }
}
