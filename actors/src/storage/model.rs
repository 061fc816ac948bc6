//! What a data directory may hold after a crash, and the comparison with what it does hold.

use paddock_messages::zxid::Zxid;

use super::history::Facts;
use super::recovery::Recovered;

pub(super) type Record = (Zxid, Vec<u8>);

/// What the data directory may turn out to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Called persisted, since the last install.
    pub(super) records: Vec<Record>,
    /// Appended, not called persisted: any first part of them may be there.
    pub(super) open: Vec<Record>,
    pub(super) snapshots: Vec<Zxid>,
    pub(super) facts: Facts,
    pub(super) start: Zxid,
}

pub(super) type Checked<T = ()> = Result<T, String>;

pub(super) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// S1, S2, S4, S5: what was called persisted is there, in order, once; nothing else but a first part of
/// what was appended after it.
pub(super) fn matches(model: &Model, recovered: &Recovered, got: &[Record]) -> Checked {
    let after_start = |records: &[Record]| -> Vec<Record> {
        records.iter().filter(|(zxid, _)| *zxid > recovered.log_start).cloned().collect()
    };
    let must = after_start(&model.records);
    let may: Vec<Record> = must.iter().chain(&model.open).cloned().collect();
    let zxids = |records: &[Record]| records.iter().map(|(zxid, _)| *zxid).collect::<Vec<_>>();
    expect(got.starts_with(&must), || format!("lost: {:?} of {:?}", zxids(got), zxids(&must)))?;
    expect(may.starts_with(got), || format!("never written: {:?} in {:?}", zxids(got), zxids(&may)))?;
    let last = got.last().map_or(recovered.log_start, |(zxid, _)| *zxid);
    expect(recovered.last == last, || format!("{recovered:?} ends at {last:?}"))?;
    expect(recovered.facts == model.facts, || format!("{:?}, not {:?}", recovered.facts, model.facts))?;
    let snapshots: Vec<Zxid> = recovered.snapshots.iter().rev().map(|snapshot| snapshot.zxid).collect();
    expect(snapshots == model.snapshots, || format!("{snapshots:?}, not {:?}", model.snapshots))?;
    let whole = recovered.log_start == Zxid::ZERO || !snapshots.is_empty();
    expect(whole && recovered.log_start >= model.start, || format!("{recovered:?} is not whole"))
}
