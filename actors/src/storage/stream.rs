//! Files of a [`Disk`](super::Disk) as streams, for what is written or read from end to end.

use std::io::{self, Read, Write};

use super::disk::DiskFile;

/// Writes a file from its beginning on. Not buffered: callers write blocks.
pub struct FileWriter<'a, F> {
    file: &'a F,
    at: u64,
}

impl<'a, F: DiskFile> FileWriter<'a, F> {
    /// At the file's beginning.
    pub fn new(file: &'a F) -> Self {
        Self::at(file, 0)
    }

    /// To go on at byte `at`.
    pub fn at(file: &'a F, at: u64) -> Self {
        Self { file, at }
    }

    /// The byte where it goes on.
    pub fn position(&self) -> u64 {
        self.at
    }
}

impl<F: DiskFile> Write for FileWriter<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file from its beginning on.
pub struct FileReader<F> {
    file: F,
    at: u64,
}

impl<F: DiskFile> FileReader<F> {
    /// At the file's beginning.
    pub fn new(file: F) -> Self {
        Self { file, at: 0 }
    }
}

impl<F: DiskFile> Read for FileReader<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
