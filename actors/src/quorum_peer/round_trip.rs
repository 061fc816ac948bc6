//! How long a heartbeat and its answer take. Measured by a leader only: a learner answers its leader at once,
//! everybody else with the next heartbeat that is due.

/// Of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RoundTrip {
    /// The number of the heartbeat that is not answered yet, and when it was sent, in µs.
    asked: Option<(u64, u64)>,
}

impl RoundTrip {
    /// A heartbeat of this number is sent.
    pub(super) fn on_sent(&mut self, number: u64, now_us: u64) {
        self.asked.get_or_insert((number, now_us));
    }

    /// The peer has answered this one: how long that took, if it is the one waited for. A later one was
    /// heard instead of it.
    pub(super) fn on_echo(&mut self, echo: u64, now_us: u64) -> Option<u64> {
        let (_, sent_us) =
            self.asked.take_if(|(number, _)| *number <= echo).filter(|(number, _)| *number == echo)?;
        Some(now_us.saturating_sub(sent_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_to_one_question() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.on_echo(1, 50), None, "nothing was asked");
        trip.on_sent(4, 100);
        trip.on_sent(5, 150); // the answer to the first is waited for
        assert_eq!(trip.on_echo(3, 160), None, "to an older one");
        assert_eq!(trip.on_echo(4, 190), Some(90));
        assert_eq!(trip.on_echo(4, 400), None, "once");
        trip.on_sent(6, 500);
        assert_eq!(trip.on_echo(7, 900), None, "7 was heard in its place, when is not known");
        trip.on_sent(8, 1_000);
        assert_eq!(trip.on_echo(8, 1_250), Some(250));
    }
}
