//! A public place between 0 and 1 for each id, by which rows are divided without a word between the parties.

/// The first eight bytes, little-endian, of BLAKE3 in key-derivation mode with the context `caesar/v1
/// division of rows` over purpose, a zero byte, salt, a zero byte and id; of them the top 53 bits over 2^53.
/// Divisions for two purposes or with two salts know nothing of each other. `purpose` and `salt` have no
/// zero byte.
pub fn place(purpose: &str, salt: &str, id: &str) -> f64 {
    let mut h = blake3::Hasher::new_derive_key("caesar/v1 division of rows");
    for part in [purpose, "\0", salt, "\0", id] {
        h.update(part.as_bytes());
    }
    let mut head = [0; 8];
    h.finalize_xof().fill(&mut head);
    // A double holds 53 bits exactly.
    libm::ldexp((u64::from_le_bytes(head) >> 11) as f64, -53)
}

#[cfg(test)]
mod tests {
    use super::place;

    /// Both parties' programs must divide alike, whatever their release.
    #[test]
    fn places_are_known_even_and_do_not_depend_on_each_other() {
        let hash = |input: &[u8]| blake3::derive_key("caesar/v1 division of rows", input);
        let head: [u8; 8] = hash(b"test rows\x002026\0id-1")[..8].try_into().unwrap();
        let expected = (u64::from_le_bytes(head) >> 11) as f64 / 9_007_199_254_740_992.0;
        assert_eq!(place("test rows", "2026", "id-1"), expected);
        let ids: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
        let below = |purpose: &str, salt: &str, limit: f64| -> Vec<bool> {
            ids.iter().map(|id| place(purpose, salt, id) < limit).collect()
        };
        let count = |of: &[bool]| of.iter().filter(|&&below| below).count();
        // Six standard deviations of fixed hashes.
        let quarter = below("a", "s", 0.25);
        assert!((2_240..2_760).contains(&count(&quarter)), "{}", count(&quarter));
        assert!((8_820..9_180).contains(&count(&below("a", "s", 0.9))));
        for other in [below("b", "s", 0.25), below("a", "t", 0.25)] {
            let both: Vec<bool> = quarter.iter().zip(&other).map(|(a, b)| *a && *b).collect();
            assert!((480..770).contains(&count(&both)), "{} of 625", count(&both));
        }
    }
}
