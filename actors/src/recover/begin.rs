//! The new history, step by step, each durable before the next (NH1 to NH4).

use paddock_config::members::Server;
use paddock_config::{Members, PeerType};
use paddock_messages::codec;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::level;
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::membership;
use crate::storage::{Disk, Facts, LogFailure, Logger, Space};
use crate::tree::DataTree;

/// What a new history begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Whose disk it is.
    pub server: ServerId,
    /// Drawn at random.
    pub ensemble: u128,
    /// The highest that any disk shown has seen.
    pub seen_epoch: Epoch,
    /// The configuration that the disk has logged last.
    pub members: Members,
    /// Where the others will find this server.
    pub place: Server,
    /// The wall clock, in ms since 1970.
    pub time_ms: i64,
}

/// Why it does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Nothing was changed.
    #[error("the disk is full: free at least {needed} bytes and try again; nothing was changed")]
    Full {
        /// Bytes.
        needed: u64,
    },
    /// 2^32 of them.
    #[error("all epochs are used up; nothing was changed")]
    NoEpochLeft,
    /// What was durable stays, and no member of before follows it (NH2).
    #[error("{0}; it can be done again")]
    Log(#[from] LogFailure),
}

/// Begins the new history on an opened disk, of which `tree` has all that is logged. Gives its epoch and its first
/// configuration's version.
///
/// # Errors
/// See [`BeginError`].
///
/// # Panics
/// If the tree lacks something (NH3), or the place is none that a configuration can tell.
pub fn begin<D: Disk>(
    logger: &mut Logger<D>,
    tree: &DataTree,
    beginning: &Beginning,
) -> Result<(Epoch, Zxid), BeginError> {
    let Beginning { server, ensemble, seen_epoch, members, place, time_ms } = beginning;
    let logged = logger.persisted().upto;
    assert!(
        tree.last_zxid() >= logged,
        "NH3: {} is logged, and the tree ends at {}",
        logged,
        tree.last_zxid()
    );
    if let Space::Full { needed } = logger.space() {
        return Err(BeginError::Full { needed });
    }
    let before = logger.facts();
    let seen =
        (*seen_epoch).max(before.accepted_epoch).max(before.current_epoch).max(tree.last_zxid().epoch());
    let epoch = seen.next().ok_or(BeginError::NoEpochLeft)?;

    // NH2: whose it is comes first.
    logger.change_facts(|facts| {
        let (ensemble, accepted_epoch, current_epoch) = (Some(*ensemble), epoch, epoch);
        *facts = Facts { ensemble, accepted_epoch, current_epoch, ..Facts::default() };
    })?;

    let mut last = epoch.start();
    let log = |logger: &mut Logger<D>, body: TxnBody, zxid: Zxid| {
        let (session, attach) = (SessionId::NONE, AttachNumber::default());
        let header = TxnHeader { session, attach, cxid: 0, zxid, time: *time_ms };
        let mut bytes = Vec::new();
        codec::encode_into(&mut bytes, &Txn { header, body }).expect("lines of known length");
        logger.append(zxid, &bytes);
    };
    if tree.feature_level() < level::RECONFIG {
        last = next(last);
        log(logger, TxnBody::FeatureLevel { level: level::RECONFIG }, last);
    }
    last = next(last);
    log(logger, alone(*server, place, members, last), last);
    // In the very batch that has them, which has its room whatever else the disk can take.
    logger.commit(last);
    logger.flush()?;
    logger.keep_pair()?;
    Ok((epoch, last))
}

/// NH4: the reconfig that leaves one server, which votes.
fn alone(server: ServerId, place: &Server, before: &Members, zxid: Zxid) -> TxnBody {
    let place = Server { role: PeerType::Participant, ..place.clone() };
    let after = Members { servers: [(server, place)].into(), ..Members::default() };
    let text = |members: &Members, version| membership::text(&members.to_string(), version);
    let body = TxnBody::Membership { from: text(before, Zxid(before.version)), to: text(&after, zxid) };
    assert!(membership::is_sound(&body), "a configuration that was read is one that can be told: {body:?}");
    body
}

fn next(zxid: Zxid) -> Zxid {
    zxid.next().expect("an epoch has room for two txns")
}

#[cfg(test)]
#[path = "begin_tests.rs"]
mod tests;
