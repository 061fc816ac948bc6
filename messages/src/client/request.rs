//! What a client asks for, decoded: writes go to the leader, reads are answered where they arrive.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::ops::{
    AddWatch, Create, CreateTtl, MaybePath, MultiHeader, PathOnly, PathType, PathVersion, PathWatch,
    PersistentWatches, Reconfig, SetAcl, SetData, SetWatches,
};
use super::session::{AuthPacket, SaslToken};
use super::{OpCode, RequestHeader};
use crate::wire::{DecodeError, Problem, Wire};
use crate::znode::{AclEntry, CreateMode};

/// Which of the four opcodes asked for a znode: it decides the stored kind and the shape of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreateOp {
    /// 1: replies with the path alone.
    Create,
    /// 15
    Create2,
    /// 19
    Container,
    /// 21, with the TTL asked for in ms.
    Ttl(i64),
}

/// A write that can stand in a multi. Members send it: what is new comes last ([`crate::frame`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteOp {
    /// Any of the four creates. In a box, as are other large ones here: a write moves from hand to hand.
    Create(CreateOp, Box<Create>),
    /// Delete a childless znode.
    Delete(PathVersion),
    /// Replace the data.
    SetData(SetData),
    /// Only inside a multi: fail unless the version matches.
    Check(PathVersion),
}

/// A request that takes a zxid. Members send it, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// One write.
    One(WriteOp),
    /// Replace the ACL.
    SetAcl(SetAcl),
    /// Several writes as one.
    Multi(Vec<WriteOp>),
    /// Change the membership.
    Reconfig(Box<Reconfig>),
    /// End the session.
    CloseSession,
}

impl Write {
    /// How many bytes it may take in a frame, about, and rather more.
    pub fn bound(&self) -> usize {
        const FIXED: usize = 96;
        let op = |op: &WriteOp| {
            FIXED
                + match op {
                    WriteOp::Create(_, create) => {
                        create.path.len()
                            + create.data.as_ref().map_or(0, Bytes::len)
                            + acl_bound(&create.acl)
                    }
                    WriteOp::Delete(of) | WriteOp::Check(of) => of.path.len(),
                    WriteOp::SetData(set) => set.path.len() + set.data.as_ref().map_or(0, Bytes::len),
                }
        };
        match self {
            Self::One(one) => op(one),
            Self::Multi(all) => FIXED + all.iter().map(op).sum::<usize>(),
            Self::SetAcl(set) => FIXED + set.path.len() + acl_bound(&set.acl),
            Self::Reconfig(change) => {
                let texts = [&change.joining_servers, &change.leaving_servers, &change.new_members];
                FIXED + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            }
            Self::CloseSession => FIXED,
        }
    }
}

fn acl_bound(acl: &Option<Vec<AclEntry>>) -> usize {
    let text = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
    acl.iter().flatten().map(|it| 32 + text(&it.scheme) + text(&it.id)).sum()
}

/// A read that can stand in a multiRead; its watch flag is then ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOp {
    /// Data and stat.
    GetData(PathWatch),
    /// Names of the children.
    GetChildren(PathWatch),
}

/// A request that is answered from this server's tree and watch tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Stat, or absence.
    Exists(PathWatch),
    /// A read that can stand in a multiRead.
    One(ReadOp),
    /// Names of the children and stat.
    GetChildren2(PathWatch),
    /// ACL and stat.
    GetAcl(PathOnly),
    /// Several reads.
    MultiRead(Vec<ReadOp>),
    /// Number of descendants.
    GetAllChildrenNumber(PathOnly),
    /// The caller's ephemerals below a prefix.
    GetEphemerals(MaybePath),
    /// The connection's identities.
    WhoAmI,
    /// Whether a watch is there.
    CheckWatches(PathType),
    /// Remove a watch.
    RemoveWatches(PathType),
    /// Leave a persistent watch.
    AddWatch(AddWatch),
    /// Register anew what was registered before a reconnect.
    SetWatches(Box<SetWatches>, Option<Box<PersistentWatches>>),
    /// Keep the session alive.
    Ping,
}

/// What follows a request header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Takes a zxid.
    Write(Write),
    /// Answered here.
    Read(Read),
    /// Answered when this server has caught up with the leader.
    Sync(MaybePath),
    /// At once, outside the order.
    Auth(AuthPacket),
    /// At once, outside the order.
    Sasl(SaslToken),
}

impl Request {
    /// From the bytes after the header. Trailing bytes are ignored, as Java does.
    pub fn read(opcode: OpCode, from: &mut Bytes) -> Result<Self, DecodeError> {
        use OpCode as O;
        Ok(match opcode {
            O::Create => Self::write(CreateOp::Create, Create::read(from)?),
            O::Create2 => Self::write(CreateOp::Create2, Create::read(from)?),
            O::CreateContainer => Self::write(CreateOp::Container, Create::read(from)?),
            O::CreateTtl => {
                let CreateTtl { create, ttl } = CreateTtl::read(from)?;
                Self::write(CreateOp::Ttl(ttl), create)
            }
            O::Delete => Self::Write(Write::One(WriteOp::Delete(PathVersion::read(from)?))),
            O::SetData => Self::Write(Write::One(WriteOp::SetData(SetData::read(from)?))),
            O::SetAcl => Self::Write(Write::SetAcl(SetAcl::read(from)?)),
            O::Multi => Self::Write(Write::Multi(read_ops(from, read_write_op)?)),
            O::Reconfig => Self::Write(Write::Reconfig(Box::new(Reconfig::read(from)?))),
            O::CloseSession => Self::Write(Write::CloseSession),
            O::Exists => Self::Read(Read::Exists(PathWatch::read(from)?)),
            O::GetData => Self::Read(Read::One(ReadOp::GetData(PathWatch::read(from)?))),
            O::GetChildren => Self::Read(Read::One(ReadOp::GetChildren(PathWatch::read(from)?))),
            O::GetChildren2 => Self::Read(Read::GetChildren2(PathWatch::read(from)?)),
            O::GetAcl => Self::Read(Read::GetAcl(PathOnly::read(from)?)),
            O::MultiRead => Self::Read(Read::MultiRead(read_ops(from, read_read_op)?)),
            O::GetAllChildrenNumber => Self::Read(Read::GetAllChildrenNumber(PathOnly::read(from)?)),
            O::GetEphemerals => Self::Read(Read::GetEphemerals(MaybePath::read(from)?)),
            O::WhoAmI => Self::Read(Read::WhoAmI),
            O::CheckWatches => Self::Read(Read::CheckWatches(read_watch_kind(from)?)),
            O::RemoveWatches => Self::Read(Read::RemoveWatches(read_watch_kind(from)?)),
            O::AddWatch => Self::Read(Read::AddWatch(read_add_watch(from)?)),
            O::SetWatches => Self::Read(Read::SetWatches(Box::new(SetWatches::read(from)?), None)),
            O::SetWatches2 => {
                let standard = Box::new(SetWatches::read(from)?);
                Self::Read(Read::SetWatches(standard, Some(Box::new(PersistentWatches::read(from)?))))
            }
            O::Ping => Self::Read(Read::Ping),
            O::Sync => Self::Sync(MaybePath::read(from)?),
            O::Auth => Self::Auth(AuthPacket::read(from)?),
            O::Sasl => Self::Sasl(SaslToken::read(from)?),
        })
    }

    fn write(op: CreateOp, create: Create) -> Self {
        Self::Write(Write::One(WriteOp::Create(op, Box::new(create))))
    }
}

/// The path of the first field, where a frame too large to decode still holds it.
pub fn path_of_prefix(opcode: OpCode, mut from: Bytes) -> Option<ByteString> {
    use OpCode as O;
    match opcode {
        O::Multi | O::MultiRead | O::SetWatches | O::SetWatches2 | O::Auth | O::Sasl | O::CloseSession => {
            None
        }
        O::Ping | O::WhoAmI | O::Reconfig => None,
        _ => ByteString::read(&mut from).ok(),
    }
}

/// Reads a request header and finds its opcode; an unknown number comes back as it is.
pub fn read_header(from: &mut Bytes) -> Result<(RequestHeader, Option<OpCode>), DecodeError> {
    let header = RequestHeader::read(from)?;
    Ok((header.clone(), OpCode::from_code(header.opcode)))
}

fn read_ops<T>(
    from: &mut Bytes,
    read: fn(i32, &mut Bytes) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut ops = Vec::new();
    loop {
        let header = MultiHeader::read(from).map_err(|e| e.within("header"))?;
        if header.done {
            return Ok(ops);
        }
        let at = ops.len();
        ops.push(read(header.kind, from).map_err(|e| e.within(&format!("op {at}")))?);
    }
}

fn read_write_op(kind: i32, from: &mut Bytes) -> Result<WriteOp, DecodeError> {
    const CHECK: i32 = 13;
    if kind == CHECK {
        return Ok(WriteOp::Check(PathVersion::read(from)?));
    }
    let opcode = OpCode::from_code(kind).filter(|&op| op != OpCode::Multi);
    let opcode = opcode.ok_or(DecodeError::new(Problem::Unknown(kind)))?;
    let Request::Write(Write::One(op)) = Request::read(opcode, from)? else {
        return Err(DecodeError::new(Problem::Unknown(kind)));
    };
    match op {
        WriteOp::Create(asked, create) if create.acl.is_none() && !matches!(asked, CreateOp::Ttl(_)) => {
            Err(DecodeError::new(Problem::Null).within("acl")) // Source: CreateOptions' constructor
        }
        WriteOp::Create(asked, create) => Ok(WriteOp::Create(kind_by_flags(asked, create.flags)?, create)),
        op => Ok(op),
    }
}

/// Inside a multi the flags have a say in what an op is. Source: MultiOperationRecord, Op.Create.getOpcode.
fn kind_by_flags(asked: CreateOp, flags: i32) -> Result<CreateOp, DecodeError> {
    use CreateMode as M;
    let unknown = DecodeError::new(Problem::Unknown(flags)).within("flags");
    match (asked, CreateMode::from_flag(flags).ok_or(unknown.clone())?) {
        (CreateOp::Ttl(ttl), M::PersistentWithTtl | M::PersistentSequentialWithTtl) => Ok(CreateOp::Ttl(ttl)),
        (_, M::PersistentWithTtl | M::PersistentSequentialWithTtl) => Err(unknown),
        (_, M::Container) => Ok(CreateOp::Container),
        (CreateOp::Ttl(_), _) => Ok(CreateOp::Create),
        (asked, _) => Ok(asked),
    }
}

fn read_read_op(kind: i32, from: &mut Bytes) -> Result<ReadOp, DecodeError> {
    match OpCode::from_code(kind) {
        Some(OpCode::GetData) => Ok(ReadOp::GetData(PathWatch::read(from)?)),
        Some(OpCode::GetChildren) => Ok(ReadOp::GetChildren(PathWatch::read(from)?)),
        _ => Err(DecodeError::new(Problem::Unknown(kind))),
    }
}

fn read_watch_kind(from: &mut Bytes) -> Result<PathType, DecodeError> {
    let request = PathType::read(from)?;
    if !(1..=5).contains(&request.kind) {
        return Err(DecodeError::new(Problem::Unknown(request.kind)).within("kind"));
    }
    Ok(request)
}

fn read_add_watch(from: &mut Bytes) -> Result<AddWatch, DecodeError> {
    let request = AddWatch::read(from)?;
    if !(0..=1).contains(&request.mode) {
        return Err(DecodeError::new(Problem::Unknown(request.mode)).within("mode"));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn create(flags: i32) -> Create {
        Create { path: "/a".into(), data: Some(Bytes::from_static(b"d")), acl: Some(vec![]), flags }
    }

    type Body<'a> = &'a dyn Fn(&mut Vec<u8>);

    fn multi(ops: &[(i32, Body)]) -> Bytes {
        let mut bytes = Vec::new();
        for (kind, body) in ops {
            MultiHeader { kind: *kind, done: false, err: -1 }.write(&mut bytes);
            body(&mut bytes);
        }
        MultiHeader::END.write(&mut bytes);
        bytes.into()
    }

    #[test]
    fn a_multi_holds_writes_and_checks_only() {
        let delete = PathVersion { path: "/a".into(), version: -1 };
        let watch = PathWatch { path: "/a".into(), watch: true };
        for (kind, flags, good) in [(1, 0, true), (15, 3, true), (19, 4, true), (1, 7, false), (1, -1, false)]
        {
            let bytes = multi(&[(kind, &|to| create(flags).write(to)), (13, &|to| delete.write(to))]);
            assert_eq!(Request::read(OpCode::Multi, &mut bytes.clone()).is_ok(), good, "{kind} {flags}");
        }
        let mut no_acl = multi(&[(1, &|to| Create { acl: None, ..create(0) }.write(to))]);
        assert!(Request::read(OpCode::Multi, &mut no_acl).is_err());
        for (kind, body) in [(4, true), (8, true), (14, false), (99, false), (0, false), (7, false)] {
            let bytes = multi(&[(kind, &|to| if body { watch.write(to) } else { delete.write(to) })]);
            assert!(Request::read(OpCode::Multi, &mut bytes.clone()).is_err(), "{kind}");
        }
        let none = Request::read(OpCode::Multi, &mut multi(&[]));
        assert_eq!(none, Ok(Request::Write(Write::Multi(vec![]))));
    }

    #[test]
    fn flags_have_a_say_in_what_an_op_of_a_multi_is() {
        for (asked, flags, kind) in [
            (CreateOp::Create, 0, Some(CreateOp::Create)),
            (CreateOp::Create2, 3, Some(CreateOp::Create2)),
            (CreateOp::Create, 4, Some(CreateOp::Container)),
            (CreateOp::Container, 0, Some(CreateOp::Container)),
            (CreateOp::Ttl(7), 6, Some(CreateOp::Ttl(7))),
            (CreateOp::Ttl(7), 1, Some(CreateOp::Create)),
            (CreateOp::Create, 5, None), // no TTL to go with it
            (CreateOp::Container, 6, None),
            (CreateOp::Create, 7, None),
        ] {
            assert_eq!(kind_by_flags(asked, flags).ok(), kind, "{asked:?} {flags}");
        }
    }

    #[test]
    fn a_multi_read_holds_get_data_and_get_children_only() {
        let watch = PathWatch { path: "/a".into(), watch: true };
        for (kind, good) in [(4, true), (8, true), (3, false), (12, false), (1, false), (2, false)] {
            let bytes = multi(&[(kind, &|to| watch.write(to))]);
            assert_eq!(Request::read(OpCode::MultiRead, &mut bytes.clone()).is_ok(), good, "{kind}");
        }
    }

    #[test]
    fn watch_kinds_and_modes_are_checked() {
        for kind in 0..=6 {
            let mut bytes = Vec::new();
            PathType { path: "/a".into(), kind }.write(&mut bytes);
            let good = Request::read(OpCode::RemoveWatches, &mut bytes.into()).is_ok();
            assert_eq!(good, (1..=5).contains(&kind), "{kind}");
        }
        for mode in -1..=2 {
            let mut bytes = Vec::new();
            AddWatch { path: "/a".into(), mode }.write(&mut bytes);
            let good = Request::read(OpCode::AddWatch, &mut bytes.into()).is_ok();
            assert_eq!(good, (0..=1).contains(&mode), "{mode}");
        }
    }

    proptest! {
        #[test]
        fn w0_no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for &opcode in OpCode::ALL {
                let _ = Request::read(opcode, &mut Bytes::from(bytes.clone()));
            }
            let _ = read_header(&mut Bytes::from(bytes.clone()));
            let _ = super::super::session::ConnectRequest::read(bytes.into());
        }
    }
}
