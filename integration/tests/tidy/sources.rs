//! The workspace's Rust files, as lines.

use std::fs;
use std::path::Path;

pub(crate) struct Source {
    /// From the workspace's root.
    pub(crate) path: String,
    text: String,
}

/// Modules of `paddock-actors` that decide and do nothing else, besides every `core.rs`.
const PURE: &[&str] = &[
    "actors/src/election/",
    "actors/src/learner/following.rs",
    "actors/src/learner/queue.rs",
    "actors/src/learner/routes.rs",
    "actors/src/proposer/credit.rs",
    "actors/src/proposer/held.rs",
    "actors/src/proposer/leadership",
    "actors/src/proposer/recent.rs",
    "actors/src/proposer/sync_plan.rs",
    "actors/src/quorum.rs",
    "actors/src/quorum_peer/",
    "actors/src/tree/",
    "actors/src/watch/",
    "messages/src/client/",
    "messages/src/frame",
    "messages/src/quorum.rs",
];
/// Among them, what is shared between threads.
const SHARED: &[&str] = &["actors/src/tree/shared.rs", "actors/src/tree/feed.rs"];

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    pub(crate) fn is_core(&self) -> bool {
        let named = self.path.ends_with("/core.rs") || self.path.contains("/core/");
        let listed = PURE.iter().any(|pure| self.path.starts_with(pure));
        (named || listed) && !self.is_test() && !SHARED.contains(&self.path.as_str())
    }

    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "tests.rs", "_tests.rs", "/simulation", "/shuttled"]
            .iter()
            .any(|part| self.path.contains(part))
    }

    /// Where any of `words` stands in code: before the file's unit tests, and not in a comment.
    pub(crate) fn find_code(&self, words: &[&str]) -> Vec<String> {
        let lines: Vec<&str> = self.lines().collect();
        let begins = |pair: &[&str]| pair[0].starts_with("#[cfg(test)]") && !pair[1].ends_with(';');
        let end = lines.windows(2).position(begins).unwrap_or(lines.len());
        self.find(lines[..end].iter().map(|line| line.split("//").next().unwrap_or("")), words)
    }

    pub(crate) fn find_anywhere(&self, words: &[&str]) -> Vec<String> {
        self.find(self.lines(), words)
    }

    fn find<'a>(&self, lines: impl Iterator<Item = &'a str>, words: &[&str]) -> Vec<String> {
        lines
            .enumerate()
            .flat_map(|(at, line)| {
                let found = words.iter().filter(move |word| line.contains(**word));
                found.map(move |word| format!("{}:{}: {word}", self.path, at + 1))
            })
            .collect()
    }
}

pub(crate) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let mut sources = Vec::new();
    for member in ["node", "actors", "messages", "config", "integration"] {
        walk(root, &root.join(member), &mut sources);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 20, "the workspace was found");
    sources
}

fn walk(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            walk(root, &path, sources);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.strip_prefix(root).expect("it was found below").to_string_lossy().into_owned();
            sources.push(Source { path: name, text: fs::read_to_string(&path).expect("a source file") });
        }
    }
}
