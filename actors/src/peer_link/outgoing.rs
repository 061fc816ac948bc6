//! What waits to be written down one data lane, in order, bounded by its bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;
use paddock_messages::frame::{Frame, FrameWriter, WriteError};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

use super::status::SharedStatus;

/// What [`Outgoing::Stream`] brings: bytes of whole frames, or why there will be no more.
pub type Chunks = mpsc::Receiver<Result<Bytes, String>>;

/// One thing to send down a data lane.
#[derive(Debug)]
pub enum Outgoing {
    /// A packet, written in the version that was agreed.
    Frame(Box<Frame>),
    /// Whole frames, written already: a batch for many peers.
    Bytes(Bytes),
    /// Whole frames, as they become ready: taken in this place of the order until the channel ends. They do
    /// not count in the queue's bound, for the channel has its own. An error closes the lane.
    Stream(Chunks),
}

/// Why something could not be queued; the lane is to be closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("the peer takes too little: dropped to be synchronised anew ({queued} bytes wait, {limit} may)")]
    TooSlow { queued: usize, limit: usize },
    #[error("a packet cannot be written: {0}")]
    Unwritable(#[from] WriteError),
}

/// Shared bytes up to this length are copied behind the others rather than written by themselves.
const COPIED: usize = 4 << 10;
/// A buffer that has so much takes no more.
const BUFFER: usize = 64 << 10;
/// A buffer of up to this capacity is used again.
const KEPT: usize = 4 * BUFFER;
/// Buffers that one call to the system writes at most.
const MOST_SLICES: usize = 64;

/// A part of what waits.
#[derive(Debug)]
pub(super) enum Piece {
    Own(Vec<u8>),
    Shared(Bytes),
    Stream(Chunks),
}

impl Piece {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Own(bytes) => Some(bytes),
            Self::Shared(bytes) => Some(bytes),
            Self::Stream(_) => None,
        }
    }
}

/// The queue of one lane. Frames are written into it at once, so their bytes are known.
#[derive(Debug)]
pub(super) struct Queue {
    inner: RefCell<Inner>,
    ready: Notify,
    writer: FrameWriter,
    limit: usize,
    status: SharedStatus,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: VecDeque<Piece>,
    /// Queued or being written.
    bytes: usize,
    spare: Option<Vec<u8>>,
}

impl Inner {
    /// The buffer that the next small bytes go into.
    fn tail(&mut self) -> &mut Vec<u8> {
        if !matches!(self.pieces.back(), Some(Piece::Own(tail)) if tail.len() < BUFFER) {
            self.pieces.push_back(Piece::Own(self.spare.take().unwrap_or_default()));
        }
        match self.pieces.back_mut() {
            Some(Piece::Own(tail)) => tail,
            _ => unreachable!("it was pushed above"),
        }
    }

    fn push(&mut self, item: Outgoing, writer: &FrameWriter) -> Result<usize, WriteError> {
        match item {
            Outgoing::Frame(frame) => {
                let tail = self.tail();
                let before = tail.len();
                writer.write(&frame, tail)?;
                Ok(tail.len() - before)
            }
            Outgoing::Bytes(bytes) => {
                let count = bytes.len();
                match count {
                    0 => {}
                    1..=COPIED => self.tail().extend_from_slice(&bytes),
                    _ => self.pieces.push_back(Piece::Shared(bytes)),
                }
                Ok(count)
            }
            Outgoing::Stream(chunks) => {
                self.pieces.push_back(Piece::Stream(chunks));
                Ok(0)
            }
        }
    }
}

impl Queue {
    /// For frames as `writer` writes them, and up to `limit` bytes of them. What waits is counted in
    /// `status`, too.
    pub(super) fn new(writer: FrameWriter, limit: usize, status: SharedStatus) -> Self {
        Self { inner: RefCell::default(), ready: Notify::new(), writer, limit, status }
    }

    /// Queues it. What comes while nothing waits is taken whatever its size: or else a batch over the limit
    /// would never get through.
    pub(super) fn push(&self, item: Outgoing) -> Result<(), Unsendable> {
        let mut inner = self.inner.borrow_mut();
        let was_idle = inner.bytes == 0;
        let count = inner.push(item, &self.writer)?;
        inner.bytes += count;
        self.status.lock().queued_bytes += count as u64;
        self.ready.notify_one();
        match inner.bytes {
            queued if queued > self.limit && !was_idle => {
                Err(Unsendable::TooSlow { queued, limit: self.limit })
            }
            _ => Ok(()),
        }
    }

    /// Waits for something, then moves all there is into `batch`, which is empty.
    async fn take(&self, batch: &mut VecDeque<Piece>) {
        loop {
            std::mem::swap(&mut self.inner.borrow_mut().pieces, batch);
            if !batch.is_empty() {
                return;
            }
            self.ready.notified().await;
        }
    }

    fn on_written(&self, count: usize) {
        self.inner.borrow_mut().bytes -= count;
        let mut status = self.status.lock();
        status.queued_bytes -= count as u64;
        status.bytes_sent += count as u64;
    }

    /// A piece is written.
    fn recycle(&self, piece: Option<Piece>) {
        if let Some(Piece::Own(mut buffer)) = piece
            && buffer.capacity() <= KEPT
        {
            buffer.clear();
            self.inner.borrow_mut().spare = Some(buffer);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.status.lock().queued_bytes -= self.inner.get_mut().bytes as u64;
    }
}

/// Writes what `queue` gets, all there is at a time, until `to` or a stream fails; tells why.
pub(super) async fn write<W: AsyncWrite + Unpin>(mut to: W, queue: &Queue) -> String {
    let mut batch = VecDeque::new();
    loop {
        queue.take(&mut batch).await;
        if let Err(why) = write_batch(&mut to, &mut batch, queue).await {
            return why;
        }
    }
}

async fn write_batch<W>(to: &mut W, batch: &mut VecDeque<Piece>, queue: &Queue) -> Result<(), String>
where
    W: AsyncWrite + Unpin,
{
    let broken = |error: io::Error| format!("it cannot be written to: {error}");
    while !batch.is_empty() {
        write_run(to, batch, queue).await.map_err(broken)?;
        if let Some(Piece::Stream(mut chunks)) = batch.pop_front() {
            while let Some(chunk) = chunks.recv().await {
                let chunk = chunk.map_err(|why| format!("what was to be streamed down it ended: {why}"))?;
                to.write_all(&chunk).await.map_err(broken)?;
                queue.status.lock().bytes_sent += chunk.len() as u64;
            }
        }
    }
    to.flush().await.map_err(broken)
}

/// Writes the pieces before the next stream.
async fn write_run<W>(to: &mut W, batch: &mut VecDeque<Piece>, queue: &Queue) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let mut skip = 0; // bytes of the first piece that are written
    loop {
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let run = batch.iter().map_while(Piece::bytes);
        let count = slices.iter_mut().zip(run).map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count();
        let mut slices = &mut slices[..count];
        if slices.is_empty() {
            return Ok(());
        }
        IoSlice::advance_slices(&mut slices, skip);
        let written = to.write_vectored(slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        queue.on_written(written);
        skip += written;
        while let Some(length) = batch.front().and_then(Piece::bytes).map(<[u8]>::len)
            && length <= skip
        {
            skip -= length;
            queue.recycle(batch.pop_front());
        }
    }
}
