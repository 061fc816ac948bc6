//! The fewest operations that still fail: pieces are left out, halves first, as long as it does.

use super::op::Op;

/// Leaves out what is not needed for `fails`; at most `tries` attempts. The first operation stays.
pub fn minimise(mut ops: Vec<Op>, mut tries: usize, mut fails: impl FnMut(&[Op]) -> bool) -> Vec<Op> {
    let mut piece = ops.len().div_ceil(2);
    while piece > 0 && tries > 0 {
        let mut at = 1;
        while at < ops.len() && tries > 0 {
            let end = (at + piece).min(ops.len());
            let fewer: Vec<Op> = [&ops[..at], &ops[end..]].concat();
            tries -= 1;
            if fails(&fewer) {
                ops = fewer;
            } else {
                at = end;
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::super::generate::operations;
    use super::*;

    #[test]
    fn what_is_needed_stays_and_nothing_else() {
        let ops = operations(1, 40);
        let needed = [ops[0].clone(), ops[13].clone(), ops[29].clone()];
        let fewest = minimise(ops, 1000, |ops| needed.iter().all(|op| ops.contains(op)));
        assert_eq!(fewest, needed);
    }
}
