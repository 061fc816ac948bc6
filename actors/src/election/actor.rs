//! The Election's shell: hears from the QuorumPeer, which knows the links, and tells through them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use paddock_messages::quorum::{Memory, Notification, PeerState, Vote};
use parking_lot::Mutex;

use super::core::{Election, Output};
use super::memory::{NO_ROOM, Waits};
use crate::membership::Deciders;
use crate::peer_link::letters::{Linked, SendNotification};
use crate::runtime::{Ctx, ExitCode, Serve, Service, TimerId};

/// Mail to the Election: look for a leader.
#[derive(Clone, Debug)]
pub struct Look {
    /// This member's vote for itself; `None` for one without a vote.
    pub own: Option<Vote>,
    /// What it remembers.
    pub memory: Memory,
    /// Whether it would follow whoever is elected; if not, nobody waits for that.
    pub joins: bool,
    /// Who decides, as far as our log says.
    pub by: Deciders,
}

/// Mail to the Election: the member has a role.
#[derive(Clone, Copy, Debug)]
pub struct Settle {
    /// What it does.
    pub state: PeerState,
    /// Whom it follows.
    pub vote: Vote,
    /// The epoch is led, and all that its leader has is here.
    pub is_whole: bool,
}

/// Mail to the Election: the member's role has ended, and it does not stand yet.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// It never will: the process is to end.
    pub for_good: bool,
    /// Whom it would have lead in its place (EL11).
    pub heir: Option<ServerId>,
}

/// Mail to the Election: a member said this.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Who.
    pub from: ServerId,
    /// What.
    pub notification: Notification,
}

/// Mail to the Election: the ctl lane to a member has come up, or gone down.
#[derive(Clone, Copy, Debug)]
pub struct LinkChange {
    /// Which.
    pub peer: ServerId,
    /// Whether it is up.
    pub is_up: bool,
}

/// Mail to the QuorumPeer: the election has decided.
#[derive(Clone, Copy, Debug)]
pub struct Elected {
    /// Whom to follow, or this member itself.
    pub vote: Vote,
    /// Whether this member had a vote.
    pub had_vote: bool,
}

/// What the search waits for, for those who tell operators; none while there is no search.
pub type SharedSearch = Arc<Mutex<Option<Waits>>>;

/// See the module.
pub struct ElectionActor {
    core: Election<Deciders>,
    links: BTreeMap<ServerId, Outbox<SendNotification>>,
    elected: Outbox<Elected>,
    search: SharedSearch,
    out: Vec<Output>,
    timer: Option<(u64, TimerId)>,
    joins: bool,
}

impl ElectionActor {
    /// Tells members through the links that it is told of, the QuorumPeer when it has decided, and operators what it waits
    /// for.
    pub fn new(core: Election<Deciders>, elected: Outbox<Elected>, search: SharedSearch) -> Self {
        let (links, out) = Default::default();
        Self { core, links, elected, search, out, timer: None, joins: true }
    }

    fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        for order in self.out.drain(..) {
            let sent = match order {
                // The newest replaces what is not on its way: a link that is full has one to come.
                Output::Send { to, notification } => {
                    let _ = self.links.get(&to).map(|link| link.post(SendNotification(notification)));
                    Ok(())
                }
                Output::Decided(vote) => {
                    let had_vote = self.core.had_vote();
                    self.elected.post(Elected { vote, had_vote }).map_err(drop)
                }
            };
            if sent.is_err() {
                return ctx.fatal(ExitCode::ActorGone, "the QuorumPeer has ended");
            }
        }
        *self.search.lock() = self.core.is_looking().then(|| self.waits());
        self.set_timer(ctx);
    }

    fn waits(&self) -> Waits {
        let mut waits = self.core.waits_for();
        if !self.joins {
            waits.reasons.push(NO_ROOM.to_owned());
        }
        waits
    }

    fn set_timer(&mut self, ctx: &mut Ctx<'_, Self>) {
        let due = self.core.next_due_ms();
        if due == self.timer.map(|(at, _)| at) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel(timer);
        }
        self.timer = due.map(|at| {
            let wait = at.saturating_sub(ctx.clock().now_ms()).max(1);
            let timer = ctx.after(Duration::from_millis(wait), |this, ctx| {
                this.timer = None;
                this.core.on_time(ctx.clock().now_ms(), &mut this.out);
                this.perform(ctx);
            });
            (at, timer)
        });
    }
}

impl Service for ElectionActor {}

impl Serve<Look> for ElectionActor {
    fn serve(&mut self, Look { own, memory, joins, by }: Look, ctx: &mut Ctx<'_, Self>) {
        self.joins = joins;
        self.core.remember(memory);
        self.core.decide_by(by);
        self.core.look(own, ctx.clock().now_ms(), &mut self.out);
        tracing::info!(round = self.core.round(), "looking for a leader");
        self.perform(ctx);
    }
}

impl Serve<Settle> for ElectionActor {
    fn serve(&mut self, Settle { state, vote, is_whole }: Settle, ctx: &mut Ctx<'_, Self>) {
        if is_whole {
            self.core.remember(Memory::Whole);
        }
        self.core.settle(state, vote, &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<Left> for ElectionActor {
    fn serve(&mut self, Left { for_good, heir }: Left, ctx: &mut Ctx<'_, Self>) {
        self.core.leave(for_good, heir, &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<Heard> for ElectionActor {
    fn serve(&mut self, Heard { from, notification }: Heard, ctx: &mut Ctx<'_, Self>) {
        self.core.on_notification(from, notification, ctx.clock().now_ms(), &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<Linked<Outbox<SendNotification>>> for ElectionActor {
    fn serve(&mut self, Linked { peer, link }: Linked<Outbox<SendNotification>>, _: &mut Ctx<'_, Self>) {
        self.links.insert(peer, link);
    }
}

impl Serve<LinkChange> for ElectionActor {
    fn serve(&mut self, LinkChange { peer, is_up }: LinkChange, ctx: &mut Ctx<'_, Self>) {
        self.core.on_link(peer, is_up, ctx.clock().now_ms(), &mut self.out);
        self.perform(ctx);
    }
}
