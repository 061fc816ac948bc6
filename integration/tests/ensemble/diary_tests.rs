use super::*;

/// Two connections of one client: it sent operations 0 to 4, of which 3 were acknowledged and 4 are there, and
/// then 5 to 8, of which 2 were acknowledged.
fn told() -> Vec<Diary> {
    let chapter =
        |first, sent, acked, version, data: &str| Chapter { first, sent, acked, version, data: data.into() };
    let chapters = vec![chapter(0, 5, 3, 0, ""), chapter(5, 4, 2, 2, "2")];
    let names = BTreeMap::from([(1, "0.1-0000000000".to_owned()), (5, "0.5-0000000004".to_owned())]);
    vec![Diary { client: 0, chapters, names }]
}

const C1: &str = "0.1-0000000000";
const C3: &str = "0.3-0000000002";
const C5: &str = "0.5-0000000004";
const C7: &str = "0.7-0000000005";

fn found(version: i32, data: &str, children: &[&str]) -> Vec<Violation> {
    let children = children.iter().map(|name| (*name).to_owned()).collect();
    judge(&told(), &Held { own: vec![(version, data.to_owned())], children })
}

#[test]
fn what_may_be_is_accepted() {
    for (name, version, data, children) in [
        ("what was acknowledged, and one more of the first", 3, "6", &[C1, C3, C5][..]),
        ("no more of the first", 3, "6", &[C1, C5]),
        ("one more of the second", 3, "6", &[C1, C3, C5, C7]),
        ("all", 4, "8", &[C1, C3, C5, C7]),
    ] {
        assert_eq!(found(version, data, children), [], "{name}");
    }
    assert_eq!((told()[0].acked(), told()[0].next()), (5, 9));
}

#[test]
fn what_must_not_be_is_found() {
    use Violation as V;
    for (name, version, data, children, expected) in [
        ("a child is lost", 3, "6", &[C1, C3][..], vec![V::Lost(0, 5)]),
        ("a set is lost", 2, "2", &[C1, C3, C5], vec![V::Lost(0, 6)]),
        ("a gap", 4, "8", &[C1, C3, C5], vec![V::Gap(0, 7)]),
        ("the last set is an older one", 3, "2", &[C1, C5], vec![V::Data(0, 5, "6".into(), "2".into())]),
        (
            "a set of the first connection after the second began",
            3,
            "4",
            &[C1, C5],
            vec![V::Data(0, 5, "6".into(), "4".into())],
        ),
        ("a set took effect twice", 5, "8", &[C1, C3, C5, C7], vec![V::Version(0, 5, 3)]),
        ("the version went back", 1, "0", &[C1, C3, C5], vec![V::Version(0, 5, -1)]),
        ("a child is there twice", 3, "6", &[C1, C5, C3, "0.3-0000000003"], vec![V::Twice(0, 3)]),
        ("a number is there twice", 3, "6", &[C1, C5, "0.3-0000000004"], vec![V::SameNumber(4)]),
        (
            "another number than was told",
            3,
            "6",
            &[C1, "0.5-0000000006"],
            vec![V::Renamed(C5.into(), "0.5-0000000006".into())],
        ),
        (
            "a child nobody sent",
            3,
            "6",
            &[C1, C5, "0.9-0000000009"],
            vec![V::NotSent("0.9-0000000009".into())],
        ),
        (
            "a child in a set's place",
            3,
            "6",
            &[C1, C5, "0.2-0000000009"],
            vec![V::NotSent("0.2-0000000009".into())],
        ),
        ("another's", 3, "6", &[C1, C5, "1.1-0000000009"], vec![V::NotSent("1.1-0000000009".into())]),
    ] {
        assert_eq!(found(version, data, children), expected, "{name}");
    }
}

#[test]
fn sets_are_counted() {
    for from in 0..6 {
        for to in from..9 {
            assert_eq!(sets(from, to), (from..to).filter(|n| is_set(*n)).count() as u64, "{from} to {to}");
        }
    }
}
