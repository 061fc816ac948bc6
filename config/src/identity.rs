//! Which member this is: by a flag or a variable, by `dataDir/myid`, else by the host's name.
//!
//! - CI1  A flag, a variable and `myid` say the same id, or the node does not start: two members with one id would
//!   be counted as one.
//!
//! Source: compat: QuorumPeerConfig.java, setupMyId.

use std::path::Path;

use config::ValueKind;

use crate::error::{ConfigError, Findings, NoteKind, Origin};
use crate::kind::integer;
use crate::layers::{Layer, Merged};
use crate::machine::Machine;

/// The highest id: a session id has one byte for it.
const MAX_ID: i64 = 255;

/// Sets `server_id`, if nobody wrote it and it can be known.
pub(crate) fn identity(
    machine: &dyn Machine,
    data_dir: &Path,
    merged: &Merged,
    layer: &mut Layer,
    findings: &mut Findings,
) {
    let written = merged.number("server_id");
    match (written, my_id(machine, data_dir, findings)) {
        (Some(other), Some((id, at))) if other != id => findings.error(ConfigError::Conflict {
            at: merged.at("server_id"),
            why: format!("this server's id is {other} here and {id} in {at}: only one can be its own"),
        }),
        (Some(_), _) => {}
        (None, Some((id, at))) => layer.put("server_id", ValueKind::I64(id), at),
        (None, None) => of_host(machine, merged, layer, findings),
    }
}

/// The first line of `dataDir/myid`.
fn my_id(machine: &dyn Machine, data_dir: &Path, findings: &mut Findings) -> Option<(i64, Origin)> {
    let path = data_dir.join("myid");
    let text = String::from_utf8(machine.read(&path).ok()?).ok()?;
    let line = text.lines().next().unwrap_or("").trim().to_owned();
    let at = Origin::File { path, line: 1 };
    if let Some(id) = integer(&line).filter(|id| (0..=MAX_ID).contains(id)) {
        return Some((id, at));
    }
    let expected = format!("a whole number from 0 to {MAX_ID}");
    findings.error(ConfigError::BadValue { at, key: "myid".to_owned(), value: line, expected });
    None
}

/// The number that ends the first part of the host's name (`zk-2`, `zk-2.zk.example.org`), and the offset, if one
/// is set.
fn of_host(machine: &dyn Machine, merged: &Merged, layer: &mut Layer, findings: &mut Findings) {
    let Some(offset) = merged.number("server_id_offset") else { return };
    let name = machine.host_name().unwrap_or_default();
    let label = name.split('.').next().unwrap_or("");
    let number = &label[label.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
    let id = number.parse::<i64>().ok().and_then(|number| number.checked_add(offset));
    match id.filter(|id| *id <= MAX_ID) {
        Some(id) => {
            layer.put(
                "server_id",
                ValueKind::I64(id),
                Origin::Derived("server_id_offset and the host's name"),
            );
        }
        None => {
            let effect = format!(
                "makes no id of the host's name, {name:?}: its first part must end in a number that is, with {offset} \
                 added, at most {MAX_ID}"
            );
            let at = merged.at("server_id_offset");
            findings.note(NoteKind::Warning, "server_id_offset", &at, effect);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;

    use crate::{Config, Loaded, Sources};

    use super::*;

    /// A machine of this name whose `myid` is this.
    struct Host(&'static str, Option<&'static str>);

    impl Machine for Host {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            let is_there = self.1.filter(|_| path.ends_with("myid"));
            is_there.map(|text| text.as_bytes().to_vec()).ok_or(io::ErrorKind::NotFound.into())
        }

        fn look_up(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn host_name(&self) -> io::Result<String> {
            Ok(self.0.to_owned())
        }
    }

    fn load(host: &Host, flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load_on(host, Sources { file: None, like_file: false, env: [], flags })
    }

    fn id(host: &Host, flags: &[(&str, &str)]) -> (Option<u64>, String) {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = Config::load_on(host, Sources { file: None, like_file: false, env: [], flags })
            .expect("nothing contradicts");
        let notes: Vec<_> = loaded.notes.iter().map(ToString::to_string).collect();
        (loaded.config.server_id.map(|id| id.0), notes.join("\n"))
    }

    #[test]
    fn the_host_s_name_gives_the_id_where_an_offset_is_set_and_nothing_else_does() {
        let offset = |offset| [("server_id_offset", offset)];
        for (name, by, expected) in [
            ("zk-0", "1", Some(1)),
            ("zk-12.zk.example.org", "0", Some(12)),
            ("zookeeper3", "100", Some(103)),
            ("17", "1", Some(18)),
            ("zk-253", "1", Some(254)),
            ("zk-255", "1", None),
            ("zk-99999999999999999999", "1", None),
            ("zk.0", "1", None),
            ("café", "1", None),
            ("", "1", None),
        ] {
            let (found, notes) = id(&Host(name, None), &offset(by));
            assert_eq!(found, expected, "{name} with {by}");
            assert_eq!(notes.contains("makes no id of the host's name"), expected.is_none(), "{notes}");
        }
        assert_eq!(id(&Host("zk-0", None), &[]), (None, String::new()), "only who asks for it");
        assert_eq!(id(&Host("zk-0", Some("7")), &offset("1")), (Some(7), String::new()));
        let given = [("server_id_offset", "1"), ("server_id", "9")];
        assert_eq!(id(&Host("zk-0", None), &given), (Some(9), String::new()));
    }

    #[test]
    fn ci1_what_is_written_in_two_places_is_the_same() {
        let host = Host("zk-0", Some("7"));
        assert_eq!(id(&host, &[("server_id", "7")]).0, Some(7));
        let refused = load(&host, &[("server_id", "8")]).expect_err("two ids").to_string();
        assert!(refused.contains("id is 8 here and 7 in") && refused.contains("myid:1"), "{refused}");
    }
}
