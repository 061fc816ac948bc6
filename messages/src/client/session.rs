//! The handshake: the first frame each way. Source: zookeeper.jute, ConnectRequest, ConnectResponse.

use bytes::Bytes;

use crate::ids::SessionId;
use crate::wire::{DecodeError, Wire, record};

/// Bytes of a session's password.
pub const PASSWORD_LEN: usize = 16;
/// What makes the password more than the id: ZooKeeper's `SessionTrackerImpl` secret. It is a
/// checksum, not a secret: any server must be able to compute it from the id alone.
const PASSWORD_SALT: i64 = 0xB341_5C00;

record! {
    /// A client's first frame, but for the optional last byte.
    pub struct ConnectFields {
        /// Always 0; ignored.
        pub protocol_version: i32,
        /// The highest zxid the client has seen: a server behind it must not serve it.
        pub last_zxid_seen: i64,
        /// The session timeout asked for, in ms; any number.
        pub timeout_ms: i32,
        /// 0 for a new session.
        pub session_id: i64,
        pub password: Option<Bytes>,
    }
}

/// A client's first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// All but the last byte.
    pub fields: ConnectFields,
    /// The byte that clients up to 3.3 and some libraries leave out: whether a read-only server will do.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// From the frame's body.
    pub fn read(mut from: Bytes) -> Result<Self, DecodeError> {
        let fields = ConnectFields::read(&mut from)?;
        let read_only = if from.is_empty() { None } else { Some(bool::read(&mut from)?) };
        Ok(Self { fields, read_only })
    }

    /// The frame's body.
    pub fn write(&self, to: &mut Vec<u8>) {
        self.fields.write(to);
        if let Some(flag) = self.read_only {
            flag.write(to);
        }
    }
}

record! {
    /// The server's first frame, but for the optional last byte.
    pub struct ConnectResponse {
        /// Always 0.
        pub protocol_version: i32,
        /// The timeout granted, in ms; 0 says that the session is gone.
        pub timeout_ms: i32,
        pub session_id: i64,
        pub password: Option<Bytes>,
    }
}

impl ConnectResponse {
    /// The session is there.
    pub fn granted(session: SessionId, timeout_ms: i32) -> Self {
        let password = Some(Bytes::copy_from_slice(&password(session)));
        Self { protocol_version: 0, timeout_ms, session_id: session.0, password }
    }

    /// There is no such session, or the password is wrong: a client cannot tell which.
    pub fn expired() -> Self {
        let password = Some(Bytes::from_static(&[0; PASSWORD_LEN]));
        Self { protocol_version: 0, timeout_ms: 0, session_id: 0, password }
    }

    /// The frame's body; `read_only` only for a client that sent its flag.
    pub fn write_with(&self, read_only: Option<bool>, to: &mut Vec<u8>) {
        self.write(to);
        if let Some(flag) = read_only {
            flag.write(to);
        }
    }
}

/// The password of a session: 16 bytes of `java.util.Random` seeded by the id, as every ZooKeeper
/// server computes it, so that sessions outlive their server. Source: SessionTrackerImpl, `superSecret`.
pub fn password(session: SessionId) -> [u8; PASSWORD_LEN] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = ((session.0 ^ PASSWORD_SALT) as u64 ^ MULTIPLIER) & MASK;
    let mut bytes = [0; PASSWORD_LEN];
    for word in bytes.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER) + 0xB) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    bytes
}

/// The timeout granted for the one asked, both in ms. Source: ZooKeeperServer.processConnectRequest.
pub fn negotiate_timeout(asked_ms: i32, min_ms: i32, max_ms: i32) -> i32 {
    asked_ms.max(min_ms).min(max_ms)
}

record! {
    /// Adds an identity to the connection. Source: zookeeper.jute, AuthPacket.
    pub struct AuthPacket {
        pub kind: i32,
        pub scheme: Option<bytestring::ByteString>,
        pub auth: Option<Bytes>,
    }
}

record! {
    /// A step of a SASL exchange, both ways. Source: zookeeper.jute, GetSASLRequest.
    pub struct SaslToken {
        pub token: Option<Bytes>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_only_byte_is_optional() {
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: 7,
            timeout_ms: 1,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; 16])),
        };
        for (read_only, len) in [(None, 44), (Some(true), 45), (Some(false), 45)] {
            let request = ConnectRequest { fields: fields.clone(), read_only };
            let mut bytes = Vec::new();
            request.write(&mut bytes);
            assert_eq!(bytes.len(), len);
            assert_eq!(ConnectRequest::read(bytes.into()), Ok(request));
        }
    }

    #[test]
    fn passwords_are_javas() {
        // new Random(id ^ 0xB3415C00L).nextBytes(16), by a Java runtime.
        for (id, bytes) in [
            (1 << 48, [242, 42, 205, 74, 151, 230, 157, 109, 32, 164, 155, 182, 56, 234, 219, 56]),
            (-5, [212, 113, 68, 181, 228, 94, 69, 196, 156, 59, 127, 220, 214, 98, 87, 186]),
        ] {
            assert_eq!(password(SessionId(id)), bytes, "{id}");
        }
    }

    #[test]
    fn timeouts_are_held_between_the_bounds() {
        for (asked, granted) in [(i32::MIN, 4000), (1, 4000), (10_000, 10_000), (i32::MAX, 40_000)] {
            assert_eq!(negotiate_timeout(asked, 4000, 40_000), granted);
        }
    }
}
