//! `memory.softLimit`: what grows is refused, everything else goes on, and room that returns is used.

use std::fs;
use std::path::{Path, PathBuf};

use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{AddWatch, MultiHeader, PathVersion, PathWatch, SetData, SetWatches};
use paddock_messages::client::xid;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::Wire;
use paddock_messages::znode::CreateMode;

use crate::field::{Field, MIB, Witness, wait_until};

const SIZE: usize = 50_000;
/// More znodes than any limit here takes.
const MANY: usize = 20_000;

/// Creates znodes until one is refused; returns how many there are.
fn fill(client: &mut RawClient) -> usize {
    let data = vec![7; SIZE];
    for n in 0..MANY {
        match client.create(&format!("/full/{n}"), &data, CreateMode::Persistent) {
            Ok(_) => {}
            Err(ClientError::Refused(ErrorCode::ThrottledOp)) => return n,
            Err(error) => panic!("after {n} znodes: {error}"),
        }
    }
    panic!("{MANY} znodes of {SIZE} bytes were taken");
}

fn code(result: Result<impl Sized, ClientError>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(ClientError::Refused(code)) => code.code(),
        Err(error) => panic!("{error}"),
    }
}

fn asked(client: &mut RawClient, opcode: OpCode, record: &impl Wire) -> i32 {
    client.call(opcode, record).unwrap().header.err
}

/// A multi of a delete or check, and perhaps a setData that grows.
fn multi(client: &mut RawClient, delete: &str, grows: bool) -> i32 {
    client.queue_raw(9_000, OpCode::Multi as i32, |to| {
        MultiHeader { kind: OpCode::Delete as i32, done: false, err: -1 }.write(to);
        PathVersion { path: delete.into(), version: -1 }.write(to);
        if grows {
            MultiHeader { kind: OpCode::SetData as i32, done: false, err: -1 }.write(to);
            SetData { path: "/small".into(), data: Some(vec![1; 100].into()), version: -1 }.write(to);
        }
        MultiHeader::END.write(to);
    });
    client.flush().unwrap();
    client.reply().unwrap().header.err
}

fn set_watches(client: &mut RawClient, count: usize) -> Result<i32, ClientError> {
    let data = (0..count).map(|n| format!("/full/{n}").into()).collect();
    let record = SetWatches { relative_zxid: client.last_zxid(), data, exist: vec![], child: vec![] };
    client.queue_raw(xid::SET_WATCHES, OpCode::SetWatches as i32, |to| record.write(to));
    client.flush()?;
    Ok(client.reply()?.header.err)
}

/// While memory is tight: what is refused, and what is not.
fn check_tight(field: &Field, client: &mut RawClient) {
    const REFUSED: i32 = ErrorCode::ThrottledOp as i32;
    let path = |n: usize| format!("/full/{n}");
    let watch = |path: String| PathWatch { path: path.into(), watch: true };
    let refused = field.refused("memory");
    for (what, got) in [
        ("create", code(client.create("/new", b"", CreateMode::Persistent))),
        ("an ephemeral", code(client.create("/new", b"", CreateMode::Ephemeral))),
        ("data that grows", code(client.set("/small", &[1; 100], -1))),
        ("a multi that grows", multi(client, &path(0), true)),
        ("exists with a watch", asked(client, OpCode::Exists, &watch(path(1)))),
        ("getData with a watch", asked(client, OpCode::GetData, &watch(path(1)))),
        ("getChildren with a watch", asked(client, OpCode::GetChildren, &watch(path(1)))),
        ("getChildren2 with a watch", asked(client, OpCode::GetChildren2, &watch(path(1)))),
        ("addWatch", asked(client, OpCode::AddWatch, &AddWatch { path: path(1).into(), mode: 1 })),
    ] {
        assert_eq!(got, REFUSED, "{what}");
    }
    assert_eq!(field.refused("memory"), refused + 9);
    for (what, got) in [
        ("getData", code(client.get(&path(1)))),
        ("exists", code(client.exists(&path(0)))),
        ("children", code(client.children("/full"))),
        ("data that shrinks", code(client.set(&path(1), b"less", -1))),
        ("data of the same length", code(client.set("/small", b"xy", -1))),
        ("no such znode", code(client.set("/none", b"x", -1)) - ErrorCode::NoNode.code()),
        ("delete", code(client.delete(&path(0), -1))),
        ("a multi that deletes", multi(client, &path(2), false)),
        ("sync", code(client.sync("/"))),
        ("ping", code(client.ping())),
        ("a new session and its end", code(field.client().close())),
    ] {
        assert_eq!(got, 0, "{what} goes on");
    }
}

#[test]
fn above_the_soft_limit_what_grows_is_refused_and_all_else_goes_on() {
    let field = Field::new("maxClientCnxns=0\njute.maxbuffer=4000000\nmemory.softLimit=100MiB");
    let mut watcher = field.client();
    let mut client = field.client();
    client.create("/full", b"", CreateMode::Persistent).unwrap();
    client.create("/small", b"ab", CreateMode::Persistent).unwrap();
    watcher.call(OpCode::GetData, &PathWatch { path: "/small".into(), watch: true }).unwrap();
    let witness = Witness::start(&field);
    let taken = fill(&mut client);
    println!("memory: {taken} znodes of {SIZE} bytes, {} MiB resident", field.resident() / MIB);
    assert!(taken * SIZE > 30 * MIB as usize, "refused too early: {taken}");
    field.wait_for_line(&["memory.softLimit is exceeded", "limit_mib=100"]);
    check_tight(&field, &mut client);
    field.wait_for_line(&["client 127.0.0.1:", "there is no memory", "memory.softLimit"]);

    // Watches that come back after a reconnect are taken, up to 5 % of the limit: 81,920 of 64 bytes. More
    // close the connection.
    let session = watcher.session().clone();
    let last = watcher.last_zxid();
    watcher.hang_up();
    wait_until("its watch's end", || field.server.log(), || field.told("watch_count") == 0);
    let mut watcher = RawClient::reattach(field.to(), &session, last).unwrap();
    assert_eq!(set_watches(&mut watcher, 1).unwrap(), 0);
    assert!(set_watches(&mut field.client(), 90_000).unwrap_err().is_disconnect(), "never a silent refusal");

    for n in 3..taken {
        client.queue_delete(&format!("/full/{n}"), -1);
    }
    client.flush().unwrap();
    (3..taken).for_each(|_| drop(client.reply().unwrap().ok().unwrap()));
    field.wait_for_line(&["memory is below memory.softLimit again"]);
    client.create("/new", b"room", CreateMode::Persistent).unwrap();
    assert_eq!(field.lines_with("memory.softLimit is exceeded"), 1, "told once");
    witness.stop("memory");
}

/// A memory cgroup of our own, gone when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// With this limit, in either version; `None` where none can be made.
    fn new(limit: u64) -> Option<Self> {
        let name = format!("paddock-test-{}", std::process::id());
        for (top, file) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let cgroup = Self(Path::new(top).join(&name));
            if fs::create_dir(&cgroup.0).is_ok() && fs::write(cgroup.0.join(file), limit.to_string()).is_ok()
            {
                return Some(cgroup);
            }
        }
        None
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0); // empty once the server is gone
    }
}

/// What [`ALLOWED`] comes to where nobody sets `memory.softLimit`.
const DEFAULT_PERCENT: u64 = 80;
const ALLOWED: u64 = 200 * MIB;

/// Fills a server that stands at the limit of [`ALLOWED`]: it must refuse in time, and live.
fn check_stays_below(field: &Field) {
    field.wait_for_line(&["memory.softLimit", "mib=160"]);
    let mut client = field.client();
    client.create("/full", b"", CreateMode::Persistent).unwrap();
    let witness = Witness::start(field);
    let taken = fill(&mut client);
    println!(
        "met: 200 MiB of memory: {taken} znodes of {SIZE} bytes, {} MiB resident",
        field.resident() / MIB
    );
    client.get("/full/0").unwrap();
    client.delete("/full/0", -1).unwrap();
    for _ in 0..200 {
        assert_eq!(
            code(client.create("/full/more", &[7; SIZE], CreateMode::Persistent)),
            ErrorCode::ThrottledOp.code()
        );
    }
    let most = witness.stop("cgroup");
    assert!((140 * MIB..ALLOWED).contains(&most), "{} MiB", most / MIB);
}

/// A cgroup only decides the default: where none can be made, the limit that it would come to is set, and
/// the output says that the rest is skipped, which counts as not passed.
#[test]
fn in_a_memory_cgroup_the_default_limit_keeps_the_node_alive() {
    let lines = "maxClientCnxns=0\njute.maxbuffer=4000000";
    let Some(cgroup) = Cgroup::new(ALLOWED) else {
        println!("\nskipped: no memory cgroup can be made here: memory.softLimit=160MiB was set instead");
        return check_stays_below(&Field::new(&format!("{lines}\nmemory.softLimit=160MiB")));
    };
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", cgroup.0.display());
    let field = Field::under(lines, &["sh", "-c", &enter]);
    check_stays_below(&field);
    drop(field); // before its cgroup
}

/// Without a cgroup of its own the default is a share of the machine's memory, or of a cgroup's around.
#[test]
fn the_default_limit_is_a_share_of_the_memory_there_is() {
    let all = paddock_actors::memory::machine::available().unwrap();
    let field = Field::new("");
    field.wait_for_line(&["memory.softLimit", &format!("mib={}", (all / 100 * DEFAULT_PERCENT) / MIB)]);
}
