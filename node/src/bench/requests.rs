//! The requests of one client, encoded once: sending one is a copy of its frame with xid, name and
//! value's stamp patched in.

use bytes::Bytes;
use paddock_messages::client::ops::{Create, PathVersion, PathWatch, SetData};
use paddock_messages::client::{OpCode, RequestHeader, xid};
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::{Acl, AclEntry, CreateMode};

/// Digits of a znode's name, behind one letter.
pub(super) const DIGITS: usize = 10;
/// The frame's length stands before its xid.
const XID_AT: usize = 4;
/// Length, xid, opcode, and the path's length stand before the path.
const PATH_AT: usize = 16;
/// Bytes of the stamp at the front of a value that has room for it: which write the data is of.
pub(super) const STAMP: usize = 8;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Delete,
    /// A delete to which "there is none" is as good an answer.
    Remove,
    Exists,
    Get,
    Set,
    Children,
    Ping,
}

impl Verb {
    /// As messages to people say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete | Self::Remove => "delete",
            Self::Exists => "exists",
            Self::Get => "get",
            Self::Set => "set",
            Self::Children => "children",
            Self::Ping => "ping",
        }
    }

    fn opcode(self) -> OpCode {
        match self {
            Self::Create => OpCode::Create,
            Self::Delete | Self::Remove => OpCode::Delete,
            Self::Exists => OpCode::Exists,
            Self::Get => OpCode::GetData,
            Self::Set => OpCode::SetData,
            Self::Children => OpCode::GetChildren,
            Self::Ping => OpCode::Ping,
        }
    }

    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Exists | Self::Get | Self::Children | Self::Ping)
    }
}

/// Which of the client's znodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Znode {
    /// The one above the others.
    Directory,
    /// Made before the load begins, read and set by it.
    Fixed(u32),
    /// Created or deleted by the load.
    Fresh(u32),
}

impl Znode {
    /// The last part of its path; the directory has none here.
    pub(super) fn name(self) -> Option<[u8; 1 + DIGITS]> {
        let (letter, number) = match self {
            Self::Directory => return None,
            Self::Fixed(number) => (b'z', number),
            Self::Fresh(number) => (b'n', number),
        };
        let (mut name, mut rest) = ([letter; 1 + DIGITS], number);
        for digit in name[1..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Some(name)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) verb: Verb,
    pub(super) znode: Znode,
}

impl Request {
    pub(super) fn new(verb: Verb, znode: Znode) -> Self {
        Self { verb, znode }
    }
}

/// A frame to be patched.
struct Template {
    bytes: Vec<u8>,
    /// Where the value is.
    value_at: usize,
}

/// See the module.
pub(super) struct Requests {
    directory: String,
    value: Vec<u8>,
    create: Template,
    delete: Template,
    /// exists and get: they differ in the opcode alone.
    look: Template,
    set: Template,
    children: Template,
}

impl Requests {
    /// For a client whose znodes are below `directory`, with values of so many bytes.
    pub(super) fn new(directory: String, value_size: usize) -> Self {
        let value: Vec<u8> = (0..value_size).map(|at| (at * 31 + 7) as u8).collect();
        let path = format!("{directory}/x{:0>DIGITS$}", 0);
        let data = Bytes::copy_from_slice(&value);
        let value_at = PATH_AT + path.len() + 4;
        let template = |verb: Verb, value_at, body: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            frame(&mut bytes, |to| {
                RequestHeader { xid: 0, opcode: verb.opcode() as i32 }.write(to);
                body(to);
            });
            Template { bytes, value_at }
        };
        let create = create_record(&path, data.clone());
        let delete = PathVersion { path: path.as_str().into(), version: -1 };
        let look = PathWatch { path: path.as_str().into(), watch: false };
        let set = SetData { path: path.as_str().into(), data: Some(data), version: -1 };
        let children = PathWatch { path: directory.as_str().into(), watch: false };
        Self {
            create: template(Verb::Create, value_at, &|to| create.write(to)),
            delete: template(Verb::Delete, 0, &|to| delete.write(to)),
            look: template(Verb::Get, 0, &|to| look.write(to)),
            set: template(Verb::Set, value_at, &|to| set.write(to)),
            children: template(Verb::Children, 0, &|to| children.write(to)),
            directory,
            value,
        }
    }

    /// The path of the client's own znode, above all its others.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// Every value, but for its stamp.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Appends the request's frame; `stamp` is for those with a value.
    pub(super) fn write(&self, xid: i32, request: Request, stamp: u64, to: &mut Vec<u8>) {
        let template = match (request.verb, request.znode) {
            (Verb::Ping, _) => return write_ping(to),
            (Verb::Children, _) => &self.children,
            (verb, Znode::Directory) => return self.write_for_directory(xid, verb, to),
            (Verb::Create, _) => &self.create,
            (Verb::Delete | Verb::Remove, _) => &self.delete,
            (Verb::Exists | Verb::Get, _) => &self.look,
            (Verb::Set, _) => &self.set,
        };
        let at = to.len();
        to.extend_from_slice(&template.bytes);
        let frame = &mut to[at..];
        frame[XID_AT..XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
        frame[XID_AT + 4..XID_AT + 8].copy_from_slice(&(request.verb.opcode() as i32).to_be_bytes());
        if let Some(name) = request.znode.name() {
            let name_at = PATH_AT + self.directory.len() + 1;
            frame[name_at..name_at + name.len()].copy_from_slice(&name);
        }
        if template.value_at > 0 && self.value.len() >= STAMP {
            frame[template.value_at..template.value_at + STAMP].copy_from_slice(&stamp.to_be_bytes());
        }
    }

    /// Only before and after the load.
    fn write_for_directory(&self, xid: i32, verb: Verb, to: &mut Vec<u8>) {
        frame(to, |to| {
            RequestHeader { xid, opcode: verb.opcode() as i32 }.write(to);
            match verb {
                Verb::Create => create_record(&self.directory, Bytes::new()).write(to),
                Verb::Delete | Verb::Remove => {
                    PathVersion { path: self.directory.as_str().into(), version: -1 }.write(to);
                }
                other => unreachable!("no load has {} of the directory", other.name()),
            }
        });
    }
}

fn write_ping(to: &mut Vec<u8>) {
    frame(to, |to| RequestHeader { xid: xid::PING, opcode: OpCode::Ping as i32 }.write(to));
}

fn create_record(path: &str, data: Bytes) -> Create {
    let acl = Acl::open().iter().map(AclEntry::from).collect();
    Create { path: path.into(), data: Some(data), acl: Some(acl), flags: CreateMode::Persistent as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: Request, stamp: u64) -> (RequestHeader, Bytes) {
        let mut bytes = Vec::new();
        Requests::new("/root-7/c1".into(), 12).write(77, request, stamp, &mut bytes);
        let mut from = Bytes::from(bytes);
        assert_eq!(i32::read(&mut from).unwrap() as usize, from.len(), "one whole frame");
        (RequestHeader::read(&mut from).unwrap(), from)
    }

    #[test]
    fn patched_frames_read_as_the_records_they_are() {
        let value = |stamp: u64| {
            let requests = Requests::new("/d".into(), 12);
            Some(Bytes::from([&stamp.to_be_bytes(), &requests.value()[STAMP..]].concat()))
        };
        let (header, mut body) = sent(Request::new(Verb::Set, Znode::Fixed(1_234_567_890)), 5);
        assert_eq!((header.xid, header.opcode), (77, 5));
        let set = SetData { path: "/root-7/c1/z1234567890".into(), data: value(5), version: -1 };
        assert_eq!(SetData::read(&mut body), Ok(set));
        let (header, mut body) = sent(Request::new(Verb::Create, Znode::Fresh(7)), 0);
        assert_eq!(header.opcode, 1);
        let create = Create::read(&mut body).unwrap();
        assert_eq!(
            (create.path.as_ref(), create.data, create.flags),
            ("/root-7/c1/n0000000007", value(0), 0)
        );
        for (verb, opcode) in [(Verb::Get, 4), (Verb::Exists, 3)] {
            let (header, mut body) = sent(Request::new(verb, Znode::Fixed(0)), 0);
            assert_eq!(header.opcode, opcode);
            let look = PathWatch { path: "/root-7/c1/z0000000000".into(), watch: false };
            assert_eq!(PathWatch::read(&mut body), Ok(look));
        }
        for (znode, path) in [(Znode::Directory, "/root-7/c1"), (Znode::Fresh(3), "/root-7/c1/n0000000003")] {
            let (header, mut body) = sent(Request::new(Verb::Delete, znode), 0);
            assert_eq!(header.opcode, 2);
            assert_eq!(PathVersion::read(&mut body), Ok(PathVersion { path: path.into(), version: -1 }));
        }
        let (header, mut body) = sent(Request::new(Verb::Children, Znode::Directory), 0);
        assert_eq!(header.opcode, 8);
        assert_eq!(PathWatch::read(&mut body).unwrap().path, "/root-7/c1");
        let (header, body) = sent(Request::new(Verb::Ping, Znode::Directory), 0);
        assert_eq!((header.xid, header.opcode, body.len()), (-2, 11, 0));
    }

    #[test]
    fn a_value_too_small_for_a_stamp_has_none() {
        let mut bytes = Vec::new();
        let requests = Requests::new("/d".into(), STAMP - 1);
        requests.write(1, Request::new(Verb::Set, Znode::Fixed(0)), u64::MAX, &mut bytes);
        let mut body = Bytes::from(bytes).slice(12..);
        assert_eq!(SetData::read(&mut body).unwrap().data.unwrap(), requests.value());
    }
}
