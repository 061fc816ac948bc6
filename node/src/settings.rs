//! From the operator's configuration to what each concern takes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paddock_actors::admin::four_letter::{ConfFacts, EnsembleConf};
use paddock_actors::auth::{AuthRules, DigestAlg};
use paddock_actors::client::drops::Drops;
use paddock_actors::client::throttle::{Rate, Throttle, Weights};
use paddock_actors::client::{MAX_ACL_GROWTH, Settings, Throttler};
use paddock_actors::memory::{SoftLimit, machine};
use paddock_actors::proposer::Room;
use paddock_actors::proposer::actor::Reaping;
use paddock_actors::proposer::sync_plan::Spares;
use paddock_actors::runtime::rng::Rng;
use paddock_actors::snapshotter::core::Policy;
use paddock_actors::storage::ThreadOptions;
use paddock_actors::tree::prep::PrepRules;
use paddock_config::{Config, DigestAlgorithm, MemoryLimit, reconfig};
use paddock_messages::frame::{SPOKEN, Versions};
use paddock_messages::level;

const HOUR_MS: u64 = 3_600_000;

pub(crate) fn auth(config: &Config) -> AuthRules {
    AuthRules {
        skip_acl: config.skip_acl,
        digest_enabled: config.digest_auth.enabled,
        digest_alg: digest_alg(config.digest_auth.algorithm),
        super_digest: config.super_digest.as_ref().map(|secret| secret.reveal().into()),
        enforced_schemes: config.enforce_auth.enforced().map(Into::into).collect(),
        ensemble_names: config
            .ensemble_auth_names
            .as_ref()
            .map(|names| names.split(',').map(|name| name.trim().into()).collect()),
    }
}

fn digest_alg(configured: DigestAlgorithm) -> DigestAlg {
    use DigestAlgorithm as A;
    match configured {
        A::Sha1 => DigestAlg::Sha1,
        A::Sha224 => DigestAlg::Sha224,
        A::Sha256 => DigestAlg::Sha256,
        A::Sha384 => DigestAlg::Sha384,
        A::Sha512 => DigestAlg::Sha512,
        A::Sha512_224 => DigestAlg::Sha512_224,
        A::Sha512_256 => DigestAlg::Sha512_256,
        A::Sha3_224 => DigestAlg::Sha3_224,
        A::Sha3_256 => DigestAlg::Sha3_256,
        A::Sha3_384 => DigestAlg::Sha3_384,
        A::Sha3_512 => DigestAlg::Sha3_512,
    }
}

pub(crate) fn prep(config: &Config) -> PrepRules {
    let reconfig = reconfig::Rules {
        standalone_enabled: config.ensemble.standalone && !config.has_grown,
        multi_address: config.ensemble.multi_address,
    };
    let is_written = config.ensemble.reconfig;
    PrepRules {
        auth: auth(config),
        extended_types: config.extended_types_enabled,
        reconfig: (is_written == Some(true)).then_some(reconfig),
        reconfig_by_operators: (is_written != Some(false)).then_some(reconfig),
        local_sessions: local_sessions(config),
        never_used_ms: config.container.max_never_used_ms,
    }
}

/// Whether new sessions are their member's alone. A server alone has none such, as in ZooKeeper: only its quorum
/// servers have (`UpgradeableSessionTracker`).
pub(crate) fn local_sessions(config: &Config) -> bool {
    config.local_sessions.enabled && config.is_distributed()
}

/// Of a member of three and more its part: the others' requests are in progress at the leader, too. Source: compat wire, 19.
fn outstanding_limit(config: &Config, voters: usize) -> usize {
    let parts = if config.is_distributed() { voters.saturating_sub(1).max(1) } else { 1 };
    (config.global_outstanding_limit as usize / parts).max(1)
}

/// `voters`: how many there are as the server starts.
pub(crate) fn client(config: &Config, voters: usize) -> Arc<Settings> {
    let ms = |ms: u32| i32::try_from(ms).unwrap_or(i32::MAX);
    let no_key = Settings::default(); // for what cannot be configured; spelled out, so that no field is forgotten
    Arc::new(Settings {
        max_frame: config.jute_max_buffer as usize,
        min_session_timeout_ms: ms(config.min_session_timeout_ms),
        max_session_timeout_ms: ms(config.max_session_timeout_ms),
        max_connections_per_host: config.max_client_cnxns as usize,
        max_connections: config.max_cnxns as usize,
        outstanding_limit: outstanding_limit(config, voters),
        large_threshold: config.large_request_threshold.map(|bytes| bytes as usize),
        large_max_bytes: usize::try_from(config.large_request_max_bytes).unwrap_or(usize::MAX),
        throttler: throttler(config),
        // Only between a client's own member and another that leads: a ZooKeeper server alone does not look either.
        eager_acl_check: config.eager_acl_check && config.is_distributed(),
        sessionless_timeout_ms: u64::from(config.sessionless_timeout_ms),
        park_ms: u64::from(config.ensemble.park_ms),
        // Alone, whatever is acknowledged is in the tree already, and nobody else can lead.
        linearizable_reads: config.ensemble.linearizable_reads && config.is_distributed(),
        local_sessions: local_sessions(config),
        upgrades_local_sessions: config.local_sessions.upgrading,
        takes_trace_mask: config.four_letter_words.contains("stmk"),
        max_in_flight: no_key.max_in_flight,
        max_in_flight_bytes: no_key.max_in_flight_bytes,
        outbox_full: no_key.outbox_full,
        outbox_limit: no_key.outbox_limit,
        outboxes_limit: no_key.outboxes_limit,
    })
}

fn throttler(config: &Config) -> Throttler {
    let of = &config.request_throttle;
    Throttler {
        max_requests: of.max_requests as usize,
        stall_ms: u64::from(of.stall_time_ms),
        op_wait_ms: u64::from(of.op_wait_time_ms),
        drops_stale: of.drop_stale && of.stale_latency_check,
    }
}

/// How fast clients may connect; at any rate unless the file says otherwise.
pub(crate) fn throttle(config: &Config, now_ms: u64, rng: Rng) -> Throttle {
    let of = &config.connection_throttle;
    if of.tokens == 0 {
        return Throttle::default();
    }
    let rate = Rate { tokens: of.tokens, fill_count: of.fill_count, fill_time_ms: of.fill_time_ms };
    let weights = Weights {
        global: of.global_session_weight,
        local: of.local_session_weight,
        renewal: of.renew_session_weight,
    };
    let weights = if of.weight_enabled { weights } else { Weights::default() };
    let throttle = Throttle::weighted(rate, weights, now_ms);
    let Some(freeze_ms) = of.freeze_time_ms else { return throttle };
    let drops = Drops {
        freeze_ms,
        increase: of.drop_increase.millionths,
        decrease: of.drop_decrease.millionths,
        decrease_ratio: of.decrease_ratio.millionths,
    };
    throttle.dropping(drops, now_ms, rng)
}

/// `memory.softLimit` in bytes, of what the machine or the container has; says what it is.
pub(crate) fn soft_limit(config: &Config) -> Option<SoftLimit> {
    let limit = match config.memory.soft_limit? {
        MemoryLimit::Bytes(bytes) => bytes,
        MemoryLimit::Percent(percent) => match machine::available() {
            Ok(all) => all / 100 * u64::from(percent),
            Err(error) => {
                tracing::warn!(%error, "memory.softLimit: cannot tell how much memory there is; there is no limit");
                return None;
            }
        },
    };
    if let Err(error) = machine::resident() {
        tracing::warn!(%error, "memory.softLimit: cannot tell how much memory is in use; there is no limit");
        return None;
    }
    tracing::info!(mib = limit >> 20, "memory.softLimit: beyond it nothing is added");
    Some(SoftLimit::new(limit))
}

/// The four-letter words that are answered. Read-only clients look for servers with `isro`, so it
/// comes with `readonlymode.enabled`. Source: FourLetterCommands.isEnabled.
pub(crate) fn four_letter_words(config: &Config) -> BTreeSet<String> {
    let isro = config.read_only_mode_enabled.then(|| "isro".to_owned());
    config.four_letter_words.iter().cloned().chain(isro).collect()
}

/// How long a member looks for a leader before it serves those who only read; `None` for ever. Source:
/// QuorumPeer.run, `readonlymode.enabled`.
pub(crate) fn reads_after(config: &Config) -> Option<Duration> {
    let after = Duration::from_millis(u64::from(config.tick_ms).max(2_000));
    config.read_only_mode_enabled.then_some(after)
}

/// For tests of ensembles that are upgraded, and nothing else: the newest version of frames that this member says it
/// knows, as an older build would.
pub(crate) const TEST_FRAMES: &str = "PADDOCK_TEST_FRAMES";

/// What this member says it speaks: all that this build knows, unless a test has it be older.
pub(crate) fn frames(newest: Option<&str>) -> Versions {
    let Some(newest) = newest else { return SPOKEN };
    match older(newest) {
        Some(older) => {
            let highest = older.highest;
            tracing::warn!("{TEST_FRAMES} is for tests: frames newer than version {highest} are not spoken");
            older
        }
        None => {
            tracing::error!("{TEST_FRAMES}={newest} is ignored: this build speaks versions {SPOKEN}");
            SPOKEN
        }
    }
}

fn older(newest: &str) -> Option<Versions> {
    let highest = newest.parse().ok().filter(|it| (SPOKEN.lowest..=SPOKEN.highest).contains(it))?;
    Some(Versions { highest, ..SPOKEN })
}

/// The highest feature level that this member reads: that of the frames it speaks.
pub(crate) fn reads_level(newest: Option<&str>) -> u8 {
    level::readable_in(newest.and_then(older).unwrap_or(SPOKEN).highest)
}

/// The same, of ensembles whose members are to be kept from going back: the feature level that a leader raises its ensemble
/// to, as soon as it may.
pub(crate) const TEST_LEVEL: &str = "PADDOCK_TEST_LEVEL";

/// What that says; 0, which every ensemble is at, unless a test has it be more.
pub(crate) fn raises_to(level: Option<&str>) -> u8 {
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(0);
    if level > 0 {
        tracing::warn!("{TEST_LEVEL} is for tests: a leader here raises the feature level to {level}");
    }
    level
}

/// `syncLimit` ticks.
pub(crate) fn sync_limit(config: &Config) -> Duration {
    Duration::from_millis(u64::from(config.ensemble.sync_limit) * u64::from(config.tick_ms))
}

pub(crate) fn reaping(config: &Config) -> Reaping {
    Reaping {
        every: Duration::from_millis(config.container.check_interval_ms.max(1)),
        max_per_minute: config.container.max_per_minute,
        never_used_ms: config.container.max_never_used_ms,
    }
}

pub(crate) fn snapshots(config: &Config) -> Policy {
    let purge = &config.autopurge;
    Policy {
        txns: u64::from(config.snap_count),
        bytes: config.snap_size_limit_kb.map(|kb| kb << 10),
        keep: purge.snap_retain_count as usize,
        purge_every_ms: (purge.interval_hours > 0).then(|| u64::from(purge.interval_hours) * HOUR_MS),
    }
}

pub(crate) fn spares(config: &Config) -> Spares {
    Spares { factor_millionths: config.ensemble.snapshot_size_factor.millionths, ..Spares::default() }
}

pub(crate) fn log_thread(config: &Config) -> ThreadOptions {
    ThreadOptions {
        spin: Duration::from_micros(u64::from(config.log_spin_us)),
        slow_sync: Duration::from_millis(u64::from(config.fsync_warning_ms)),
        batch_bytes: ThreadOptions::default().batch_bytes, // no key sets it
    }
}

/// Bytes of each file of the log, which are reserved whole: `preAllocSize`, or `txnLogSizeLimitInKb` where
/// that is less; but never less than what may be in flight.
pub fn segment_bytes(config: &Config) -> u64 {
    let limit = config.log_size_limit_kb.unwrap_or(u32::MAX);
    let asked = u64::from(config.segment_size_kb.min(limit)) << 10;
    asked.max(log_room(config).admitted)
}

/// How much may be proposed and not durable, in bytes: what the log keeps room for.
pub(crate) fn log_room(config: &Config) -> Room {
    // A txn is longer than its request: identities in place of `auth`, a number behind a path, lengths.
    let largest = (2 + MAX_ACL_GROWTH as u64) * config.jute_max_buffer as u64;
    Room { admitted: (2 * largest).max(16 << 20), largest }
}

/// What the word `conf` tells; the client port is told as it is in use, which may be another than the file's.
pub(crate) fn conf(config: &Config) -> ConfFacts {
    let absolute =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    ConfFacts {
        client_port: config.client_addr.map_or(-1, |address| i32::from(address.port())),
        secure_client_port: -1,
        data_dir: absolute(&config.data_dir),
        data_log_dir: absolute(config.log_dir()),
        tick_ms: u64::from(config.tick_ms),
        max_client_cnxns: u64::from(config.max_client_cnxns),
        min_session_timeout_ms: u64::from(config.min_session_timeout_ms),
        max_session_timeout_ms: u64::from(config.max_session_timeout_ms),
        listen_backlog: config.listen_backlog.map_or(-1, i64::from),
        server_id: config.server_id.map_or(0, |id| id.0),
        ensemble: config.is_distributed().then(|| EnsembleConf {
            init_limit: u64::from(config.ensemble.init_limit),
            sync_limit: u64::from(config.ensemble.sync_limit),
            ..EnsembleConf::default() // as the configuration in force has it
        }),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
