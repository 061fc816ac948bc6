//! What each scheme takes for an id, and when an identity matches one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paddock_messages::znode::Id;

pub(super) const WORLD: &str = "world";
pub(super) const ANYONE: &str = "anyone";
pub(super) const AUTH: &str = "auth";
pub(super) const SUPER: &str = "super";
/// The id of [`SUPER`] that an operator has, and no client: theirs is empty.
pub(super) const OPERATOR: &str = "operator";
/// Beside it, of one who says that a new voter may be missing.
pub(super) const FORCES: &str = "force";
pub(super) const DIGEST: &str = "digest";
pub(super) const IP: &str = "ip";
/// What a client says of where it means to be: no identity.
pub(super) const ENSEMBLE: &str = "ensemble";

/// The hash of the scheme `digest`; the same on every member, or identities differ between them.
#[expect(missing_docs, reason = "they are called as they are")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlg {
    /// ZooKeeper's default.
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl DigestAlg {
    /// The hash, in base64.
    fn hash(self, bytes: &[u8]) -> String {
        fn of<D: sha1::Digest>(bytes: &[u8]) -> String {
            STANDARD.encode(D::digest(bytes))
        }
        match self {
            Self::Sha1 => of::<sha1::Sha1>(bytes),
            Self::Sha224 => of::<sha2::Sha224>(bytes),
            Self::Sha256 => of::<sha2::Sha256>(bytes),
            Self::Sha384 => of::<sha2::Sha384>(bytes),
            Self::Sha512 => of::<sha2::Sha512>(bytes),
            Self::Sha512_224 => of::<sha2::Sha512_224>(bytes),
            Self::Sha512_256 => of::<sha2::Sha512_256>(bytes),
            Self::Sha3_224 => of::<sha3::Sha3_224>(bytes),
            Self::Sha3_256 => of::<sha3::Sha3_256>(bytes),
            Self::Sha3_384 => of::<sha3::Sha3_384>(bytes),
            Self::Sha3_512 => of::<sha3::Sha3_512>(bytes),
        }
    }
}

/// Whether an identity of this scheme proves who someone is, so that an `auth` entry stands for it.
pub(super) fn is_authenticated(scheme: &str) -> bool {
    scheme == DIGEST
}

/// Whether an ACL entry may hold this id of a scheme with a provider.
pub(super) fn is_valid(id: &Id) -> bool {
    match &*id.scheme {
        DIGEST => is_digest(&id.id),
        IP => Network::parse(&id.id).is_some(),
        _ => false,
    }
}

/// Whether the identity is one that the entry's id `wanted`, of the same scheme, means.
pub(super) fn matches(identity: &Id, wanted: &str) -> bool {
    match &*identity.scheme {
        DIGEST => identity.id == wanted,
        IP => Network::parse(wanted).is_some_and(|network| network.holds(&identity.id)),
        _ => false,
    }
}

/// `user:hash`. As Java's `split(":")` counts parts, which drops empty ones at the end.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// What stands before the first colon of a digest id.
pub(super) fn user_of(digest: &str) -> &str {
    digest.split(':').next().unwrap_or("")
}

/// The id of `user:password`: `user:` and the base64 of the hash of the whole. Text without a colon is
/// all user. Source: DigestAuthenticationProvider.generateDigest.
pub fn digest_of(credentials: &[u8], alg: DigestAlg) -> String {
    let text = String::from_utf8_lossy(credentials); // as Java decodes it, and then encodes it again
    format!("{}:{}", user_of(&text), alg.hash(text.as_bytes()))
}

/// Whether two texts are equal, in a time that tells nothing but their lengths.
pub(super) fn same_secret(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

/// The identity that every connection from `remote` has, as Java writes addresses: IPv6 in eight groups
/// without `::`, an IPv4 address mapped into IPv6 as IPv4.
pub fn ip_id(remote: IpAddr) -> Id {
    let text = match remote.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    };
    Id::new(bytestring::ByteString::from_static(IP), text)
}

/// An address, or all that share its first bits.
struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base = parse_ip(base)?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        (bits <= width).then_some(Self { base, bits })
    }

    fn holds(&self, address: &str) -> bool {
        match (self.base, parse_ip(address)) {
            (IpAddr::V4(base), Some(IpAddr::V4(it))) => {
                let differing = base.to_bits() ^ it.to_bits();
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), Some(IpAddr::V6(it))) => {
                let differing = base.to_bits() ^ it.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Leading zeros are decimal, as Java reads them (std refuses them).
fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let mut parts = text.split('.').map(str::parse::<u8>);
    let mut next = || parts.next()?.ok();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    parts.next().is_none().then_some(IpAddr::V4(address))
}
