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
