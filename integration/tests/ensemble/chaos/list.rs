//! Sequential children of one parent: each is there once with the number it was told, none is missing, and
//! numbers follow real time.

use std::collections::{BTreeMap, BTreeSet};

use super::order::{Placed, Span, out_of_order};

/// One create, by the name it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Append {
    pub(super) prefix: String,
    pub(super) span: Span,
    /// The whole name; `None` if there was no answer.
    pub(super) name: Option<String>,
}

/// The number at a name's end, which has ten digits.
pub(super) fn number(name: &str) -> Option<i64> {
    name.get(name.len().checked_sub(10)?..)?.parse().ok()
}

/// Everything that must not be; nothing else was created there, and nothing deleted.
pub(super) fn judge(appends: &[Append], children: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let sent: BTreeMap<_, _> = appends.iter().map(|one| (one.prefix.as_str(), one)).collect();
    let (mut placed, mut there) = (Vec::new(), BTreeSet::new());
    for name in children {
        let Some(number) = number(name) else {
            found.push(format!("{name} has no number"));
            continue;
        };
        let Some(one) = sent.get(&name[..name.len() - 10]) else {
            found.push(format!("nobody sent {name}"));
            continue;
        };
        if !there.insert(one.prefix.as_str()) {
            found.push(format!("{} is there twice", one.prefix));
        }
        if one.name.as_ref().is_some_and(|told| told != name) {
            found.push(format!("{name} is there: {one:?}"));
        }
        let span = if one.name.is_some() { one.span } else { one.span.unknown() };
        placed.push(Placed { place: number, span, what: name.clone() });
    }
    let lost = appends.iter().filter(|one| one.name.is_some() && !there.contains(one.prefix.as_str()));
    found.extend(lost.map(|one| format!("lost: {one:?}")));
    let mut numbers: Vec<_> = placed.iter().map(|one| one.place).collect();
    numbers.sort_unstable();
    if let Some((due, got)) = (0..).zip(&numbers).find(|(due, got)| due != *got) {
        found.push(format!("number {got} where {due} was due"));
    }
    found.extend(out_of_order(placed));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a and b one after the other, c at once with both and without an answer.
    fn found(children: &[&str]) -> Vec<String> {
        let append = |prefix: &str, begin, end, name: Option<&str>| Append {
            prefix: prefix.into(),
            span: Span { begin, end },
            name: name.map(str::to_owned),
        };
        let appends = [
            append("a-", 0, 1, Some("a-0000000000")),
            append("b-", 2, 3, Some("b-0000000001")),
            append("c-", 2, 9, None),
        ];
        judge(&appends, &children.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_may_be_is_accepted() {
        assert_eq!(found(&["b-0000000001", "a-0000000000"]), [""; 0]);
        assert_eq!(found(&["a-0000000000", "b-0000000001", "c-0000000002"]), [""; 0]);
    }

    #[test]
    fn what_must_not_be_is_found() {
        for (children, expected) in [
            (&["a-0000000000"][..], "lost: Append { prefix: \"b-\""),
            (&["a-0000000000", "b-0000000002"], "b-0000000002 is there: Append"),
            (&["a-0000000001", "b-0000000000"], "ended before"),
            (&["c-0000000000", "a-0000000001", "b-0000000002"], "a-0000000001 ended before c-0000000000"),
            (&["a-0000000000", "b-0000000001", "c-0000000001"], "number 1 where 2 was due"),
            (&["a-0000000000", "b-0000000001", "c-0000000003"], "number 3 where 2 was due"),
            (&["a-0000000000", "b-0000000001", "c-0000000002", "c-0000000003"], "c- is there twice"),
            (&["a-0000000000", "b-0000000001", "d-0000000002"], "nobody sent d-0000000002"),
            (&["a-0000000000", "b-0000000001", "c"], "c has no number"),
        ] {
            let found = found(children);
            assert!(found.iter().any(|one| one.contains(expected)), "{children:?}: {found:#?}");
        }
    }
}
