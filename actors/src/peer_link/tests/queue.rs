//! The outgoing queue over a stream that takes a few bytes at a time.

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::*;
use crate::peer_link::outgoing::{self, Queue};

#[actix::test]
async fn pl5_all_bytes_leave_once_and_in_order_whatever_is_taken_at_a_time() {
    for taken in [1, 7, 100, 65_536, 1 << 20] {
        let status = SharedStatus::default();
        let queue = std::rc::Rc::new(Queue::new(FrameWriter::new(1, TXN), 1 << 30, status.clone()));
        let (near, mut far) = tokio::io::duplex(taken);
        let writing = queue.clone();
        let task = actix_rt::spawn(async move { outgoing::write(near, &writing).await });
        let mut expected = Vec::new();
        for turn in 0..if taken == 1 { 1 } else { 3 } {
            for number in 0..300u64 {
                let item = match number % 5 {
                    0 => framed(commit(number)),
                    1 => Outgoing::Bytes(Bytes::from(vec![number as u8; 5_000 + 10 * turn])),
                    2 => Outgoing::Bytes(Bytes::from(vec![number as u8; 100])),
                    3 => Outgoing::Bytes(Bytes::new()),
                    _ => framed(ack(number)),
                };
                match &item {
                    Outgoing::Frame(frame) => expected.extend(written(frame)),
                    Outgoing::Bytes(bytes) => expected.extend_from_slice(bytes),
                    Outgoing::Stream(_) => {}
                }
                queue.push(item).unwrap();
            }
            let mut found = vec![0; expected.len()];
            within(far.read_exact(&mut found)).await.unwrap();
            assert!(found == expected, "{taken} bytes at a time");
            expected.clear();
        }
        let left = status.lock().queued_bytes;
        drop(far);
        queue.push(framed(ack(1))).unwrap();
        assert!(within(task).await.unwrap().contains("cannot be written to"));
        drop(queue);
        assert_eq!((left, status.lock().queued_bytes), (0, 0));
    }
}
