//! What is on disk: txns, batches, whole logs, snapshots, the history file, configurations.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use paddock_actors::storage::batch::{HEADER, Header, NotAHeader, check_body, record};
use paddock_actors::storage::history::{History, segment_name};
use paddock_actors::storage::snapshot::load;
use paddock_actors::storage::{Crash, Disk, MemoryDisk, Options, Reserve, open};
use paddock_actors::tree::TreeOptions;
use paddock_config::{Config, Machine, Sources, properties};
use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;

/// As recovery reads them.
const TXN_LIMIT: usize = 1 << 30;
const SALT: u64 = 5;

/// A logged txn.
pub fn txn(data: &[u8]) {
    let Ok(txn) = codec::decode::<Txn, TXN_LIMIT>(data) else { return };
    let mut again = Vec::new();
    codec::encode_into(&mut again, &txn).expect("it has only parts that were read");
    assert_eq!(codec::decode::<Txn, TXN_LIMIT>(&again).expect("FZ2"), txn, "FZ2");
}

/// A batch's header, with and without its right checksum, and what follows it.
pub fn batch(data: &[u8]) {
    let _ = Header::decode(data, SALT);
    let _ = record(data);
    let Some((head, body)) = data.split_first_chunk::<HEADER>() else { return };
    let long = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("a header has 56 bytes"));
    let int = |at: usize| u32::from_le_bytes(*head[at..].first_chunk().expect("a header has 56 bytes"));
    let header = Header {
        generation: long(8),
        number: long(16),
        first: Zxid(long(24)),
        count: int(32),
        length: int(36),
        watermark: Zxid(long(40)),
        previous: int(48),
    };
    let (bytes, crc) = header.encode(SALT);
    assert_eq!(Header::decode(&bytes, SALT), Ok((header, crc)), "FZ2");
    assert_eq!(Header::decode(&bytes, SALT + 1), Err(NotAHeader::Other), "another directory's");
    let _ = header.size();
    let _ = check_body(&header, body);
}

/// A whole log in which bits are flipped: pairs of bytes say which. It opens, or an error says why not;
/// what it still holds is what was written.
pub fn log(data: &[u8]) {
    let mut options = Options::new(ServerId(1), SALT);
    (options.segment_bytes, options.admitted_bytes) = (4096, 512);
    options.reserve = Reserve::Inline;
    let disk = MemoryDisk::new(1);
    let (mut logger, _) = open(disk.clone(), options.clone()).expect("an empty disk is sound");
    for zxid in 1..=4u64 {
        logger.append(Zxid(zxid), &[zxid as u8; 60]);
        let _ = logger.flush().expect("the disk is sound");
    }
    drop(logger);
    let disk = disk.restart(Crash::PowerFailure);
    for flip in data.as_chunks::<2>().0.iter().take(32) {
        disk.flip_bit(&segment_name(1), u64::from(u16::from_le_bytes(*flip)) % (4096 * 8));
    }
    let Ok((logger, recovered)) = open(disk, options) else { return };
    assert!(recovered.last <= Zxid(4));
    let mut reader = logger.reader(Zxid(1)).expect("it was opened");
    while let Some((zxid, payload)) = reader.next_record().expect("what was opened can be read") {
        assert!(payload.len() == 60 && payload.iter().all(|byte| *byte == zxid.0 as u8), "FZ2: {zxid}");
    }
}

/// The blocks of a snapshot: a byte for the kind, two for the length, then the block unpacked.
pub(super) fn packed(mut data: &[u8]) -> Vec<u8> {
    let sealed = |bytes: &[u8], to: &mut Vec<u8>| {
        to.extend_from_slice(bytes);
        to.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    };
    let mut file = Vec::new();
    sealed(&[&b"PDKSNAP\n"[..], &1u32.to_le_bytes()].concat(), &mut file);
    while let Some(([kind, low, high], rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (raw, rest) = rest.split_at(length);
        let raw = with_few_slots(*kind, raw);
        let block = zstd::bulk::compress(&raw, 1).expect("memory is all it takes");
        let ints = [u32::from(*kind), raw.len() as u32, block.len() as u32, crc32c::crc32c(&block)];
        sealed(&ints.map(u32::to_le_bytes).concat(), &mut file);
        file.extend_from_slice(&block);
        data = rest;
    }
    file
}

/// A tree once had as many znodes as its head says slots, and gets them again: 104 bytes each, whether
/// used or not. Only a head that is sealed by its owner is believed so, and here that is anybody.
fn with_few_slots(kind: u8, raw: &[u8]) -> Vec<u8> {
    let mut raw = raw.to_vec();
    if let Some([_, _, high, highest]) = raw.get_mut(20..24).filter(|_| kind == 1) {
        (*high, *highest) = (0, 0);
    }
    raw
}

/// A snapshot file as it is, and one with these blocks and right checksums.
pub fn snapshot(data: &[u8]) {
    let name = Path::new("snapshot");
    let _ = load(name, data, TreeOptions::default());
    let _ = load(name, &packed(data)[..], TreeOptions::default());
}

/// The history file, as it is and with the right checksum.
pub fn history(data: &[u8]) {
    let _ = History::decode(data);
    let mut sealed = [&[1][..], data].concat();
    let crc = crc32c::crc32c(&sealed);
    sealed.extend_from_slice(&crc.to_le_bytes());
    if let Ok(history) = History::decode(&sealed) {
        assert_eq!(History::decode(&history.encode()).expect("FZ2"), history, "FZ2");
    }
}

/// The file that says whose snapshots these are, as it is and with the right checksum. It fits to what is
/// there, or an error says why not.
pub fn pair(data: &[u8]) {
    let sealed = |body: &[u8]| [body, &crc32c::crc32c(body).to_le_bytes()].concat();
    for content in [data, &sealed(data), &sealed(&[&[1], data].concat())] {
        let mut options = Options::new(ServerId(1), SALT);
        (options.segment_bytes, options.admitted_bytes) = (4096, 512);
        options.reserve = Reserve::Inline;
        let disk = MemoryDisk::new(1);
        drop(open(disk.clone(), options.clone()).expect("an empty disk is sound"));
        disk.replace("pair", content).expect("memory takes all");
        if let Err(error) = open(disk, options) {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// A machine that has one file, whatever its name, and knows no host.
struct OneFile<'a>(&'a [u8]);

impl Machine for OneFile<'_> {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn look_up(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn host_name(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(self.0).into_owned())
    }
}

/// A `zoo.cfg` or TOML, whichever it looks like, which is its own dynamic file and `myid`, too, if it asks
/// for them. Without endings in names: what decides is what it holds.
pub fn config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = properties::parse(text);
    }
    match Config::load_on(&OneFile(data), Sources::file(Some("config".into()))) {
        Ok(loaded) => drop(loaded.report().to_string()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
