//! The bytes of one batch: a header and its records, padded to [`ALIGN`]. Pure.
//!
//! Header, little-endian: magic u32, format u16, zero u16, generation u64, number u64, first zxid u64,
//! count u32, length of the records u32, commit watermark u64, CRC of the header before u32, own CRC
//! u32. Record: length u32, CRC u32, zxid u64, payload. Every CRC is CRC32C; a header's also covers the
//! log's secret salt, so that nothing a client stores can pass for a header when recovery scans.

use paddock_messages::zxid::Zxid;

/// A batch starts at a multiple of this: the unit a disk writes whole or not at all.
pub const ALIGN: usize = 512;
/// Bytes of a batch's header.
pub const HEADER: usize = 56;
/// Bytes in front of each record's payload.
pub const RECORD_HEADER: usize = 16;

/// The most bytes that so many records appended together take in the log beyond their payload: they are in one
/// batch, padded, with an idle one behind it.
pub const fn admitted_overhead(records: u64) -> u64 {
    (2 * (ALIGN + HEADER)) as u64 + records * RECORD_HEADER as u64
}

const MAGIC: [u8; 4] = *b"PDKB";
const FORMAT: u16 = 1;
const CRC_AT: usize = HEADER - 4;

/// What a batch says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the segment it was written for.
    pub generation: u64,
    /// One more than the batch's before it.
    pub number: u64,
    /// The first record's zxid; zero without records.
    pub first: Zxid,
    /// How many records follow.
    pub count: u32,
    /// Their bytes, without padding.
    pub length: u32,
    /// Everything up to here was known to be committed when this was written.
    pub watermark: Zxid,
    /// The own CRC of the header before it.
    pub previous: u32,
}

/// Why 56 bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAHeader {
    /// Anything: zeros, records, a torn write.
    Other,
    /// Sound, but of a format this version does not know.
    Newer(u16),
}

impl Header {
    /// Its bytes, and its own CRC: the next one's `previous`.
    pub fn encode(&self, salt: u64) -> ([u8; HEADER], u32) {
        let mut out = [0; HEADER];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        out[8..16].copy_from_slice(&self.generation.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        out[32..36].copy_from_slice(&self.count.to_le_bytes());
        out[36..40].copy_from_slice(&self.length.to_le_bytes());
        out[40..48].copy_from_slice(&self.watermark.0.to_le_bytes());
        out[48..52].copy_from_slice(&self.previous.to_le_bytes());
        let crc = header_crc(&out, salt);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// The header that `bytes` begin with, and its CRC.
    pub fn decode(bytes: &[u8], salt: u64) -> Result<(Self, u32), NotAHeader> {
        let bytes: &[u8; HEADER] = bytes.first_chunk().ok_or(NotAHeader::Other)?;
        let crc = u32_at(bytes, CRC_AT);
        if bytes[..4] != MAGIC || crc != header_crc(bytes, salt) {
            return Err(NotAHeader::Other);
        }
        let format = u16::from_le_bytes([bytes[4], bytes[5]]);
        if format != FORMAT {
            return Err(NotAHeader::Newer(format));
        }
        let header = Self {
            generation: u64_at(bytes, 8),
            number: u64_at(bytes, 16),
            first: Zxid(u64_at(bytes, 24)),
            count: u32_at(bytes, 32),
            length: u32_at(bytes, 36),
            watermark: Zxid(u64_at(bytes, 40)),
            previous: u32_at(bytes, 48),
        };
        Ok((header, crc))
    }

    /// Bytes on disk, padding included.
    pub fn size(&self) -> u64 {
        padded(HEADER as u64 + u64::from(self.length))
    }
}

fn header_crc(header: &[u8; HEADER], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &header[..CRC_AT])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass a whole header"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass a whole header"))
}

/// `bytes` rounded up to the next multiple of [`ALIGN`].
pub fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGN as u64)
}

/// Records in zxid order, encoded as they will stand in the log. Meant to be cleared and used again.
#[derive(Clone, Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    count: u32,
    first: Zxid,
    last: Zxid,
}

impl Records {
    /// Adds the txn `zxid`. Panics if it does not come after the one before (S2), or if all of them
    /// would pass 4 GiB.
    pub fn push(&mut self, zxid: Zxid, payload: &[u8]) {
        self.push_written(zxid, |to| to.extend_from_slice(payload));
    }

    /// The same with a payload that `write` appends to what it is given.
    pub fn push_written(&mut self, zxid: Zxid, write: impl FnOnce(&mut Vec<u8>)) {
        assert!(zxid > self.last, "S2: {zxid} appended after {}", self.last);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER]);
        write(&mut self.bytes);
        let (head, payload) = self.bytes[at..].split_at_mut(RECORD_HEADER);
        let length = u32::try_from(payload.len()).expect("a txn is far below 4 GiB");
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..8].copy_from_slice(&record_crc(zxid, payload).to_le_bytes());
        head[8..].copy_from_slice(&zxid.0.to_le_bytes());
        if self.count == 0 {
            self.first = zxid;
        }
        self.last = zxid;
        self.count += 1;
    }

    /// Adds all of `other`, one copy, no checksum computed again. Panics as [`push`](Self::push).
    pub fn push_all(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        assert!(other.first > self.last, "S2: {} appended after {}", other.first, self.last);
        self.bytes.extend_from_slice(&other.bytes);
        if self.count == 0 {
            self.first = other.first;
        }
        self.last = other.last;
        self.count += other.count;
    }

    /// Forgets them; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.count, self.first, self.last) = (0, Zxid::ZERO, Zxid::ZERO);
    }

    /// How many.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes they take in the log.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The first zxid; zero without records.
    pub fn first(&self) -> Zxid {
        self.first
    }

    /// The last zxid; zero without records.
    pub fn last(&self) -> Zxid {
        self.last
    }

    /// Writes the whole batch, padded, in place of what `out` holds. Returns the header's CRC.
    pub fn seal(&self, at: &Place, watermark: Zxid, salt: u64, out: &mut Vec<u8>) -> u32 {
        let header = Header {
            generation: at.generation,
            number: at.number,
            first: self.first,
            count: self.count,
            length: u32::try_from(self.bytes.len()).expect("a batch is far below 4 GiB"),
            watermark,
            previous: at.previous,
        };
        let (bytes, crc) = header.encode(salt);
        out.clear();
        out.extend_from_slice(&bytes);
        out.extend_from_slice(&self.bytes);
        out.resize(header.size() as usize, 0);
        crc
    }
}

/// Where in its chain a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the segment.
    pub generation: u64,
    /// Its number.
    pub number: u64,
    /// The CRC of the header before it.
    pub previous: u32,
}

fn record_crc(zxid: Zxid, payload: &[u8]) -> u32 {
    let mut head = [0; 12];
    head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&zxid.0.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&head), payload)
}

/// The record `bytes` begin with, and the bytes it takes; `None` if it is cut short or fails its CRC.
pub fn record(bytes: &[u8]) -> Option<(Zxid, &[u8], usize)> {
    let head: &[u8; RECORD_HEADER] = bytes.first_chunk()?;
    let zxid = Zxid(u64_at(head, 8));
    let size = RECORD_HEADER.checked_add(u32_at(head, 0) as usize)?;
    let payload = bytes.get(RECORD_HEADER..size)?;
    (record_crc(zxid, payload) == u32_at(head, 4)).then_some((zxid, payload, size))
}

/// Whether `body` is exactly what `header` announces: sound records, ascending, as many, no byte more.
/// Returns the last zxid (zero without records).
pub fn check_body(header: &Header, body: &[u8]) -> Option<Zxid> {
    let mut rest = body;
    let mut last = Zxid::ZERO;
    for n in 0..header.count {
        let (zxid, _, size) = record(rest)?;
        if zxid <= last || (n == 0 && zxid != header.first) {
            return None;
        }
        last = zxid;
        rest = &rest[size..];
    }
    rest.is_empty().then_some(last)
}

/// Gives an altered header the right CRC again.
#[cfg(test)]
pub(super) fn reseal(header: &mut [u8; HEADER], salt: u64) {
    let crc = header_crc(header, salt).to_le_bytes();
    header[CRC_AT..].copy_from_slice(&crc);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x5a17;
    const AT: Place = Place { generation: 3, number: 9, previous: 0xabcd };

    fn sample(payloads: &[&[u8]]) -> Vec<u8> {
        let mut records = Records::default();
        for (n, payload) in payloads.iter().enumerate() {
            records.push(Zxid(n as u64 + 5), payload);
        }
        let mut out = Vec::new();
        records.seal(&AT, Zxid(4), SALT, &mut out);
        out
    }

    type Read = (Header, Vec<(Zxid, Vec<u8>)>);

    /// The header and the records, if the whole is sound.
    fn read(bytes: &[u8]) -> Option<Read> {
        let (header, _) = Header::decode(bytes, SALT).ok()?;
        let mut body = bytes.get(HEADER..HEADER + header.length as usize)?;
        check_body(&header, body)?;
        let mut records = Vec::new();
        while let Some((zxid, payload, size)) = record(body) {
            records.push((zxid, payload.to_vec()));
            body = &body[size..];
        }
        Some((header, records))
    }

    #[test]
    fn what_is_sealed_is_read_back() {
        let tables: [&[&[u8]]; 4] = [&[], &[b""], &[b"one", b"", b"three"], &[&[7; 2000]]];
        for payloads in tables {
            let bytes = sample(payloads);
            assert_eq!(bytes.len() % ALIGN, 0);
            let (header, records) = read(&bytes).unwrap();
            assert_eq!((header.generation, header.number, header.previous), (3, 9, 0xabcd));
            assert_eq!((header.watermark, header.count as usize), (Zxid(4), payloads.len()));
            assert_eq!(records.iter().map(|(_, payload)| &payload[..]).collect::<Vec<_>>(), payloads);
        }
    }

    #[test]
    fn no_prefix_is_taken_for_the_whole() {
        let bytes = sample(&[b"one", b"two"]);
        let used = HEADER + 2 * (RECORD_HEADER + 3);
        for cut in 0..used {
            assert_eq!(read(&bytes[..cut]), None, "{cut} bytes");
        }
        assert!(read(&bytes[..used]).is_some(), "what is left is padding");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sample(&[b"one", b"two"]);
        for bit in 0..(HEADER + 2 * (RECORD_HEADER + 3)) * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn another_salt_or_format_is_no_header_of_ours() {
        let bytes = sample(&[b"one"]);
        assert_eq!(Header::decode(&bytes, SALT + 1), Err(NotAHeader::Other));
        let mut newer: [u8; HEADER] = *bytes.first_chunk().unwrap();
        newer[4] = 2;
        reseal(&mut newer, SALT);
        assert_eq!(Header::decode(&newer, SALT), Err(NotAHeader::Newer(2)));
    }

    #[test]
    #[should_panic(expected = "S2")]
    fn s2_a_zxid_never_repeats() {
        let mut records = Records::default();
        records.push(Zxid(5), b"");
        records.push(Zxid(5), b"");
    }
}
