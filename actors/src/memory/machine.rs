//! How much memory there is: the machine's, or what the enclosing cgroups (version 1 or 2) allow.
//!
//! Source: proc(5); cgroups(7); Linux' cgroup-v1/memory.rst and cgroup-v2.rst.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What this process may have, in bytes (MM2).
///
/// # Errors
/// `/proc` is not there, or not as Linux writes it.
pub fn available() -> io::Result<u64> {
    let malformed =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{what} is not as expected"));
    let machine = total(&fs::read_to_string("/proc/meminfo")?).ok_or_else(|| malformed("/proc/meminfo"))?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default(); // no cgroups: no limit
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let limit = smallest(&cgroups, &mounts, |file| fs::read_to_string(file).ok());
    Ok(limit.map_or(machine, |limit| limit.min(machine)))
}

/// The process' resident set, in bytes. A few µs.
///
/// # Errors
/// See [`available`].
pub fn resident() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let pages =
        pages.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/statm is too short"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A hierarchy that counts memory: its files, and where it is mounted.
struct Hierarchy<'a> {
    files: &'static [&'static str],
    /// The cgroup that the mount shows as its top.
    root: &'a str,
    mounted: &'a str,
}

/// The smallest limit of the process' cgroup and those around it; `None` if there is none.
fn smallest(cgroups: &str, mounts: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut limits = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let is_v2 = controllers.is_empty();
        if !is_v2 && !controllers.split(',').any(|name| name == "memory") {
            continue;
        }
        let Some(found) = mounts.lines().find_map(|line| hierarchy(line, is_v2)) else { continue };
        for directory in directories(&found, path) {
            let texts = found.files.iter().filter_map(|file| read(&directory.join(file)));
            limits.extend(texts.filter_map(|text| text.trim().parse::<u64>().ok())); // "max" is none
        }
    }
    limits.into_iter().min()
}

/// A line of mountinfo: `id parent major:minor root mounted options [optional …] - type source super`.
fn hierarchy(line: &str, is_v2: bool) -> Option<Hierarchy<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, mounted) = (fields.next()?, fields.next()?);
    let mut after = after.split(' ');
    let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
    match (kind, is_v2) {
        ("cgroup2", true) => Some(Hierarchy { files: &["memory.max", "memory.high"], root, mounted }),
        ("cgroup", false) if options.split(',').any(|option| option == "memory") => {
            Some(Hierarchy { files: &["memory.limit_in_bytes"], root, mounted })
        }
        _ => None,
    }
}

/// The process' cgroup and all around it that the mount shows. A path from outside what is mounted
/// (`/proc` of the host in a container) says nothing: the mount's top is then the nearest.
fn directories(of: &Hierarchy<'_>, path: &str) -> Vec<PathBuf> {
    let mounted = Path::new(of.mounted);
    let inside = Path::new(path).strip_prefix(of.root).unwrap_or(Path::new(""));
    inside.ancestors().map(|part| mounted.join(part)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
    const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const DOCKER: &str = "31 23 0:28 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

    fn check(cgroups: &str, mounts: &str, files: &[(&str, &str)], expect: Option<u64>) {
        let files: BTreeMap<_, _> = files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect();
        let read = |path: &Path| files.get(path).map(|text| (*text).to_owned());
        assert_eq!(smallest(cgroups, mounts, read), expect, "{cgroups:?}");
    }

    #[test]
    fn mm2_the_smallest_of_the_cgroups_around_the_process_counts() {
        let v2 = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "4096\n"),
            ("/sys/fs/cgroup/a/memory.high", "max\n"),
            ("/sys/fs/cgroup/memory.max", "8192\n"),
            ("/sys/fs/cgroup/other/memory.max", "1\n"),
        ];
        check("0::/a/b\n", V2, &v2, Some(4096));
        check("0::/\n", V2, &v2, Some(8192));
        check("0::/a/b\n", V2, &[("/sys/fs/cgroup/a/b/memory.high", "77\n")], Some(77));
        let v1 = [
            ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "5000\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/cpu/a/memory.limit_in_bytes", "1\n"),
        ];
        check("7:cpu:/a\n4:memory:/a\n0::/\n", V1, &v1, Some(5000));
        check("4:hugetlb,memory:/a\n", V1, &v1, Some(5000));
        check("4:memory:/\n", V1, &v1, Some(9_223_372_036_854_771_712));
        let docker = [
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "600"),
            ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "500"),
        ];
        check("4:memory:/docker/ab/c\n", DOCKER, &docker, Some(500));
        check("4:memory:/elsewhere\n", DOCKER, &docker, Some(600));
        check("", V1, &v1, None);
        check("4:memory:/a\n", "", &v1, None);
        check("nonsense\n", "nonsense\n", &[], None);
    }

    #[test]
    fn this_machine_tells() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24 kB\n"), Some(24_576));
        assert_eq!(total("MemTotal: lots\n"), None);
        let (available, resident) = (available().unwrap(), resident().unwrap());
        assert!(resident > 0 && resident < available, "{resident} of {available}");
    }
}
