//! Bodies of requests, as bytes: drawn ones are often not what a typed record can say.

use super::op::PREFIX;

/// A body being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(pub Vec<u8>);

impl Body {
    pub(crate) fn int(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn flag(mut self, value: bool) -> Self {
        self.0.push(u8::from(value));
        self
    }

    /// A string or buffer; `None` is null.
    pub(crate) fn data(self, value: Option<&[u8]>) -> Self {
        let Some(bytes) = value else { return self.int(-1) };
        let mut body = self.int(i32::try_from(bytes.len()).expect("drawn bodies are short"));
        body.0.extend_from_slice(bytes);
        body
    }

    pub(crate) fn text(self, value: &str) -> Self {
        self.data(Some(value.as_bytes()))
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn texts(self, values: &[String]) -> Self {
        let body = self.int(i32::try_from(values.len()).expect("drawn lists are short"));
        values.iter().fold(body, |body, value| body.text(value))
    }

    /// Before each op of a multi.
    pub(crate) fn header(self, kind: i32, done: bool) -> Self {
        self.int(kind).flag(done).int(-1)
    }
}

/// The paths that are drawn most, all below [`PREFIX`]: few, so that operations meet.
pub(crate) fn usual_paths() -> Vec<String> {
    ["", "/a", "/b", "/c", "/a/x", "/a/y", "/b/x", "/a/x/q", "/c/z"]
        .map(|tail| format!("{PREFIX}{tail}"))
        .into()
}

/// Paths that are looked at with care: as bytes, and what they are.
pub(crate) fn odd_paths() -> Vec<Option<Vec<u8>>> {
    let below = |tail: &[u8]| Some([PREFIX.as_bytes(), tail].concat());
    let whole = |path: &str| Some(path.as_bytes().to_vec());
    vec![
        None,
        whole(""),
        whole("/"),
        whole("noslash"),
        whole("/zookeeper"),
        whole("/zookeeper/config"),
        whole("/zookeeper/quota"),
        whole("/zookeeper/nothing"),
        below(b"/"),
        below(b"/a/"),
        below(b"//a"),
        below(b"/./a"),
        below(b"/."),
        below(b"/.."),
        below(b"/a/../b"),
        below(b"/..."),
        below(b"/\x01"),
        below(b"/\x1f"),
        below(b"/\x7f"),
        below(b"/a\0b"),
        below(b"/a b"),
        below("/é".as_bytes()),
        below("/\u{85}".as_bytes()),
        below("/\u{d7ff}".as_bytes()),
        below("/\u{e000}".as_bytes()),
        below("/\u{f8ff}".as_bytes()),
        below("/\u{f900}".as_bytes()),
        below("/\u{ffef}".as_bytes()),
        below("/\u{fff0}".as_bytes()),
        below("/\u{1f600}".as_bytes()),
        below(b"/\xff\xfe"),
        below(b"/\xc3"),
        below(b"/\xed\xa0\x80"),
    ]
}

/// Where quotas are kept for this run.
pub(crate) fn quota_paths() -> Vec<String> {
    ["", "/zookeeper_limits", "/zookeeper_stats", "/a", "/a/zookeeper_limits", "/a/zookeeper_stats"]
        .map(|tail| format!("/zookeeper/quota{PREFIX}{tail}"))
        .into()
}
