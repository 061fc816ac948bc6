//! Invariants: stated in module documentation as `- X1  …`, named by the tests that earn them.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::Source;

/// Each id, and where it is stated.
pub(crate) fn stated(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut stated = BTreeMap::<_, Vec<_>>::new();
    for source in sources {
        for (at, line) in source.lines().enumerate() {
            let rest = line.trim_start().trim_start_matches(['/', '!']).trim_start();
            let Some(id) = rest.strip_prefix("- ").and_then(|rest| rest.split(' ').next()) else { continue };
            if line.trim_start().starts_with("//") && is_id(id) {
                stated.entry(id.to_owned()).or_default().push(format!("{}:{}", source.path, at + 1));
            }
        }
    }
    stated
}

/// A capital letter or two, a number, and perhaps a letter: S3, D6b, TR1.
fn is_id(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = word.len() - digits.len();
    let end = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (1..=2).contains(&letters)
        && end.len() < digits.len()
        && end.len() <= 1
        && end.chars().all(|c| c.is_ascii_lowercase())
}

/// The words of the names of all test functions, in lower case.
pub(crate) fn named_by_tests(sources: &[Source]) -> BTreeSet<String> {
    let words = |name: &String| {
        let words: Vec<_> = name.split('_').map(str::to_owned).chain(ranges(name)).collect();
        words
    };
    tests(sources).iter().flat_map(words).collect()
}

/// The names of all test functions.
pub(crate) fn tests(sources: &[Source]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources {
        let mut is_test = false;
        for line in source.lines().map(str::trim_start) {
            is_test |= line.starts_with("#[test]") || line.contains("::test]");
            let Some(rest) = line.split("fn ").nth(1).filter(|_| is_test && !line.starts_with("//")) else {
                continue;
            };
            names.insert(rest.split(['(', '<']).next().unwrap_or("").to_owned());
            is_test = false;
        }
    }
    names
}

/// The ids that `s1_to_s4` stands for.
fn ranges(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let number = |word: &str| word.trim_start_matches(|c: char| c.is_ascii_lowercase()).parse::<u32>().ok();
    let mut ids = Vec::new();
    for window in words.windows(3).filter(|window| window[1] == "to") {
        if let (Some(first), Some(last)) = (number(window[0]), number(window[2])) {
            let letters = window[0].trim_end_matches(|c: char| c.is_ascii_digit());
            ids.extend((first..=last).map(|number| format!("{letters}{number}")));
        }
    }
    ids
}
