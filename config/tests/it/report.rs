//! What `check-config` prints.

use crate::Case;

#[test]
fn the_text_says_value_and_origin_and_then_the_remarks() {
    let case = Case::zoo("clientPort=2181\ntickTime=2000\nnio.numWorkerThreads=4\naudit.enable=true\n")
        .env(&[("PADDOCK_LOG__FORMAT", "json")])
        .flags(&[("jute_max_buffer", "2048")]);
    let text = case.relative(&case.ok().report().to_string());
    let has = |line: &[&str]| {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = words(&line.join(" "));
        assert!(text.lines().any(|line| words(line) == wanted), "{wanted}\n{text}");
    };
    has(&["tick_ms = 2000 # zoo.cfg:3"]);
    has(&["min_session_timeout_ms = 4000 # follows from tick_ms"]);
    has(&["snap_count = 100000 # default"]);
    has(&["data_log_dir = none # default"]);
    has(&["log.format = json # environment variable PADDOCK_LOG__FORMAT"]);
    has(&["jute_max_buffer = 2048 # flag jute_max_buffer"]);
    has(&["client_addr = 0.0.0.0:2181 # zoo.cfg:2"]);
    has(&["zoo.cfg:4: nio.numWorkerThreads: not needed: threads are set by clientArbiters"]);
    has(&["zoo.cfg:5: audit.enable: not yet supported: no audit log is written yet"]);
}

#[test]
fn json_has_the_same() {
    let case = Case::zoo("clientPort=2181\naudit.enable=true\n");
    let json = serde_json::to_value(case.ok().report()).expect("it serializes");
    let settings = json["settings"].as_array().expect("a list");
    let port = settings.iter().find(|setting| setting["name"] == "client_port").expect("there");
    assert_eq!(port["value"], "2181");
    assert!(port["origin"].as_str().expect("text").ends_with("zoo.cfg:2"));
    let empty = settings.iter().find(|setting| setting["name"] == "data_log_dir").expect("there");
    assert!(empty["value"].is_null() && empty["origin"] == "default");
    assert_eq!(json["notes"][0]["kind"], "not_yet");
    assert_eq!(json["notes"][0]["key"], "audit.enable");
}

/// L4.
#[test]
fn cf4_no_secret_is_printed() {
    let hash = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
    let lines = format!(
        "clientPort=1\nDigestAuthenticationProvider.superDigest={hash}\nssl.keyStore.password=xQJmx\n\
         SASLAuthenticationProvider.superPassword=xQJmx\n"
    );
    let loaded = Case::zoo(&lines).ok();
    assert_eq!(loaded.config.super_digest.as_ref().map(paddock_config::Secret::reveal), Some(hash));
    for text in [
        loaded.report().to_string(),
        format!("{loaded:?}"),
        serde_json::to_string(&loaded.report()).expect("it serializes"),
        serde_json::to_string(&loaded.config).expect("it serializes"),
    ] {
        assert!(!text.contains("xQJmx"), "{text}");
        assert!(text.contains("super_digest"), "{text}");
    }
}
