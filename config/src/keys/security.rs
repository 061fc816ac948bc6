//! Keys about who may do what: authentication, TLS, SASL, audit, the AdminServer.
//!
//! A key is refused where ignoring it would leave the node less protected than the file asks; where
//! ignoring it only takes a possibility away, the node starts and says so.

use super::Asked::{Always, WhenTrue};
use super::{Key, Outcome, honoured, not_yet, refused, row, unneeded, yes_no};

const TLS: &str = "TLS is not offered yet: clients and members connect in plain text";
const SASL: &str = "SASL is not offered yet: no client can authenticate by it";
const X509: &str = "there are no client certificates without TLS: nobody has this identity";
const PEER_TLS: &str = "members do not speak TLS yet; remove the line to run the ensemble in plain text";
const PEER_SASL: &str = "members do not authenticate each other yet; remove the line to run without";
const ENFORCE: &str =
    "clients that do not authenticate are not turned away yet; remove the line to let them in";
const ADMIN: &str = "the AdminServer is not served yet; use the four-letter words and metrics";
const AUDIT: &str = "no audit log is written yet";
const METRICS: &str = "metrics are served in plain text only, on metrics.host and metrics.port";
const KERBEROS: &str = "Kerberos is not offered yet";

pub(super) const KEYS: &[Key] = &[
    yes_no("skipACL", "skip_acl", "yes"),
    honoured("enableEagerACLCheck", "eager_acl_check", "true"),
    honoured("DigestAuthenticationProvider.enabled", "digest_auth.enabled", "false"),
    honoured("DigestAuthenticationProvider.digestAlg", "digest_auth.algorithm", "SHA-256"),
    honoured(
        "DigestAuthenticationProvider.superDigest",
        "super_digest",
        "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=",
    ),
    // Schemes.
    row("authProvider.*", "com.example.MyAuthenticationProvider", Outcome::AuthProvider),
    honoured("enforce.auth.enabled", "enforce_auth.enabled", "true"),
    honoured("enforce.auth.schemes", "enforce_auth.schemes", "digest,ip"),
    refused("sessionRequireClientSASLAuth", WhenTrue, "true", ENFORCE),
    honoured("ensembleAuthName", "ensemble_auth_names", "prod,europe"),
    not_yet("letAnySaslUserDoX", Always, "app", SASL),
    not_yet("allowSaslFailedClients", WhenTrue, "true", SASL),
    not_yet("superUser", Always, "admin", SASL),
    not_yet("superUser.*", Always, "admin", SASL),
    not_yet("SASLAuthenticationProvider.superPassword", Always, "secret", SASL),
    not_yet("SASLAuthenticationProvider.*", Always, "x", SASL),
    not_yet("sasl.serverconfig", Always, "Server", SASL),
    not_yet("java.security.login.auth.config", Always, "/etc/zookeeper/jaas.conf", SASL),
    not_yet("kerberos.*", Always, "true", KERBEROS),
    not_yet("security.auth_to_local", Always, "DEFAULT", KERBEROS),
    not_yet("requireKerberosConfig", WhenTrue, "true", KERBEROS),
    // In many guides, though no server ever read it; what it promises is enforce.auth.*.
    not_yet(
        "requireClientAuthScheme",
        Always,
        "sasl",
        "no server reads it: clients may come without authentication",
    ),
    not_yet("X509AuthenticationProvider.superUser", Always, "CN=admin", X509),
    not_yet("X509AuthenticationProvider.*", Always, "x", X509),
    unneeded("fips-mode", "false", "no mechanism that FIPS excludes is offered"),
    unneeded(
        "IPAuthenticationProvider.usexforwardedfor",
        "true",
        "it concerns the AdminServer, which is not served",
    ),
    // Members to each other.
    refused("sslQuorum", WhenTrue, "true", PEER_TLS).file_only(),
    not_yet("portUnification", WhenTrue, "true", "members connect in plain text only").file_only(),
    not_yet("sslQuorumReloadCertFiles", WhenTrue, "true", TLS).file_only(),
    not_yet("ssl.quorum.*", Always, "x", TLS),
    not_yet("quorum.auth.enableSasl", WhenTrue, "true", "members do not authenticate each other yet")
        .file_only(),
    refused("quorum.auth.serverRequireSasl", WhenTrue, "true", PEER_SASL).file_only(),
    refused("quorum.auth.learnerRequireSasl", WhenTrue, "true", PEER_SASL).file_only(),
    not_yet("quorum.auth.*", Always, "x", "members do not authenticate each other yet").file_only(),
    unneeded("quorum.cnxn.threads.size", "20", "authentication of members needs no threads").file_only(),
    // Clients, with TLS.
    row("secureClientPort", "2281", Outcome::TlsPort).file_only(),
    not_yet("secureClientPortAddress", Always, "127.0.0.1", TLS).file_only(),
    not_yet("client.portUnification", WhenTrue, "true", TLS),
    not_yet("client.certReload", WhenTrue, "true", TLS),
    not_yet("ssl.*", Always, "x", TLS),
    not_yet("netty.server.outstandingHandshake.limit", Always, "100", TLS),
    not_yet("netty.server.earlyDropSecureConnectionHandshakes", WhenTrue, "true", TLS),
    // Operators.
    not_yet("admin.enableServer", WhenTrue, "true", ADMIN),
    not_yet("admin.*", Always, "8081", ADMIN),
    not_yet("audit.enable", WhenTrue, "true", AUDIT),
    not_yet("audit.impl.class", Always, "org.example.Audit", AUDIT),
    not_yet("metricsProvider.httpsPort", Always, "7443", METRICS).file_only(),
    not_yet("metricsProvider.ssl.*", Always, "x", METRICS).file_only(),
    unneeded("metricsProvider.*", "2", "it tunes the Java server's metrics").file_only(),
];
