//! The end of a member in good order.

use std::thread::JoinHandle;
use std::time::Duration;

use paddock_actors::client::Serving;
use paddock_actors::client::hub::Control;
use paddock_actors::client_port::actor::StopAccepting;
use paddock_actors::runtime::ExitCode;
use paddock_messages::mail::Outbox;
use paddock_messages::roles::{Begin as BeginRole, Retire};

use super::Node;

/// To end the member's role.
pub(super) struct LastRole {
    /// To the QuorumPeer of a member of several: in good order.
    pub(super) retire: Option<Outbox<Retire>>,
    /// To the Learner: at once.
    pub(super) begin: Outbox<BeginRole>,
}

impl Node {
    /// Once a server alone has become an ensemble of one (MB6): it is to be stopped then, and started anew.
    pub async fn grown(&mut self) {
        self.grown.notified().await;
        self.has_grown = true;
    }

    /// Stops in good order: no new clients; what is under way is answered if that takes no longer than
    /// a fifth of `within`, and its connections closed; a leader hands the lead over; the log synced. Sessions live on.
    pub async fn stop(mut self, within: Duration) -> ExitCode {
        let _ = self.accepting.post(StopAccepting); // one that is gone is the guardian's business
        for hub in &self.hubs {
            let _ = hub.post(Control::Serve(Serving::Nobody));
        }
        wait_until(within / 5, || self.entrance.outstanding() == 0).await;
        for hub in &self.hubs {
            let _ = hub.post(Control::CloseAll);
        }
        wait_until(within / 10, || self.entrance.connections() == 0).await;
        // Nothing more comes from a leader or goes to the others; the log ends behind what came.
        let retires = self.last.retire.as_ref().is_some_and(|to| to.post(Retire).is_ok());
        wait_until(within / 5, || !retires || self.log.thread.is_finished()).await;
        // Of several once more, where the QuorumPeer stands still: a last role that has begun goes on.
        let synced = self.last.begin.post(BeginRole::LAST).is_ok();
        wait_until(within / 5 * 2, || self.log.thread.is_finished()).await;
        if !synced || !self.log.thread.is_finished() {
            tracing::error!(
                "the log did not end in time: the disk does not answer; nothing acknowledged is lost"
            );
            return ExitCode::LogIo;
        }
        match self.http {
            Some(http) if self.has_grown => http.finish(), // whoever has ordered it waits for the answer
            Some(http) => http.stop(),
            None => {}
        }
        tracing::info!(actors = self.env.registry.readings().len(), threads = self.arbiters.len(), "stopped");
        // The guardian's thread, before actors on others end: to it they would be gone, and that is no good end.
        if let Some(ctl) = self.arbiters.pop() {
            // Without a thread to wait on, its end is not waited for.
            let ending = std::thread::Builder::new().spawn(|| ctl.stop_and_join());
            wait_until(within / 10, || ending.as_ref().is_ok_and(JoinHandle::is_finished)).await;
            match ending {
                Ok(thread) if thread.is_finished() => {
                    if let Ok(Err(error)) = thread.join() {
                        tracing::error!("{error}");
                        return ExitCode::Panic;
                    }
                }
                _ => tracing::warn!(
                    "the thread of heartbeats and votes does not end; the process does nevertheless"
                ),
            }
        }
        drop(self.pid_file);
        ExitCode::Finished
    }
}

/// Waits for `done`, looking often, at most `limit`.
async fn wait_until(limit: Duration, done: impl Fn() -> bool) {
    let looks = async {
        while !done() {
            actix_rt::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _ = actix_rt::time::timeout(limit, looks).await; // what is not done by then is cut
}
