//! What every reply must be. The znodes are the client's own and its requests are answered in order,
//! so it knows each reply before it comes, but for times and zxids.
//! - BN1  Every reply is checked: whose turn it is, its error, that zxids never go back, and its body to
//!   the last byte: path, data, version, sizes, names.

use paddock_messages::client::{ReplyHeader, xid};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::Stat;

use super::requests::{Request, Requests, STAMP, Verb, Znode};

/// What is wrong with a reply.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("it answers xid {got} where {due} was due")]
    Turn { due: i32, got: i32 },
    #[error("it has xid {0}, and nothing was asked")]
    Unasked(i32),
    #[error("it is refused: {}", refusal(*.0))]
    Refused(i32),
    #[error("its zxid {got:#x} is behind {before:#x}, which an earlier reply had")]
    ZxidBack { before: i64, got: i64 },
    #[error("it is announced with {0} bytes")]
    Length(i32),
    #[error("its body is cut short")]
    Short,
    #[error("its body has {0} bytes too many")]
    Long(usize),
    #[error("its {field} is {got} instead of {expected}")]
    Field { field: &'static str, expected: i64, got: i64 },
    #[error("the data is not what this client wrote last")]
    Data,
    #[error("the path is {0:?} instead of the one asked for")]
    Path(String),
    #[error("a child is named {0:?}, which no znode here is, or is listed twice")]
    Child(String),
}

fn refusal(code: i32) -> String {
    ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |known| format!("{known} ({code})"))
}

/// The header a reply begins with, and its body.
pub(super) fn split(reply: &[u8]) -> Result<(ReplyHeader, &[u8]), Problem> {
    let mut rest = Rest(reply);
    let header = ReplyHeader { xid: rest.int()?, zxid: rest.long()?, err: rest.int()? };
    Ok((header, rest.0))
}

/// What is left of a body. The records' own readers share memory by counting references; this one looks
/// at a buffer that is used again for the next reply.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Problem::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i32, Problem> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().expect("four were taken")))
    }

    fn long(&mut self) -> Result<i64, Problem> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into().expect("eight were taken")))
    }

    /// A string or buffer that is not null.
    fn buffer(&mut self) -> Result<&'a [u8], Problem> {
        let length = self.int()?;
        self.take(usize::try_from(length).map_err(|_| Problem::Length(length))?)
    }

    fn stat(&mut self) -> Result<Stat, Problem> {
        Ok(Stat {
            czxid: self.long()?,
            mzxid: self.long()?,
            ctime: self.long()?,
            mtime: self.long()?,
            version: self.int()?,
            cversion: self.int()?,
            aversion: self.int()?,
            ephemeral_owner: self.long()?,
            data_length: self.int()?,
            num_children: self.int()?,
            pzxid: self.long()?,
        })
    }

    fn end(&self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::Long(self.0.len())) }
    }
}

/// What is known of a fixed znode.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Sets sent.
    sent: u32,
    /// Sets answered: the version it has for the next reply. Both wrap, as versions do.
    answered: u32,
    /// The zxid of the last of them; 0 if there was none.
    mzxid: i64,
}

/// Checks one client's replies, in the order of its requests.
pub(super) struct Replies {
    fixed: Vec<Known>,
    /// Which child a reply has named.
    listed: Vec<bool>,
}

impl Replies {
    /// For a client with so many fixed znodes.
    pub(super) fn new(znodes: u32) -> Self {
        Self { fixed: vec![Known::default(); znodes as usize], listed: vec![false; znodes as usize] }
    }

    /// A request leaves: the stamp for its value, which is the version the value will have.
    pub(super) fn sending(&mut self, request: Request) -> u64 {
        match (request.verb, request.znode) {
            (Verb::Set, Znode::Fixed(key)) => {
                let known = &mut self.fixed[key as usize];
                known.sent = known.sent.wrapping_add(1);
                u64::from(known.sent)
            }
            _ => 0,
        }
    }

    /// The reply to the oldest request that was not answered (BN1).
    pub(super) fn check(
        &mut self,
        request: Request,
        header: &ReplyHeader,
        body: &[u8],
        requests: &Requests,
    ) -> Result<(), Problem> {
        match header.err {
            0 => {}
            code if request.verb == Verb::Remove && code == ErrorCode::NoNode.code() => {}
            code => return Err(Problem::Refused(code)),
        }
        let mut body = Rest(body);
        match request.verb {
            Verb::Create => check_path(body.buffer()?, request.znode, requests.directory())?,
            Verb::Delete | Verb::Remove | Verb::Ping => {}
            Verb::Exists => self.check_stat(&body.stat()?, request, requests)?,
            Verb::Get => {
                let data = body.buffer()?;
                self.check_stat(&body.stat()?, request, requests)?;
                self.check_data(data, request, requests)?;
            }
            Verb::Set => self.check_set(&body.stat()?, request, header.zxid, requests)?,
            Verb::Children => self.check_children(&mut body)?,
        }
        body.end()
    }

    fn known(&mut self, request: Request) -> &mut Known {
        let Znode::Fixed(key) = request.znode else { unreachable!("only fixed znodes are read and set") };
        &mut self.fixed[key as usize]
    }

    fn check_set(
        &mut self,
        stat: &Stat,
        request: Request,
        zxid: i64,
        requests: &Requests,
    ) -> Result<(), Problem> {
        let known = self.known(request);
        if stat.mzxid <= known.mzxid || stat.mzxid > zxid {
            return Err(Problem::Field { field: "mzxid", expected: zxid, got: stat.mzxid });
        }
        known.answered = known.answered.wrapping_add(1);
        known.mzxid = stat.mzxid;
        self.check_stat(stat, request, requests)
    }

    fn check_stat(&mut self, stat: &Stat, request: Request, requests: &Requests) -> Result<(), Problem> {
        let known = *self.known(request);
        let mzxid = if known.mzxid == 0 { stat.czxid } else { known.mzxid };
        for (field, expected, got) in [
            ("version", i64::from(known.answered as i32), i64::from(stat.version)),
            ("mzxid", mzxid, stat.mzxid),
            ("dataLength", requests.value().len() as i64, i64::from(stat.data_length)),
            ("numChildren", 0, i64::from(stat.num_children)),
            ("cversion", 0, i64::from(stat.cversion)),
            ("aversion", 0, i64::from(stat.aversion)),
            ("ephemeralOwner", 0, stat.ephemeral_owner),
            ("pzxid", stat.czxid, stat.pzxid),
        ] {
            if expected != got {
                return Err(Problem::Field { field, expected, got });
            }
        }
        Ok(())
    }

    fn check_data(&mut self, data: &[u8], request: Request, requests: &Requests) -> Result<(), Problem> {
        let value = requests.value();
        let stamp = u64::from(self.known(request).answered).to_be_bytes();
        let same = if value.len() < STAMP {
            data == value
        } else {
            data.len() == value.len() && data[..STAMP] == stamp && data[STAMP..] == value[STAMP..]
        };
        if same { Ok(()) } else { Err(Problem::Data) }
    }

    fn check_children(&mut self, body: &mut Rest<'_>) -> Result<(), Problem> {
        let (expected, got) = (self.listed.len() as i64, i64::from(body.int()?));
        if got != expected {
            return Err(Problem::Field { field: "number of children", expected, got });
        }
        self.listed.fill(false);
        for _ in 0..got {
            let name = body.buffer()?;
            let number = std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix('z')?.parse().ok());
            let known = number.filter(|key| Znode::Fixed(*key).name().is_some_and(|real| real == name));
            let place = known.and_then(|key| self.listed.get_mut(key as usize));
            match place {
                Some(listed) if !*listed => *listed = true,
                _ => return Err(Problem::Child(String::from_utf8_lossy(name).into_owned())),
            }
        }
        Ok(())
    }
}

fn check_path(path: &[u8], znode: Znode, directory: &str) -> Result<(), Problem> {
    let name = znode.name();
    let rest = path.strip_prefix(directory.as_bytes());
    let same = match &name {
        None => rest == Some(b""),
        Some(name) => rest.and_then(|rest| rest.strip_prefix(b"/")) == Some(name),
    };
    if same { Ok(()) } else { Err(Problem::Path(String::from_utf8_lossy(path).into_owned())) }
}

/// Whether this reply answers the request whose turn it is, with a zxid no older than `before`.
pub(super) fn check_header(header: &ReplyHeader, due: i32, before: i64) -> Result<(), Problem> {
    if header.xid != due {
        return Err(Problem::Turn { due, got: header.xid });
    }
    if header.zxid < before && header.xid != xid::PING {
        return Err(Problem::ZxidBack { before, got: header.zxid });
    }
    Ok(())
}
