//! What the kernel asks, handed to the [`Image`](super::image::Image); decides nothing itself.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::consts::FOPEN_DIRECT_IO;
use fuser::{
    FileAttr, FileType, Filesystem, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
};
use rustix::fs::{FileType as FileKind, OFlags};
use rustix::io::Errno;

use super::Disk;
use super::directory::Node;
use super::file::{CHUNK, SECTOR};
use super::image::Image;

/// Nothing is cached by the kernel: after a cut the next look must come here.
const NO_CACHE: Duration = Duration::ZERO;
/// `rename(2)`: fail if the new name exists. The other flags are not supported.
const RENAME_NOREPLACE: u32 = 1;
/// What `statfs` reports for a disk without limit, in bytes.
const UNLIMITED: u64 = 1 << 40;

/// The file system's side of the mount.
pub(super) struct Mounted {
    disk: Arc<Disk>,
}

impl Mounted {
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        Self { disk }
    }

    /// Waits out the delay of a sync, unlocked so that the power can go meanwhile, then syncs.
    fn sync(&self, sync: impl FnOnce(&mut Image) -> Result<(), Errno>) -> Result<(), Errno> {
        let armed = self.disk.image().before_sync();
        self.disk.off.notify_all(); // it may have cut the power
        armed?;
        let delay = *self.disk.sync_delay.lock().expect("no holder panics");
        std::thread::sleep(delay); // a disk's latency is what is being modelled
        let held = self.disk.held.lock().expect("no holder panics");
        drop(self.disk.released.wait_while(held, |held| *held).expect("no holder panics"));
        sync(&mut self.disk.image())
    }
}

fn attributes(image: &Image, ino: u64) -> Result<FileAttr, Errno> {
    let inode = image.inode(ino)?;
    let (kind, size, allocated) = match &inode.node {
        Node::File { data, .. } => (FileType::RegularFile, data.size(), data.allocated()),
        Node::Dir { .. } => (FileType::Directory, 0, 0),
    };
    Ok(FileAttr {
        ino,
        size,
        blocks: allocated / SECTOR as u64,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: inode.mode,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: CHUNK as u32,
        flags: 0,
    })
}

fn reply_entry(reply: ReplyEntry, image: &Image, ino: Result<u64, Errno>) {
    match ino.and_then(|ino| attributes(image, ino)) {
        Ok(attributes) => reply.entry(&NO_CACHE, &attributes, 0),
        Err(errno) => reply.error(errno.raw_os_error()),
    }
}

fn reply_attr(reply: ReplyAttr, attributes: Result<FileAttr, Errno>) {
    match attributes {
        Ok(attributes) => reply.attr(&NO_CACHE, &attributes),
        Err(errno) => reply.error(errno.raw_os_error()),
    }
}

fn reply_empty(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno.raw_os_error()),
    }
}

/// True if each write through a handle with these open flags is to be synced at once.
fn synchronous(flags: i32) -> bool {
    OFlags::from_bits_retain(flags.cast_unsigned()).intersects(OFlags::DSYNC | OFlags::SYNC)
}

fn permissions(mode: u32, umask: u32) -> u16 {
    (mode & !umask & 0o7777) as u16
}

impl Filesystem for Mounted {
    fn lookup(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEntry) {
        let image = self.disk.image();
        reply_entry(reply, &image, image.lookup(parent, name));
    }

    fn getattr(&mut self, _: &Request<'_>, ino: u64, _: Option<u64>, reply: ReplyAttr) {
        reply_attr(reply, attributes(&self.disk.image(), ino));
    }

    fn setattr(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<u64>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<u32>,
        reply: ReplyAttr,
    ) {
        let mut image = self.disk.image();
        let set_size = size.map_or(Ok(()), |size| image.set_size(ino, handle, size));
        let set =
            set_size.and_then(|()| mode.map_or(Ok(()), |mode| image.set_mode(ino, permissions(mode, 0))));
        reply_attr(reply, set.and_then(|()| attributes(&image, ino)));
    }

    fn mknod(
        &mut self,
        _: &Request<'_>,
        parent: u64,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        if FileKind::from_raw_mode(mode) != FileKind::RegularFile {
            return reply.error(Errno::PERM.raw_os_error()); // as of a file system without sockets and the like
        }
        let mut image = self.disk.image();
        let ino = image.create(parent, name, permissions(mode, umask), false);
        reply_entry(reply, &image, ino);
    }

    fn mkdir(
        &mut self,
        _: &Request<'_>,
        parent: u64,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let mut image = self.disk.image();
        let ino = image.create(parent, name, permissions(mode, umask), true);
        reply_entry(reply, &image, ino);
    }

    fn unlink(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(reply, self.disk.image().remove(parent, name, false));
    }

    fn rmdir(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEmpty) {
        reply_empty(reply, self.disk.image().remove(parent, name, true));
    }

    fn rename(
        &mut self,
        _: &Request<'_>,
        parent: u64,
        name: &OsStr,
        new_parent: u64,
        new_name: &OsStr,
        flags: u32,
        reply: ReplyEmpty,
    ) {
        if flags & !RENAME_NOREPLACE != 0 {
            return reply.error(Errno::INVAL.raw_os_error());
        }
        let keep = flags & RENAME_NOREPLACE != 0;
        reply_empty(reply, self.disk.image().rename((parent, name), (new_parent, new_name), keep));
    }

    fn open(&mut self, _: &Request<'_>, ino: u64, _: i32, reply: ReplyOpen) {
        match self.disk.image().open(ino) {
            Ok(handle) => reply.opened(handle, FOPEN_DIRECT_IO),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn create(
        &mut self,
        _: &Request<'_>,
        parent: u64,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut image = self.disk.image();
        let ino = image.create(parent, name, permissions(mode, umask), false);
        let opened =
            ino.and_then(|ino| image.open(ino)).and_then(|handle| Ok((handle, attributes(&image, ino?)?)));
        match opened {
            Ok((handle, attributes)) => reply.created(&NO_CACHE, &attributes, 0, handle, FOPEN_DIRECT_IO),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        handle: u64,
        offset: i64,
        size: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyData,
    ) {
        match self.disk.image().read(ino, handle) {
            Ok(file) => reply.data(&file.read(offset.cast_unsigned(), size as usize)),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        handle: u64,
        offset: i64,
        data: &[u8],
        _: u32,
        flags: i32,
        _: Option<u64>,
        reply: ReplyWrite,
    ) {
        let mut result = self.disk.image().write(ino, handle, offset.cast_unsigned(), data);
        if synchronous(flags) {
            result = result.and_then(|()| self.sync(|image| image.sync_file(ino, handle)));
        }
        match result {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno.raw_os_error()),
        }
    }

    /// `close(2)` makes nothing durable.
    fn flush(&mut self, _: &Request<'_>, _: u64, _: u64, _: u64, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        handle: u64,
        _: i32,
        _: Option<u64>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.disk.image().close(ino, handle);
        reply.ok();
    }

    fn fsync(&mut self, _: &Request<'_>, ino: u64, handle: u64, _: bool, reply: ReplyEmpty) {
        reply_empty(reply, self.sync(|image| image.sync_file(ino, handle)));
    }

    fn fsyncdir(&mut self, _: &Request<'_>, ino: u64, _: u64, _: bool, reply: ReplyEmpty) {
        reply_empty(reply, self.sync(|image| image.sync_dir(ino)));
    }

    fn readdir(&mut self, _: &Request<'_>, ino: u64, _: u64, offset: i64, mut reply: ReplyDirectory) {
        let image = self.disk.image();
        let (parent, entries) = match image.list(ino) {
            Ok(listed) => listed,
            Err(errno) => return reply.error(errno.raw_os_error()),
        };
        let dots = [(OsStr::new("."), ino), (OsStr::new(".."), parent)];
        let all = dots.into_iter().chain(entries.iter().map(|(name, ino)| (name.as_os_str(), *ino)));
        for (next, (name, ino)) in (1_i64..).zip(all).skip(offset.cast_unsigned() as usize) {
            let kind = attributes(&image, ino).map_or(FileType::RegularFile, |found| found.kind);
            if reply.add(ino, next, kind, name) {
                break; // the buffer is full; the kernel asks again from `next`
            }
        }
        reply.ok();
    }

    fn statfs(&mut self, _: &Request<'_>, _: u64, reply: ReplyStatfs) {
        let image = self.disk.image();
        let total = image.capacity().unwrap_or(UNLIMITED);
        let free = total.saturating_sub(image.used()) / CHUNK as u64;
        reply.statfs(total / CHUNK as u64, free, free, 1 << 20, 1 << 20, CHUNK as u32, 255, CHUNK as u32);
    }

    /// Reserving is refused, as many file systems do; the caller has to write zeros.
    fn fallocate(&mut self, _: &Request<'_>, _: u64, _: u64, _: i64, _: i64, _: i32, reply: ReplyEmpty) {
        reply.error(Errno::OPNOTSUPP.raw_os_error());
    }

    fn access(&mut self, _: &Request<'_>, _: u64, _: i32, reply: ReplyEmpty) {
        reply.ok();
    }
}
