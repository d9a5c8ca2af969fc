//! Numbers as people read them.

/// Thin space that doesn't break: between a number and its unit, and between thousands.
const THIN: char = '\u{202f}';

/// `12 345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() <= 4 {
        return digits;
    }
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub(crate) fn several(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", count(number as u64))
}

/// `34 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..1_000 => return format!("{bytes}{THIN}bytes"),
        1_000..1_000_000 => (bytes as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => (bytes as f64 / 1e6, "MB"),
        _ => (bytes as f64 / 1e9, "GB"),
    };
    let digits = usize::from(value < 10.0);
    format!("{value:.digits$}{THIN}{unit}")
}

/// `about 9 minutes`, without the `about`.
pub(crate) fn time(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    let minutes = (seconds + 30) / 60;
    match seconds {
        0..=1 => "a second".to_owned(),
        2..=89 => format!("{seconds} seconds"),
        90..=5_399 => format!("{minutes} minutes"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// Three digits that matter, and no exponent where people would write none.
pub(crate) fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let power = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&power) {
        let mantissa = format!("{:.2}", value / 10f64.powi(power));
        return format!("{} × 10{}", trimmed(&mantissa), raised(power));
    }
    let digits = (2 - power).max(0) as usize;
    trimmed(&format!("{value:.digits$}"))
}

/// As an exponent.
fn raised(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    power.to_string().chars().map(digit).collect()
}

/// `ε = 3`, which no line break parts.
pub(crate) fn epsilon(value: f64) -> String {
    format!("ε\u{a0}=\u{a0}{}", figure(value))
}

/// `1 in 100 000`.
pub(crate) fn chance(share: f64) -> String {
    if !(share > 0.0 && share < 0.5) {
        return figure(share);
    }
    // Never less likely than it is.
    let one_in = (1.0 / share + 1e-6).floor();
    if one_in < 1e15 {
        format!("1 in {}", count(one_in as u64))
    } else {
        figure(share)
    }
}

/// Without zeros that say nothing.
fn trimmed(number: &str) -> String {
    if !number.contains('.') {
        return number.to_owned();
    }
    number
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// The start of a content hash: enough to compare by eye.
pub(crate) fn short(hash: &str) -> String {
    let bare = hash.rsplit(':').next().unwrap_or(hash);
    bare.chars().take(12).collect()
}

/// `a, b, c and 4 more`.
pub(crate) fn some_of(names: &[String], shown: usize) -> String {
    let first = names
        .iter()
        .take(shown)
        .map(|name| format!("“{name}”"))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(shown) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// `a, b , ,c` → `[a, b, c]`.
pub(crate) fn listed(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
