//! What comes down one lane, whatever stream carries it.

use std::time::Duration;

use paddock_messages::frame::{Frame, FrameReader};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Gives each frame, and its length, to `each` until the lane ends, `each` fails or, where `silence` is
/// given, nothing has come for so long; tells why. Nothing is read while `each` takes its time. Bytes that
/// were read are told to `count`.
pub(super) async fn read<R: AsyncRead + Unpin>(
    mut from: R,
    mut frames: FrameReader,
    silence: Option<Duration>,
    count: impl Fn(usize),
    mut each: impl AsyncFnMut(Frame, u64) -> Result<(), String>,
) -> String {
    let mut chunk = vec![0; CHUNK];
    loop {
        loop {
            let before = frames.taken();
            match frames.take() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if let Err(why) = each(frame, frames.taken() - before).await {
                        return why;
                    }
                }
                Err(error) => return error.to_string(),
            }
        }
        let reading = from.read(&mut chunk);
        let read = match silence {
            None => reading.await,
            Some(silence) => match timeout(silence, reading).await {
                Ok(read) => read,
                Err(_) => return format!("nothing came for {} ms", silence.as_millis()),
            },
        };
        match read {
            Ok(0) => {
                return frames.end().map_or_else(|cut| cut.to_string(), |()| "the peer closed it".into());
            }
            Ok(read) => {
                count(read);
                frames.feed(&chunk[..read]);
            }
            Err(error) => return format!("it cannot be read: {error}"),
        }
    }
}
