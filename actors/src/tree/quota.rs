//! Quotas: limits and usage stand as text in znodes below `/zookeeper/quota`. Source: StatsTrack,
//! DataTree.updateQuotaStat, ZooKeeperServer.checkQuota.
//!
//! The quota of `/a/b` is `/zookeeper/quota/a/b/zookeeper_limits`, its usage `…/zookeeper_stats`. That
//! subtree mirrors the tree, so it is its own prefix index: no second structure can disagree with it.

use std::collections::BTreeMap;
use std::fmt::Write;

use paddock_messages::error_code::ErrorCode;
use paddock_messages::path::{QUOTA, QUOTA_LIMITS, QUOTA_STATS};

use super::data_tree::{DataTree, QUOTA_SLOT};
use super::node::{NONE, Slot};

const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";

/// Limits or usage: `count=N,bytes=M`, and more keys after `=;`. -1 is unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaText(BTreeMap<String, i64>);

impl QuotaText {
    /// What can be read of `data`; a key whose value is missing or no number is unset, and left out.
    pub fn parse(data: Option<&[u8]>) -> Self {
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let mut values = BTreeMap::new();
        for pair in text.split([',', ';']) {
            // A value may be followed by one more `=`, which tells old readers to stop there.
            let mut parts = pair.split('=');
            if let (Some(key), Some(Ok(value))) = (parts.next(), parts.next().map(str::parse)) {
                values.insert(key.to_owned(), value);
            }
        }
        Self(values)
    }

    /// As [`Self::parse`], and `None` wherever Java's parser throws: null data, a key without a value, a
    /// value that is no number. An empty value is one only before a further `=`.
    fn parse_strictly(data: Option<&[u8]>) -> Option<Self> {
        let text = String::from_utf8_lossy(data?);
        let pairs = text.trim_end_matches([',', ';']);
        let mut values = BTreeMap::new();
        if pairs.is_empty() {
            return Some(Self(values));
        }
        for (at, pair) in pairs.split([',', ';']).enumerate() {
            if at > 0 && pair.is_empty() {
                continue; // separators in a row are one
            }
            let mut parts = pair.trim_end_matches('=').split('=');
            let (key, value) = (parts.next()?, parts.next()?);
            values.insert(key.to_owned(), if value.is_empty() { -1 } else { value.parse().ok()? });
        }
        Some(Self(values))
    }

    fn usage(count: i64, bytes: i64) -> Self {
        Self([(COUNT.to_owned(), count), (BYTES.to_owned(), bytes)].into())
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    /// Znodes, or the soft limit of them.
    pub fn count(&self) -> i64 {
        self.get(COUNT)
    }

    /// Bytes of data, or the soft limit of them.
    pub fn bytes(&self) -> i64 {
        self.get(BYTES)
    }

    /// The limit of znodes that refuses.
    pub fn count_hard_limit(&self) -> i64 {
        self.get(COUNT_HARD)
    }

    /// The limit of bytes that refuses.
    pub fn bytes_hard_limit(&self) -> i64 {
        self.get(BYTES_HARD)
    }

    fn add(&mut self, bytes: i64, count: i64) {
        let (count, bytes) = (self.count().wrapping_add(count), self.bytes().wrapping_add(bytes));
        self.0.insert(COUNT.to_owned(), count);
        self.0.insert(BYTES.to_owned(), bytes);
    }

    /// As ZooKeeper writes it: count first, bytes second, an `=` before the rest, which is sorted.
    fn to_text(&self) -> String {
        let mut text = format!("{COUNT}={},{BYTES}={}", self.count(), self.bytes());
        let rest = self.0.iter().filter(|(key, _)| *key != COUNT && *key != BYTES);
        for (at, (key, value)) in rest.enumerate() {
            let extra = if at == 0 { "=" } else { "" };
            write!(text, "{extra};{key}={value}").expect("a string takes all");
        }
        text
    }
}

/// A limit that a write passes, or would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quota exceeded: {path} comes to {amount} {what}, its {} limit is {limit}: delete something below it, or raise the limit",
    if *is_hard { "hard" } else { "soft" }
)]
pub struct OverQuota {
    /// The znode that has the quota.
    pub path: String,
    /// `znodes` or `bytes`.
    pub what: &'static str,
    /// What there would be of them.
    pub amount: i64,
    /// How many there may be.
    pub limit: i64,
    /// Whether the write is refused for it.
    pub is_hard: bool,
}

impl DataTree {
    /// Refuses a write that adds `bytes_delta` bytes and `count_delta` znodes at `path` with -125 if it
    /// would pass a hard limit, never unless `enforceQuota`; `over` gets what limits it passes. A soft limit
    /// counts where there is no hard one. A dimension that does not change is not checked. A quota whose text
    /// cannot be read lets nothing below it grow or change (-5): whoever mistyped a limit is told by the first
    /// write.
    pub fn check_quota(
        &self,
        path: &str,
        (bytes_delta, count_delta): (i64, i64),
        over: &mut Vec<OverQuota>,
    ) -> Result<(), ErrorCode> {
        if !self.options.enforce_quota {
            return Ok(());
        }
        let Some(quota) = self.quota_over(path) else { return Ok(()) };
        let Some(limits) = self.child(quota, QUOTA_LIMITS) else { return Ok(()) };
        let limits = self.quota_text(limits)?;
        let counts = count_delta != 0 && limits.count().max(limits.count_hard_limit()) > -1;
        let weighs = bytes_delta != 0 && limits.bytes().max(limits.bytes_hard_limit()) > -1;
        let Some(usage) = self.child(quota, QUOTA_STATS).filter(|_| counts || weighs) else { return Ok(()) };
        let usage = self.quota_text(usage)?;
        for (is_checked, what, used, delta, soft, hard) in [
            (counts, "znodes", usage.count(), count_delta, limits.count(), limits.count_hard_limit()),
            (weighs, "bytes", usage.bytes(), bytes_delta, limits.bytes(), limits.bytes_hard_limit()),
        ] {
            let is_hard = hard > -1;
            let (amount, limit) = (used.saturating_add(delta), if is_hard { hard } else { soft });
            if !is_checked || amount <= limit {
                continue;
            }
            let path = self.path_of(quota);
            let path = path.strip_prefix(QUOTA).unwrap_or(&path).to_owned();
            over.push(OverQuota { path, what, amount, limit, is_hard });
            if is_hard {
                return Err(ErrorCode::QuotaExceeded);
            }
        }
        Ok(())
    }

    fn quota_text(&self, at: Slot) -> Result<QuotaText, ErrorCode> {
        QuotaText::parse_strictly(self.arena.get(at).data()).ok_or(ErrorCode::Marshalling)
    }

    /// Where the deepest quota stands whose subtree `path` is in; none covers the root.
    fn quota_over(&self, path: &str) -> Option<Slot> {
        if self.arena.get(QUOTA_SLOT).children == 0 {
            return None;
        }
        let mut deepest = None;
        let mut at = QUOTA_SLOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(below) = self.child(at, name) else { break };
            at = below;
            if self.child(at, QUOTA_LIMITS).is_some() {
                deepest = Some(at);
            }
        }
        deepest
    }

    /// `path` has grown by this much: the usage of the deepest quota over it follows.
    pub(super) fn note_usage(&mut self, path: &str, bytes: i64, count: i64) {
        let Some(stats) = self.quota_over(path).and_then(|quota| self.child(quota, QUOTA_STATS)) else {
            return;
        };
        let mut usage = QuotaText::parse(self.arena.get(stats).data());
        usage.add(bytes, count);
        self.write_usage(stats, &usage);
    }

    /// `path` has been created: if it holds a quota's usage, that is counted now, whatever was written.
    ///
    /// Counting visits the quota's subtree, under the lock: the one place that does. Quotas are set by
    /// operators, once.
    pub(super) fn count_usage_for(&mut self, stats: Slot, path: &str) {
        let Some(quota) = path.strip_suffix(QUOTA_STATS).and_then(|path| path.strip_suffix('/')) else {
            return;
        };
        let Some(root) = quota.strip_prefix(QUOTA).filter(|path| path.starts_with('/')) else { return };
        let usage = match self.find(root) {
            None => QuotaText::usage(0, 0),
            Some(root) => {
                let count = i64::from(self.arena.get(root).descendants) + 1;
                QuotaText::usage(count, self.bytes_below(root))
            }
        };
        self.write_usage(stats, &usage);
    }

    fn write_usage(&mut self, stats: Slot, usage: &QuotaText) {
        self.alter(stats, |node| node.set_data(Some(usage.to_text().as_bytes())));
    }

    /// Bytes of data in a subtree, its root included.
    fn bytes_below(&self, root: Slot) -> i64 {
        let mut bytes = 0;
        let mut at = Some(root);
        while let Some(slot) = at {
            bytes += self.arena.get(slot).data_len() as i64;
            at = self.next_within(root, slot);
        }
        bytes
    }

    /// The znode after `slot` in a walk of the subtree of `root`, parents first.
    pub(super) fn next_within(&self, root: Slot, slot: Slot) -> Option<Slot> {
        let node = self.arena.get(slot);
        if node.first_child != NONE {
            return Some(node.first_child);
        }
        let mut at = slot;
        while at != root {
            let node = self.arena.get(at);
            if node.next != NONE {
                return Some(node.next);
            }
            at = node.parent;
        }
        None
    }
}
