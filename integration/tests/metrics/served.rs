//! What is served beside the tables of ZooKeeper's names, and which test moves what the test at hand does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paddock_actors::admin::metrics::{Entry, METERS, Source};

/// What is served beside ZooKeeper's names, and what it is to Prometheus: dashboards go by these.
pub(crate) const OWN: &[(&str, &str)] = &[
    ("paddock_log_stuck_seconds", "gauge"),
    ("paddock_mailbox_depth", "gauge"),
    ("paddock_mailbox_handle_seconds", "histogram"),
    ("paddock_mailbox_handled_total", "counter"),
    ("paddock_mailbox_limit", "gauge"),
    ("paddock_mailbox_posted_total", "counter"),
    ("paddock_mailbox_refused_full_total", "counter"),
    ("paddock_mailbox_refused_gone_total", "counter"),
    ("paddock_mailbox_wait_seconds", "histogram"),
    ("paddock_refused_total", "counter"),
    ("process_cpu_seconds_total", "counter"),
    ("process_max_fds", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("process_threads", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
];

/// What neither a server alone nor an ensemble that works well has above 0 for sure, and the test that moves it.
const MOVED_ELSEWHERE: &[(&str, &str)] = &[
    ("min_latency", "answers_move_their_meters"), // it rounds down
    ("local_sessions", "local_sessions_take_no_zxid_and_their_member_alone_knows_them"),
    (
        "connection_drop_probability",
        "who_comes_while_there_are_no_tokens_is_turned_away_by_chance_until_they_are_back",
    ),
    ("cnxn_closed_without_zk_server_running", "a_member_that_serves_nobody_says_so_of_each_client"),
    ("throttled_ops", "c13_what_was_held_for_too_long_is_refused_in_its_turn_and_never_done"), // nothing waits so long here
    ("stale_requests_dropped", "c13_what_is_stale_closes_its_connection_if_that_is_asked_for"),
    ("digest_mismatches_count", "dg3_two_that_differ_without_a_third_both_say_so_and_go_on"),
    ("synced_non_voting_followers", "ad3_each_name_is_moved_by_its_own_fact"),
    (
        "paddock_log_stuck_seconds",
        "k1_a_disk_that_does_not_answer_is_reported_each_second_and_only_holds_back_writes",
    ),
    ("paddock_mailbox_depth", "mailboxes_tell_depth_counts_and_times"),
    ("paddock_mailbox_refused_full_total", "mailboxes_tell_depth_counts_and_times"),
    ("paddock_mailbox_refused_gone_total", "mailboxes_tell_depth_counts_and_times"),
    (
        "paddock_feature_level",
        "fl3_fl4_the_level_is_raised_once_all_can_read_it_and_keeps_the_build_before_out",
    ),
    ("paddock_link_queued_bytes", "each_link_and_each_learner_has_its_samples"),
];

/// Whether only members of several move it, in real processes.
pub(crate) fn is_of_members(entry: &Entry) -> bool {
    ["members_", "leaders_", "learners_"].iter().any(|whose| entry.moved_by.starts_with(whose))
}

/// Names of `METERS` that are, or are not.
pub(crate) fn names(of_members: bool) -> impl Iterator<Item = &'static str> {
    METERS.iter().filter(move |entry| is_of_members(entry) == of_members).map(|entry| entry.name)
}

/// What Prometheus' text says that each name is.
pub(crate) fn types(page: &str) -> BTreeMap<&str, &str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// The samples of a text by name, over all labels but quantiles added up.
pub(crate) fn samples<'a>(lines: impl Iterator<Item = &'a str>, between: char) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in lines.filter(|line| !line.starts_with('#') && !line.contains("quantile=")) {
        let (name, value) = line.rsplit_once(between).unwrap_or_else(|| panic!("no sample: {line}"));
        let name = name.split('{').next().expect("a split has a first part");
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        *all.entry(name.to_owned()).or_default() += value;
    }
    all
}

/// Names that were seen above 0; of a summary or histogram, that it had values.
#[derive(Default)]
pub(crate) struct Moved(BTreeSet<String>);

impl Moved {
    /// Some of a server's samples, at one moment.
    pub(crate) fn look(&mut self, samples: &BTreeMap<String, f64>) {
        let moved = samples.iter().filter(|(_, value)| **value > 0.0).map(|(name, _)| name.clone());
        self.0.extend(moved);
    }

    /// Which of these nothing has moved, here or where the table says.
    pub(crate) fn rests<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let elsewhere = |name: &&str| MOVED_ELSEWHERE.iter().any(|(its, _)| its == name);
        names.filter(|name| !self.0.contains(&sample_of(name)) && !elsewhere(name)).collect()
    }
}

/// What says whether a name has moved.
fn sample_of(name: &str) -> String {
    let entry = METERS.iter().find(|entry| entry.name == name);
    let counts = entry.is_some_and(|entry| {
        let Entry { source, .. } = entry;
        matches!(
            source,
            Source::Summary(_) | Source::SummarySet(_) | Source::Advanced(_) | Source::AdvancedSet(_)
        )
    });
    let own = OWN.iter().any(|(its, kind)| *its == name && *kind == "histogram");
    if counts || own { format!("{name}_count") } else { name.to_owned() }
}

/// The tests that are to move what others do not are there, each under its name.
pub(crate) fn tests_of_others_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let mut sources = String::new();
    for folder in ["actors/src", "integration/tests"] {
        read_all(&root.join(folder), &mut sources);
    }
    for (name, test) in MOVED_ELSEWHERE {
        let there = sources.contains(&format!("#[test]\n    fn {test}("))
            || sources.contains(&format!("#[test]\nfn {test}("));
        assert!(there, "{name}: no test {test}");
    }
}

fn read_all(dir: &Path, into: &mut String) {
    for entry in std::fs::read_dir(dir).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}
