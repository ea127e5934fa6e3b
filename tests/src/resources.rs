//! What a process holds: memory, files, sockets. From `/proc`, so on Linux only.

use std::{fs, io, path::Path};

use crate::HarnessError;

/// What a node holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// The most resident memory it has ever had, KiB.
    pub peak_resident_kib: u64,
    /// Open files of all kinds, sockets included.
    pub open_files: usize,
    /// Open sockets.
    pub sockets: usize,
}

impl Resources {
    /// Of the process `pid`.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn of(pid: u32) -> Result<Self, HarnessError> {
        let read = || -> io::Result<Self> {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let kib = |name: &str| {
                let text = status.lines().find_map(|line| line.strip_prefix(name));
                let kib = text.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok());
                kib.ok_or(io::ErrorKind::InvalidData)
            };
            let (mut open_files, mut sockets) = (0, 0);
            for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
                open_files += 1;
                // It may be closed by now.
                let target = fs::read_link(entry?.path()).unwrap_or_default();
                sockets += usize::from(target.to_string_lossy().starts_with("socket:"));
            }
            Ok(Self {
                resident_kib: kib("VmRSS:")?,
                peak_resident_kib: kib("VmHWM:")?,
                open_files,
                sockets,
            })
        };
        read().map_err(HarnessError::io(format!("cannot look at process {pid}")))
    }
}

/// Files in a folder and all folders below it.
///
/// # Errors
/// If it cannot be read. Files that vanish meanwhile are not counted.
pub fn files_below(folder: &Path) -> Result<usize, HarnessError> {
    fn count(folder: &Path) -> io::Result<usize> {
        let mut files = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files += match entry.file_type()?.is_dir() {
                true => match count(&entry.path()) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                    counted => counted?,
                },
                false => 1,
            };
        }
        Ok(files)
    }
    count(folder).map_err(HarnessError::io(format!("cannot read {}", folder.display())))
}

/// The slope of the least-squares line through points (x, y), and its standard error. Needs three
/// points with different x; otherwise nothing is known.
pub fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    if points.len() < 3 || spread <= 0.0 {
        return None;
    }
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    let rest: f64 = points.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
    Some((slope, (rest / (n - 2.0) / spread).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_at_all_depths() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a").join("b");
        fs::create_dir_all(&below).unwrap();
        for name in ["x", "y"] {
            fs::write(below.join(name), "").unwrap();
        }
        fs::write(folder.path().join("z"), "").unwrap();
        assert_eq!(files_below(folder.path()).unwrap(), 3);
    }

    #[test]
    fn the_slope_is_that_of_the_line_with_its_error() {
        let line: Vec<_> = (0..10).map(|i| (f64::from(i), 3.0 - 0.5 * f64::from(i))).collect();
        let (exact, error) = slope(&line).unwrap();
        assert!((exact + 0.5).abs() < 1e-12 && error < 1e-12, "{exact} {error}");
        // By hand: mean 1.5, sum of squares 5, slope 1.44, rest 1.312, error √(1.312 / 2 / 5).
        let points = [(0.0, 0.0), (1.0, 2.0), (2.0, 2.0), (3.0, 4.8)];
        let (steep, error) = slope(&points).unwrap();
        assert!((steep - 1.44).abs() < 1e-12, "{steep}");
        assert!((error - (1.312f64 / 2.0 / 5.0).sqrt()).abs() < 1e-9, "{error}");
        assert_eq!(slope(&points[..2]), None);
        assert_eq!(slope(&[(1.0, 1.0); 5]), None);
    }
}
