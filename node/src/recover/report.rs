//! What `paddock recover` shows: to a person, and as JSON.

use std::fmt;
use std::path::Path;

use paddock_actors::recover::{Holding, Verdict};
use paddock_config::Members;
use paddock_config::members::Server;
use serde::Serialize;

/// What one server's disk holds, and what follows.
pub(super) struct Found<'a> {
    pub(super) holding: &'a Holding,
    pub(super) znodes: u32,
    pub(super) sessions: usize,
    pub(super) members: &'a Members,
    pub(super) verdict: &'a Verdict,
    pub(super) place: &'a Server,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    holding: &'a Holding,
    znodes: u32,
    sessions: usize,
    members: Vec<String>,
    unseen_voters: Vec<u64>,
    may_lose: bool,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    kind: &'static str,
    why: String,
}

impl Found<'_> {
    pub(super) fn json(&self) -> String {
        let told = Json {
            holding: self.holding,
            znodes: self.znodes,
            sessions: self.sessions,
            members: self.members.to_string().lines().map(str::to_owned).collect(),
            unseen_voters: self.verdict.unseen.iter().map(|id| id.0).collect(),
            may_lose: self.verdict.may_lose,
            refused: self
                .verdict
                .refusals
                .iter()
                .map(|it| Refused { kind: it.kind(), why: it.to_string() })
                .collect(),
        };
        serde_json::to_string(&told).expect("plain data is always JSON")
    }
}

/// For a person.
pub(super) struct Report<'a> {
    pub(super) found: Found<'a>,
    pub(super) directory: &'a Path,
    pub(super) others: &'a [Holding],
    pub(super) now_ms: i64,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, directory, others, now_ms } = self;
        let Found { holding, znodes, sessions, members, verdict, place } = found;
        writeln!(f, "{}: {}", directory.display(), held(holding, *now_ms))?;
        writeln!(f, "  {znodes} znodes, {sessions} sessions; the members, as of {:#x}:", members.version)?;
        for line in members.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
        for other in *others {
            let is_ours = other.ensemble == holding.ensemble;
            let note = if is_ours { "" } else { "; of another ensemble, so it does not count" };
            writeln!(f, "also: {}{note}", held(other, *now_ms))?;
        }
        let unseen: Vec<String> = verdict.unseen.iter().map(ToString::to_string).collect();
        let (unseen, last) = (unseen.join(", "), holding.last);
        if !unseen.is_empty() {
            writeln!(f, "not seen: the disks of {unseen}")?;
        }
        if verdict.may_lose {
            writeln!(
                f,
                "what others than those that are shown have acknowledged behind {last} is lost, and so is what \
                 another disk has behind it; nobody can tell how much that is. Clients that have seen it are turned away until their \
                 programs are started anew"
            )?;
        } else {
            writeln!(
                f,
                "without those that are shown the others were no quorum: nothing that was acknowledged is lost"
            )?;
        }
        for refusal in &verdict.refusals {
            writeln!(f, "refused: {refusal}")?;
        }
        writeln!(
            f,
            "it would go on as an ensemble of one, server.{}={place}, with all that it has logged, under another ensemble id. The \
             other members must never run again on what they hold: they would be a second history",
            holding.server
        )
    }
}

/// One disk, in a line.
fn held(holding: &Holding, now_ms: i64) -> String {
    let Holding { server, current_epoch, accepted_epoch, last, last_ms, committed, .. } = holding;
    let ensemble = holding.ensemble.as_deref().unwrap_or("none");
    let age =
        last_ms.map_or_else(String::new, |ms| format!(", numbered {} ago", ago((now_ms - ms).max(0) / 1000)));
    let incomplete = if holding.is_incomplete { "; a part of its log is lost" } else { "" };
    let differs = if holding.tree_differs { "; its tree was found to differ from a quorum's" } else { "" };
    format!(
        "server {server} of ensemble {ensemble}, epoch {current_epoch} (accepted {accepted_epoch}), through txn {last}{age}; known to \
         be committed: {committed}{incomplete}{differs}"
    )
}

/// Seconds, in the two largest units.
fn ago(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_the_two_largest_units() {
        for (seconds, told) in
            [(0, "0 s"), (119, "119 s"), (125, "2 min 5 s"), (7_260, "2 h 1 min"), (180_000, "2 d 2 h")]
        {
            assert_eq!(ago(seconds), told);
        }
    }
}
