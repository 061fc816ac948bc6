//! Keys that tune what only the Java server has, and names that have no effect in any server.

use super::{Key, unneeded};

const CACHE: &str = "replies are written from the tree; there is no cache of them";
const BATCHES: &str = "whatever arrives during one sync goes into the next, without timers";
const THREADS: &str = "threads are set by clientArbiters";
const JAVA: &str = "it tunes a part that only the Java server has";
const CLIENT: &str = "it is read by clients, not by servers";
const WATCHES: &str = "there is one kind of watch manager, and nothing to clean up behind it";
const PAUSES: &str = "there are no garbage collector's pauses; stalled actors are watched for";
const TESTS: &str = "only the Java server's own tests use it";
const STALE: &str = "what a connection still had to ask is never done once it is known to be closed";
const ALIAS: &str = "the Administrator's Guide names it, but no server reads it: write the snake_case name, \
                     as connection_throttle_tokens";

pub(super) const KEYS: &[Key] = &[
    // Storage, decided otherwise.
    unneeded("flushDelay", "5", BATCHES),
    unneeded("maxWriteQueuePollTime", "2", BATCHES),
    unneeded("maxBatchSize", "100", BATCHES),
    unneeded("snapshot.compression.method", "gz", "own snapshots are always compressed, with zstd"),
    unneeded("serializeLastProcessedZxid.enabled", "false", "every snapshot is of one zxid, and says which"),
    unneeded("closeSessionTxn.enabled", "false", "closing a session always names the ephemerals it deletes"),
    // Requests.
    unneeded(
        "jute.maxbuffer.extrasize",
        "1048575",
        "what a server adds to a request is never held against it",
    ),
    unneeded("maxResponseCacheSize", "0", CACHE),
    unneeded("maxGetChildrenResponseCacheSize", "0", CACHE),
    unneeded("request_throttler.shutdownTimeout", "5000", "requests held back end with their connections"),
    unneeded("request_stale_connection_check", "false", STALE),
    // Names without effect.
    unneeded("throttledOpWaitTime", "5000", ALIAS),
    unneeded("connectionMaxTokens", "200", ALIAS),
    unneeded("connectionTokenFillTime", "1", ALIAS),
    unneeded("connectionTokenFillCount", "1", ALIAS),
    unneeded("connectionFreezeTime", "1", ALIAS),
    unneeded("connectionDropIncrease", "0.1", ALIAS),
    unneeded("connectionDropDecrease", "0.1", ALIAS),
    unneeded("connectionDecreaseRatio", "0.1", ALIAS),
    unneeded("requestThrottleLimit", "100", ALIAS),
    unneeded("requestThrottleStallTime", "100", ALIAS),
    unneeded("requestThrottleDropStale", "true", ALIAS),
    unneeded("requestStaleLatencyCheck", "true", ALIAS),
    unneeded("requestStaleConnectionCheck", "true", ALIAS),
    // The Java server's own.
    unneeded("nio.*", "4", THREADS),
    unneeded("commitProcessor.*", "4", THREADS),
    unneeded("serverCnxnFactory", "org.apache.zookeeper.server.NettyServerCnxnFactory", JAVA),
    unneeded("clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty", CLIENT),
    unneeded("netty.advancedFlowControl.enabled", "true", "what clients do not take is always waited for"),
    unneeded("intBufferStartingSizeBytes", "2048", JAVA),
    unneeded("watchManagerName", "org.apache.zookeeper.server.watch.WatchManagerOptimized", WATCHES),
    unneeded("watcherCleanThreadsNum", "2", WATCHES),
    unneeded("watcherCleanThreshold", "1000", WATCHES),
    unneeded("watcherCleanIntervalInSeconds", "600", WATCHES),
    unneeded("maxInProcessingDeadWatchers", "1000", WATCHES),
    unneeded("bitHashCacheSize", "10", WATCHES),
    unneeded("jvm.pause.*", "true", PAUSES).file_only(),
    unneeded("messageTracker.*", "true", JAVA),
    unneeded("pathStats.*", "true", JAVA),
    unneeded("jmx.*", "true", "there is no JMX; its beans' data are in mntr and the metrics"),
    unneeded("kinit", "/usr/bin/kinit", CLIENT),
    unneeded("disableAutoWatchReset", "true", CLIENT),
    unneeded("sasl.*", "true", CLIENT),
    unneeded("client.secure", "true", CLIENT),
    unneeded("request.timeout", "5000", CLIENT),
    unneeded("jaasLoginRenew", "3600000", "it is in many guides, but no server reads it"),
    unneeded("testingonly.initialZxid", "100", TESTS),
    unneeded("test.*", "true", TESTS),
    unneeded("controllerPort", "9999", TESTS),
    unneeded("root.logger", "INFO,CONSOLE", LOGGING),
    unneeded("log.dir", "/var/log/zookeeper", LOGGING),
    unneeded("log.file", "zookeeper.log", LOGGING),
    unneeded("console.threshold", "INFO", LOGGING),
];

const LOGGING: &str = "logging is set by log.format and log.level";
