//! Every key of ZooKeeper's configuration, and what becomes of it here.
//!
//! In `zoo.cfg` a key stands without ZooKeeper's `zookeeper.` prefix (the server adds it to whatever
//! it does not know and makes that a system property); in `SERVER_JVMFLAGS` it stands with it. Both
//! are taken in both places, except that the keys which ZooKeeper reads from the file only
//! ([`file_only`](field@Key::file_only)) have no effect as a system property, there or here.
//!
//! - CK1  Every row's outcome happens when its sample is given, and no other.
//! - CK2  Every honoured row names a setting that exists.
//! - CK3  Every setting can be written in `zoo.cfg`, Paddock's own ones in the same style; by the name that
//!   other sources use it is an error that names the key.
//!
//! Source: ZooKeeper 3.9's QuorumPeerConfig.java and Administrator's Guide.

mod ensemble;
mod security;
mod server;
mod unneeded;

use crate::{members, settings};

/// A key, or all keys that begin like one whose name ends in `*`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it stands in `zoo.cfg`.
    pub name: &'static str,
    /// What becomes of it.
    pub outcome: Outcome,
    /// A value for which that happens.
    pub sample: &'static str,
    /// Whether ZooKeeper reads it from the file only, never from a system property.
    pub file_only: bool,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It sets the setting of this name.
    Honoured(&'static str, Form),
    /// It belongs to the member list.
    Member,
    /// It names the file that holds the member list.
    DynamicFile,
    /// It adds an authentication scheme by the name of a Java class.
    AuthProvider,
    /// It asks for a port with TLS.
    TlsPort,
    /// Nothing, and nothing is missing for it: the text says why.
    NotNeeded(&'static str),
    /// Nothing yet, when it is asked for: the text says what is missing.
    NotYet(Asked, &'static str),
    /// The node does not start when it is asked for: the text says why.
    Refused(Asked, &'static str),
}

/// How a value is written in `zoo.cfg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the setting takes it.
    Plain,
    /// `yes` or `no`, for a setting that takes `true` or `false`.
    YesNo,
}

/// When a value asks for what its key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whatever it is.
    Always,
    /// When it is `true`; it must be `true` or `false`.
    WhenTrue,
    /// When it is another than this.
    WhenNot(&'static str),
}

const fn row(name: &'static str, sample: &'static str, outcome: Outcome) -> Key {
    Key { name, outcome, sample, file_only: false }
}

const fn honoured(name: &'static str, setting: &'static str, sample: &'static str) -> Key {
    row(name, sample, Outcome::Honoured(setting, Form::Plain))
}

const fn yes_no(name: &'static str, setting: &'static str, sample: &'static str) -> Key {
    row(name, sample, Outcome::Honoured(setting, Form::YesNo))
}

const fn unneeded(name: &'static str, sample: &'static str, why: &'static str) -> Key {
    row(name, sample, Outcome::NotNeeded(why))
}

const fn not_yet(name: &'static str, asked: Asked, sample: &'static str, effect: &'static str) -> Key {
    row(name, sample, Outcome::NotYet(asked, effect))
}

const fn refused(name: &'static str, asked: Asked, sample: &'static str, why: &'static str) -> Key {
    row(name, sample, Outcome::Refused(asked, why))
}

impl Key {
    const fn file_only(mut self) -> Self {
        self.file_only = true;
        self
    }

    /// Whether `key`, without `zookeeper.`, is this one.
    fn matches(&self, key: &str) -> bool {
        match self.name.strip_suffix('*') {
            None => self.name == key,
            Some(prefix) => key.len() > prefix.len() && key.starts_with(prefix),
        }
    }
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [server::KEYS, ensemble::KEYS, security::KEYS, unneeded::KEYS].into_iter().flatten()
}

/// The row of `key`, given without `zookeeper.`: its own, else the one with the longest `*` prefix.
pub fn find(key: &str) -> Option<&'static Key> {
    if members::is_member_key(key) {
        return all().find(|row| row.outcome == Outcome::Member && row.matches(key));
    }
    let fits = all().filter(|row| row.outcome != Outcome::Member && row.matches(key));
    fits.max_by_key(|row| (row.name == key, row.name.len()))
}

/// The name in `names` nearest to `name`, and whether it is so near that `name` must be a typo: equal
/// but for case, or one edit in six letters.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<(&'a str, bool)> {
    let (nearest, distance) = nearest_below(usize::MAX, name, names)?;
    Some((nearest, distance <= typo_distance(name)))
}

fn typo_distance(name: &str) -> usize {
    (name.chars().count() / 6).max(1)
}

/// The first of those nearest to `name` and how many edits away it is: fewer than `limit`.
fn nearest_below<'a>(
    mut limit: usize,
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> Option<(&'a str, usize)> {
    let lower = name.to_lowercase();
    let length = lower.chars().count();
    let mut found = None;
    for other in names {
        // As many edits as one is longer are needed in any case; counting them all is far slower.
        if other.chars().count().abs_diff(length) >= limit {
            continue;
        }
        let distance = strsim::osa_distance(&lower, &other.to_lowercase());
        if distance < limit {
            (limit, found) = (distance, Some((other, distance)));
        }
    }
    found
}

/// The key that sets the setting of this name.
pub fn key_of(setting: &str) -> Option<&'static str> {
    let sets = |row: &&Key| matches!(row.outcome, Outcome::Honoured(name, _) if name == setting);
    all().find(sets).map(|row| row.name)
}

/// The key that `key`, which is none, was probably meant to be.
pub(crate) fn typo_of(key: &str) -> Option<&'static str> {
    if settings::find(key).is_some() {
        return Some(key_of(key).unwrap_or("the file myid in dataDir")); // by the name of other sources
    }
    let names = all().map(|row| row.name).filter(|name| !name.ends_with('*'));
    if let Some((nearest, _)) = nearest_below(typo_distance(key) + 1, key, names) {
        return Some(nearest);
    }
    // `server1`, `servr.1`: the number stands for the star.
    let starred = format!("{}*", key.trim_end_matches(|c: char| c.is_ascii_digit()));
    let lists = ["server.*", "group.*", "weight.*", "authProvider.*"];
    let (list, near) = nearest(&starred, lists.into_iter())?;
    (near && key.ends_with(|c: char| c.is_ascii_digit())).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SETTINGS;

    #[test]
    fn names_are_unique_and_settings_exist() {
        let rows: Vec<_> = all().collect();
        for (at, row) in rows.iter().enumerate() {
            assert!(rows[..at].iter().all(|other| other.name != row.name), "{} twice", row.name);
            assert!(!row.sample.is_empty(), "{}", row.name);
            if let Outcome::Honoured(setting, _) = row.outcome {
                assert!(settings::find(setting).is_some(), "CK2: {} → {setting}", row.name);
            }
        }
    }

    /// CK3.
    #[test]
    fn ck3_every_setting_has_a_key_of_its_own() {
        for setting in SETTINGS {
            let is_id = setting.name == "server_id"; // which is in myid
            assert_eq!(key_of(setting.name).is_some(), !is_id, "{} has no key for zoo.cfg", setting.name);
        }
    }

    #[test]
    fn the_longest_prefix_is_the_row() {
        for (key, row) in [
            ("tickTime", Some("tickTime")),
            ("ssl.keyStore.location", Some("ssl.*")),
            ("ssl.quorum.keyStore.location", Some("ssl.quorum.*")),
            ("ssl.", None),
            ("server.1", Some("server.*")),
            ("server.x", None),
            ("authProvider.1", Some("authProvider.*")),
            ("metricsProvider.httpPort", Some("metricsProvider.httpPort")),
            ("metricsProvider.ssl.keyStore.location", Some("metricsProvider.ssl.*")),
            ("metricsProvider.maxQueueSize", Some("metricsProvider.*")),
            ("ticktime", None),
        ] {
            assert_eq!(find(key).map(|found| found.name), row, "{key}");
        }
    }

    #[test]
    fn a_typo_is_near_and_a_plugin_s_key_is_not() {
        for (key, meant) in [
            ("ticktime", Some("tickTime")),
            ("tickTiem", Some("tickTime")),
            ("clientport", Some("clientPort")),
            ("dataDirr", Some("dataDir")),
            ("maxSessionTimout", Some("maxSessionTimeout")),
            ("autopurge.snapRetentionCount", Some("autopurge.snapRetainCount")),
            ("4lw.command.whitelist", Some("4lw.commands.whitelist")),
            ("server1", Some("server.*")),
            ("servr.1", Some("server.*")),
            ("sever.12", Some("server.*")),
            ("tick_ms", Some("tickTime")),
            ("client_arbiters", Some("clientArbiters")),
            ("clientarbiters", Some("clientArbiters")),
            ("log_level", Some("log.level")),
            ("ensemble.peer_timeout_ms", Some("peerTimeout")),
            ("server_id", Some("the file myid in dataDir")),
            ("com.example.plugin.mode", None),
            ("myCompany", None),
            ("dataCenter", None),
        ] {
            assert_eq!(typo_of(key), meant, "{key}");
        }
    }
}
