//! Txns of a feature level, in frames that carry them and in those that do not.

use super::*;

/// Not even where both ends would read it: what was agreed is what they keep to.
#[test]
fn fr6_a_txn_of_a_feature_level_is_neither_written_nor_read_in_frames_of_before() {
    for (name, frame) in samples::of_version_4().into_iter().filter(|(_, frame)| frame.level() > 0) {
        let first = level::frames_of(frame.level());
        for speaking in SPOKEN.lowest..first {
            let writer = FrameWriter::new(speaking, LARGEST_TXN);
            let expected =
                format!("Proposals with a txn of feature level 1 cannot be said in version {speaking}");
            let told = writer.write(&frame, &mut Vec::new()).unwrap_err().to_string();
            assert_eq!(told, expected, "{name}");
            let told = SharedFrame::new(frame.clone()).bytes(&writer).unwrap_err().to_string();
            assert_eq!(told, expected, "{name}");
        }
        let (sound, kind) = (written_in(first, &frame), Kind::Proposals as u8);
        let body = &sound[HEADER..];
        let smuggled = sealed(kind, 1, body.len() as u32, body);
        let told = fault(&mut greeted(Kind::Proposals), &smuggled).to_string();
        assert_eq!(told, "Proposals in version 1 has a txn of feature level 1", "{name}");
        // What every build reads may stand in either; one written for both is written for each.
        let mut shared = SharedFrame::new(batch(100));
        let both = [first - 1, first].map(|it| shared.bytes(&FrameWriter::new(it, LARGEST_TXN)).unwrap()[1]);
        assert_eq!(both, [1, first]);
    }
}
