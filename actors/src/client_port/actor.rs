//! The shell: the sockets that clients connect to, on the thread that accepts.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use paddock_config::members::HostPort;
use paddock_messages::mail::{Bound, Outbox};
use socket2::SockRef;
use tokio::net::{TcpListener, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::ListensAt;
use super::core::{ClientPort, Output};
use super::remark::Remark;
use crate::admin::metrics::Meters;
use crate::client::hub::NewClient;
use crate::client::listener::{self, Room};
use crate::peer_link::letters::GoBy;
use crate::runtime::{Ctx, Fatal, Serve, Service, listening, spawn_vital};

/// Between two attempts at an address that cannot be had.
pub const TRY_EVERY: Duration = Duration::from_secs(5);
/// How long a name may take to resolve.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// One lookup is under way, and those that another configuration has overtaken.
const FOUND: Bound = Bound::Entrance(64);

/// What is behind each port.
#[derive(Clone)]
pub struct Door {
    /// Each client arbiter's hub.
    pub hubs: Vec<Outbox<NewClient>>,
    /// For how many clients there are descriptors.
    pub room: Room,
    /// Counts those whom nobody takes.
    pub meters: Arc<Meters>,
    /// Who cannot accept any more must not seem to be well.
    pub fatal: Fatal,
    /// Clients that the system keeps until they are accepted.
    pub backlog: i32,
}

/// Mail: nobody is accepted any more, the server stops.
#[derive(Clone, Copy, Debug)]
pub struct StopAccepting;

/// Mail from a lookup.
#[derive(Debug)]
pub struct LookedUp {
    attempt: u64,
    found: Result<SocketAddr, String>,
}

/// See the module.
pub struct ClientPortActor {
    core: ClientPort,
    door: Door,
    /// Open as it starts.
    first: Option<TcpListener>,
    open: BTreeMap<SocketAddr, Accepting>,
    told: ListensAt,
    out: Vec<Output>,
}

impl ClientPortActor {
    /// `first` is what the core has as open; `told` shows it from now on.
    pub fn new(core: ClientPort, first: Option<TcpListener>, door: Door, told: ListensAt) -> Self {
        told.set(core.open());
        Self { core, door, first, open: BTreeMap::new(), told, out: Vec::new() }
    }

    fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        while !self.out.is_empty() {
            for output in std::mem::take(&mut self.out) {
                match output {
                    Output::LookUp { attempt, at } => look_up(attempt, at, ctx),
                    Output::Check(at) => {
                        let claimed = listening::claim((at.ip(), 0).into());
                        let checked = claimed.map(drop).map_err(|error| error.to_string());
                        self.core.on_checked(checked, &mut self.out);
                    }
                    Output::Open(at) => {
                        let opened = self.listen(at).map_err(|error| error.to_string());
                        self.core.on_opened(opened, &mut self.out);
                    }
                    Output::Close(at) => {
                        if let Some(accepting) = self.open.remove(&at) {
                            accepting.end();
                        }
                    }
                    Output::Say(done @ Remark::Listens { .. }) => tracing::info!("{done}"),
                    Output::Say(remark) => tracing::warn!("{remark}"),
                }
            }
        }
        self.told.set(self.core.open());
    }

    fn listen(&mut self, at: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::from_std(listening::listen(at, self.door.backlog)?)?;
        let at = listener.local_addr()?;
        self.open.insert(at, Accepting::begin(listener, self.door.clone()));
        Ok(at)
    }
}

/// On another thread, as the system's resolver blocks.
fn look_up(attempt: u64, HostPort { host, port }: HostPort, ctx: &Ctx<'_, ClientPortActor>) {
    let to = ctx.outbox::<LookedUp>(FOUND);
    ctx.spawn(async move {
        let found = match timeout(RESOLVE_WITHIN, lookup_host((host.as_str(), port))).await {
            // As the address in the file is looked up.
            Ok(Ok(all)) => all.min_by_key(|at| !at.is_ipv4()).ok_or_else(|| "it has no address".to_owned()),
            Ok(Err(error)) => Err(format!("{host} cannot be looked up: {error}")),
            Err(_) => Err(format!("{host} cannot be looked up: no answer in time")),
        };
        let _ = to.post(LookedUp { attempt, found }); // if it has ended nobody waits for it
    });
}

impl Service for ClientPortActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        if let (Some(listener), Some(at)) = (self.first.take(), self.core.open()) {
            self.open.insert(at, Accepting::begin(listener, self.door.clone()));
        }
        self.look(ctx);
        ctx.every(TRY_EVERY, Self::look);
    }
}

impl ClientPortActor {
    fn look(&mut self, ctx: &mut Ctx<'_, Self>) {
        self.core.on_time(&mut self.out);
        self.perform(ctx);
    }
}

impl Serve<GoBy> for ClientPortActor {
    fn serve(&mut self, GoBy(by): GoBy, ctx: &mut Ctx<'_, Self>) {
        self.core.go_by(&by, &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<LookedUp> for ClientPortActor {
    fn serve(&mut self, LookedUp { attempt, found }: LookedUp, ctx: &mut Ctx<'_, Self>) {
        self.core.on_looked_up(attempt, found, &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<StopAccepting> for ClientPortActor {
    fn serve(&mut self, StopAccepting: StopAccepting, ctx: &mut Ctx<'_, Self>) {
        self.core.stop(&mut self.out);
        self.perform(ctx);
    }
}

/// One socket that is accepted on.
struct Accepting {
    socket: Rc<TcpListener>,
    task: AbortHandle,
}

impl Accepting {
    fn begin(listener: TcpListener, Door { hubs, room, meters, fatal, .. }: Door) -> Self {
        let socket = Rc::new(listener);
        let accepting = listener::accept(Rc::clone(&socket), hubs, room, meters);
        let accepting = async {
            accepting.await;
            std::future::pending::<()>().await; // no hub is left: the guardian says so
        };
        let task = spawn_vital(&fatal, "accepting clients".to_owned(), accepting);
        Self { socket, task }
    }

    /// Its address is free on return; whoever waits there to be accepted is refused.
    fn end(self) {
        self.task.abort();
        // The task is dropped with its half of the socket when its thread comes to that, and the address is needed now.
        if let Err(error) = SockRef::from(&*self.socket).shutdown(Shutdown::Both) {
            tracing::debug!("a client port was closed already: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use paddock_config::Members;
    use paddock_messages::ids::ServerId;

    use super::super::core::Place;
    use super::*;
    use crate::membership::Deciders;
    use crate::runtime::{Duty, Env, Inbox};

    const ME: ServerId = ServerId(1);
    const MAIL: Bound = Bound::Entrance(64);

    fn by(version: u64, client: SocketAddr) -> GoBy {
        let members = Members::read(&format!("server.1=a:1:2;{client}\n")).unwrap();
        let quorum = members.quorum();
        GoBy(Deciders::of(Members { version, ..members }, quorum))
    }

    /// A port that is free on all addresses.
    fn free() -> u16 {
        let taken = listening::listen("0.0.0.0:0".parse().unwrap(), 1).unwrap();
        taken.local_addr().unwrap().port()
    }

    async fn until(what: impl Fn() -> bool) {
        let looks = async {
            while !what() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), looks).await.expect("it comes");
    }

    #[actix_rt::test]
    async fn cp2_the_sockets_are_those_that_the_configurations_name_one_after_the_other() {
        let (env, endings) = Env::recorded(Env::real().clock);
        let first = listening::listen("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        let at = first.local_addr().unwrap();
        let wanted = Place::Line(HostPort { host: at.ip().to_string(), port: at.port() });
        let core = ClientPort::new((ME, None), (0, wanted), (Some(at), true));
        let room = Room::new(16);
        let door =
            Door { hubs: Vec::new(), room, meters: Arc::default(), fatal: env.fatal.clone(), backlog: 16 };
        let (told, inbox) = (ListensAt::default(), Inbox::new("client_port", Duty::Core, &env));
        let (go_by, stop) = (inbox.outbox::<GoBy>(MAIL), inbox.outbox::<StopAccepting>(MAIL));
        let first = TcpListener::from_std(first).unwrap();
        inbox.start_here(ClientPortActor::new(core, Some(first), door, told.clone()));
        let (port, new) = (at.port(), free());
        let mut before = at;
        for (version, host, port, by_other) in [
            (1, "0.0.0.0", port, true), // the same port, at all addresses
            (2, "127.0.0.1", port, false),
            (3, "127.0.0.1", new, false),
            (4, "0.0.0.0", new, true),
        ] {
            let next: SocketAddr = format!("{host}:{port}").parse().unwrap();
            go_by.post(by(version, next)).unwrap();
            // What stands for all addresses may show as that of the other family.
            until(|| told.get().is_some_and(|it| super::super::core::is_same(it, next))).await;
            assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "{next}");
            assert_eq!(TcpStream::connect(("127.0.0.2", port)).is_ok(), by_other, "{next}");
            let is_left = before.port() != port;
            assert_eq!(is_left, TcpStream::connect(("127.0.0.1", before.port())).is_err(), "{before}");
            before = next;
        }
        stop.post(StopAccepting).unwrap();
        until(|| told.get().is_none()).await;
        assert!(TcpStream::connect(("127.0.0.1", new)).is_err());
        assert!(endings.all().is_empty());
    }
}
