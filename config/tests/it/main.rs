//! Configurations as operators write them, from the outside.

mod files;
mod keys;
mod layers;
mod refusals;
mod report;

use std::path::PathBuf;

use paddock_config::{Config, ConfigError, Loaded, Sources};
use tempfile::TempDir;

/// A directory with a configuration in it.
pub(crate) struct Case {
    pub(crate) dir: TempDir,
    file: Option<PathBuf>,
    env: Vec<(String, String)>,
    flags: Vec<(String, String)>,
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Case {
    /// No file.
    pub(crate) fn bare() -> Self {
        Self { dir: TempDir::new().expect("a directory"), file: None, env: vec![], flags: vec![] }
    }

    /// A file of this name; `DIR` in it is the directory.
    pub(crate) fn file(name: &str, text: &str) -> Self {
        let mut case = Self::bare();
        case.file = Some(case.write(name, text));
        case
    }

    /// `zoo.cfg` with a data directory in its first line and these lines after it.
    pub(crate) fn zoo(lines: &str) -> Self {
        Self::file("zoo.cfg", &format!("dataDir=DIR\n{lines}"))
    }

    /// One file more, and where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let dir = self.dir.path().to_str().expect("a name in UTF-8");
        std::fs::write(&path, text.replace("DIR", dir)).expect("a new directory takes a file");
        path
    }

    pub(crate) fn env(mut self, env: &[(&str, &str)]) -> Self {
        self.env = owned(env);
        self
    }

    pub(crate) fn flags(mut self, flags: &[(&str, &str)]) -> Self {
        self.flags = owned(flags);
        self
    }

    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        let (env, flags) = (self.env.clone(), self.flags.clone());
        Config::load(Sources { file: self.file.clone(), like_file: false, env, flags })
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("refused:\n{error}"))
    }

    /// The error, with the directory's name left out.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let error = match self.load() {
            Ok(loaded) => panic!("accepted:\n{}", loaded.report()),
            Err(error) => error.to_string(),
        };
        self.relative(&error)
    }

    pub(crate) fn relative(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }

    /// Each remark as a line, with the directory's name left out.
    #[track_caller]
    pub(crate) fn notes(&self) -> Vec<String> {
        self.ok().notes.iter().map(|note| self.relative(&note.to_string())).collect()
    }
}

/// The effective value of a setting, and its origin with the directory's name left out.
pub(crate) fn told(case: &Case, loaded: &Loaded, name: &str) -> (String, String) {
    let effective = loaded.origins.iter().find(|effective| effective.name == name);
    let effective = effective.unwrap_or_else(|| panic!("no setting {name}"));
    let value = effective.value.clone().unwrap_or_else(|| "none".to_owned());
    (value, case.relative(&effective.origin.to_string()))
}
