//! `paddock member add`, `remove`, `promote`, `demote` and `move`: orders to whichever member runs on the data directory.

use std::path::Path;
use std::time::{Duration, Instant};

use paddock_actors::admin::members::{ChangeOrder, Configuration};
use paddock_config::members::Server;
use paddock_config::{Members, PeerType};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ServerId;

use super::plan;
use crate::admin::{self, AskError};
use crate::args::{MemberAdd, MemberMove, MemberOne, MemberPromote};
use crate::status;

const MEMBERS: &str = "/api/members";
/// A member tells its configuration at once.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// A member says what came of a change before this.
const CHANGED_WITHIN: Duration = Duration::from_secs(60);
/// Reading its data again is most of it.
const GROWN_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at one that is to catch up, and two lines about it.
const EVERY: Duration = Duration::from_secs(1);
/// Who lacks more bytes than this is not given a vote yet.
const CLOSE: u64 = 1 << 20;

/// What came of it: the configuration, and the same as it was told.
type Told = (Members, String);

/// A vote is given.
pub(super) fn promote(args: &MemberPromote, directory: &Path) -> Result<String, AskError> {
    let id = ServerId(args.server.into());
    let (members, _) = in_force(directory)?;
    let order = plan::promote(&members, id).map_err(AskError::Pointless)?;
    let told = match (args.force, args.wait) {
        (false, 1..) => promote_in_time(id, directory, Duration::from_secs(args.wait))?,
        (force, _) => change(directory, &ChangeOrder { force, ..order })?,
    };
    Ok(text(told, args.json, &format!("server {id} votes")))
}

/// One is taken.
pub(super) fn demote(args: &MemberOne, directory: &Path) -> Result<String, AskError> {
    one(args, directory, "is an observer", plan::demote)
}

/// A member leaves.
pub(super) fn remove(args: &MemberOne, directory: &Path) -> Result<String, AskError> {
    let now = "is no member any more; it serves on, without a vote, as long as it is connected with the leader: stop it";
    one(args, directory, now, plan::remove)
}

fn one(
    args: &MemberOne,
    directory: &Path,
    now: &str,
    plan: impl FnOnce(&Members, ServerId) -> Result<ChangeOrder, String>,
) -> Result<String, AskError> {
    let id = ServerId(args.server.into());
    let (members, _) = in_force(directory)?;
    let order = plan(&members, id).map_err(AskError::Pointless)?;
    let told = change(directory, &order)?;
    Ok(text(told, args.json, &format!("server {id} {now}")))
}

/// A member is to be looked for elsewhere, by the others or by clients.
pub(super) fn relocate(args: &MemberMove, directory: &Path) -> Result<String, AskError> {
    let id = ServerId(args.server.into());
    let server = server(&args.address)?;
    let (members, _) = in_force(directory)?;
    let order = plan::relocate(&members, id, &server).map_err(AskError::Pointless)?;
    let told = change(directory, &order)?;
    let now = plan::after_move(id, members.servers.get(&id), &server, &args.address);
    Ok(text(told, args.json, &now))
}

fn server(address: &str) -> Result<Server, AskError> {
    Server::read(address).map_err(|why| AskError::Pointless(format!("{address}: must be {why}")))
}

/// A member comes, as an observer first.
pub(super) fn add(args: &MemberAdd, directory: &Path) -> Result<String, AskError> {
    let id = ServerId(args.server.into());
    let server = server(&args.address)?;
    if let Some(me) = grow(id, &server, directory)?
        && me == id
    {
        return Ok(text(in_force(directory)?, args.json, &format!("server {id} is an ensemble of one")));
    }
    let (members, told) = in_force(directory)?;
    let told = match plan::add(&members, id, &server).map_err(AskError::Pointless)? {
        Some(order) => change(directory, &order)?,
        None => (members, told),
    };
    if args.observer || server.role == PeerType::Observer {
        return Ok(text(told, args.json, &format!("server {id} is an observer")));
    }
    if args.force {
        let order = plan::promote(&told.0, id).map_err(AskError::Pointless)?;
        let told = change(directory, &ChangeOrder { force: true, ..order })?;
        return Ok(text(told, args.json, &format!("server {id} votes")));
    }
    eprintln!("server {id} is an observer: it votes as soon as it has caught up");
    let told = promote_in_time(id, directory, Duration::from_secs(args.wait))?;
    Ok(text(told, args.json, &format!("server {id} votes")))
}

/// Has a server alone, which is told, become an ensemble of one: others join nobody else.
fn grow(id: ServerId, server: &Server, directory: &Path) -> Result<Option<ServerId>, AskError> {
    let (now, json): (Configuration, _) = admin::get(directory, MEMBERS, TOLD_WITHIN)?;
    let Some(me) = now.alone.map(ServerId) else { return Ok(None) };
    let (own, _) = read((now, json))?;
    let own = if id == me { Some(server) } else { own.servers.get(&me) };
    let order = plan::grow(me, own).map_err(AskError::Pointless)?;
    change(directory, &order)?;
    eprintln!(
        "server {me} is an ensemble of one now, and begins anew in place: its clients come back by themselves"
    );
    await_member(directory)?;
    Ok(Some(me))
}

/// Until the server has begun anew, and serves.
fn await_member(directory: &Path) -> Result<(), AskError> {
    let deadline = Instant::now() + GROWN_WITHIN;
    loop {
        let status = status::look(directory);
        if status.as_ref().is_ok_and(|(status, _)| status.is_serving && status.mode != "standalone") {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = match status {
                Ok((status, _)) => format!("it is {}", status.mode),
                Err(error) => error.to_string(),
            };
            return Err(AskError::Pointless(format!(
                "the server has not begun to serve as a member within {} s: {why}: its log has the reason; once it serves, \
                 repeat this",
                GROWN_WITHIN.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn text((members, json): Told, is_json: bool, what: &str) -> String {
    if is_json { json } else { format!("{what}\nversion {:x}: {}", members.version, plan::who(&members)) }
}

/// The configuration in force, as the member knows it. One that has just begun to follow its first leader, or to lead, hears
/// its version within moments.
fn in_force(directory: &Path) -> Result<Told, AskError> {
    let deadline = Instant::now() + TOLD_WITHIN;
    loop {
        let told: (Configuration, String) = admin::get(directory, MEMBERS, TOLD_WITHIN)?;
        if let Some(me) = told.0.alone {
            return Err(AskError::Pointless(plan::alone(ServerId(me))));
        }
        let (members, json) = read(told)?;
        let has_leader = || status::look(directory).is_ok_and(|(status, _)| status.is_serving);
        if members.version > 0 || Instant::now() >= deadline || !has_leader() {
            return Ok((members, json));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn change(directory: &Path, order: &ChangeOrder) -> Result<Told, AskError> {
    read(admin::post(directory, MEMBERS, order, CHANGED_WITHIN)?)
}

fn read((told, json): (Configuration, String)) -> Result<Told, AskError> {
    let members = told.read();
    let members =
        members.ok_or_else(|| AskError::Pointless(format!("the node told no configuration: {json}")))?;
    Ok((members, json))
}

/// How far one is that is to vote.
enum Step {
    Votes(Told),
    /// Why not yet.
    Waits(String),
}

/// Gives it a vote as soon as the leader does; says what is waited for.
fn promote_in_time(id: ServerId, directory: &Path, wait: Duration) -> Result<Told, AskError> {
    let (deadline, mut said) = (Instant::now() + wait, String::new());
    loop {
        let why = match try_to_promote(id, directory)? {
            Step::Votes(told) => return Ok(told),
            Step::Waits(why) => why,
        };
        if Instant::now() >= deadline {
            return Err(AskError::Pointless(format!(
                "server {id} stays an observer, as it could not be given a vote within {} s: {why}; once it has caught up, \
                 paddock member promote {id} finishes this",
                wait.as_secs()
            )));
        }
        if why != said {
            eprintln!("waiting for server {id}: {why}");
            said = why;
        }
        std::thread::sleep(EVERY);
    }
}

/// What the leader would refuse is not asked where that is known; a member that does not lead can only ask.
fn try_to_promote(id: ServerId, directory: &Path) -> Result<Step, AskError> {
    if let Some(why) = lacks(id, directory)? {
        return Ok(Step::Waits(why));
    }
    let (members, json) = in_force(directory)?;
    match members.servers.get(&id).map(|server| server.role) {
        Some(PeerType::Participant) => return Ok(Step::Votes((members, json))), // the order before was done after all
        Some(PeerType::Observer) => {}
        None => return Err(AskError::Pointless(format!("server {id} was removed while it was waited for"))),
    }
    let order = plan::promote(&members, id).map_err(AskError::Pointless)?;
    match change(directory, &order) {
        Ok(told) => Ok(Step::Votes(told)),
        Err(AskError::Refused { status, code, error }) if passes(status, code) => Ok(Step::Waits(error)),
        Err(error) => Err(error),
    }
}

/// Whether what was refused may be done later.
fn passes(status: u16, code: Option<i32>) -> bool {
    const LATER: [ErrorCode; 5] = [
        ErrorCode::NewConfigNoQuorum,
        ErrorCode::ReconfigInProgress,
        ErrorCode::BadVersion,
        ErrorCode::NotReadOnly,
        ErrorCode::ThrottledOp,
    ];
    match code.and_then(ErrorCode::from_code) {
        Some(code) => LATER.contains(&code),
        None => status == 503,
    }
}

/// What it lacks, as far as the member that is asked knows, which is if it leads.
fn lacks(id: ServerId, directory: &Path) -> Result<Option<String>, AskError> {
    // This very member may be restarted meanwhile.
    let status = match status::look(directory) {
        Ok((status, _)) => status,
        Err(error @ (AskError::NotRunning { .. } | AskError::Silent { .. } | AskError::Broken { .. })) => {
            return Ok(Some(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    let known =
        status.members.into_iter().find(|it| it.server == id.0 && status.leader == Some(status.server));
    Ok(known.and_then(|it| match it.role.as_deref() {
        Some("away") => Some("it is not connected with the leader: start it, if it does not run".to_owned()),
        Some("synchronising") => Some("it is being synchronised".to_owned()),
        _ => it.lag.filter(|lag| lag.bytes > CLOSE).map(|lag| {
            // In MiB, so that it is not another line each second.
            format!("it lacks some {} MiB of what is written", lag.bytes >> 20)
        }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_now_is_asked_again_and_nothing_else_is() {
        for (status, code, expected) in [
            (409, Some(-13), true),
            (409, Some(-14), true),
            (409, Some(-103), true),
            (409, Some(-119), true),
            (409, Some(-127), true),
            (503, None, true),  // no leader
            (409, None, false), // a server alone
            (409, Some(-123), false),
            (409, Some(-8), false),
            (409, Some(-6), false),
            (400, None, false),
            (401, None, false),
        ] {
            assert_eq!(passes(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn a_change_is_told_in_words_or_as_it_came() {
        let lines = ["server.1=a:1:2:participant;0.0.0.0:3", "server.2=b:1:2:observer"].map(str::to_owned);
        let told = Configuration { version: "100000003".into(), members: lines.into(), alone: None };
        let json = serde_json::to_string(&told).unwrap();
        let told = read((told, json.clone())).unwrap();
        let words = text(told.clone(), false, "server 2 is an observer");
        assert_eq!(words, "server 2 is an observer\nversion 100000003: voters 1; observers 2");
        assert_eq!(text(told, true, ""), json);
        let none = Configuration { version: "x".into(), members: Vec::new(), alone: None };
        assert!(read((none, "{}".into())).unwrap_err().to_string().ends_with("no configuration: {}"));
    }
}
