//! The process's own numbers, from `/proc`, under the names that every Prometheus client uses.

use std::fs;
use std::io;

use crate::admin::line;

/// The process at one moment. What the system does not tell is 0, and is then absent from the text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFacts {
    /// Processor time used, in s.
    pub cpu_seconds: f64,
    /// When it started, in s since 1970.
    pub start_seconds: f64,
    /// Memory it has in RAM.
    pub resident_bytes: u64,
    /// Memory it has addresses for.
    pub virtual_bytes: u64,
    /// Descriptors it has open.
    pub open_fds: u64,
    /// Descriptors it may open.
    pub max_fds: u64,
    /// Its threads.
    pub threads: u64,
}

/// What the kernel counts in.
#[derive(Clone, Copy, Debug)]
struct Units {
    ticks_per_second: u64,
    page_bytes: u64,
}

impl ProcessFacts {
    /// Reads them. Blocks for some µs per open descriptor.
    ///
    /// # Errors
    /// `/proc` is not there, or not as Linux writes it.
    pub fn read() -> io::Result<Self> {
        let units = Units {
            ticks_per_second: rustix::param::clock_ticks_per_second(),
            page_bytes: rustix::param::page_size() as u64,
        };
        let (stat, machine) = (fs::read_to_string("/proc/self/stat")?, fs::read_to_string("/proc/stat")?);
        let mut facts = Self::parse(&stat, &machine, units).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat has too few fields")
        })?;
        facts.open_fds = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1) as u64; // but for this look
        facts.max_fds =
            rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        Ok(facts)
    }

    /// From the texts of `/proc/self/stat` and `/proc/stat`. Source: proc(5).
    fn parse(stat: &str, machine: &str, units: Units) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(") ")?; // the program's name may hold anything
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok(); // as proc(5) numbers them
        let boot = machine.lines().find_map(|line| line.strip_prefix("btime "))?.parse::<u64>().ok()?;
        let seconds = |ticks: u64| ticks as f64 / units.ticks_per_second as f64;
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            start_seconds: boot as f64 + seconds(field(22)?),
            resident_bytes: field(24)? * units.page_bytes,
            virtual_bytes: field(23)?,
            threads: field(20)?,
            ..Self::default()
        })
    }

    /// `process_*` in Prometheus' text.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        for (name, kind, value) in [
            ("cpu_seconds_total", "counter", self.cpu_seconds),
            ("start_time_seconds", "gauge", self.start_seconds),
            ("resident_memory_bytes", "gauge", self.resident_bytes as f64),
            ("virtual_memory_bytes", "gauge", self.virtual_bytes as f64),
            ("open_fds", "gauge", self.open_fds as f64),
            ("max_fds", "gauge", self.max_fds as f64),
            ("threads", "gauge", self.threads as f64),
        ] {
            if *self != Self::default() {
                line!(&mut text, "# TYPE process_{name} {kind}\nprocess_{name} {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Units = Units { ticks_per_second: 100, page_bytes: 4_096 };

    #[test]
    fn reads_the_kernels_line() {
        let stat = "7 (pad) dock) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 5000 1048576 300 18446744073709551615 1 1";
        let facts = ProcessFacts::parse(stat, "cpu 1 2\nbtime 1700000000\n", UNITS).unwrap();
        assert_eq!(
            facts,
            ProcessFacts {
                cpu_seconds: 2.0,
                start_seconds: 1_700_000_050.0,
                resident_bytes: 1_228_800,
                virtual_bytes: 1_048_576,
                threads: 9,
                ..ProcessFacts::default()
            }
        );
        for cut in ["", "7 (paddock", "7 (paddock) S 1 7 7"] {
            assert_eq!(ProcessFacts::parse(cut, "btime 1\n", UNITS), None);
        }
        assert_eq!(ProcessFacts::parse(stat, "cpu 1 2\n", UNITS), None);
    }

    #[test]
    fn this_process_has_numbers() {
        let facts = ProcessFacts::read().unwrap();
        assert!(
            facts.resident_bytes > 0 && facts.open_fds > 0 && facts.max_fds >= facts.open_fds,
            "{facts:?}"
        );
        assert!(facts.threads >= 1 && facts.start_seconds > 1.7e9, "{facts:?}");
        let text = facts.prometheus();
        assert!(
            text.contains(&format!("\nprocess_resident_memory_bytes {}\n", facts.resident_bytes)),
            "{text}"
        );
        assert_eq!(ProcessFacts::default().prometheus(), "");
    }
}
