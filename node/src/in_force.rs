//! Which configuration is true at a start: the file's, or the one that the log has put in force.
//!
//! Until the first committed reconfig it is the file's: members change with the files and a restart. From the first
//! committed reconfig on it is the log's, and the file is where it began: that it names others, or has this server's clients
//! come elsewhere, is told, not followed. But a file that has this very server at another peer address than all others know
//! is a mistake that would cost a member: it does not start. Nor does one whose file says `reconfigEnabled=false`, and so
//! that the file is to count, and has others vote: those who went by it would be a quorum of fewer beside the one that the
//! log has.

use paddock_config::members::{Members, Server};
use paddock_config::{Config, PeerAddress};
use paddock_messages::ids::ServerId;

use crate::open::StartError;

/// The configuration that the log has put in force, if it is to be gone by.
pub(crate) fn in_force(
    config: &Config,
    me: ServerId,
    logged: Option<Members>,
) -> Result<Option<Members>, StartError> {
    let Some(logged) = logged.filter(|_| config.is_distributed()) else { return Ok(None) };
    let version = logged.version;
    if config.ensemble.reconfig == Some(false) && !logged.decide_like(&config.members) {
        let known = logged.to_string().trim_end().replace('\n', ", ");
        return Err(StartError::OtherVoters { known, version });
    }
    if let (Some(file), Some(known)) = (config.members.servers.get(&me), logged.servers.get(&me))
        && is_elsewhere(file, known)
    {
        let text = |server: &Server| server.to_string();
        return Err(StartError::OtherAddress { me, file: text(file), known: text(known), version });
    }
    let file = &config.members;
    if file.servers.is_empty() && logged.servers.len() > 1 {
        tracing::warn!(
            members = %logged.to_string().trim_end().replace('\n', ", "),
            "the file names no members, the log does, and is gone by; write the server.N lines of all into the file, and the \
             number of this one into myid: without its data this server would begin a history of its own"
        );
    }
    if !file.servers.is_empty() && (logged.servers != file.servers || logged.groups != file.groups) {
        tracing::warn!(
            version = format_args!("{version:x}"), members = %logged.to_string().trim_end().replace('\n', ", "),
            "the file names other members than the configuration that a reconfig has put in force, which is gone by; have \
             the file say the same (paddock member list has it), or the members be others (paddock member add, remove, promote, \
             demote, move)"
        );
    }
    Ok(Some(logged))
}

/// Whether a server's own line has it at other peer addresses than the others know; one that listens everywhere may be at any.
pub(crate) fn is_elsewhere(file: &Server, known: &Server) -> bool {
    let sorted = |server: &Server| {
        let mut all = server.addresses.clone();
        all.sort();
        all
    };
    !file.addresses.iter().any(PeerAddress::is_unspecified) && sorted(file) != sorted(known)
}

#[cfg(test)]
mod tests {
    use paddock_config::Sources;

    use super::*;

    const FILE: &str = "server.1=a:1:2;2181\nserver.2=b:1:2;2181\nserver.3=c:1:2;2181\n";

    /// Of server 1, whose log says this: how many members are gone by, none for the file's.
    fn gone_by(more: &str, logged: Option<&str>) -> Result<Option<usize>, i32> {
        let dir = tempfile::tempdir().expect("writable");
        let file = dir.path().join("zoo.cfg");
        let text = format!(
            "dataDir={}\nclientPort=2181\ninitLimit=5\nsyncLimit=5\n{FILE}{more}\n",
            dir.path().display()
        );
        std::fs::write(&file, text).expect("writable");
        std::fs::write(dir.path().join("myid"), "1").expect("writable");
        let sources =
            Sources { file: Some(file), like_file: false, env: [], flags: [] as [(String, String); 0] };
        let config = Config::load(sources).expect("a good configuration").config;
        let logged = logged.map(|text| Members { version: 7, ..Members::read(text).expect("members") });
        match in_force(&config, ServerId(1), logged) {
            Ok(members) => Ok(members.map(|it| it.servers.len())),
            Err(refused) => {
                let text = refused.to_string();
                let says = if matches!(refused, StartError::OtherVoters { .. }) {
                    ["version 7", "server.3=c:1:2:participant"]
                } else {
                    ["has a:1:9:participant", "(paddock member move 1 'a:1:2:participant;0.0.0.0:2181')"]
                };
                assert!(says.iter().all(|it| text.contains(it)), "{text}");
                Err(refused.exit_code() as i32)
            }
        }
    }

    #[test]
    fn the_file_is_true_until_a_reconfig_is_committed_and_the_log_from_then_on() {
        let four = format!("{FILE}server.4=d:1:2;2181\n");
        let without_us = FILE.split_once('\n').expect("lines").1;
        let moved = FILE.replace("a:1:2", "a:1:9");
        let observing = FILE.replace("b:1:2", "b:1:2:observer");
        let client_moved = FILE.replacen("2181", "2182", 1);
        for (more, logged, expected) in [
            ("", None, Ok(None)),
            ("", Some(FILE), Ok(Some(3))),
            ("", Some(&*four), Ok(Some(4))),
            ("", Some(without_us), Ok(Some(2))), // being absent is no disagreement
            ("", Some(&*client_moved), Ok(Some(3))),
            ("", Some(&*moved), Err(2)),
            ("0.0.0.0", Some(FILE), Ok(Some(3))), // one that listens everywhere
            ("reconfigEnabled=true", Some(&*four), Ok(Some(4))),
            ("reconfigEnabled=true", Some(&*moved), Err(2)),
            ("reconfigEnabled=false", None, Ok(None)),
            ("reconfigEnabled=false", Some(FILE), Ok(Some(3))),
            ("reconfigEnabled=false", Some(&*client_moved), Ok(Some(3))),
            ("reconfigEnabled=false", Some(&*moved), Err(2)),
            ("reconfigEnabled=false", Some(&*four), Err(2)),
            ("reconfigEnabled=false", Some(&*observing), Err(2)),
        ] {
            assert_eq!(gone_by(more, logged), expected, "{more} {logged:?}");
        }
    }
}
