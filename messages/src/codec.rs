//! The one door to bincode: what members send each other and keep on disk goes through here.
//!
//! bincode is pinned to 2.0.1 and every version of it is marked unmaintained (RUSTSEC-2025-0141, no
//! safe upgrade; 3.0 is a release without code), so its successor has one module to replace.
//! Numbers are variable-length, little-endian.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes were not decoded, or a value not encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value has a part serde cannot write, as a sequence of unknown length.
    #[error("cannot encode: {0}")]
    Encode(#[from] bincode::error::EncodeError),
    /// Cut short, over the limit, or no value of this type.
    #[error("cannot decode: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    /// A whole value, then more.
    #[error("{0} bytes are left after the value")]
    Left(usize),
}

/// Appends `value` to `out`, which is meant to be used again and again. Fails only for a type that
/// serde cannot write.
pub fn encode_into<T: Serialize>(out: &mut Vec<u8>, value: &T) -> Result<(), CodecError> {
    bincode::serde::encode_into_writer(value, Appended(out), bincode::config::standard())?;
    Ok(())
}

/// Bytes at the end of a vector: no errors to turn into others at each number.
struct Appended<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Appended<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The one value that `bytes` hold, all of them. No decoder takes more than `LIMIT` bytes of memory
/// for it, whatever lengths the bytes claim.
pub fn decode<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config)?;
    if used < bytes.len() { Err(CodecError::Left(bytes.len() - used)) } else { Ok(value) }
}

/// Like [`decode`], with a limit that goes by how many bytes there are: 8 to 64 times their number, at least
/// 64 KiB. No sound value meets it: a number of one byte counts as 8 at most (a `u128`, of which no value may
/// have many, as 16). What is taken and turns out not to be there is never touched. In memory a sound value is
/// at most some 40 times as large as its bytes: an empty string of 1 byte has a handle of 32.
pub fn decode_by_length<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    // The limit is part of bincode's type: these are all there are.
    match bytes.len() {
        0..=0x2000 => decode::<T, 0x1_0000>(bytes),
        0x2001..=0x1_0000 => decode::<T, 0x8_0000>(bytes),
        0x1_0001..=0x8_0000 => decode::<T, 0x40_0000>(bytes),
        0x8_0001..=0x40_0000 => decode::<T, 0x200_0000>(bytes),
        0x40_0001..=0x200_0000 => decode::<T, 0x1000_0000>(bytes),
        0x200_0001..=0x1000_0000 => decode::<T, 0x8000_0000>(bytes),
        _ => decode::<T, 0x8_0000_0000>(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_value_is_refused_and_so_is_more_than_it() {
        let value = (7u64, String::from("a name"), vec![1u32, 70_000]);
        let mut bytes = Vec::new();
        encode_into(&mut bytes, &value).unwrap();
        assert_eq!(decode::<(u64, String, Vec<u32>), 256>(&bytes).unwrap(), value);
        for cut in 0..bytes.len() {
            assert!(decode::<(u64, String, Vec<u32>), 256>(&bytes[..cut]).is_err(), "{cut} bytes");
        }
        bytes.push(0);
        assert!(matches!(decode::<(u64, String, Vec<u32>), 256>(&bytes), Err(CodecError::Left(1))));
    }

    #[test]
    fn a_hostile_length_takes_no_memory() {
        let hostile = [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
        assert!(matches!(decode::<String, 1024>(&hostile), Err(CodecError::Decode(_))));
    }

    #[test]
    fn a_limit_by_length_takes_what_is_sound_and_refuses_what_is_not_there() {
        for count in [0, 1, 0x1fff, 0x2000, 0x2001, 0x1_0000, 0x8_0001, 0x40_0001] {
            let value = vec![1u64; count]; // a byte each: nothing takes more of the limit
            let mut bytes = Vec::new();
            encode_into(&mut bytes, &value).unwrap();
            assert_eq!(decode_by_length::<Vec<u64>>(&bytes).unwrap(), value, "{count}");
        }
        for (length, claimed) in [(9, 0x1_0001u64), (0x2000, 0x1_0001), (0x2001, 0x8_0001), (9, u64::MAX)] {
            let mut bytes = vec![253];
            bytes.extend(claimed.to_le_bytes());
            bytes.resize(length, 0);
            let refused = decode_by_length::<String>(&bytes);
            let exceeded = bincode::error::DecodeError::LimitExceeded;
            let limit =
                matches!(refused, Err(CodecError::Decode(why)) if why.to_string() == exceeded.to_string());
            assert!(limit, "{length} bytes that claim {claimed}");
        }
    }
}
