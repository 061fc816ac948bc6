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
}
