//! A small disk of its own for a server: an ext4 file system in a file, mounted by a loop device.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What fills it.
const BALLAST: &str = "ballast";

/// A mounted disk; dropping it unmounts and forgets everything.
#[derive(Debug)]
pub struct LoopDisk {
    home: TempDir,
}

impl LoopDisk {
    /// Mounts an empty one with so many MiB below the temporary directory.
    ///
    /// # Errors
    /// Needs root, `mkfs.ext4` and a free loop device; says what is missing.
    pub fn mount(mib: u64) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("loop-disk-").tempdir()?;
        let disk = Self { home };
        let image = disk.home.path().join("image");
        File::create(&image)?.set_len(mib << 20)?;
        std::fs::create_dir(disk.path())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path()))?;
        Ok(disk)
    }

    /// Its root.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// Leaves no byte free.
    ///
    /// # Errors
    /// Another than that there is no space.
    pub fn fill(&self) -> io::Result<()> {
        let mut ballast = File::create(self.path().join(BALLAST))?;
        for block in [1 << 20, 1 << 12] {
            let bytes = vec![0; block];
            loop {
                match ballast.write_all(&bytes).and_then(|()| ballast.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    ///
    /// # Errors
    /// What removing the file returns.
    pub fn free(&self) -> io::Result<()> {
        std::fs::remove_file(self.path().join(BALLAST))
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it is about to be killed.
        if let Err(error) = run(Command::new("umount").arg("-l").arg(self.path())) {
            eprintln!("{error}");
        }
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output =
        command.output().map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn write(to: &Path) -> io::Result<()> {
        let mut file = File::create(to.join("file"))?;
        file.write_all(&[1; 64 << 10])?;
        file.sync_all()
    }

    #[test]
    fn a_disk_is_full_until_it_is_freed_and_gone_with_its_handle() {
        let disk = LoopDisk::mount(16).unwrap();
        let root = disk.path();
        write(&root).unwrap();
        disk.fill().unwrap();
        std::fs::remove_file(root.join("file")).unwrap();
        write(&root).expect("what was freed is free");
        let more = File::create(root.join("more")).and_then(|mut file| {
            file.write_all(&[1; 64 << 10])?;
            file.sync_all()
        });
        assert_eq!(more.unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.free().unwrap();
        write(&root).unwrap();
        drop(disk);
        assert!(!root.exists());
    }
}
