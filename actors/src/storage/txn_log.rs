//! Segments, the files of the log: reading their batches, and the records from a zxid on.

use std::collections::VecDeque;
use std::io;

use paddock_messages::zxid::Zxid;

use super::batch::{self, ALIGN, HEADER, Header, NotAHeader};
use super::disk::{Disk, DiskFile};
use super::history::{Chain, SegmentEntry, segment_name};

static ZERO_SECTOR: [u8; ALIGN] = [0; ALIGN];
/// Bytes read at once.
const WINDOW: usize = 256 << 10;

/// One segment, as far as it is known to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) entry: SegmentEntry,
    /// Bytes of its file that are really there: writing below needs no new space.
    pub(super) len: u64,
    /// Where its batches end.
    pub(super) end: u64,
    /// Where its last batch begins; none is `end` 0.
    pub(super) last_batch: u64,
    /// The zxids it holds; `last` is zero if none.
    pub(super) first: Zxid,
    pub(super) last: Zxid,
    /// The chain at its beginning.
    pub(super) start: Chain,
}

impl Segment {
    /// Without a batch.
    pub(super) fn empty(entry: SegmentEntry, len: u64, start: Chain) -> Self {
        Self { entry, len, end: 0, last_batch: 0, first: Zxid::ZERO, last: Zxid::ZERO, start }
    }

    /// Takes note of a batch of `size` bytes at its end.
    pub(super) fn grow(&mut self, size: u64, first: Zxid, last: Zxid) {
        self.last_batch = self.end;
        self.end += size;
        self.len = self.len.max(self.end);
        if last > Zxid::ZERO {
            self.last = last;
            if self.first == Zxid::ZERO {
                self.first = first;
            }
        }
    }

    pub(super) fn name(&self) -> String {
        segment_name(self.entry.file)
    }
}

/// Reads one segment's file through a window.
pub(super) struct BatchReader<F> {
    file: F,
    window: Vec<u8>,
    at: u64,
}

/// What stands at an offset.
pub(super) enum Found {
    /// A batch with sound records.
    Batch { header: Header, crc: u32, last: Zxid },
    /// None: zeros, the end of the file, records that are not sound, anything.
    Nothing,
    /// A header of a later version.
    Newer(u16),
}

impl<F: DiskFile> BatchReader<F> {
    pub(super) fn new(file: F) -> Self {
        Self { file, window: Vec::new(), at: 0 }
    }

    /// Up to `len` bytes at `offset`; fewer only at the end of the file.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let have = self.at + self.window.len() as u64;
        if offset < self.at || offset + len as u64 > have {
            self.window.resize(len.max(WINDOW), 0);
            let read = self.file.read_at(&mut self.window, offset)?;
            self.window.truncate(read);
            self.at = offset;
        }
        let from = (offset - self.at) as usize;
        Ok(&self.window[from..self.window.len().min(from + len)])
    }

    /// The batch at `offset`, checked whole.
    pub(super) fn batch(&mut self, offset: u64, salt: u64) -> io::Result<Found> {
        let (header, crc) = match Header::decode(self.bytes(offset, HEADER)?, salt) {
            Ok(good) => good,
            Err(NotAHeader::Newer(format)) => return Ok(Found::Newer(format)),
            Err(NotAHeader::Other) => return Ok(Found::Nothing),
        };
        if offset + header.size() > self.file.len()? {
            return Ok(Found::Nothing); // and no memory is taken for it
        }
        let length = header.length as usize;
        let body = self.bytes(offset + HEADER as u64, length)?;
        let sound = if body.len() == length { batch::check_body(&header, body) } else { None };
        Ok(sound.map_or(Found::Nothing, |last| Found::Batch { header, crc, last }))
    }

    /// Where, from `from` on in steps of 512 bytes, `wanted` finds a sound header it wants.
    pub(super) fn scan(
        &mut self,
        from: u64,
        salt: u64,
        wanted: impl Fn(&Header) -> bool,
    ) -> io::Result<Option<u64>> {
        let len = self.file.len()?;
        for offset in (from..len).step_by(ALIGN) {
            if let Ok((header, _)) = Header::decode(self.bytes(offset, HEADER)?, salt)
                && wanted(&header)
            {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The end of the last 512 bytes from `from` on that are not all zero; `from` if all are.
    pub(super) fn used_from(&mut self, from: u64) -> io::Result<u64> {
        let mut used = from;
        for offset in (from..self.file.len()?).step_by(ALIGN) {
            let sector = self.bytes(offset, ALIGN)?;
            if sector != &ZERO_SECTOR[..sector.len()] {
                used = offset + sector.len() as u64;
            }
        }
        Ok(used)
    }
}

/// The records of the log from a zxid on, as far as it was durable when the reader was made. Reads
/// lazily, and goes on when the log is purged meanwhile.
pub struct LogReader<F> {
    segments: VecDeque<(Segment, F)>,
    current: Option<(Segment, BatchReader<F>)>,
    /// In `current`: the next batch, and the next record's place in `body`.
    offset: u64,
    body: Vec<u8>,
    within: usize,
    from: Zxid,
    salt: u64,
}

impl<F: DiskFile> LogReader<F> {
    /// From the first txn whose zxid is at least `from`.
    pub(super) fn open<D: Disk<File = F>>(
        disk: &D,
        segments: impl Iterator<Item = Segment>,
        from: Zxid,
        salt: u64,
    ) -> io::Result<Self> {
        let wanted = segments.filter(|segment| segment.last >= from && segment.last > Zxid::ZERO);
        let segments =
            wanted.map(|segment| Ok((segment, disk.open(&segment.name())?))).collect::<io::Result<_>>()?;
        Ok(Self::over(segments, from, salt))
    }

    /// The same of segments whose files are open: of each up to its `end`, whatever was written behind it.
    pub(super) fn over(segments: VecDeque<(Segment, F)>, from: Zxid, salt: u64) -> Self {
        Self { segments, current: None, offset: 0, body: Vec::new(), within: 0, from, salt }
    }

    /// The next txn's zxid and payload; `None` after the last. An error names neither file nor offset
    /// only if it is the operating system's; sound bytes that no longer are give `InvalidData`.
    pub fn next_record(&mut self) -> io::Result<Option<(Zxid, &[u8])>> {
        loop {
            while self.within == self.body.len() {
                if !self.next_batch()? {
                    return Ok(None);
                }
            }
            let (zxid, _, size) = batch::record(&self.body[self.within..])
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a record of the log changed"))?;
            self.within += size;
            if zxid >= self.from {
                return Ok(Some((zxid, &self.body[self.within - size + batch::RECORD_HEADER..self.within])));
            }
        }
    }

    /// Loads the records of the next batch; false after the last.
    fn next_batch(&mut self) -> io::Result<bool> {
        loop {
            if let Some((segment, reader)) = &mut self.current
                && self.offset < segment.end
            {
                let changed = || {
                    let text = format!("{}: the batch at byte {} changed", segment.name(), self.offset);
                    io::Error::new(io::ErrorKind::InvalidData, text)
                };
                let head = reader.bytes(self.offset, HEADER)?;
                let (header, _) = Header::decode(head, self.salt).map_err(|_| changed())?;
                let body = reader.bytes(self.offset + HEADER as u64, header.length as usize)?;
                if body.len() != header.length as usize {
                    return Err(changed());
                }
                self.body.clear();
                self.body.extend_from_slice(body);
                self.within = 0;
                self.offset += header.size();
                return Ok(true);
            }
            let Some((segment, file)) = self.segments.pop_front() else { return Ok(false) };
            self.current = Some((segment, BatchReader::new(file)));
            self.offset = 0;
        }
    }
}
