//! What a leader reads of its own disk for a learner, on threads of their own, piece by piece: between any two of
//! them there may be proposals, commits, the role's end, and crashes.

use std::ops::ControlFlow;

use paddock_actors::proposer::sync_plan::Searched;
use paddock_actors::proposer::synchronising::search;
use paddock_actors::storage::transfer::Span;
use paddock_actors::storage::{Disk, DiskFile, LogView, MemoryFile};
use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::Proposal;
use paddock_messages::quorum::{SyncStart, ToLearner};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;
use std::sync::Arc;

use super::EnsembleFault;
use super::mail::{Letter, Part};
use super::node::{Effect, Node};
use super::storage::{Command, TXN_LIMIT};

/// What a stream of a snapshot's file is cut into.
const PIECE: usize = 4 << 10;
/// Txns in one frame.
const TXNS: usize = 32;

/// What is asked of a view of the log.
pub(super) enum Ask {
    Find(Vec<Zxid>),
    Log(Span),
    Snapshot,
}

/// Something that is being read.
pub(super) struct Transfer {
    learner: ServerId,
    lane: u64,
    source: Source,
    /// Whether something was proposed, or committed, since it began.
    pub(super) proposed: bool,
    pub(super) committed: bool,
}

enum Source {
    /// Where the logs part.
    Floors(Box<LogView>, Vec<Zxid>),
    Log {
        view: Box<LogView>,
        span: Span,
        /// What of the last piece is known to be committed, and is to be told behind it.
        known: Option<Zxid>,
    },
    Snapshot {
        file: MemoryFile,
        at: u64,
        zxid: Zxid,
        is_begun: bool,
    },
}

/// One piece was read.
enum Read {
    More(ToLearner),
    Found(Searched),
    /// All of it, up to here.
    End(Zxid),
}

impl Node {
    pub(super) fn find(&mut self, learner: ServerId, wanted: Vec<Zxid>) {
        self.ask_log(learner, Ask::Find(wanted));
    }

    pub(super) fn send_log(&mut self, to: ServerId, span: Span) {
        // Told nothing is committed, the learner waits for UPTODATE.
        let committed = if self.setup.tells_early() { span.committed } else { Zxid::ZERO };
        self.ask_log(to, Ask::Log(Span { committed, ..span }));
    }

    pub(super) fn send_snapshot(&mut self, to: ServerId) {
        self.ask_log(to, Ask::Snapshot);
    }

    fn ask_log(&mut self, learner: ServerId, ask: Ask) {
        if let Some(&lane) = self.lead.lanes.get(&learner) {
            self.command(self.lead.role, Command::View { learner, lane, ask });
        }
    }

    /// The log's thread gives a view; another reads.
    pub(super) fn begin_transfer(&mut self, learner: ServerId, lane: u64, ask: Ask) {
        let source = self.source(ask);
        match source {
            Ok(source) => {
                self.next_transfer += 1;
                let transfer = Transfer { learner, lane, source, proposed: false, committed: false };
                self.transfers.insert(self.next_transfer, transfer);
                self.effects.push(Effect::Read(self.next_transfer));
            }
            Err(error) => self.tell_unreadable(learner, lane, &error),
        }
    }

    fn source(&self, ask: Ask) -> std::io::Result<Source> {
        let view = Box::new(self.logger.view()?);
        Ok(match ask {
            Ask::Find(wanted) => Source::Floors(view, wanted),
            Ask::Log(span) => Source::Log { view, span, known: None },
            Ask::Snapshot => {
                let Some(entry) = self.logger.newest_snapshot() else {
                    return Err(std::io::Error::other("there is no snapshot"));
                };
                let file = self.disk.open(&entry.name)?;
                Source::Snapshot { file, at: 0, zxid: entry.zxid, is_begun: false }
            }
        })
    }

    fn tell_unreadable(&mut self, learner: ServerId, lane: u64, error: &std::io::Error) {
        let sent = Err(error.to_string());
        self.post(Part::Proposer, Letter::SyncSent { learner, lane, sent });
    }

    /// The thread of this transfer reads on.
    pub(super) fn read_on(&mut self, number: u64) {
        let Some(mut transfer) = self.transfers.remove(&number) else { return };
        let (learner, lane) = (transfer.learner, transfer.lane);
        let leaves_gap = self.setup.has(EnsembleFault::LeaveGap);
        match transfer.source.read(leaves_gap, self.setup.frame_bytes()) {
            Ok(Read::More(packet)) => {
                self.sent += 1;
                self.effects.push(Effect::ToLearner(lane, packet));
                self.effects.push(Effect::Read(number));
                self.transfers.insert(number, transfer);
                return;
            }
            Ok(Read::Found(searched)) => {
                self.post(Part::Proposer, Letter::Found { learner, lane, found: Ok(searched) });
            }
            Ok(Read::End(upto)) => {
                self.post(Part::Proposer, Letter::SyncSent { learner, lane, sent: Ok(upto) });
            }
            Err(error) => self.tell_unreadable(learner, lane, &error),
        }
        self.note("synchronisation reads");
        if transfer.proposed {
            self.note("synchronisation reads during which something was proposed");
        }
        if transfer.committed {
            self.note("synchronisation reads during which something was committed");
        }
    }

    pub(super) fn met_by_transfers(&mut self, tell: impl Fn(&mut Transfer)) {
        self.transfers.values_mut().for_each(tell);
    }

    pub(super) fn on_found(&mut self, learner: ServerId, lane: u64, found: Result<Searched, String>) {
        self.for_learner((learner, lane), |reign, out| match found {
            Ok(searched) => reign.on_found(learner, &searched, out),
            Err(_) => reign.on_unreadable(learner, out),
        });
    }

    pub(super) fn on_sync_sent(&mut self, learner: ServerId, lane: u64, sent: &Result<Zxid, String>) {
        self.for_learner((learner, lane), |reign, out| match sent {
            Ok(upto) => reign.on_log_sent(learner, *upto, out),
            Err(_) => reign.on_unreadable(learner, out),
        });
    }
}

impl Source {
    fn read(&mut self, leaves_gap: bool, frame_bytes: usize) -> std::io::Result<Read> {
        match self {
            Self::Floors(view, wanted) => Ok(Read::Found(search(view, std::mem::take(wanted))?)),
            Self::Log { known, .. } if known.is_some() => {
                let upto = known.take().expect("asked above");
                Ok(Read::More(ToLearner::Commit { upto }))
            }
            Self::Log { view, span: Span { after, upto, committed }, known } => {
                let (mut txns, mut bytes, from) = (Vec::new(), 0, *after);
                let ended = view.each_between(*after, *upto, |_, payload| {
                    let txn = codec::decode::<Txn, TXN_LIMIT>(payload).expect("what was logged is a txn");
                    bytes += txn.bound();
                    txns.push(txn);
                    if txns.len() == TXNS || bytes >= frame_bytes {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })?;
                let Some(last) = txns.last().map(|txn| txn.header.zxid) else { return Ok(Read::End(*upto)) };
                *known = Some(last.min(*committed)).filter(|upto| *upto > from);
                *after = last;
                if leaves_gap && ended.is_continue() {
                    txns.pop();
                }
                let items = Arc::new(txns.into_iter().map(Proposal::Txn).collect());
                Ok(Read::More(ToLearner::Proposals { after: from, items }))
            }
            Self::Snapshot { zxid, is_begun, .. } if !*is_begun => {
                *is_begun = true;
                Ok(Read::More(ToLearner::Sync(SyncStart::Snap(*zxid))))
            }
            Self::Snapshot { file, at, zxid, .. } => {
                let len = file.len()?;
                if *at >= len {
                    return Ok(Read::End(*zxid));
                }
                let mut bytes = vec![0; PIECE.min((len - *at) as usize)];
                let read = file.read_at(&mut bytes, *at)?;
                bytes.truncate(read);
                *at += read as u64;
                Ok(Read::More(ToLearner::Snapshot { bytes, is_last: *at >= len }))
            }
        }
    }
}
