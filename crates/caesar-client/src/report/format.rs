//! Numbers, units and times as the page writes them.

use std::time::SystemTime;

use time::OffsetDateTime;

/// 1234567 as 1,234,567.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// With so many decimals, and a minus that is as wide as a plus. A zero has no sign.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| c == '0' || c == '.') => zero.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// KS, AUC and their like: three decimals, as many as intervals of thousands of rows bear.
pub(super) fn figure(value: f64) -> String {
    fixed(value, 3)
}

/// A difference, with its sign.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let zero = text.chars().all(|c| c == '0' || c == '.');
    if value > 0.0 && !zero { format!("+{text}") } else { text }
}

/// 0.123 as 12.3 %.
pub(super) fn percent(share: f64) -> String {
    format!("{}\u{202f}%", fixed(100.0 * share, 1))
}

/// The probability that log-odds stand for.
pub(super) fn probability(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// Bytes in powers of a thousand.
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if value < 1000 {
        return format!("{value}\u{202f}B");
    }
    let mut scaled = value as f64 / 1000.0;
    let mut unit = 0;
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let decimals = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    format!("{scaled:.decimals$}\u{202f}{}", UNITS[unit])
}

/// Seconds, in minutes and hours where they are many.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 99.95 {
        return format!("{seconds:.1}\u{202f}s");
    }
    let whole = seconds.round().min(1e15) as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes}\u{202f}min {rest}\u{202f}s"),
        _ => format!("{}\u{202f}h {minutes}\u{202f}min", count(hours)),
    }
}

/// Minute of the day in UTC.
pub(super) fn moment(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (year, month, day) = at.to_calendar_date();
    let month = u8::from(month);
    format!("{year}-{month:02}-{day:02}, {:02}:{:02} UTC", at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, -0.0, -0.0004, 0.12345, -0.5].map(figure),
            ["0.000", "0.000", "0.000", "0.123", "−0.500"]
        );
        assert_eq!(
            [0.0, 0.0001, 0.0781, -0.0781].map(|v| signed(v, 3)),
            ["0.000", "0.000", "+0.078", "−0.078"]
        );
        assert_eq!(percent(0.22304), "22.3\u{202f}%");
        let sizes = [0, 999, 1000, 9_994, 999_999, 12_345_678, 123_456_789_012];
        let written = ["0 B", "999 B", "1.00 kB", "9.99 kB", "1.00 MB", "12.3 MB", "123 GB"];
        assert_eq!(sizes.map(|b| bytes(b).replace('\u{202f}', " ")), written);
        let times = [0.0, 35.24, 101.0, 3600.0, 7_384.0];
        let written = ["0.0 s", "35.2 s", "1 min 41 s", "1 h 0 min", "2 h 3 min"];
        assert_eq!(times.map(|s| duration(s).replace('\u{202f}', " ")), written);
        assert_eq!(probability(0.0), 0.5);
    }

    #[test]
    fn times_are_of_the_calendar() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_210_096);
        assert_eq!(moment(at), "2024-02-29, 12:34 UTC");
    }
}
