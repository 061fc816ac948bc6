//! Jute, the encoding of ZooKeeper's client protocol: big-endian fields back to back, no tags.
//!
//! - Strings and buffers are an `i32` length and bytes, -1 for null; null and empty differ.
//! - Vectors are an `i32` count and elements, -1 for null.
//! - W0 Every length is checked against the bytes that are there before memory is taken, and no
//!   input makes a decoder panic.
//!
//! Source: ZooKeeper's `BinaryInputArchive`, `BinaryOutputArchive`; checked by `integration`'s golden bytes.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

/// Why bytes are not the record they should be; a client gets [`crate::error_code::ErrorCode::Marshalling`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct DecodeError {
    /// The field that was being read, outermost first.
    pub field: String,
    /// What was wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The frame ends inside the field.
    #[error("cut short: {needed} bytes needed, {left} left")]
    Short {
        /// Bytes the field takes.
        needed: usize,
        /// Bytes that were there.
        left: usize,
    },
    /// A length or count below -1, or beyond the frame.
    #[error("a length of {0} is not possible here")]
    Length(i32),
    /// Null where a value is required.
    #[error("null is not allowed here")]
    Null,
    /// A number that names nothing.
    #[error("{0} is not a known value")]
    Unknown(i32),
}

impl DecodeError {
    /// An error about the field that is being read.
    pub fn new(problem: Problem) -> Self {
        Self { field: String::new(), problem }
    }

    /// The same error, seen from the record that has the field `name`.
    pub fn within(mut self, name: &str) -> Self {
        if !self.field.is_empty() {
            self.field.insert(0, '.');
        }
        self.field.insert_str(0, name);
        self
    }
}

/// One value as the protocol writes it.
pub trait Wire: Sized {
    /// The fewest bytes it can take; bounds how many a frame can hold.
    const MIN: usize;
    /// Takes it off the front of `from`; what follows stays.
    fn read(from: &mut Bytes) -> Result<Self, DecodeError>;
    /// Appends it to `to`.
    fn write(&self, to: &mut Vec<u8>);
}

/// Declares a record: its fields in wire order, with a reader and a writer.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "a field without words of its own is ZooKeeper's of that name")]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::wire::Wire for $name {
            const MIN: usize = 0 $(+ <$type as $crate::wire::Wire>::MIN)*;
            fn read(from: &mut bytes::Bytes) -> Result<Self, $crate::wire::DecodeError> {
                $(let $field = <$type as $crate::wire::Wire>::read(from)
                    .map_err(|e| e.within(stringify!($field)))?;)*
                Ok(Self { $($field,)* })
            }
            fn write(&self, to: &mut Vec<u8>) {
                $($crate::wire::Wire::write(&self.$field, to);)*
            }
        }
    };
}
pub(crate) use record;

fn need(from: &Bytes, needed: usize) -> Result<(), DecodeError> {
    if from.len() < needed {
        return Err(DecodeError::new(Problem::Short { needed, left: from.len() }));
    }
    Ok(())
}

impl Wire for i32 {
    const MIN: usize = 4;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        need(from, 4)?;
        Ok(from.get_i32())
    }
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_be_bytes());
    }
}

impl Wire for i64 {
    const MIN: usize = 8;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        need(from, 8)?;
        Ok(from.get_i64())
    }
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_be_bytes());
    }
}

impl Wire for bool {
    const MIN: usize = 1;
    /// Any byte but 0 is true, as Java reads it.
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        need(from, 1)?;
        Ok(from.get_u8() != 0)
    }
    fn write(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }
}

/// Bytes of a known length, or null. Shares the frame's memory.
impl Wire for Option<Bytes> {
    const MIN: usize = 4;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        let length = i32::read(from)?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| DecodeError::new(Problem::Length(length)))?;
        need(from, length)?;
        Ok(Some(from.split_to(length)))
    }
    fn write(&self, to: &mut Vec<u8>) {
        write_nullable(self.as_deref(), to);
    }
}

impl Wire for Option<ByteString> {
    const MIN: usize = 4;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        let Some(raw) = Option::<Bytes>::read(from)? else { return Ok(None) };
        if std::str::from_utf8(&raw).is_err() {
            return Ok(Some(repaired(&raw).into()));
        }
        // A second look costs less than a second handle.
        Ok(Some(ByteString::try_from(raw).expect("it has just been looked at")))
    }
    fn write(&self, to: &mut Vec<u8>) {
        write_nullable(self.as_ref().map(|text| text.as_bytes().as_ref()), to);
    }
}

/// `raw` with U+FFFD, which no valid path may hold, for what is not UTF-8. As Java counts: an encoded
/// surrogate, whole or cut short, is one mistake, not one a byte. Source: JDK, String.decodeUTF8.
fn repaired(raw: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = raw;
    while let Some(chunk) = rest.utf8_chunks().next() {
        text.push_str(chunk.valid());
        rest = &rest[chunk.valid().len()..];
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            let length = match rest {
                [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
                [0xed, 0xa0..=0xbf, ..] => 2,
                _ => chunk.invalid().len(),
            };
            rest = &rest[length..];
        }
    }
    text
}

impl Wire for ByteString {
    const MIN: usize = 4;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        Option::<Self>::read(from)?.ok_or(DecodeError::new(Problem::Null))
    }
    fn write(&self, to: &mut Vec<u8>) {
        write_str(self, to);
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    const MIN: usize = 4;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        let count = i32::read(from)?;
        if count == -1 {
            return Ok(None);
        }
        let most = from.len() / T::MIN.max(1);
        let count = usize::try_from(count)
            .ok()
            .filter(|&count| count <= most)
            .ok_or(DecodeError::new(Problem::Length(count)))?;
        (0..count)
            .map(|at| T::read(from).map_err(|e| e.within(&at.to_string())))
            .collect::<Result<_, _>>()
            .map(Some)
    }
    fn write(&self, to: &mut Vec<u8>) {
        let Some(items) = self else { return (-1i32).write(to) };
        write_len(items.len(), to);
        items.iter().for_each(|item| item.write(to));
    }
}

impl<T: Wire> Wire for Vec<T> {
    const MIN: usize = 4;
    fn read(from: &mut Bytes) -> Result<Self, DecodeError> {
        Option::<Self>::read(from)?.ok_or(DecodeError::new(Problem::Null))
    }
    fn write(&self, to: &mut Vec<u8>) {
        write_len(self.len(), to);
        self.iter().for_each(|item| item.write(to));
    }
}

fn write_len(len: usize, to: &mut Vec<u8>) {
    i32::try_from(len).expect("what a server answers is far below 2 GiB").write(to);
}

/// A buffer that may be null.
pub fn write_nullable(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    let Some(bytes) = bytes else { return (-1i32).write(to) };
    write_len(bytes.len(), to);
    to.extend_from_slice(bytes);
}

/// A string that is not null.
pub fn write_str(text: &str, to: &mut Vec<u8>) {
    write_nullable(Some(text.as_bytes()), to);
}

/// Writes one frame: a length of 4 bytes, then what `body` appends.
pub fn frame(to: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    to.extend_from_slice(&[0; 4]);
    body(to);
    let len = u32::try_from(to.len() - at - 4).expect("a frame is far below 4 GiB");
    to[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro declares public records")]
mod tests {
    use super::*;

    record! {
        /// Every kind of field.
        pub struct Sample {
            pub number: i32,
            pub long: i64,
            pub flag: bool,
            pub data: Option<Bytes>,
            pub text: ByteString,
            pub list: Vec<ByteString>,
            pub maybe: Option<Vec<i32>>,
        }
    }

    fn sample() -> Sample {
        Sample {
            number: -2,
            long: 1 << 40,
            flag: true,
            data: Some(Bytes::from_static(b"\0\xff")),
            text: "/a".into(),
            list: vec!["x".into(), "".into()],
            maybe: None,
        }
    }

    #[test]
    fn records_read_back_and_leave_what_follows() {
        let mut bytes = Vec::new();
        sample().write(&mut bytes);
        bytes.extend_from_slice(b"rest");
        let mut from = Bytes::from(bytes);
        assert_eq!(Sample::read(&mut from), Ok(sample()));
        assert_eq!(&from[..], b"rest");
    }

    #[test]
    fn every_prefix_is_refused_and_names_its_field() {
        let mut bytes = Vec::new();
        sample().write(&mut bytes);
        for cut in 0..bytes.len() {
            let error = Sample::read(&mut Bytes::copy_from_slice(&bytes[..cut])).unwrap_err();
            assert!(!error.field.is_empty(), "cut at {cut}: {error}");
        }
        let error = Sample::read(&mut Bytes::copy_from_slice(&bytes[..14])).unwrap_err();
        assert_eq!(error.to_string(), "data: cut short: 4 bytes needed, 1 left");
    }

    #[test]
    fn w0_lengths_are_checked_before_memory_is_taken() {
        for (length, problem) in [
            (-2, Problem::Length(-2)),
            (i32::MIN, Problem::Length(i32::MIN)),
            (i32::MAX, Problem::Short { needed: i32::MAX as usize, left: 0 }),
        ] {
            let read = Option::<Bytes>::read(&mut Bytes::copy_from_slice(&length.to_be_bytes()));
            assert_eq!(read, Err(DecodeError::new(problem)));
        }
        for count in [-2, 1, i32::MAX] {
            let read = Vec::<ByteString>::read(&mut Bytes::copy_from_slice(&count.to_be_bytes()));
            assert_eq!(read.unwrap_err().problem, Problem::Length(count));
        }
    }

    #[test]
    fn null_and_empty_differ_and_bad_utf8_is_replaced() {
        let mut null = Bytes::from_static(&[255; 4]);
        assert_eq!(Option::<Bytes>::read(&mut null), Ok(None));
        assert_eq!(Option::<Bytes>::read(&mut Bytes::from_static(&[0; 4])), Ok(Some(Bytes::new())));
        assert_eq!(ByteString::read(&mut Bytes::from_static(&[255; 4])).unwrap_err().problem, Problem::Null);
        for (raw, text) in [
            (&b"/\xff"[..], "/\u{fffd}"),
            (b"/\xff\xfe", "/\u{fffd}\u{fffd}"),
            (b"/\xc3", "/\u{fffd}"),
            (b"/\xed\xa0\x80/a", "/\u{fffd}/a"), // a surrogate
            (b"\xed\xbf\xbf\xed\xa0", "\u{fffd}\u{fffd}"),
            (b"\xed\xa0/", "\u{fffd}/"),
            (b"\xed/\xed", "\u{fffd}/\u{fffd}"),
            (b"\xf0\x9f\x98/\xf0\x9f\x98\x80", "\u{fffd}/\u{1f600}"),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            let mut bytes = Vec::new();
            write_nullable(Some(raw), &mut bytes);
            assert_eq!(ByteString::read(&mut bytes.into()).unwrap(), text, "{raw:x?}");
        }
    }
}
