//! Whether the compiler that built this binary can be trusted (rust-lang/rust#158206).
//!
//! rustc 1.95.0 with optimisation takes some comparisons of an integer with a constant for false: code
//! that checks a bit, branches on it and keeps it. `.cargo/config.toml` turns the pass off that does it;
//! a build with other flags does without, and this is how such a binary is told.

struct Bits {
    seen: u64,
    count: u32,
}

impl Bits {
    /// The shape that goes wrong once it is inlined into a caller that branches on what it returns.
    fn see(&mut self, bit: u32) -> bool {
        let first = self.seen & (1 << bit) == 0;
        self.seen |= 1 << bit;
        self.count += u32::from(first);
        first
    }
}

/// Whether a sum that cannot be wrong is right.
pub(crate) fn is_sound() -> bool {
    let mut bits = Bits { seen: 0, count: 0 };
    let mut branched = 0;
    for bit in 0..10 {
        if bits.see(bit) {
            branched += 1;
        }
    }
    bits.count == 10 && branched == 10
}

/// What to tell whoever built it.
pub(crate) const ADVICE: &str = "this binary was miscompiled (rust-lang/rust#158206) and would not keep \
your data: build it in its own directory without RUSTFLAGS, so that .cargo/config.toml holds, or with a \
newer Rust";

#[cfg(test)]
mod tests {
    #[test]
    fn this_build_is_sound() {
        assert!(super::is_sound());
    }
}
