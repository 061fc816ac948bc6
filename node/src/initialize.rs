//! What an operator does before the first start: says who a member is, and that a history may begin with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use paddock_actors::storage::{RealDisk, is_empty};
use paddock_config::Config;

use crate::open::{MARKER, StartError};

/// Lets this empty data directory begin a new history, once: makes it if it is not there, writes `id`, if one
/// is given, into `myid`, and makes the marker, whose path is returned. All of it is durable. Doing it twice is
/// doing it once.
///
/// # Errors
/// [`StartError::NotEmpty`] if there is data; nothing was changed then. [`StartError::Directory`] if the system
/// refuses.
pub fn initialize(config: &Config, id: Option<u8>) -> Result<PathBuf, StartError> {
    let (log, data) = (config.log_dir(), config.data_dir.as_path());
    let disk = RealDisk::split(log, data)
        .map_err(|(directory, error)| StartError::Directory { directory, error })?;
    if !is_empty(&disk)? {
        return Err(StartError::NotEmpty { directory: log.to_owned() });
    }
    let put = |name: &str, text: &str| {
        put(data, name, text).map_err(|error| StartError::Directory { directory: data.to_owned(), error })
    };
    if let Some(id) = id {
        put("myid", &format!("{id}\n"))?;
    }
    put(MARKER, "")
}

fn put(directory: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = directory.join(name);
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use paddock_config::Sources;

    use super::*;

    fn config(data: &Path) -> Config {
        let flags = [
            ("data_dir", data.display().to_string()),
            ("data_log_dir", data.join("log").display().to_string()),
        ];
        let flags = flags.map(|(name, value)| (name.to_owned(), value));
        Config::load(Sources { file: None, like_file: false, env: [], flags })
            .expect("a good configuration")
            .config
    }

    #[test]
    fn an_empty_directory_is_given_an_id_and_a_marker_and_one_with_data_is_left_alone() {
        let root = tempfile::tempdir().expect("writable");
        let data = root.path().join("not/there");
        let of = |name: &str| std::fs::read_to_string(data.join(name)).ok();
        for _ in 0..2 {
            assert_eq!(initialize(&config(&data), Some(3)).expect("empty"), data.join("initialize"));
            assert_eq!((of("myid").as_deref(), of("initialize").as_deref()), (Some("3\n"), Some("")));
        }
        initialize(&config(&data), None).expect("still empty");
        assert_eq!(of("myid").as_deref(), Some("3\n"), "who it is stays");

        std::fs::remove_file(data.join("initialize")).expect("it is there");
        std::fs::write(data.join("log/history"), b"x").expect("writable");
        let refused = initialize(&config(&data), Some(4)).expect_err("there is data");
        assert!(refused.to_string().starts_with(&data.join("log").display().to_string()), "{refused}");
        assert_eq!((of("myid").as_deref(), of("initialize")), (Some("3\n"), None), "nothing was changed");
    }
}
