//! Mistakes of the ensemble that ZooKeeper is not known to have made.

use EnsembleFault as Fault;

use crate::sim::ensemble::EnsembleFault;

/// Mistakes that are no line of the table: nobody's history, and found all the same.
pub const OUR_OWN: &[EnsembleFault] = &[
    Fault::AckBeforePersist,
    Fault::NoSync,
    Fault::CommitOnMinority,
    Fault::CountHeads,
    Fault::ForgetAccepted,
    Fault::ForgetCurrent,
    Fault::IgnoreAhead,
    Fault::ExpireUnasked,
    Fault::ExpireFound,
    Fault::IgnoreRole,
    Fault::IgnoreDigest,
    Fault::IgnoreFullDisk,
    Fault::AckUnwritten,
    Fault::TellLate,
    Fault::ParkUnasked,
    Fault::AskAgainDone,
    Fault::AskReadsBehind,
    Fault::NumberOldLanes,
    Fault::JudgeByWallClock,
    Fault::RollOverAlone,
    Fault::HandOverEarly,
    Fault::SayRoleOn,
    Fault::KeepLocalSessions,
    Fault::UpgradeBehind,
    Fault::ExpireLocalUnasked,
    Fault::ServeWithoutQuorum,
    Fault::KeepReaders,
    Fault::ReadUncommitted,
    Fault::AskAnotherArbiter,
    Fault::OneFeedForAll,
    Fault::LeadOnSilentDisk,
    Fault::LeadOnSlowDisk,
    Fault::CountDamaged,
    Fault::RecoverOnLess,
    Fault::JudgeByFile,
    Fault::RaiseUnasked,
    Fault::ActivateEarly,
    Fault::LinkNoMore,
    Fault::RefuseGuests,
    Fault::LetRemovedVote,
];
