//! Raising the ensemble's feature level, on whoever's demand ([`level`](paddock_messages::level)).

use std::collections::BTreeSet;
use std::fmt;

use paddock_messages::ids::ServerId;
use paddock_messages::letters::Internal;
use paddock_messages::zxid::Zxid;

use super::actor::ProposerActor;
use super::core::{Proposer, WantedLevel};
use super::leadership::levels::InTheWay;
use crate::runtime::{Ctx, Serve};

/// To the Proposer: the feature level is to be raised to this one, if it is lower. `answer` is called at once, on the
/// Proposer's thread.
pub struct RaiseLevel {
    /// Which.
    pub level: u8,
    /// Told what comes of it.
    pub answer: Box<dyn FnOnce(&LevelAnswer) + Send>,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelAnswer {
    /// The ensemble's log has it, or more: it may be used, behind this.
    Already(u8),
    /// This txn raises it; once the tree has it, it is durable on a quorum.
    Numbered(Zxid),
    /// This server does not lead, or does not yet.
    NotLeading,
    /// This very build does not read it: up to the level told.
    Unknown(u8),
    /// These members cannot read it, or are not here to say.
    InTheWay(Vec<InTheWay>),
    /// Nothing is numbered now: the disk is full or slow, or the epoch ends.
    NotNow,
}

impl fmt::Display for LevelAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Already(level) => write!(f, "the ensemble is at feature level {level}"),
            Self::Numbered(zxid) => write!(f, "txn {zxid} raises the feature level"),
            Self::NotLeading => f.write_str("this server does not lead: ask the leader"),
            Self::Unknown(reads) => {
                write!(f, "this build reads feature levels up to {reads}: run a newer one")
            }
            Self::InTheWay(members) => {
                f.write_str("every member must be connected and able to read it: ")?;
                for (at, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if at == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::NotNow => f.write_str(
                "nothing is numbered now, for the disk is full or slow, or the epoch ends: ask again",
            ),
        }
    }
}

impl ProposerActor {
    /// Once a tick: as the rules say.
    pub(super) fn raise_unasked(&mut self, ctx: &mut Ctx<'_, Self>) {
        let level = self.rules.raises_to;
        if self.core.as_ref().is_some_and(|core| core.level() < level) {
            self.answer_level(level, &BTreeSet::new(), ctx);
        }
    }

    /// A reconfig waits for it.
    pub(super) fn raise_wanted(&mut self, ctx: &mut Ctx<'_, Self>) {
        let wanted = self.core.as_mut().and_then(Proposer::take_wanted_level);
        let Some(WantedLevel { level, leaving }) = wanted else { return };
        let answer = self.answer_level(level, &leaving, ctx);
        if !matches!(answer, LevelAnswer::Numbered(_) | LevelAnswer::Already(_))
            && let Some(core) = &mut self.core
        {
            core.on_level_refused();
            self.resume(ctx);
        }
    }

    fn answer_level(
        &mut self,
        level: u8,
        leaving: &BTreeSet<ServerId>,
        ctx: &mut Ctx<'_, Self>,
    ) -> LevelAnswer {
        let answer = self.raise_level(level, leaving, ctx);
        if matches!(answer, LevelAnswer::InTheWay(_) | LevelAnswer::Unknown(_) | LevelAnswer::NotNow) {
            tracing::warn!(level, "the feature level is not raised: {answer}");
        }
        answer
    }

    /// Raises the feature level to this one, if every member but those that leave can read it (FL4): a dead one that is removed
    /// must not be waited for.
    fn raise_level(
        &mut self,
        level: u8,
        leaving: &BTreeSet<ServerId>,
        ctx: &mut Ctx<'_, Self>,
    ) -> LevelAnswer {
        let Some(core) = &self.core else { return LevelAnswer::NotLeading };
        let (from, last) = (core.level(), core.last());
        if level <= from {
            return LevelAnswer::Already(from);
        }
        if level > self.rules.reads_level {
            return LevelAnswer::Unknown(self.rules.reads_level);
        }
        if let Some(reigning) = &self.reigning {
            let Some(reign) = &reigning.reign else { return LevelAnswer::NotLeading };
            let in_the_way = reign.in_the_way(level, core.readers(leaving));
            if !in_the_way.is_empty() {
                return LevelAnswer::InTheWay(in_the_way);
            }
        }
        self.on_internal(Internal::RaiseLevel(level), ctx);
        let zxid = self.core.as_ref().map(Proposer::last).filter(|zxid| *zxid > last);
        let Some(zxid) = zxid else { return LevelAnswer::NotNow };
        tracing::info!(
            leader = %self.me, from, to = level, %zxid,
            "the feature level is being raised: once this is committed, no build that cannot read it is let in, and none \
             of before can be gone back to"
        );
        LevelAnswer::Numbered(zxid)
    }
}

impl Serve<RaiseLevel> for ProposerActor {
    fn serve(&mut self, RaiseLevel { level, answer }: RaiseLevel, ctx: &mut Ctx<'_, Self>) {
        answer(&self.answer_level(level, &BTreeSet::new(), ctx));
    }
}
