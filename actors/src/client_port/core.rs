//! Decides where clients are listened to (CP1, CP2, CP4).

use std::net::{IpAddr, SocketAddr};

use paddock_config::members::{HostPort, Server};
use paddock_messages::ids::ServerId;

use super::Remark;
use crate::membership::Joint;
use crate::quorum::Quorum;

/// Where a configuration has clients come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The server's line says it.
    Line(HostPort),
    /// The line does not, and the server's file has a port besides it.
    File(SocketAddr),
    /// Neither does.
    Nowhere,
}

impl Place {
    /// By this line of the server's, and what its file has besides its line.
    pub fn of(own: &Server, file: Option<SocketAddr>) -> Self {
        let of_file = || file.map_or(Self::Nowhere, Self::File);
        own.client.clone().map_or_else(of_file, Self::Line)
    }
}

/// Whether who listens at one of them listens at the other: what stands for all addresses does so of both families.
pub fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() && other.ip().is_unspecified();
    one.port() == other.port() && (is_any || one.ip() == other.ip())
}

/// Whether they are two, and cannot both be listened at.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && is_any && !is_same(one, other)
}

/// What the shell must do, in this order. What it finds is told before anything else is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Find out which address that is, beside all else.
    LookUp {
        /// To be told with what is found.
        attempt: u64,
        /// A name.
        at: HostPort,
    },
    /// Find out whether this is an address of this machine's, without its port.
    Check(SocketAddr),
    /// Listen there.
    Open(SocketAddr),
    /// Listen there no more.
    Close(SocketAddr),
    /// Tell operators.
    Say(Remark),
}

/// One server's.
#[derive(Clone, Debug)]
pub struct ClientPort {
    me: ServerId,
    /// What the file has besides the server's own line.
    file: Option<SocketAddr>,
    /// Of the configuration that is followed.
    version: u64,
    wanted: Place,
    open: Option<SocketAddr>,
    /// Closed for the sake of what is wanted, which then could not be had, and not opened again yet.
    lost: Option<SocketAddr>,
    step: Step,
    attempt: u64,
    /// What was said of it last.
    said: Option<Remark>,
}

/// How far the present attempt has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// What is wanted is so.
    Settled,
    /// There has been none, or it has failed.
    Waits,
    LooksUp,
    Checks(SocketAddr),
    Opens,
    /// The one that was lost; with why what is wanted cannot be had.
    Reopens(String),
}

impl ClientPort {
    /// Of a server whose file has `file` besides the server's own line. As it starts it goes by a configuration of this
    /// version, which has clients come to `wanted`; it listens at `open`, which is that if `is_there`.
    pub fn new(
        (me, file): (ServerId, Option<SocketAddr>),
        (version, wanted): (u64, Place),
        (open, is_there): (Option<SocketAddr>, bool),
    ) -> Self {
        let step = if is_there { Step::Settled } else { Step::Waits };
        Self { me, file, version, wanted, open, lost: None, step, attempt: 0, said: None }
    }

    /// Where it listens.
    pub fn open(&self) -> Option<SocketAddr> {
        self.open
    }

    /// These decide now.
    pub fn go_by<Q: Quorum>(&mut self, by: &Joint<Q>, out: &mut Vec<Output>) {
        let members = &by.now().members;
        // What a reconfig on its way replaces may itself be known from that alone.
        if by.next().is_some() || members.version <= self.version {
            return; // CP1
        }
        self.version = members.version;
        let wanted = members.servers.get(&self.me).map(|own| Place::of(own, self.file));
        if let Some(wanted) = wanted.filter(|wanted| *wanted != self.wanted) {
            (self.wanted, self.said) = (wanted, None);
            self.begin(out);
        }
    }

    /// Some time has passed: what could not be had may be free (CP4).
    pub fn on_time(&mut self, out: &mut Vec<Output>) {
        if self.step == Step::Waits {
            self.begin(out);
        }
    }

    /// The name leads there, or why it leads nowhere.
    pub fn on_looked_up(&mut self, attempt: u64, found: Result<SocketAddr, String>, out: &mut Vec<Output>) {
        if attempt != self.attempt || self.step != Step::LooksUp {
            return; // another configuration has come meanwhile
        }
        match found {
            Ok(at) => self.go_to(at, out),
            Err(why) => self.wait(why, out),
        }
    }

    /// The address is this machine's, or why it is not.
    pub fn on_checked(&mut self, found: Result<(), String>, out: &mut Vec<Output>) {
        let Step::Checks(at) = self.step else { return };
        match found {
            Ok(()) => self.give_way(at, out),
            Err(why) => self.wait(why, out),
        }
    }

    /// It is listened there, with the port that there is; or why not.
    pub fn on_opened(&mut self, opened: Result<SocketAddr, String>, out: &mut Vec<Output>) {
        match (std::mem::replace(&mut self.step, Step::Waits), opened) {
            (Step::Opens, Ok(at)) => {
                let old = self.open.replace(at);
                out.extend(old.map(Output::Close)); // CP2
                let before = old.or(self.lost.take());
                (self.step, self.said, self.lost) = (Step::Settled, None, None);
                out.push(Output::Say(Remark::Listens { at, before }));
            }
            (Step::Opens, Err(why)) => match self.lost {
                Some(back) => {
                    self.step = Step::Reopens(why);
                    out.push(Output::Open(back));
                }
                None => self.wait(why, out),
            },
            (Step::Reopens(why), Ok(back)) => {
                (self.open, self.lost) = (Some(back), None);
                self.wait(why, out);
            }
            (Step::Reopens(why), Err(_)) => self.wait(why, out),
            (step, _) => self.step = step,
        }
    }

    /// The server stops: nothing is opened any more.
    pub fn stop(&mut self, out: &mut Vec<Output>) {
        out.extend(self.open.take().map(Output::Close));
        (self.version, self.step) = (u64::MAX, Step::Settled);
    }

    fn begin(&mut self, out: &mut Vec<Output>) {
        self.attempt += 1;
        match self.wanted.clone() {
            Place::Line(at) => match at.host.parse::<IpAddr>() {
                Ok(ip) => self.go_to((ip, at.port).into(), out),
                Err(_) => {
                    self.step = Step::LooksUp;
                    out.push(Output::LookUp { attempt: self.attempt, at });
                }
            },
            Place::File(at) => self.go_to(at, out),
            Place::Nowhere => {
                (self.step, self.lost) = (Step::Settled, None);
                out.extend(self.open.take().map(Output::Close));
                out.push(Output::Say(Remark::Closed));
            }
        }
    }

    fn go_to(&mut self, at: SocketAddr, out: &mut Vec<Output>) {
        match self.open {
            Some(open) if is_same(open, at) => self.step = Step::Settled,
            Some(open) if collide(open, at) && at.ip().is_unspecified() => self.give_way(at, out),
            Some(open) if collide(open, at) => {
                self.step = Step::Checks(at);
                out.push(Output::Check(at));
            }
            _ => {
                self.step = Step::Opens;
                out.push(Output::Open(at));
            }
        }
    }

    /// The old address is closed for a new one, as both cannot be open (CP2).
    fn give_way(&mut self, at: SocketAddr, out: &mut Vec<Output>) {
        self.lost = self.open.take();
        out.extend(self.lost.map(Output::Close));
        self.step = Step::Opens;
        out.push(Output::Open(at));
    }

    fn wait(&mut self, why: String, out: &mut Vec<Output>) {
        let wanted = match &self.wanted {
            Place::Line(at) => at.to_string(),
            Place::File(at) => at.to_string(),
            Place::Nowhere => return, // nothing is tried then
        };
        self.step = Step::Waits;
        let remark = Remark::CannotYet { wanted, why, listens_at: self.open };
        if self.said.as_ref() != Some(&remark) {
            self.said = Some(remark.clone());
            out.push(Output::Say(remark)); // CP4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::Majority;
    use paddock_config::Members;

    const ME: ServerId = ServerId(1);

    /// A server, with what of the machine is not its own.
    struct World {
        core: ClientPort,
        taken: Vec<SocketAddr>,
        others: Vec<IpAddr>,
        open: Vec<SocketAddr>,
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Its line in a configuration; none without.
    fn by(version: u64, client: Option<&str>) -> Joint<Majority> {
        let own = client.map(|it| format!("server.1=a:1:2;{it}\n")).unwrap_or_default();
        let members = Members::read(&format!("{own}server.2=b:1:2;9\n")).unwrap();
        let voters = Majority(members.voters());
        Joint::of(Members { version, ..members }, voters)
    }

    impl World {
        /// Whose file has `file` besides its line, and which listens where its first configuration has it.
        fn new(file: Option<&str>, first: &str) -> Self {
            let (file, open) = (file.map(at), at(first));
            let line = HostPort { host: open.ip().to_string(), port: open.port() };
            let wanted = if file.is_some() { Place::File(open) } else { Place::Line(line) };
            let core = ClientPort::new((ME, file), (0, wanted), (Some(open), true));
            Self { core, taken: Vec::new(), others: Vec::new(), open: vec![open] }
        }

        /// Does what is put out, as a machine would, and says it in short.
        fn perform(&mut self, out: &mut Vec<Output>) -> String {
            let mut done = Vec::new();
            while !out.is_empty() {
                for output in std::mem::take(out) {
                    match output {
                        Output::LookUp { attempt, at } => done.push(format!("look up {at} #{attempt}")),
                        Output::Check(at) => {
                            done.push(format!("check {}", at.ip()));
                            let is_others = self.others.contains(&at.ip());
                            let found = if is_others { Err("not ours".into()) } else { Ok(()) };
                            self.core.on_checked(found, out);
                        }
                        Output::Open(at) => {
                            done.push(format!("open {at}"));
                            let clash = |it: &&SocketAddr| collide(**it, at) || is_same(**it, at);
                            assert_eq!(self.open.iter().find(clash), None, "CP2: it could not work");
                            let found = if self.others.contains(&at.ip()) {
                                Err("not ours".into())
                            } else if self.taken.contains(&at) {
                                Err("taken".into())
                            } else {
                                self.open.push(at);
                                Ok(at)
                            };
                            self.core.on_opened(found, out);
                        }
                        Output::Close(at) => {
                            done.push(format!("close {at}"));
                            self.open.retain(|it| *it != at);
                        }
                        Output::Say(Remark::Listens { .. }) => done.push("listens".into()),
                        Output::Say(Remark::Closed) => done.push("closed".into()),
                        Output::Say(Remark::CannotYet { why, listens_at, .. }) => {
                            let at = listens_at.map_or("nowhere".into(), |at| at.to_string());
                            done.push(format!("{why}, at {at}"));
                        }
                    }
                }
            }
            assert_eq!(self.open, self.core.open().into_iter().collect::<Vec<_>>());
            done.join(", ")
        }

        fn configured(&mut self, version: u64, client: Option<&str>) -> String {
            self.decide(&by(version, client))
        }

        fn decide(&mut self, by: &Joint<Majority>) -> String {
            let mut out = Vec::new();
            self.core.go_by(by, &mut out);
            self.perform(&mut out)
        }

        fn later(&mut self) -> String {
            let mut out = Vec::new();
            self.core.on_time(&mut out);
            self.perform(&mut out)
        }

        fn looked_up(&mut self, attempt: u64, found: Result<&str, &str>) -> String {
            let mut out = Vec::new();
            self.core.on_looked_up(attempt, found.map(at).map_err(str::to_owned), &mut out);
            self.perform(&mut out)
        }
    }

    #[test]
    fn cp1_only_what_is_committed_and_newer_is_followed() {
        let mut world = World::new(None, "0.0.0.0:1");
        let mut on_its_way = by(5, Some("2"));
        on_its_way.begin(Members { version: 7, ..by(7, Some("3")).now().members.clone() });
        assert_eq!(world.decide(&on_its_way), "", "neither what may come nor what is known from that alone");
        on_its_way.settle();
        assert_eq!(world.decide(&on_its_way), "open 0.0.0.0:3, close 0.0.0.0:1, listens");
        assert_eq!(world.decide(&on_its_way), "", "said again");
        assert_eq!(world.configured(5, Some("2")), "", "it was before");
        assert_eq!(world.configured(8, None), "", "who is removed keeps its port");
        assert_eq!(world.configured(9, Some("3")), "", "and is back at it");
        assert_eq!(world.configured(10, Some("4")), "open 0.0.0.0:4, close 0.0.0.0:3, listens");
        let mut out = Vec::new();
        world.core.stop(&mut out);
        assert_eq!(world.perform(&mut out), "close 0.0.0.0:4");
        assert_eq!(world.configured(11, Some("5")), "", "it stops");
    }

    #[test]
    fn cp2_the_old_address_is_left_behind_the_new_one_or_before_it_where_both_cannot_be() {
        for (old, new, taken, others, expected) in [
            ("0.0.0.0:1", "2", "", "", "open 0.0.0.0:2, close 0.0.0.0:1, listens"),
            ("127.0.0.1:1", "127.0.0.2:1", "", "", "open 127.0.0.2:1, close 127.0.0.1:1, listens"),
            ("0.0.0.0:1", "2", "0.0.0.0:2", "", "open 0.0.0.0:2, taken, at 0.0.0.0:1"),
            // All addresses of both families, by whichever name.
            ("0.0.0.0:1", "[::]:1", "", "", ""),
            ("[::]:1", "1", "", "", ""),
            (
                "0.0.0.0:1",
                "127.0.0.1:1",
                "",
                "",
                "check 127.0.0.1, close 0.0.0.0:1, open 127.0.0.1:1, listens",
            ),
            ("127.0.0.1:1", "1", "", "", "close 127.0.0.1:1, open 0.0.0.0:1, listens"),
            ("[::]:1", "127.0.0.1:1", "", "127.0.0.1", "check 127.0.0.1, not ours, at [::]:1"),
            (
                "127.0.0.1:1",
                "1",
                "0.0.0.0:1",
                "",
                "close 127.0.0.1:1, open 0.0.0.0:1, open 127.0.0.1:1, taken, at 127.0.0.1:1",
            ),
        ] {
            let mut world = World::new(None, old);
            world.taken.extend((!taken.is_empty()).then(|| at(taken)));
            world.others.extend(others.parse::<IpAddr>().ok());
            assert_eq!(world.configured(1, Some(new)), expected, "{old} {new}");
        }
    }

    #[test]
    fn cp2_an_old_address_that_another_has_taken_meanwhile_is_tried_again_too() {
        let mut world = World::new(None, "127.0.0.1:1");
        world.taken = vec![at("0.0.0.0:1"), at("127.0.0.1:1")];
        let all = "open 0.0.0.0:1, open 127.0.0.1:1";
        let first = world.configured(1, Some("1"));
        assert_eq!(first, format!("close 127.0.0.1:1, {all}, taken, at nowhere"));
        assert_eq!(world.later(), all, "it was said");
        world.taken.pop();
        assert_eq!(world.later(), format!("{all}, taken, at 127.0.0.1:1"), "that is news");
        world.taken.clear();
        assert_eq!(world.later(), "close 127.0.0.1:1, open 0.0.0.0:1, listens");
        assert_eq!(world.later(), "");
    }

    #[test]
    fn cp4_what_cannot_be_had_is_tried_until_it_can_be_or_another_configuration_comes() {
        let mut world = World::new(None, "0.0.0.0:1");
        world.taken.push(at("0.0.0.0:2"));
        assert_eq!(world.configured(1, Some("2")), "open 0.0.0.0:2, taken, at 0.0.0.0:1");
        assert_eq!(world.configured(2, Some("2")), "", "that is no other one");
        assert_eq!((world.later(), world.later()), ("open 0.0.0.0:2".into(), "open 0.0.0.0:2".into()));
        world.others.push("0.0.0.0".parse().unwrap());
        assert_eq!(world.later(), "open 0.0.0.0:2, not ours, at 0.0.0.0:1", "another reason");
        world.others.clear();
        assert_eq!(world.configured(3, Some("1")), "", "it is where it is to be");
        assert_eq!(world.later(), "");
        assert_eq!(world.configured(4, Some("2")), "open 0.0.0.0:2, taken, at 0.0.0.0:1");
        world.taken.clear();
        assert_eq!(world.later(), "open 0.0.0.0:2, close 0.0.0.0:1, listens");
        assert_eq!(world.later(), "");
    }

    #[test]
    fn cp4_a_name_is_looked_up_at_each_attempt_and_what_comes_late_counts_no_more() {
        let mut world = World::new(None, "127.0.0.1:1");
        assert_eq!(world.configured(1, Some("here:2")), "look up here:2 #1");
        assert_eq!(world.later(), "", "it is being looked up");
        assert_eq!(world.looked_up(1, Err("no such name")), "no such name, at 127.0.0.1:1");
        assert_eq!(world.later(), "look up here:2 #2");
        assert_eq!(world.configured(2, Some("there:3")), "look up there:3 #3");
        assert_eq!(world.looked_up(2, Ok("127.0.0.1:2")), "");
        assert_eq!(world.looked_up(3, Ok("127.0.0.1:3")), "open 127.0.0.1:3, close 127.0.0.1:1, listens");
        assert_eq!(world.looked_up(3, Ok("127.0.0.1:4")), "");
        assert_eq!(world.configured(3, Some("other:3")), "look up other:3 #4");
        assert_eq!(world.looked_up(4, Ok("127.0.0.1:3")), "", "another name of the same");
    }

    #[test]
    fn cp1_a_line_without_a_client_address_leaves_what_the_file_has_besides_it_or_nothing() {
        let mut world = World::new(Some("0.0.0.0:1"), "0.0.0.0:1");
        assert_eq!(world.configured(1, Some("")), "");
        assert_eq!(world.configured(2, Some("2")), "open 0.0.0.0:2, close 0.0.0.0:1, listens");
        assert_eq!(world.configured(3, Some("")), "open 0.0.0.0:1, close 0.0.0.0:2, listens");
        let mut world = World::new(None, "0.0.0.0:1");
        assert_eq!(world.configured(1, Some("")), "close 0.0.0.0:1, closed");
        assert_eq!(world.later(), "");
        assert_eq!(world.configured(2, Some("1")), "open 0.0.0.0:1, listens");
    }

    #[test]
    fn cp4_a_start_elsewhere_than_wanted_is_an_attempt_that_has_failed() {
        let mut world = World::new(None, "0.0.0.0:1");
        let wanted = Place::Line(HostPort { host: "0.0.0.0".into(), port: 2 });
        world.core = ClientPort::new((ME, None), (7, wanted), (Some(at("0.0.0.0:1")), false));
        assert_eq!(world.configured(7, Some("3")), "", "it goes by that");
        assert_eq!(world.later(), "open 0.0.0.0:2, close 0.0.0.0:1, listens");
    }
}
