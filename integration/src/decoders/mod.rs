//! Every decoder that reads what others wrote, as a function of bytes alone: for the fuzzer
//! (`integration/fuzz`) and, with few cases, for every run of the tests.
//!
//! - FZ1  No bytes make a decoder panic, hang or take memory out of proportion.
//! - FZ2  What a decoder takes, it writes again, and reads back as the same.
//!
//! Behind a checksum only a resealed file says anything about a decoder, so [`storage`]'s functions put
//! the checksums right before they hand the bytes over. Seeds come from the recorded frames of Apache's
//! server ([`crate::golden`]), or from files made by what those requests do.

pub mod client;
pub mod frames;
pub mod member;
pub mod seeds;
pub mod storage;
pub mod writes;

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// The fuzz target of the same name.
    pub name: &'static str,
    /// Panics where FZ1 or FZ2 does not hold.
    pub run: fn(&[u8]),
    /// What a corpus begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const DECODERS: &[Decoder] = &[
    Decoder { name: "handshake", run: member::handshake, seeds: seeds::handshakes },
    Decoder { name: "word", run: member::word, seeds: seeds::words },
    Decoder { name: "session", run: member::session, seeds: seeds::sessions },
    Decoder { name: "request", run: client::request, seeds: seeds::requests },
    Decoder { name: "reply", run: client::reply, seeds: seeds::replies },
    Decoder { name: "txn", run: storage::txn, seeds: seeds::txns },
    Decoder { name: "batch", run: storage::batch, seeds: seeds::batches },
    Decoder { name: "log", run: storage::log, seeds: seeds::flips },
    Decoder { name: "snapshot", run: storage::snapshot, seeds: seeds::snapshots },
    Decoder { name: "history", run: storage::history, seeds: seeds::histories },
    Decoder { name: "pair", run: storage::pair, seeds: seeds::pairs },
    Decoder { name: "acl", run: writes::acl, seeds: seeds::acls },
    Decoder { name: "quota", run: writes::quota, seeds: seeds::quotas },
    Decoder { name: "frame", run: frames::frame, seeds: frames::seeds },
    Decoder { name: "config", run: storage::config, seeds: seeds::configs },
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;

    /// A seed, what is done to it, and bytes to do it with.
    fn altered(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
        let edits = proptest::collection::vec((any::<u16>(), 0..5u8, any::<u8>()), 0..8);
        (proptest::sample::select(seeds), edits).prop_map(|(mut bytes, edits)| {
            for (at, how, byte) in edits {
                let at = usize::from(at) % (bytes.len() + 1);
                match how {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                    2 => bytes.truncate(at),
                    3 => bytes.insert(at, byte),
                    _ if at < bytes.len() => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            bytes
        })
    }

    fn check(decoder: &Decoder, cases: u32, bytes: impl Strategy<Value = Vec<u8>>) {
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let result = runner.run(&bytes, |bytes| {
            (decoder.run)(&bytes);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{}: {error}", decoder.name));
    }

    #[test]
    fn fz1_fz2_no_decoder_fails_on_any_bytes_or_altered_seeds() {
        for decoder in DECODERS {
            let seeds = (decoder.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", decoder.name);
            seeds.iter().for_each(|seed| (decoder.run)(seed));
            check(decoder, 128, proptest::collection::vec(any::<u8>(), 0..200));
            check(decoder, 256, altered(seeds));
        }
    }

    #[test]
    fn every_decoder_has_a_fuzz_target() {
        for decoder in DECODERS {
            let manifest = include_str!("../../fuzz/Cargo.toml");
            assert!(manifest.contains(&format!("name = \"{}\"", decoder.name)), "{}", decoder.name);
        }
    }
}
