//! A timer finer than the runtime's, which counts in milliseconds: an open loop sends at its time, or
//! the lateness of the tool would be measured as the server's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;

/// Wakes one task at one time.
pub(super) struct Timer {
    /// A descriptor that can be read once the time has come; made when it is first needed, by an open
    /// loop. The runtime takes any descriptor that is only polled and read for a pipe's end.
    fd: Option<Receiver>,
    /// The time it is set to, in ns.
    until: u64,
}

impl Timer {
    /// One that is not set.
    pub(super) fn new() -> Self {
        Self { fd: None, until: 0 }
    }

    /// Ready if the time `until` has come, which is `left` ns from now; else the task is woken then.
    pub(super) fn poll(&mut self, left: u64, until: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if left == 0 {
            return Poll::Ready(Ok(()));
        }
        let fd = match &mut self.fd {
            Some(fd) => fd,
            none => none.insert(make()?),
        };
        if self.until != until {
            set(fd, left)?;
            self.until = until;
        }
        let mut count = [0; 8];
        Pin::new(fd).poll_read(cx, &mut ReadBuf::new(&mut count))
    }
}

fn make() -> io::Result<Receiver> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    Receiver::from_owned_fd_unchecked(timerfd_create(TimerfdClockId::Monotonic, flags)?)
}

fn set(fd: &Receiver, left: u64) -> io::Result<()> {
    let it_value = Timespec {
        tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (left % 1_000_000_000) as _,
    };
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    timerfd_settime(fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::bench::window::Clock;

    #[test]
    fn it_wakes_at_its_time_and_not_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (clock, mut timer) = (Clock::new(), Timer::new());
            for _ in 0..3 {
                let until = clock.now() + 300_000;
                poll_fn(|cx| timer.poll(until.saturating_sub(clock.now()), until, cx)).await.unwrap();
                assert!(clock.now() >= until);
            }
        });
    }
}
