//! Paths of znodes: which are valid, and their parts. Source: ZooKeeper's `PathUtils.validatePath`.

/// Whether a znode may be created at `path`: absolute, no empty, `.` or `..` component, no trailing
/// slash but for the root itself, and none of the characters ZooKeeper forbids.
pub fn is_valid(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let Some(rest) = path.strip_prefix('/') else { return false };
    let is_plain = rest.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    rest.as_bytes().split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
        && (is_plain || !rest.chars().any(is_forbidden))
}

/// Control characters, surrogates (so all beyond the basic plane), the private use area and specials.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// What stands before the last slash; the root for `/x`. `None` without a slash, or with a NUL, as in
/// `PrepRequestProcessor.validatePath`'s first test.
pub fn parent(path: &str) -> Option<&str> {
    if path.contains('\0') {
        return None;
    }
    let at = path.rfind('/')?;
    Some(if at == 0 { "/" } else { &path[..at] })
}

/// The last component; empty for the root and after a trailing slash.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("")
}

/// The reserved tree: dynamic configuration and quotas.
pub const ZOOKEEPER: &str = "/zookeeper";
/// Where quotas live: limits and usage of `/a` are below `/zookeeper/quota/a`.
pub const QUOTA: &str = "/zookeeper/quota";
/// The ensemble's configuration text.
pub const CONFIG: &str = "/zookeeper/config";
/// The node below [`QUOTA`]`/path` that holds the limits of `path`.
pub const QUOTA_LIMITS: &str = "zookeeper_limits";
/// The node below [`QUOTA`]`/path` that holds the usage of `path`.
pub const QUOTA_STATS: &str = "zookeeper_stats";

/// Whether `path` is one of the four znodes that always exist.
pub fn is_reserved(path: &str) -> bool {
    matches!(path, "/" | ZOOKEEPER | QUOTA | CONFIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_zookeepers() {
        for path in ["/", "/a", "/a b/c", "/a/..b", "/...", "/é/日本", "/\u{ffef}", "/\u{d7ff}", "/\u{a0}"]
        {
            assert!(is_valid(path), "{path:?}");
        }
        for path in [
            "",
            "a",
            "a/b",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/a/./b",
            "/a/..",
            "/..",
            "/\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{ffff}",
            "/😀",
        ] {
            assert!(!is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn parents_and_names() {
        for (path, above, last) in [
            ("/a", Some("/"), "a"),
            ("/a/b", Some("/a"), "b"),
            ("/a/", Some("/a"), ""),
            ("/", Some("/"), ""),
            ("a", None, "a"),
            ("/a\0", None, "a\0"),
        ] {
            assert_eq!((parent(path), name(path)), (above, last), "{path:?}");
        }
    }
}
