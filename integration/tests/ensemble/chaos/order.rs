//! Whether operations can have taken effect in an order that is given, each at a moment between its begin and its
//! end. Pure, like all judges here: no server, no clock.

/// An operation in real time, in ns; one whose answer was never seen has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Span {
    /// One whose answer was never seen: it may take effect at any time.
    pub(super) fn unknown(self) -> Self {
        Self { end: u64::MAX, ..self }
    }
}

/// Whatever one of these is, it came before all with a greater `place`; those of one place came in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: i64,
    pub(super) span: Span,
    /// For whoever reads of a violation.
    pub(super) what: String,
}

/// Each operation that had ended before another began which came before it. Sound and complete: if there is
/// none, the moments `max(begin of it and of all before it)` are a witness.
pub(super) fn out_of_order(mut all: Vec<Placed>) -> Vec<String> {
    all.sort_by_key(|one| one.place);
    let (mut found, mut latest) = (Vec::new(), None::<&Placed>);
    for group in all.chunk_by(|one, next| one.place == next.place) {
        for one in group {
            if let Some(before) = latest.filter(|before| before.span.begin > one.span.end) {
                found.push(format!("{} ended before {} began, which came before it", one.what, before.what));
            }
        }
        let newest = group.iter().max_by_key(|one| one.span.begin);
        latest = latest.into_iter().chain(newest).max_by_key(|one| one.span.begin);
    }
    found
}

#[test]
fn what_real_time_forbids_is_found() {
    for (name, spans, expected) in [
        ("one after the other", &[(1, 0, 1), (2, 2, 3)][..], 0),
        ("at once, either way", &[(1, 0, 9), (2, 1, 8)], 0),
        ("the second ended first, and they met", &[(1, 4, 9), (2, 1, 5)], 0),
        ("reordered", &[(1, 4, 9), (2, 1, 3)], 1),
        ("reordered, with one between that meets both", &[(1, 4, 9), (2, 0, 20), (3, 1, 3)], 1),
        ("of one place, in any order", &[(1, 4, 9), (1, 1, 3)], 0),
        ("never answered", &[(1, 4, u64::MAX), (2, 1, 5)], 0),
        ("never answered, begun too late", &[(1, 6, u64::MAX), (2, 1, 5)], 1),
        ("two too early", &[(1, 7, 9), (2, 1, 3), (2, 4, 6), (3, 0, 2)], 3),
    ] {
        let placed = spans.iter().map(|(place, begin, end)| {
            let span = Span { begin: *begin, end: *end };
            Placed { place: *place, span, what: format!("{place} of {begin}") }
        });
        assert_eq!(out_of_order(placed.rev().collect()).len(), expected, "{name}");
    }
}
