//! Who may do what: identities of a connection, and the ACLs they are held against.
//!
//! - A1  Nothing is permitted but by `skipACL`, an empty list, a super identity, or an entry that grants
//!   it to everybody or to one of the connection's identities; an entry of an unknown scheme never does.
//! - A2  Every list that is stored went through [`fix_up`]: not empty, each scheme known, each id of that
//!   scheme's format, no `auth` entry left.
//! - A3  The password hash of an identity is shown to nobody without ADMIN.
//!
//! An identity belongs to a connection and travels with each of its writes, for the leader decides.
//! Source: ZooKeeperServer.checkACL, PrepRequestProcessor.fixupACL, FinalRequestProcessor.

mod schemes;

use std::net::IpAddr;

use bytestring::ByteString;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::znode::{Acl, AclEntry, Id, Perms};

pub use schemes::{DigestAlg, digest_of, ip_id};

/// The settings that ACL checks and auth packets go by; the same on every member.
#[derive(Clone, Debug)]
pub struct AuthRules {
    /// `skipACL=yes`: every check passes; lists are still checked for their form.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`: whether there is a scheme `digest`.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.digestAlg`.
    pub digest_alg: DigestAlg,
    /// `DigestAuthenticationProvider.superDigest`, as `user:hash`: who has it passes every check.
    pub super_digest: Option<ByteString>,
    /// `enforce.auth.schemes`, when `enforce.auth.enabled`: one of these must be among a connection's
    /// identities before it may ask anything. Empty enforces nothing.
    pub enforced_schemes: Vec<ByteString>,
    /// `ensembleAuthName`: what clients may call this ensemble by the scheme `ensemble`. Without: there is none such.
    pub ensemble_names: Option<Vec<ByteString>>,
}

impl Default for AuthRules {
    fn default() -> Self {
        Self {
            skip_acl: false,
            digest_enabled: true,
            digest_alg: DigestAlg::Sha1,
            super_digest: None,
            enforced_schemes: Vec::new(),
            ensemble_names: None,
        }
    }
}

impl AuthRules {
    /// Whether ACL entries of `scheme` can match anyone. `world`, `auth` and `super` are no such schemes.
    pub fn has_provider(&self, scheme: &str) -> bool {
        scheme == schemes::IP || (scheme == schemes::DIGEST && self.digest_enabled)
    }
}

/// Whether `acl` grants one of the bits of `needed` to a connection with these identities (A1).
pub fn permits(acl: &[Acl], needed: Perms, ids: &[Id], rules: &AuthRules) -> bool {
    let world = |entry: &Acl| entry.perms.grants(needed) && is_anyone(&entry.id);
    if acl.first().is_none_or(world) || rules.skip_acl {
        return true; // nearly every check ends here
    }
    ids.iter().any(|id| id.scheme == schemes::SUPER)
        || acl.iter().any(|entry| world(entry) || grants_to(entry, needed, ids, rules))
}

fn is_anyone(id: &Id) -> bool {
    id.scheme == schemes::WORLD && id.id == schemes::ANYONE
}

fn grants_to(entry: &Acl, needed: Perms, ids: &[Id], rules: &AuthRules) -> bool {
    entry.perms.grants(needed)
        && rules.has_provider(&entry.id.scheme)
        && ids.iter().any(|id| id.scheme == entry.id.scheme && schemes::matches(id, &entry.id.id))
}

/// The list to store for the one a client sent: without duplicates, `auth` entries replaced by the
/// connection's own authenticated identities, in the order sent (A2).
///
/// # Errors
/// [`ErrorCode::InvalidAcl`]: no entry, an unknown scheme, an id not of its scheme's format, or an
/// `auth` entry of a connection without an authenticated identity.
pub fn fix_up(entries: Option<&[AclEntry]>, ids: &[Id], rules: &AuthRules) -> Result<Vec<Acl>, ErrorCode> {
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    let mut fixed = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        if !entries[..at].contains(entry) {
            fix_up_entry(entry, ids, rules, &mut fixed)?;
        }
    }
    Ok(fixed)
}

fn fix_up_entry(
    entry: &AclEntry,
    ids: &[Id],
    rules: &AuthRules,
    fixed: &mut Vec<Acl>,
) -> Result<(), ErrorCode> {
    let perms = Perms(entry.perms);
    let scheme = entry.scheme.as_ref().ok_or(ErrorCode::InvalidAcl)?;
    if *scheme == schemes::AUTH {
        let before = fixed.len();
        let proven = |id: &&Id| rules.has_provider(&id.scheme) && schemes::is_authenticated(&id.scheme);
        fixed.extend(ids.iter().filter(proven).map(|id| Acl { perms, id: id.clone() }));
        return if fixed.len() > before { Ok(()) } else { Err(ErrorCode::InvalidAcl) };
    }
    let id = entry.id.as_ref().ok_or(ErrorCode::InvalidAcl)?;
    let id = Id { scheme: scheme.clone(), id: id.clone() };
    let known = rules.has_provider(&id.scheme) && schemes::is_valid(&id);
    if !known && !is_anyone(&id) {
        return Err(ErrorCode::InvalidAcl);
    }
    fixed.push(Acl { perms, id });
    Ok(())
}

/// What getACL shows of `acl` to a connection with these identities: all of it with ADMIN; with READ
/// alone, passwords' hashes masked (A3).
///
/// # Errors
/// [`ErrorCode::NoAuth`]: neither READ nor ADMIN.
pub fn visible_acl(acl: &[Acl], ids: &[Id], rules: &AuthRules) -> Result<Vec<AclEntry>, ErrorCode> {
    if permits(acl, Perms::ADMIN, ids, rules) {
        return Ok(acl.iter().map(AclEntry::from).collect());
    }
    if permits(acl, Perms::READ, ids, rules) { Ok(mask_digests(acl)) } else { Err(ErrorCode::NoAuth) }
}

/// `acl` with the hash of each digest entry replaced by `x`: `bob:x`.
pub fn mask_digests(acl: &[Acl]) -> Vec<AclEntry> {
    let masked = |acl: &Acl| {
        let mut entry = AclEntry::from(acl);
        if acl.id.scheme == schemes::DIGEST {
            entry.id = Some(format!("{}:x", schemes::user_of(&acl.id.id)).into());
        }
        entry
    };
    acl.iter().map(masked).collect()
}

/// The identities that an auth packet adds to its connection; one it has already changes nothing.
///
/// # Errors
/// [`ErrorCode::AuthFailed`]: an unknown scheme, or none of the data it needs. The connection is to be
/// closed after the reply.
pub fn add_auth(
    scheme: Option<&str>,
    data: Option<&[u8]>,
    remote: IpAddr,
    rules: &AuthRules,
) -> Result<Vec<Id>, ErrorCode> {
    match scheme {
        Some(schemes::IP) => Ok(vec![ip_id(remote)]),
        Some(schemes::DIGEST) if rules.digest_enabled => {
            let id = digest_of(data.ok_or(ErrorCode::AuthFailed)?, rules.digest_alg);
            let is_super = rules.super_digest.as_ref().is_some_and(|it| schemes::same_secret(it, &id));
            let own = Id::new(ByteString::from_static(schemes::DIGEST), id);
            let all = Id::new(ByteString::from_static(schemes::SUPER), "");
            Ok(if is_super { vec![all, own] } else { vec![own] })
        }
        Some(schemes::ENSEMBLE) if rules.ensemble_names.is_some() => Ok(Vec::new()),
        _ => Err(ErrorCode::AuthFailed),
    }
}

/// Whether an auth packet says that its client means another ensemble: it is to be closed without an answer, so that it tries
/// another of its servers. Source: compat auth, 3; EnsembleAuthenticationProvider.
pub fn means_another_ensemble(scheme: Option<&str>, data: Option<&[u8]>, rules: &AuthRules) -> bool {
    let (Some(names), Some(named)) = (&rules.ensemble_names, data) else { return false };
    let is_one = |name: &ByteString| name.as_bytes() == named;
    scheme == Some(schemes::ENSEMBLE) && !named.is_empty() && !names.iter().any(is_one)
}

/// The identities of an operator whose order the process asks itself for: super's, by names that no auth packet
/// gives (AD10).
pub fn operator(forces: bool) -> Vec<Id> {
    let id = |name| Id::new(ByteString::from_static(schemes::SUPER), name);
    [schemes::OPERATOR].into_iter().chain(forces.then_some(schemes::FORCES)).map(id).collect()
}

/// Whether that operator says that a new voter may be missing.
pub fn forces(ids: &[Id]) -> bool {
    is_operator(ids) && ids.iter().any(|id| id.scheme == schemes::SUPER && id.id == schemes::FORCES)
}

/// Whether an operator is among these identities.
pub fn is_operator(ids: &[Id]) -> bool {
    ids.iter().any(|id| id.scheme == schemes::SUPER && id.id == schemes::OPERATOR)
}

/// Whether a connection with these identities may ask anything at all, under enforced authentication. An operator
/// has proven who it is before there was a connection.
///
/// # Errors
/// [`ErrorCode::SessionClosedRequireSaslAuth`]: none is of an enforced scheme; to be closed after the
/// reply.
pub fn enforce(ids: &[Id], rules: &AuthRules) -> Result<(), ErrorCode> {
    let enforced = &rules.enforced_schemes;
    if enforced.is_empty() || is_operator(ids) || ids.iter().any(|id| enforced.contains(&id.scheme)) {
        return Ok(());
    }
    Err(ErrorCode::SessionClosedRequireSaslAuth)
}

/// What whoAmI and the audit log call an identity: the user of a digest, an address, nothing for super.
pub fn display_name(id: &Id) -> &str {
    match &*id.scheme {
        schemes::DIGEST => schemes::user_of(&id.id),
        schemes::SUPER => "",
        _ => &id.id,
    }
}

#[cfg(test)]
mod tests;
