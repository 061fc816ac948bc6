//! What the command line says.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use paddock_actors::runtime::ExitCode;
use paddock_config::{Config, ConfigError, Loaded, Sources};

use crate::not_yet;

/// A coordination service that speaks ZooKeeper's protocol.
#[derive(Debug, Parser)]
#[command(name = "paddock", version, about, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until it is told to stop (SIGTERM or SIGINT).
    #[command(after_help = of_serve())]
    Serve(Serve),
    /// Let the empty data directory of a member begin a new ensemble, before its first start.
    #[command(
        after_help = "Takes what serve takes. Makes the data directory and an empty file initialize in it, which counts \
                            once; --id is written into its myid. Only needed where not every voter can come, or with \
                            db.autocreate=false: run it on a quorum of the voters. Exit codes: 0 done, 2 \
                            configuration, 3 data directory; it refuses one with data, and changes nothing."
    )]
    Init(Serve),
    /// Print every effective value of a configuration, where it came from, and what is ignored and why.
    #[command(
        after_help = "Takes what serve takes, and ends with the exit code that serve would end with because of it: 0 if \
                            a node would start, as far as its data lets it; 2 if not, and stderr says why."
    )]
    CheckConfig(CheckConfig),
    /// Ask a node whether it serves: exit code 0 and one line if so, 1 and the reason if not.
    Health(Health),
    /// Tell what the member that runs on a data directory knows of itself and its ensemble.
    #[command(after_help = OF_OPERATORS)]
    Status(Status),
    /// Look at the members of the ensemble, change who they are and who votes, or have another lead.
    Member(Member),
    /// Give the damaged data of a member up, so that the ensemble gives it its own.
    #[command(after_help = OF_RESYNC)]
    Resync(Resync),
    /// Begin a new history with what one server holds, after a majority of the voters is lost for good.
    #[command(after_help = OF_RECOVER)]
    Recover(Recover),
    /// Measure any ZooKeeper server: load it, check every reply, print throughput and latencies.
    #[command(
        after_help = "Works below a znode of its own, which it removes at the end; Ctrl-C ends it early in the same \
                            good order. Exit codes: 0 measured and every reply was right, 1 a reply was wrong or a \
                            connection failed, 2 bad arguments."
    )]
    Bench(Bench),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// zoo.cfg as ZooKeeper takes it, or TOML with Paddock's names. Or, of a node alone, as ZooKeeper's server takes them:
    /// client port (on all addresses), data directory, and if need be ticks' ms and connections from one address at most.
    #[arg(value_name = "FILE | PORT DIR [TICK [MAX]]", num_args = 0..=4)]
    positional: Vec<PathBuf>,
    /// Which member of the ensemble this is, instead of a file myid in the data directory.
    #[arg(long, value_name = "N")]
    pub(crate) id: Option<u8>,
    /// Where the data is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The port for clients.
    #[arg(long, value_name = "PORT")]
    client_port: Option<u16>,
    /// A file that names the process while it runs; deleted at an end in good order (ZOOPIDFILE).
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Any other setting, by Paddock's name (see check-config).
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    settings: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    #[command(flatten)]
    pub(crate) serve: Serve,
    /// For scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The node's client port.
    #[arg(default_value = "127.0.0.1:2181", value_name = "HOST:PORT")]
    pub(crate) server: String,
    /// Succeed as soon as the process answers, even while it waits for other members.
    #[arg(long)]
    pub(crate) live: bool,
    /// How long to wait for an answer, in ms.
    #[arg(long, default_value_t = 3000, value_name = "MS")]
    pub(crate) timeout_ms: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) at: Serve,
    /// Show it anew every second, until Ctrl-C or the node has gone.
    #[arg(long)]
    pub(crate) watch: bool,
    /// For scripts: one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Member {
    #[command(subcommand)]
    pub(crate) command: MemberCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Each member: role, address, links, and on the leader how far it is behind.
    #[command(after_help = OF_OPERATORS)]
    List(MemberList),
    /// Add a server: as an observer, and as a voter once it has caught up.
    #[command(after_help = format!(
        "Start the server itself, before or after, with a file that names it and members that are there; the others' files need \
         not name it. Repeated after it was interrupted, it goes on. {}",
        of_changes()
    ))]
    Add(MemberAdd),
    /// Remove a server from the ensemble; it serves on without a vote, as long as it is connected, until you stop it.
    #[command(after_help = of_changes())]
    Remove(MemberOne),
    /// Give an observer that has caught up a vote.
    #[command(after_help = of_changes())]
    Promote(MemberPromote),
    /// Take a voter's vote: it becomes an observer. A leader hands over first.
    #[command(after_help = of_changes())]
    Demote(MemberOne),
    /// Have a server at another address, or with other ports.
    #[command(after_help = format!(
        "Order it while the server runs where it was: it serves on. Then stop it, and start it where it is to be, on its data, with \
         a file that has the new address; the others' files need not have it. One that is dead, whose data has not seen the change, \
         starts there with an empty data directory. Where only clients are to come elsewhere nothing is stopped: the server \
         listens there, and those who are connected stay. {}",
        of_changes()
    ))]
    Move(MemberMove),
    /// Have another voter lead; to be run on the leader's data directory.
    #[command(after_help = format!(
        "The leader numbers nothing more, and gives the lead up once all of it is committed and the heir has it; clients keep \
         their sessions. Ends once this member follows the next leader, and says who that is. Refused, and nothing changed, \
         where the heir has no vote, is not in sync, or lags. {OF_OPERATORS} 1 is also: refused, or another leads."
    ))]
    MoveLeader(MoveLeader),
}

#[derive(Debug, Args)]
pub(crate) struct MemberAdd {
    /// Its id, the N of server.N.
    #[arg(value_name = "ID")]
    pub(crate) server: u8,
    /// Where the others reach it, and clients do; in quotes, for the shell ends a command at a semicolon.
    #[arg(value_name = "HOST:QUORUM:ELECTION[;[HOST:]CLIENT]")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) at: Serve,
    /// Leave it an observer.
    #[arg(long)]
    pub(crate) observer: bool,
    /// Give it a vote though it is away or has not caught up; what would leave no quorum in sync is refused nevertheless, as
    /// it would never be committed.
    #[arg(long, conflicts_with_all = ["observer", "wait"])]
    pub(crate) force: bool,
    /// How long to wait until it has caught up; then it stays an observer.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) wait: u64,
    /// For scripts: the new configuration as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemberOne {
    /// Its id, the N of server.N.
    #[arg(value_name = "ID")]
    pub(crate) server: u8,
    #[command(flatten)]
    pub(crate) at: Serve,
    /// For scripts: the new configuration as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemberPromote {
    /// Its id, the N of server.N.
    #[arg(value_name = "ID")]
    pub(crate) server: u8,
    #[command(flatten)]
    pub(crate) at: Serve,
    /// How long to wait until it has caught up.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) wait: u64,
    /// Though it is away or has not caught up; what would leave no quorum in sync is refused nevertheless, as it would
    /// never be committed.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) force: bool,
    /// For scripts: the new configuration as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemberMove {
    /// Its id, the N of server.N.
    #[arg(value_name = "ID")]
    pub(crate) server: u8,
    /// Where the others are to reach it, and clients, if that changes; in quotes, for the shell ends a command at a semicolon.
    #[arg(value_name = "HOST:QUORUM:ELECTION[;[HOST:]CLIENT]")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) at: Serve,
    /// For scripts: the new configuration as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MoveLeader {
    #[command(flatten)]
    pub(crate) at: Serve,
    /// Who is to lead. Without: the voter that lacks the least.
    #[arg(long, value_name = "ID")]
    pub(crate) to: Option<u64>,
    /// For scripts: the outcome as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemberList {
    #[command(flatten)]
    pub(crate) at: Serve,
    /// For scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resync {
    #[command(flatten)]
    pub(crate) at: Serve,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Give sound data up, too.
    #[arg(long)]
    pub(crate) force: bool,
    /// For scripts: what came of it as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) at: Serve,
    /// Show what this server's disk holds, and what may be lost, and end. What a crash has left is mended, as by any start.
    #[arg(long)]
    pub(crate) look: bool,
    /// What another server holds that is left: its data directory (dataLogDir, if it has one), or a file with what --look
    /// --json has printed there. May be given several times.
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) also: Vec<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Go on where it is refused, if there is a way.
    #[arg(long)]
    pub(crate) force: bool,
    /// For scripts: what came of it as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `paddock bench` asks for, all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchOp {
    /// setData on znodes of the client's own.
    Set,
    /// getData on them.
    Get,
    /// create, a new znode each time.
    Create,
    /// delete, of znodes made beforehand (needs --requests).
    Delete,
    /// exists.
    Exists,
    /// getChildren of a znode with --znodes children.
    Children,
    /// getData for --read-percent of the requests, setData for the others.
    Mix,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// The server's client port; of an ensemble, several with commas between: clients are dealt out to them.
    #[arg(default_value = "127.0.0.1:2181", value_name = "HOST:PORT[,HOST:PORT…]")]
    pub(crate) server: String,
    /// What to ask for.
    #[arg(long, value_enum, default_value = "set")]
    pub(crate) op: BenchOp,
    /// Of a mix, how many in a hundred requests read.
    #[arg(long, default_value_t = 90, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) read_percent: u8,
    /// Sessions, each on a connection of its own.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) clients: u32,
    /// The most requests that each client has in flight.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) pipeline: u32,
    /// Bytes of data of each znode.
    #[arg(long, default_value_t = 100, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(0..=16 << 20))]
    pub(crate) value_size: u32,
    /// Znodes of each client, used in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) znodes: u32,
    /// How long to measure.
    #[arg(long, default_value_t = 10.0, value_parser = positive, conflicts_with = "requests")]
    pub(crate) seconds: f64,
    /// How long to load the server before that.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = not_negative, conflicts_with = "requests")]
    pub(crate) warmup: f64,
    /// Ends after so many requests, all clients together, instead of by time; there is no warm-up then.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    pub(crate) requests: Option<u64>,
    /// Requests a second, all clients together, sent at their time whether or not earlier ones are answered
    /// (as far as --pipeline lets them); latencies then count from that time. Without: as fast as they are answered.
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// Threads that the clients share.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// The znode to work below; the server appends a number, so that it is nobody else's.
    #[arg(long, default_value = "/paddock-bench-", value_name = "PATH")]
    pub(crate) path: String,
    /// The result as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What stands below the arguments of commands that speak with a node.
const OF_OPERATORS: &str = "Takes what serve takes, or the data directory alone, and speaks with the node that runs there over the socket \
     admin.sock in it, which is its owner's. Exit codes: 0 done, 1 no answer, 2 bad arguments or configuration.";

/// What stands below the arguments of `resync`.
const OF_RESYNC: &str = "Takes what serve takes, on a member that is stopped and does not start because its data is damaged (exit code 22); \
     run it as the user whose the data is. It says what is wrong, asks, and deletes the log and the snapshots; who the server is and \
     what it has promised to leaders stays. As it starts again it has no vote until a leader has given it everything that the \
     ensemble has: so nothing is lost, as long as a quorum of the voters has its data. Where a quorum has not, see paddock \
     recover. Exit codes: 0 done, 1 not wanted or the data is sound, else as serve.";

/// What stands below the arguments of `recover`.
const OF_RECOVER: &str = "Takes what serve takes, on the server that is to go on alone, which is stopped; run it as the user whose the data is. Look at every disk \
     that is left first, observers' too, and take the one that holds most. It shows what that holds, what others have been \
     shown to hold, and whether acknowledged writes may be lost; asks; and makes a new history: another ensemble id, an epoch \
     above all seen, this server its only member, all that it had logged. Refused while voters that are left are a quorum, \
     while another member answers, where another disk holds more. Then start this server, empty the other data \
     directories, and have them join with paddock member add. Nobody may ever start the others again on what they hold. \
     What was done is written to recover.log in the data directory. Exit codes: 0 done, 1 refused or not wanted, else as \
     serve.";

/// What stands below the arguments of commands that change who the members are.
fn of_changes() -> String {
    format!(
        "To be run on any member's data directory: the leader decides, as for ZooKeeper's reconfig, and who gets a vote must be in \
         sync with it. Refused if somebody else changes the members meanwhile, and where reconfigEnabled=false is written in \
         the files. {OF_OPERATORS} 1 is also: refused."
    )
}

/// What stands below the arguments of `serve`.
fn of_serve() -> String {
    format!(
        "Exit codes: {}. Without FILE or PORT it listens on 127.0.0.1:2181 and keeps its data under ./data.",
        exit_codes()
    )
}

/// Each with its meaning.
fn exit_codes() -> String {
    ExitCode::ALL.map(|code| format!("{} {}", code.code(), code.meaning())).join("; ")
}

impl Serve {
    /// The configuration, with all that is to be told about it.
    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        let file = match self.positional.as_slice() {
            [file] => Some(file.clone()),
            _ => None,
        };
        let like_file = self.positional.len() > 1;
        let sources = Sources { file, like_file, env: std::env::vars(), flags: self.flags() };
        let mut loaded = Config::load(sources)?;
        loaded.notes.extend(not_yet::notes(&loaded));
        Ok(loaded)
    }

    /// The data directory that `serve` would use; one that is named by itself is taken as it is.
    pub(crate) fn directory(&self) -> Result<PathBuf, ConfigError> {
        match self.positional.as_slice() {
            [directory] if directory.is_dir() => Ok(directory.clone()),
            _ => Ok(self.load()?.config.data_dir),
        }
    }

    /// The settings that flags override.
    fn flags(&self) -> Vec<(String, String)> {
        let mut flags = Vec::new();
        if self.positional.len() > 1 {
            let names = ["client_port", "data_dir", "tick_ms", "max_client_cnxns"];
            let values = self.positional.iter().map(|value| value.display().to_string());
            flags.extend(names.map(str::to_owned).into_iter().zip(values));
        }
        flags.extend(self.settings.iter().cloned());
        let data_dir = self.data_dir.as_ref().map(|dir| ("data_dir", dir.display().to_string()));
        let client_port = self.client_port.map(|port| ("client_port", port.to_string()));
        let id = self.id.map(|id| ("server_id", id.to_string()));
        let pid_file = self.pid_file.as_ref().map(|file| ("pid_file", file.display().to_string()));
        let own = data_dir.into_iter().chain(client_port).chain(id).chain(pid_file);
        flags.extend(own.map(|(name, value)| (name.to_owned(), value)));
        flags
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text)
        .and_then(|number| if number > 0.0 { Ok(number) } else { Err("more than 0 is expected".into()) })
}

/// Up to a billion, so that sums of them as nanoseconds fit.
fn not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "a number is expected")?;
    if (0.0..=1e9).contains(&number) {
        Ok(number)
    } else {
        Err("a number from 0 to 1000000000 is expected".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// On one line.
    fn flat(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn help_and_readme_tell_every_exit_code() {
        let mut command = Arguments::command();
        let serve = command.find_subcommand_mut("serve").expect("it is a command");
        let help = flat(&serve.render_long_help().to_string());
        let readme = flat(include_str!("../../README.md"));
        for code in ExitCode::ALL {
            let told = format!("{} {}", code.code(), code.meaning());
            assert!(help.contains(&told), "{told}: not in\n{help}");
        }
        assert!(readme.contains(&format!("## Exit codes {}. ", exit_codes())), "{}", exit_codes());
    }
}
