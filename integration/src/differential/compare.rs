//! One step's frames, side by side.

use std::collections::VecDeque;

use super::deviations::{self, Allows, Exchange, Excuse, Streams};
use super::mapping::Mapping;
use super::observe::Frame;
use super::op::{Asked, Op};
use super::run::Seen;

/// What is answered at once, beside the order of all else: auth and sasl.
const AT_ONCE: [i32; 2] = [AUTH, 102];
const AUTH: i32 = 100;

/// The deviations by which the two differ.
///
/// # Errors
/// Why they differ, where no deviation says so.
pub(crate) fn compare(mapping: &mut Mapping, op: &Op, seen: &[Seen; 2]) -> Result<Vec<&'static str>, String> {
    let mut used = Vec::new();
    for session in [op.session, 1 - op.session] {
        let [mut java, mut paddock] = [seen[0][session].clone(), seen[1][session].clone()];
        let own = session == op.session;
        if op.ends_session() {
            sort_last_events(&mut java);
            sort_last_events(&mut paddock);
        }
        if own {
            let mut streams = Streams { op, java: &mut java, paddock: &mut paddock };
            if let Some((id, took)) = deviations::of_streams(&mut streams) {
                used.push(id);
                mapping.java_took(took);
            }
        }
        let asked = if own { op.asked() } else { Vec::new() };
        if asked.len() > 1 && asked.iter().any(|it| it.opcode == AUTH) {
            drop_unsettled(&mut java, &paddock);
            drop_unsettled(&mut paddock, &java);
        }
        let result = streams(mapping, &asked, &java, &paddock, &mut used);
        result.map_err(|why| format!("{}: {why}", ["A", "B"][session]))?;
    }
    Ok(used)
}

/// The ephemerals of a session are deleted in no order: the events of the last zxid are sorted.
fn sort_last_events(frames: &mut [Frame]) {
    let zxid_of = |frame: &Frame| if let Frame::Event { zxid, .. } = frame { Some(*zxid) } else { None };
    let Some(last) = frames.iter().filter_map(zxid_of).max() else { return };
    let from = frames.iter().position(|frame| zxid_of(frame) == Some(last)).unwrap_or(0);
    let until = frames.iter().rposition(|frame| zxid_of(frame) == Some(last)).unwrap_or(0);
    frames[from..=until].sort_by_key(|frame| match frame {
        Frame::Event { kind, path, .. } => (path.clone(), *kind),
        _ => Default::default(),
    });
}

/// An auth in flight with writes comes before or after they are applied, as it happens, and their events
/// are held against the identities of that moment: those that only one server sent are left out.
fn drop_unsettled(frames: &mut Vec<Frame>, other: &[Frame]) {
    let key = |frame: &Frame| match frame {
        Frame::Event { kind, path, zxid, .. } if *zxid > 0 => Some((*kind, path.clone())),
        _ => None,
    };
    let mut there: Vec<_> = other.iter().filter_map(key).collect();
    frames.retain(|frame| {
        let Some(event) = key(frame) else { return true };
        let at = there.iter().position(|it| *it == event);
        at.map(|at| there.swap_remove(at)).is_some()
    });
}

fn streams(
    mapping: &mut Mapping,
    asked: &[Asked<'_>],
    java: &[Frame],
    paddock: &[Frame],
    used: &mut Vec<&'static str>,
) -> Result<(), String> {
    let (at_once, in_order): (Vec<_>, Vec<_>) = asked.iter().partition(|it| AT_ONCE.contains(&it.opcode));
    let is_at_once = |frame: &&Frame| !at_once.is_empty() && frame.is_at_once();
    for (asked, at_once) in [(at_once.clone(), true), (in_order, false)] {
        let mut asked = VecDeque::from(asked);
        let java: Vec<_> = java.iter().filter(|frame| is_at_once(frame) == at_once).collect();
        let paddock: Vec<_> = paddock.iter().filter(|frame| is_at_once(frame) == at_once).collect();
        if java.len() != paddock.len() {
            return Err(format!("{} frames; paddock's: {}", java.len(), paddock.len()));
        }
        for (j, p) in java.into_iter().zip(paddock) {
            let answers = matches!(j, Frame::Reply { .. }).then(|| asked.pop_front()).flatten();
            frames(mapping, answers, j, p, used)?;
        }
    }
    Ok(())
}

fn frames(
    mapping: &mut Mapping,
    asked: Option<Asked<'_>>,
    java: &Frame,
    paddock: &Frame,
    used: &mut Vec<&'static str>,
) -> Result<(), String> {
    let opcode = asked.map_or(0, |asked| asked.opcode);
    let Err(why) = mapping.frames(opcode, java, paddock, Excuse::NONE) else { return Ok(()) };
    let (Frame::Reply { .. }, Frame::Reply { .. }, Some(asked)) = (java, paddock, asked) else {
        return Err(why);
    };
    let exchange = Exchange { asked, java, paddock };
    for deviation in deviations::ALL {
        let Allows::Reply(allows) = deviation.allows else { continue };
        if let Some(excuse) = allows(&exchange) {
            used.push(deviation.id);
            return mapping
                .frames(opcode, java, paddock, excuse)
                .map_err(|why| format!("beyond {}: {why}", deviation.id));
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::super::body::Body;
    use super::super::op::Action;
    use super::*;

    fn request(opcode: i32, body: &Body) -> Action {
        Action::Request { xid: None, opcode, body: body.0.clone() }
    }

    fn reply(zxid: i64, err: i32, body: &[u8]) -> Frame {
        Frame::Reply { xid: 1, zxid, err, body: body.to_vec().into() }
    }

    /// What a step by the first session comes to, after both servers have had zxid 9 and 109.
    fn step(action: Action, java: &[Frame], paddock: &[Frame]) -> Result<Vec<&'static str>, String> {
        let mut mapping = Mapping::default();
        mapping.zxid(9, 109).unwrap();
        let op = Op { session: 0, action, text: String::new() };
        compare(&mut mapping, &op, &[[java.to_vec(), vec![]], [paddock.to_vec(), vec![]]])
    }

    #[test]
    fn y1_whatever_no_deviation_names_is_a_difference() {
        let delete = || request(2, &Body::default().text("/a").int(-1));
        for (java, paddock, same) in [
            (reply(10, -101, b""), reply(110, -101, b""), true),
            (reply(10, -101, b""), reply(110, -103, b""), false),
            (reply(10, -101, b""), reply(111, -101, b""), false),
            (reply(10, -101, b""), reply(109, -101, b""), false), // Y2: a refusal takes a zxid
            (reply(10, -101, b"x"), reply(110, -101, b""), false),
            (Frame::Closed, reply(110, -101, b""), false),
        ] {
            let result = step(delete(), std::slice::from_ref(&java), std::slice::from_ref(&paddock));
            assert_eq!(result.is_ok(), same, "{java:?} {paddock:?}: {result:?}");
        }
    }

    #[test]
    fn y3_a_deviation_excuses_what_it_names_and_no_more() {
        let null = Body::default().data(None);
        let (sync, watch) = (Body::default().text("/\u{1f600}"), Body::default().data(None).int(1));
        let halves: &[u8] = b"\0\0\0\x07/\xed\xa0\xbd\xed\xb8\x80";
        let multi = || request(14, &Body::default().int(7));
        for (id, action, java, paddock) in [
            ("undecodable-multi", multi(), reply(10, -5, b""), reply(109, -5, b"")),
            ("", multi(), reply(10, -5, b""), reply(108, -5, b"")),
            ("", multi(), reply(10, 0, b""), reply(109, -5, b"")),
            ("", request(5, &Body::default().int(7)), reply(10, -5, b""), reply(109, -5, b"")),
            ("null-path", request(2, &null), reply(10, -5, b""), reply(109, -5, b"")),
            ("null-path", request(5, &null), reply(10, -8, b""), reply(109, -5, b"")),
            ("", request(5, &null), reply(10, -101, b""), reply(109, -5, b"")),
            ("", request(5, &null), reply(10, -8, b""), reply(109, -8, b"")),
            ("", request(5, &Body::default().text("/a")), reply(10, -8, b""), reply(109, -5, b"")),
            ("null-watch", request(106, &watch), reply(9, 0, &[0; 4]), reply(109, -5, b"")),
            ("", request(106, &watch), reply(10, 0, &[0; 4]), reply(109, -5, b"")),
            ("", request(106, &watch), reply(9, -8, b""), reply(109, -5, b"")),
            ("multi-read-body", request(22, &null), reply(9, -5, b"some"), reply(109, -5, b"")),
            ("", request(22, &null), reply(9, -5, b""), reply(109, -5, b"some")),
            ("cesu-8", request(9, &sync), reply(9, 0, halves), reply(109, 0, &sync.0)),
            ("", request(9, &sync), reply(9, 0, halves), reply(109, 0, b"\0\0\0\x01/")),
            ("delete-container", request(20, &null), reply(10, -101, b""), reply(-1, -6, b"")),
            ("", request(20, &null), reply(10, 0, b""), reply(-1, -6, b"")),
            ("", request(20, &null), reply(10, -101, b""), reply(109, -6, b"")),
        ] {
            let result = step(action, std::slice::from_ref(&java), std::slice::from_ref(&paddock));
            let used = result.as_ref().ok().map_or("", |used| used[0]);
            assert_eq!(used, id, "{java:?} {paddock:?}: {result:?}");
        }
    }

    #[test]
    fn y3_frames_are_excused_one_by_one() {
        let refused = reply(-1, -6, b"");
        let unknown = || request(99, &Body::default());
        let closed = [refused, Frame::Closed];
        assert_eq!(step(unknown(), &closed, &closed[..1]), Ok(vec!["unknown-opcode"]));
        assert!(step(unknown(), &closed, &[reply(109, -6, b"")]).is_err());
        assert!(step(request(4, &Body::default()), &closed, &closed[..1]).is_err());
        let stranger = || Action::Reattach { bad_password: true };
        let refusal = Frame::Handshake(0, 0, vec![0; 16].into());
        let disturbed = [refusal, Frame::Closed];
        assert_eq!(step(stranger(), &disturbed, &disturbed[..1]), Ok(vec!["wrong-password"]));
        assert!(step(Action::Reattach { bad_password: false }, &disturbed, &disturbed[..1]).is_err());
        let large = || Action::Oversized(1 << 20);
        assert_eq!(step(large(), &[Frame::Closed], &[reply(109, -5, b"")]), Ok(vec!["oversized-frame"]));
        assert!(step(Action::Oversized(0xf_ffff), &[Frame::Closed], &[reply(109, -5, b"")]).is_err());
        assert!(step(large(), &[Frame::Closed], &[Frame::Closed]).is_ok());
    }

    #[test]
    fn y3_only_what_set_watches_missed_may_be_filtered() {
        let event = |zxid, kind, path: &'static str| Frame::Event { zxid, kind, state: 3, path: path.into() };
        let done = |zxid| Frame::Reply { xid: -8, zxid, err: 0, body: vec![].into() };
        let asked = || Action::SetWatches { back: None, lists: vec![vec![]; 3] };
        let java = [event(-1, 3, "/a"), event(-1, 2, "/b"), event(-1, 1, "/a"), done(9)];
        let without = |at: &[usize]| {
            let mut frames = java.to_vec();
            at.iter().rev().for_each(|&at| drop(frames.remove(at)));
            *frames.last_mut().unwrap() = done(109);
            frames
        };
        for (left_out, fits) in
            [(&[0][..], true), (&[2], true), (&[0, 2], true), (&[1], false), (&[0, 1], false)]
        {
            let result = step(asked(), &java, &without(left_out));
            assert_eq!(result.ok(), fits.then(|| vec!["filtered-catch-up"]), "{left_out:?}");
        }
        assert_eq!(step(asked(), &java, &without(&[])), Ok(vec![]));
        let live = [event(9, 3, "/a"), done(9)];
        assert!(step(asked(), &live, &[done(109)]).is_err(), "a live event");
        assert!(step(request(4, &Body::default()), &java[..1], &[]).is_err(), "no setWatches");
        let pipelined = || Action::Pipeline(vec![asked(), asked()]);
        let twice = [java[0].clone(), done(9), java[0].clone(), done(9)];
        let second = [done(109), java[0].clone(), done(109)];
        assert_eq!(step(pipelined(), &twice, &second), Ok(vec!["filtered-catch-up"]));
    }

    #[test]
    fn y1_answers_out_of_order_are_compared_by_themselves() {
        let auth = Action::Request { xid: Some(-4), opcode: 100, body: Vec::new() };
        let both = || Action::Pipeline(vec![request(2, &Body::default()), auth.clone()]);
        let (ordered, at_once) = (reply(10, -101, b""), reply(0, 0, b""));
        let java = [ordered, at_once.clone()];
        assert!(step(both(), &java, &[at_once.clone(), reply(110, -101, b"")]).is_ok());
        assert!(step(both(), &java, &[at_once, reply(110, -110, b"")]).is_err());
        assert!(step(both(), &java, &[reply(0, -115, b""), reply(110, -101, b"")]).is_err());
    }
}
