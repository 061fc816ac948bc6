//! What a member knows of itself and its ensemble, for `paddock status`: as JSON, and as text.

use serde::{Deserialize, Serialize};

/// Everything, at one moment. What a member cannot know is absent, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The member that was asked.
    pub server: u64,
    /// Its build.
    pub version: String,
    /// As the word `srvr` names it: `standalone`, `leader`, `follower`, `observer`, `read-only`; or `looking`.
    pub mode: String,
    /// For how long it has been that, in seconds.
    pub mode_seconds: u64,
    /// Whether clients are served.
    pub is_serving: bool,
    /// Why not, and what is waited for.
    pub outlook: Option<String>,
    /// The epoch that is led.
    pub epoch: Option<u32>,
    /// The last txn applied here: `0x` and the number in hexadecimal.
    pub zxid: String,
    /// What all members can read, as they have agreed; none from a build that does not tell.
    pub feature_level: Option<u8>,
    /// Who leads.
    pub leader: Option<u64>,
    /// Who decides; none for a server alone.
    pub quorum: Option<QuorumStatus>,
    /// The last election; none for a server alone.
    pub election: Option<ElectionStatus>,
    /// Every member, this one included, by id.
    pub members: Vec<MemberStatus>,
}

/// The voters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumStatus {
    /// Every voter.
    pub voters: Vec<u64>,
    /// Those that are in sync and answer, the leader among them; only a leader knows.
    pub synchronised: Option<Vec<u64>>,
}

/// An election.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectionStatus {
    /// Why it was held, as this member has it.
    pub why: String,
    /// How long ago it began, in seconds.
    pub began_seconds_ago: u64,
    /// How long it took this member to find who leads, in ms; none while it goes on.
    pub took_ms: Option<u64>,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its number.
    pub server: u64,
    /// Whether it votes.
    pub is_voter: bool,
    /// `leader`, `follower`, `observer`, `looking`, or on a leader `synchronising` and `away`; none where the member that was
    /// asked cannot know.
    pub role: Option<String>,
    /// Where members reach it, as configured: `host:quorumPort:electionPort`, `|` between several; of a server alone where
    /// clients do.
    pub address: String,
    /// The version of frames spoken with it, while a lane is up.
    pub frames: Option<u8>,
    /// The lane of votes and heartbeats to it; none of the member that was asked.
    pub ctl: Option<LinkReport>,
    /// The lane of all else, wanted between a leader and its learners only.
    pub data: Option<LinkReport>,
    /// What it lacks; only a leader knows.
    pub lag: Option<LagStatus>,
}

/// A lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    /// `up`, `dialling`, `waiting` (the other side dials), `idle` (not wanted).
    pub state: String,
    /// For how long, in seconds.
    pub seconds: u64,
    /// Why the last one ended or did not come up; none while one is up.
    pub last_error: Option<String>,
}

/// What is proposed and not acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LagStatus {
    /// Txns.
    pub txns: u64,
    /// About their bytes, never less.
    pub bytes: u64,
}

/// What stands where a member cannot know.
const UNKNOWN: &str = "-";

impl Status {
    /// For people: what holds for all, then a line a member.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "server {} (paddock {}): {} for {} s{}",
            self.server,
            self.version,
            self.mode,
            self.mode_seconds,
            if self.is_serving { "" } else { ", serving nobody" }
        )];
        lines.extend(self.outlook.clone());
        let told = |what: Option<String>| what.unwrap_or_else(|| UNKNOWN.to_owned());
        let leader = told(self.leader.map(|id| id.to_string()));
        lines.push(format!(
            "leader {leader}, epoch {}, zxid {}, feature level {}",
            told(self.epoch.map(|it| it.to_string())),
            self.zxid,
            told(self.feature_level.map(|it| it.to_string()))
        ));
        lines.extend(self.quorum.as_ref().map(QuorumStatus::line));
        lines.extend(self.election.as_ref().map(ElectionStatus::line));
        lines.push(String::new());
        lines.push(self.table());
        lines.join("\n") + "\n"
    }

    /// A line a member, below a head. What a member cannot know is a dash, and the last line says so.
    pub fn table(&self) -> String {
        let head = ["ID", "ROLE", "VOTES", "ADDRESS", "FRAMES", "LINK", "LAG", "LAST ERROR"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.members.iter().map(|member| self.row(member)));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let padded = |row: &[String; 8]| {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        let mut lines: Vec<String> = rows.iter().map(padded).collect();
        let is_blind = self.members.len() > 1 && self.mode != "leader";
        lines.extend(is_blind.then(|| match self.leader.filter(|leader| *leader != self.server) {
            Some(leader) => {
                format!(
                    "({UNKNOWN}: roles and lag of others are known to the leader: ask on server {leader})"
                )
            }
            None => format!("({UNKNOWN}: roles and lag of others are known to a leader, and there is none)"),
        }));
        lines.join("\n")
    }

    fn row(&self, member: &MemberStatus) -> [String; 8] {
        let is_self = member.server == self.server;
        let told = |what: Option<String>| what.unwrap_or_else(|| UNKNOWN.to_owned());
        let links: Vec<(&str, &LinkReport)> = [("ctl", &member.ctl), ("data", &member.data)]
            .into_iter()
            .filter_map(|(name, link)| Some((name, link.as_ref()?)))
            .filter(|(_, link)| link.state != "idle")
            .collect();
        let state = |(name, link): &(&str, &LinkReport)| match link.state.as_str() {
            "up" => format!("{name} up"),
            state => format!("{name} {state} {} s", link.seconds),
        };
        let error = links.iter().find_map(|(_, link)| link.last_error.as_deref().map(on_one_line));
        [
            member.server.to_string() + if is_self { " (here)" } else { "" },
            told(member.role.clone()),
            if member.is_voter { "yes" } else { "no" }.to_owned(),
            member.address.clone(),
            told(member.frames.map(|it| it.to_string())),
            if links.is_empty() {
                UNKNOWN.to_owned()
            } else {
                links.iter().map(state).collect::<Vec<_>>().join(", ")
            },
            told(member.lag.map(|lag| format!("{} txns, {} B", lag.txns, lag.bytes))),
            error.unwrap_or_default(),
        ]
    }
}

impl QuorumStatus {
    fn line(&self) -> String {
        let ids = |ids: &[u64]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let voters = format!("quorum of voters {}", ids(&self.voters));
        match &self.synchronised {
            Some(synchronised) => format!("{voters}; in sync: {}", ids(synchronised)),
            None => voters,
        }
    }
}

impl ElectionStatus {
    fn line(&self) -> String {
        let took = self.took_ms.map_or_else(|| "goes on".to_owned(), |ms| format!("took {ms} ms"));
        format!("last election {} s ago, {took}: {}", self.began_seconds_ago, self.why)
    }
}

/// An error's text may be of more than one line, and what a peer says must not steer a terminal.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(state: &str, last_error: Option<&str>) -> Option<LinkReport> {
        Some(LinkReport { state: state.into(), seconds: 6, last_error: last_error.map(Into::into) })
    }

    fn member(server: u64, role: Option<&str>) -> MemberStatus {
        let address = format!("10.0.0.{server}:2888:3888");
        MemberStatus {
            server,
            is_voter: true,
            role: role.map(Into::into),
            address,
            ..MemberStatus::default()
        }
    }

    fn leader() -> Status {
        let up = MemberStatus {
            frames: Some(3),
            ctl: link("up", None),
            data: link("up", None),
            lag: Some(LagStatus { txns: 2, bytes: 300 }),
            ..member(2, Some("follower"))
        };
        let away = MemberStatus {
            ctl: link("dialling", Some("it said \"no\"\nand\u{1b}[2J closed")),
            data: link("idle", None),
            ..member(3, Some("away"))
        };
        Status {
            server: 1,
            version: "0.1.0".into(),
            mode: "leader".into(),
            mode_seconds: 12,
            is_serving: true,
            outlook: None,
            epoch: Some(5),
            zxid: "0x500000007".into(),
            feature_level: Some(1),
            leader: Some(1),
            quorum: Some(QuorumStatus { voters: vec![1, 2, 3], synchronised: Some(vec![1, 2]) }),
            election: Some(ElectionStatus {
                why: "the leader does not answer".into(),
                began_seconds_ago: 13,
                took_ms: Some(25),
            }),
            members: vec![member(1, Some("leader")), up, away],
        }
    }

    #[test]
    fn a_leader_s_text_has_a_line_a_member_and_nothing_that_steers_a_terminal() {
        let expected = "\
server 1 (paddock 0.1.0): leader for 12 s
leader 1, epoch 5, zxid 0x500000007, feature level 1
quorum of voters 1, 2, 3; in sync: 1, 2
last election 13 s ago, took 25 ms: the leader does not answer

ID        ROLE      VOTES  ADDRESS             FRAMES  LINK              LAG            LAST ERROR
1 (here)  leader    yes    10.0.0.1:2888:3888  -       -                 -
2         follower  yes    10.0.0.2:2888:3888  3       ctl up, data up   2 txns, 300 B
3         away      yes    10.0.0.3:2888:3888  -       ctl dialling 6 s  -              it said \"no\" and [2J closed
";
        assert_eq!(leader().text(), expected);
    }

    #[test]
    fn what_a_member_cannot_know_is_a_dash_and_who_knows_is_named() {
        let mut status = Status { mode: "follower".into(), leader: Some(2), ..leader() };
        status.members.iter_mut().for_each(|it| it.lag = None);
        assert!(
            status
                .text()
                .ends_with("\n(-: roles and lag of others are known to the leader: ask on server 2)\n")
        );
        status.leader = None;
        assert!(status.text().contains("leader -, "), "{}", status.text());
        assert!(status.text().ends_with("known to a leader, and there is none)\n"));
    }

    #[test]
    fn a_server_alone_has_no_elections_and_one_line() {
        let alone = Status {
            mode: "standalone".into(),
            quorum: None,
            election: None,
            members: vec![member(1, Some("standalone"))],
            ..leader()
        };
        let text = alone.text();
        assert!(!text.contains("election") && !text.contains("quorum") && !text.contains("(-:"), "{text}");
        assert_eq!(
            text.lines().last().map(|it| it.starts_with("1 (here)  standalone")),
            Some(true),
            "{text}"
        );
    }
}
