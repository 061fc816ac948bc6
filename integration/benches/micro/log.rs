//! Batches of the log: made in memory, and made durable on the disk that holds `target/`.

use std::path::Path;

use criterion::{Criterion, Throughput};
use paddock_actors::storage::batch::{Place, Records};
use paddock_actors::storage::{Options, RealDisk, open};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::{Epoch, Zxid};

/// Of a set of 100 bytes.
const PAYLOAD: &[u8] = &[7; 180];

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    for count in [1, 64, 1_024] {
        group.throughput(Throughput::Elements(u64::from(count)));
        let (mut records, mut out) = (Records::default(), Vec::new());
        let place = Place { generation: 1, number: 1, previous: 0 };
        group.bench_function(format!("seal a batch of {count}"), |bencher| {
            bencher.iter(|| {
                records.clear();
                (1..=count).for_each(|at| records.push(Zxid::new(Epoch(1), at), PAYLOAD));
                records.seal(&place, Zxid::ZERO, 1, &mut out)
            });
        });
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for count in [1, 1_024] {
        let dir = tempfile::tempdir_in(target).expect("target/ is writable");
        let disk = RealDisk::new(dir.path()).expect("target/ is writable");
        let (mut logger, recovered) =
            open(disk, Options::new(ServerId(1), 1)).expect("the directory is empty");
        let mut last = recovered.last.max(Epoch(1).start());
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("write and sync a batch of {count}"), |bencher| {
            bencher.iter(|| {
                for _ in 0..count {
                    last = Zxid(last.0 + 1);
                    logger.append(last, PAYLOAD);
                }
                logger.flush().expect("the disk takes it")
            });
        });
    }
    group.finish();
}
