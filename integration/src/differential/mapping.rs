//! What one server's zxids, session ids and times are on the other (Y2).

use std::collections::{BTreeMap, HashMap};

use super::observe::{Frame, Piece, pieces};

/// Grows as pairs are met at the same places of the same replies.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    zxids: BTreeMap<i64, i64>,
    sessions: HashMap<i64, i64>,
    times: [HashMap<i64, i64>; 2],
}

impl Mapping {
    /// Why the frames differ, if they do. `opcode` is that of the request they answer.
    pub(crate) fn frames(
        &mut self,
        opcode: Option<i32>,
        java: &Frame,
        paddock: &Frame,
    ) -> Result<(), String> {
        match (java, paddock) {
            (
                Frame::Reply { xid: jx, zxid: jz, err: je, body: jb },
                Frame::Reply { xid: px, zxid: pz, err: pe, body: pb },
            ) => {
                if (jx, je) != (px, pe) {
                    return Err(format!("xid {jx}, err {je}; paddock: xid {px}, err {pe}"));
                }
                let opcode = opcode.unwrap_or(0);
                self.bodies(&pieces(opcode, *je, jb), &pieces(opcode, *pe, pb))?;
                self.zxid(*jz, *pz).map_err(|why| format!("header {why}"))
            }
            (
                Frame::Event { zxid: jz, kind: jk, state: js, path: jp },
                Frame::Event { zxid: pz, kind: pk, state: ps, path: pp },
            ) => {
                if (jk, js, jp) != (pk, ps, pp) {
                    return Err(format!("event {jk} {js} {jp:?}; paddock: {pk} {ps} {pp:?}"));
                }
                self.zxid(*jz, *pz).map_err(|why| format!("event {why}"))
            }
            (Frame::Handshake(jt, ji, _), Frame::Handshake(pt, pi, _)) => {
                if jt != pt {
                    return Err(format!("timeout {jt}; paddock: {pt}"));
                }
                self.session(*ji, *pi)
            }
            (java, paddock) if java == paddock => Ok(()),
            (java, paddock) => Err(format!("{java:?}; paddock: {paddock:?}")),
        }
    }

    fn bodies(&mut self, java: &[Piece], paddock: &[Piece]) -> Result<(), String> {
        if java.len() != paddock.len() {
            return Err(format!("body {java:?}; paddock: {paddock:?}"));
        }
        for (at, (j, p)) in java.iter().zip(paddock).enumerate() {
            self.piece(j, p)
                .map_err(|why| format!("body, piece {at}: {why}\n    {java:?}\n    {paddock:?}"))?;
        }
        Ok(())
    }

    fn piece(&mut self, java: &Piece, paddock: &Piece) -> Result<(), String> {
        match (java, paddock) {
            (Piece::Zxid(j), Piece::Zxid(p)) => self.zxid(*j, *p),
            (Piece::Session(j), Piece::Session(p)) => self.session(*j, *p),
            (Piece::Time { of: jz, ms: jt }, Piece::Time { of: pz, ms: pt }) => {
                self.time(0, *jz, *jt)?;
                self.time(1, *pz, *pt)
            }
            (j, p) if j == p => Ok(()),
            (j, p) => Err(format!("{j:?}; paddock: {p:?}")),
        }
    }

    /// Zxids of this run differ by more than their epoch; 0 and below are the same everywhere.
    pub(crate) fn zxid(&mut self, java: i64, paddock: i64) -> Result<(), String> {
        let differ = |why: &str| Err(format!("zxid {java:#x}; paddock: {paddock:#x}: {why}"));
        if java <= 0 || paddock <= 0 {
            return if java == paddock { Ok(()) } else { differ("special values are equal") };
        }
        if let Some(&before) = self.zxids.get(&java) {
            return if before == paddock { Ok(()) } else { differ(&format!("was {before:#x}")) };
        }
        let below = self.zxids.range(..java).next_back().is_some_and(|(_, &other)| other >= paddock);
        let above = self.zxids.range(java..).next().is_some_and(|(_, &other)| other <= paddock);
        if below || above {
            return differ("out of order");
        }
        self.zxids.insert(java, paddock);
        Ok(())
    }

    /// A zxid that only Java took: it stands for Paddock's last.
    pub(crate) fn alias(&mut self, java: i64, paddock: i64) {
        if java > 0 && paddock > 0 {
            self.zxids.entry(java).or_insert(paddock);
        }
    }

    fn session(&mut self, java: i64, paddock: i64) -> Result<(), String> {
        if java == 0 || paddock == 0 {
            return if java == paddock {
                Ok(())
            } else {
                Err(format!("session {java:#x}; paddock: {paddock:#x}"))
            };
        }
        let known = *self.sessions.entry(java).or_insert(paddock);
        let others = self.sessions.values().filter(|&&other| other == paddock).count();
        if known == paddock && others == 1 {
            Ok(())
        } else {
            Err(format!("session {java:#x}; paddock: {paddock:#x}"))
        }
    }

    /// One txn has one time, on each server by itself; the fresh tree's is 0.
    fn time(&mut self, server: usize, zxid: i64, ms: i64) -> Result<(), String> {
        let known = *self.times[server].entry(zxid).or_insert(ms);
        if known == ms && (zxid > 0 || ms == 0) {
            return Ok(());
        }
        Err(format!("{} has the times {known} and {ms} for zxid {zxid:#x}", ["java", "paddock"][server]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y2_zxids_keep_their_order_and_identity() {
        let mut mapping = Mapping::default();
        for (java, paddock, fits) in [
            (5, 105, true),
            (9, 120, true),
            (7, 110, true),
            (7, 111, false), // was 110
            (8, 121, false), // above 9's
            (6, 105, false), // 5's
            (0, 0, true),
            (-1, 0, false),
            (10, 0, false),
        ] {
            assert_eq!(mapping.zxid(java, paddock).is_ok(), fits, "{java} {paddock}");
        }
    }

    #[test]
    fn y2_a_session_is_one_session_and_a_txn_has_one_time() {
        let mut mapping = Mapping::default();
        assert!(mapping.session(1, 11).is_ok());
        assert!(mapping.session(1, 12).is_err());
        assert!(mapping.session(2, 11).is_err());
        assert!(mapping.time(0, 7, 1000).is_ok());
        assert!(mapping.time(1, 7, 2000).is_ok());
        assert!(mapping.time(0, 7, 1001).is_err());
    }
}
