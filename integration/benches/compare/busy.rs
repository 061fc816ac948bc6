//! Processes that do nothing but keep every core busy, each this program once more.

use std::hint::spin_loop;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The word that makes this program one of them; the seconds follow.
pub(crate) const SPIN: &str = "spin";

/// They end with their owner, and by themselves if that could not end them.
pub(crate) struct Busy(Vec<Child>);

impl Busy {
    /// One for each core, at the usual priority.
    pub(crate) fn start(seconds: f64) -> Self {
        Self::some(std::thread::available_parallelism().expect("the machine has cores").get(), seconds)
    }

    /// So many.
    pub(crate) fn some(count: usize, seconds: f64) -> Self {
        let program = std::env::current_exe().expect("it runs");
        let spin =
            |_| Command::new(&program).args([SPIN, &seconds.to_string()]).spawn().expect("it runs already");
        Self((0..count).map(spin).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Keeps a core busy for so many seconds.
pub(crate) fn spin(mut words: impl Iterator<Item = String>) {
    let seconds = words.next().and_then(|word| word.parse().ok()).expect("a number of seconds");
    let (began, length) = (Instant::now(), Duration::from_secs_f64(seconds));
    while began.elapsed() < length {
        spin_loop();
    }
}
