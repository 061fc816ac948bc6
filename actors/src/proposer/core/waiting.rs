//! What must wait for the next epoch, for the disk or for another leader, what goes on, and who is turned away (P7,
//! P10, P15).

use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Handshake, Request};

use super::super::handing_over::Sight;
use super::super::held::{Item, Kept};
use super::{Output, Proposer};
use crate::quorum::Quorum;
use crate::tree::prep::View;

impl<Q: Quorum> Proposer<Q> {
    /// What there is to see of our own disk (P14).
    pub fn own_disk(&self) -> Sight {
        Sight {
            acked: self.acked(self.me).unwrap_or_default(),
            committed: self.committed,
            waits: self.credit.is_spent() && self.committed == self.last,
            syncs: self.credit.syncs(),
        }
    }

    /// Whether a request must wait: for the next epoch, for a reconfig (MB2), until our own disk has caught up (P9), or
    /// for another leader (P15). A full disk, as when it did not take the epoch's file, refuses at once instead.
    pub(super) fn must_wait(&self) -> bool {
        !self.is_full()
            && (self.needs_new_epoch()
                || self.is_finishing
                || self.reconfigures.is_some()
                || self.credit.is_spent())
    }

    /// P10. Handshakes are no client's request yet, so nothing bounds how many are asked for. Gives the one
    /// that is turned away, if one is.
    pub(super) fn hold(
        &mut self,
        view: &impl View,
        member: ServerId,
        request: Request,
    ) -> Option<(ServerId, Handshake)> {
        if let Request::Attach { client, session, .. } = request {
            match self.pending.session(session) {
                None if self.held.begins(session) => {
                    return Some((member, Handshake::Attach { client, has_moved: false }));
                }
                None if view.session_timeout(session).is_none() => {
                    return Some((member, Handshake::Ended(client)));
                }
                // That it ends is not durable yet, so it is not told.
                Some(None) => return Some((member, Handshake::Attach { client, has_moved: false })),
                _ => {}
            }
        }
        if let Request::Revalidate { client, .. } = request {
            // Whoever waits for long attaches anew, and that is bounded.
            return Some((member, Handshake::Attach { client, has_moved: false }));
        }
        match self.held.keep(member, request, self.reconfigs) {
            Kept::Refused(Request::Open { session, .. }) => Some((member, Handshake::Open(session))),
            Kept::Refused(Request::Attach { client, .. }) => {
                Some((member, Handshake::Attach { client, has_moved: false }))
            }
            Kept::InsteadOf(its_member, client) => {
                Some((its_member, Handshake::Attach { client, has_moved: true }))
            }
            Kept::Refused(_) | Kept::Waits => None,
        }
    }

    /// While the disk is full nothing waits: no session begins, and none attaches behind more than the disk
    /// should owe (P10).
    pub(super) fn refused_handshake(&self, request: &Request) -> Option<Handshake> {
        match *request {
            Request::Open { session, .. } | Request::Upgrade { session, .. } if self.is_full() => {
                Some(Handshake::Open(session))
            }
            Request::Attach { client, .. } | Request::Revalidate { client, .. } if self.credit.is_spent() => {
                Some(Handshake::Attach { client, has_moved: false })
            }
            _ => None,
        }
    }

    /// How many requests are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether something has waited long enough: call [`Self::resume`].
    pub fn can_resume(&self) -> bool {
        self.held.front().is_some_and(|first| !self.must_wait() && !self.waits(first))
    }

    /// Proposes what waited, at `now_ms` since 1970, in its order (P7), as far as it goes.
    pub fn resume(&mut self, view: &impl View, now_ms: i64, out: &mut Vec<Output<Q>>) {
        self.pending.forget(view.last_zxid());
        let (mut proposals, mut turned_away) = (Vec::new(), Vec::new());
        while self.can_resume() {
            self.is_overtaken = self.held.front().is_some_and(|it| it.is_overtaken(self.reconfigs));
            let reconfig = self.held.front().and_then(Item::reconfig);
            let reconfig = reconfig.map(|(member, request)| (member, request.clone()));
            if reconfig.is_some_and(|(member, request)| self.asks_for_level(view, member, &request, now_ms)) {
                break;
            }
            let Some(held) = self.held.pop() else { break };
            match held {
                Item::Asked(member, request) | Item::Reconfig(member, request, _) => {
                    match self.refused_handshake(&request) {
                        Some(handshake) => turned_away.push((member, handshake)),
                        None => {
                            let proposal = self.request(view, member, request, now_ms);
                            self.add(proposal, &mut proposals);
                        }
                    }
                }
                Item::Expired(session, attach) => {
                    self.expire(view, (session, attach), now_ms, &mut proposals);
                }
            }
        }
        self.is_overtaken = false;
        self.send(proposals, turned_away, out);
    }
}
