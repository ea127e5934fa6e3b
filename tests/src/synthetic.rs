//! Small made-up data of two parties with a known relation between columns and label.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::HarnessError;

/// SplitMix64: enough for data, and the same on every machine.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal with mean 0 and variance 1 (sum of twelve uniforms).
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Two CSV files, one a party.
#[derive(Clone, Debug)]
pub struct Files {
    /// `id,a0..`.
    pub a: PathBuf,
    /// `id,y,b0..`.
    pub b: PathBuf,
    /// Rows of A's file.
    pub rows_a: u64,
    /// Rows of B's file.
    pub rows_b: u64,
    /// Rows in both.
    pub common: u64,
    /// Hex SHA-256 of the sorted common ids, each followed by a newline.
    pub common_sha256: String,
}

/// Writes dense data. The label follows the joint columns through a logistic relation in which A's
/// columns weigh more than B's, so a joint model must be better than B's own. Each party has one
/// indicator column; a tenth more rows in A and a twentieth in B are unknown to the other.
///
/// # Errors
/// If a file cannot be written.
pub fn write_dense(
    folder: &Path,
    name: &str,
    common: usize,
    seed: u64,
) -> Result<Files, HarnessError> {
    const COLUMNS: usize = 4;
    let mut numbers = Numbers::new(seed);
    let (mut rows_a, mut rows_b) = (Vec::new(), Vec::new());
    let mut ids = Vec::new();
    let (only_a, only_b) = (common / 10, common / 20);
    for row in 0..common + only_a + only_b {
        let id = format!("{name}-{:016x}", numbers.bits());
        let mut z = -0.5;
        let mut side = |weight: f64| {
            let mut cells = String::new();
            for column in 0..COLUMNS {
                let value = if column == 0 {
                    f64::from(u8::from(numbers.unit() < 0.3))
                } else {
                    // Six decimals, so that both programs read the very same number.
                    (numbers.normal() * 1e6).round() / 1e6
                };
                z += weight * value * if column % 2 == 0 { 1.0 } else { -0.7 };
                let _ = write!(cells, ",{value}");
            }
            cells
        };
        let (a, b) = (side(1.2), side(0.5));
        let y = u8::from(numbers.unit() < 1.0 / (1.0 + (-z).exp()));
        if row < common {
            ids.push(id.clone());
        }
        if row < common + only_a {
            rows_a.push(format!("{id}{a}"));
        }
        if row < common || row >= common + only_a {
            rows_b.push(format!("{id},{y}{b}"));
        }
    }
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for id in &ids {
        hash.update(id);
        hash.update(b"\n");
    }
    let counts = (rows_a.len() as u64, rows_b.len() as u64);
    // No row may be found by its position.
    rows_a.sort_unstable();
    rows_b.sort_unstable_by(|x, y| y.cmp(x));
    let header = |prefix: &str| (0..COLUMNS).map(|c| format!(",{prefix}{c}")).collect::<String>();
    let file_a = folder.join(format!("{name}_a.csv"));
    let file_b = folder.join(format!("{name}_b.csv"));
    write_lines(&file_a, &format!("id{}", header("a")), &rows_a)?;
    write_lines(&file_b, &format!("id,y{}", header("b")), &rows_b)?;
    Ok(Files {
        a: file_a,
        b: file_b,
        rows_a: counts.0,
        rows_b: counts.1,
        common: common as u64,
        common_sha256: hex::encode(hash.finalize()),
    })
}

fn write_lines(path: &Path, header: &str, rows: &[String]) -> Result<(), HarnessError> {
    let text = format!("{header}\n{}\n", rows.join("\n"));
    fs::write(path, text).map_err(HarnessError::io(format!("cannot write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::write_dense;

    #[test]
    fn the_files_have_the_counts_and_share_exactly_the_common_ids() {
        let folder = tempfile::tempdir().unwrap();
        let files = write_dense(folder.path(), "t", 100, 1).unwrap();
        let ids = |path| -> std::collections::BTreeSet<String> {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().skip(1).map(|l| l.split(',').next().unwrap().to_owned()).collect()
        };
        let (a, b) = (ids(&files.a), ids(&files.b));
        assert_eq!((a.len() as u64, b.len() as u64), (files.rows_a, files.rows_b));
        assert_eq!((files.rows_a, files.rows_b), (110, 105));
        assert_eq!(a.intersection(&b).count(), 100);
    }
}
