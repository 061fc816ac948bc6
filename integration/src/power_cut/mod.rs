//! A disk whose power can be cut: a FUSE file system in memory that tells what was synced from what
//! was only written, and on [`PowerCutFs::cut`] takes back a seeded part of the latter.
//!
//! A killed process loses nothing that it has written, since the kernel still has it; only this shows
//! whether a server acknowledges before it syncs. What holds, for every seed:
//! - PC1  What was synced before a cut reads back exactly.
//! - PC2  An unsynced sector (512 bytes) reads back as one of the contents it had since its last sync,
//!   never torn; the length of a file lies between the synced and the written one; a truncation
//!   happened whole or not at all.
//! - PC3  Unsynced creations, removals and renames survive as a prefix of their order, each whole.
//! - PC4  From the cut to [`PowerCutFs::power_on`] every operation fails with EIO, and a handle
//!   opened before it fails for ever: nothing reaches the disk after its power has gone.
//! - PC5  The same operations and the same seed leave the same bytes.
//!
//! A write through `O_DSYNC` or `O_SYNC` is synced when it returns. `O_DIRECT` alone is not: it
//! passes by the page cache, not by the disk's own. Files are opened for direct I/O, so that every
//! `write` arrives here at once and in order, and nothing stale is cached across a cut.
//! Mounting needs root and `/dev/fuse`, but neither libfuse nor `fusermount`.

mod directory;
mod file;
mod filesystem;
mod image;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, MountOption};
use tempfile::TempDir;

use filesystem::Mounted;
use image::Image;

/// When an entry of a directory is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirDurability {
    /// Once that directory itself is synced: all that POSIX promises.
    #[default]
    OwnSync,
    /// Once anything is synced: one journal holds all changes in order, as on ext4.
    Journalled,
}

/// How the disk behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// When a directory's entries are durable.
    pub directories: DirDurability,
    /// Space in bytes, allocated by 4096; `None` is without limit.
    pub capacity: Option<u64>,
    /// How long each sync takes. Other operations wait meanwhile: the disk does one thing at a time.
    pub sync_delay: Duration,
}

/// What has happened since mounting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `fsync`, `fdatasync` (of files and directories) and synchronous writes that took effect.
    pub syncs: u64,
    /// `write`s that took effect.
    pub writes: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Unsynced sectors that cuts have taken back.
    pub sectors_dropped: u64,
    /// Unsynced changes of directories that cuts have taken back.
    pub dir_changes_dropped: u64,
}

/// A mounted disk; dropping it unmounts and forgets everything.
pub struct PowerCutFs {
    disk: Arc<Disk>,
    session: Option<BackgroundSession>,
    mount_point: TempDir,
}

/// What the handle and the file system's thread share.
struct Disk {
    image: Mutex<Image>,
    /// Signalled when the power goes off.
    off: Condvar,
    /// Whether the disk answers no sync, and what is signalled when it does again.
    held: Mutex<bool>,
    released: Condvar,
    /// What a sync takes.
    sync_delay: Mutex<Duration>,
}

impl Disk {
    fn image(&self) -> MutexGuard<'_, Image> {
        self.image.lock().expect("no holder of the image panics and is survived")
    }
}

impl PowerCutFs {
    /// Mounts an empty disk below the temporary directory.
    ///
    /// # Errors
    /// What opening `/dev/fuse` and `mount(2)` return: `NotFound` without FUSE in the kernel,
    /// `PermissionDenied` without root.
    pub fn mount(options: Options) -> io::Result<Self> {
        let mount_point = tempfile::Builder::new().prefix("power-cut-").tempdir()?;
        let sync_delay = Mutex::new(options.sync_delay);
        let disk = Arc::new(Disk {
            image: Mutex::new(Image::new(options)),
            off: Condvar::new(),
            held: Mutex::default(),
            released: Condvar::new(),
            sync_delay,
        });
        let mounted = Mounted::new(disk.clone());
        let flags = [MountOption::FSName("power_cut".to_owned()), MountOption::NoAtime];
        let session = fuser::spawn_mount2(mounted, mount_point.path(), &flags)?;
        Ok(Self { disk, session: Some(session), mount_point })
    }

    /// The root of the mounted disk.
    pub fn path(&self) -> &Path {
        self.mount_point.path()
    }

    /// Cuts the power now and draws from `seed` what of the unsynced data survives. Kill whoever uses
    /// the disk (before or after: PC4), then call [`Self::power_on`].
    pub fn cut(&self, seed: u64) {
        self.disk.image().cut(seed);
        self.disk.off.notify_all();
    }

    /// Cuts the power by itself when the `nth` sync from now arrives (1 is the next one), before that
    /// sync has any effect: the moment at which a server that answers too early is caught.
    pub fn cut_at_sync(&self, nth: u64, seed: u64) {
        self.disk.image().cut_at_sync(nth, seed);
    }

    /// Waits until the power is off. False if that took longer than `limit`.
    pub fn wait_until_off(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut image = self.disk.image();
        while !image.is_off() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            image = self.disk.off.wait_timeout(image, left).expect("see Disk::image").0;
        }
        true
    }

    /// The power is back: what survived can be opened again.
    pub fn power_on(&self) {
        self.disk.image().power_on();
    }

    /// Changes the space there is, in bytes; less than is used refuses further allocation only.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.image().set_capacity(bytes);
    }

    /// Refuses every change with EROFS from now on, or no longer.
    pub fn set_read_only(&self, read_only: bool) {
        self.disk.image().set_read_only(read_only);
    }

    /// Makes the `nth` sync from now (1 is the next one), once, fail with EIO without effect.
    pub fn fail_sync(&self, nth: u64) {
        self.disk.image().fail_sync(nth);
    }

    /// Makes each sync from now on take so long.
    pub fn set_sync_delay(&self, delay: Duration) {
        *self.disk.sync_delay.lock().expect("no holder panics") = delay;
    }

    /// Answers no sync from now on, nor anything behind one; or does so again.
    pub fn hold_syncs(&self, hold: bool) {
        *self.disk.held.lock().expect("no holder panics") = hold;
        self.disk.released.notify_all();
    }

    /// Space in use, in bytes.
    pub fn used(&self) -> u64 {
        self.disk.image().used()
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.disk.image().counters()
    }
}

impl Drop for PowerCutFs {
    fn drop(&mut self) {
        self.hold_syncs(false);
        drop(self.session.take());
        detach(self.mount_point.path().to_owned());
    }
}

/// Unmounts also if something still uses the disk (then `umount(2)` was busy); else does nothing.
fn detach(mount_point: PathBuf) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if mounts.lines().any(|line| line.split(' ').nth(1) == mount_point.to_str()) {
        let _ = std::process::Command::new("umount").arg("-l").arg(mount_point).status();
    }
}
