//! Numbers and text as people read them.

use rust_decimal::{Decimal, RoundingStrategy};
use tercel_core::{Nanos, Notional};

/// What stands where a figure is not defined.
pub(crate) const DASH: &str = "–";

/// Returns text that is safe inside HTML elements and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Controls that would vanish or reorder what is around them.
            '\u{0}'..='\u{8}'
            | '\u{b}'..='\u{1f}'
            | '\u{7f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns a decimal with thousands separated by commas, as many places as it has.
pub(crate) fn grouped(value: Decimal) -> String {
    let text = value.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let mut grouped = String::with_capacity(text.len() + text.len() / 3);
    grouped.push_str(sign);
    for (idx, digit) in whole.char_indices() {
        if idx > 0 && (whole.len() - idx).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(part) = part {
        grouped.push('.');
        grouped.push_str(part);
    }
    grouped
}

/// Returns a count with thousands separated.
pub(crate) fn count(n: u64) -> String {
    grouped(Decimal::from(n))
}

/// Returns money to two places, half away from zero.
pub(crate) fn money(amount: Notional) -> String {
    let mut rounded =
        amount.to_decimal().round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(2);
    if rounded.is_zero() {
        rounded.set_sign_positive(true);
    }
    grouped(rounded)
}

/// Returns an amount for a headline: without cents from a million on, where they would not fit.
pub(crate) fn headline(amount: Notional) -> String {
    let text = money(amount);
    match text.split_once('.') {
        Some((whole, _)) if whole.len() >= "1,000,000".len() => whole.to_owned(),
        _ => text,
    }
}

/// Returns a float to `places`, or a dash.
pub(crate) fn float(value: Option<f64>, places: usize) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return DASH.to_owned() };
    // Beyond this, digits of a ratio mean nothing and would only break the layout.
    if value.abs() >= 1e9 {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.places$}");
    text.parse().map_or(text, |decimal: Decimal| grouped(decimal))
}

/// Returns a share as a percentage to two places, or a dash.
pub(crate) fn percent(share: Option<f64>) -> String {
    match float(share.map(|share| share * 100.0), 2) {
        text if text == DASH => text,
        text => text + " %",
    }
}

/// Returns a moment in UTC to the second.
pub(crate) fn moment(at: Nanos) -> String {
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
    timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a moment in UTC to the nanosecond, as RFC 3339; as a number where no calendar has it.
pub(crate) fn exact_moment(at: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// Returns a UTC day counted from 1970-01-01.
pub(crate) fn day(number: i64) -> String {
    moment(Nanos(number.saturating_mul(Nanos::DAY))).chars().take(10).collect()
}

/// Returns a span in its two largest units.
pub(crate) fn span(ns: i64) -> String {
    let seconds = ns / Nanos::SECOND;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match () {
        () if days > 0 => format!("{days} d {hours} h"),
        () if hours > 0 => format!("{hours} h {minutes} min"),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () if seconds > 0 => format!("{:.1} s", ns as f64 / 1e9),
        () => latency(ns.unsigned_abs()),
    }
}

/// Returns a short span in the unit that suits it.
pub(crate) fn latency(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.2} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_and_nothing_else() {
        for (text, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("-1000", "-1,000"),
            ("1234567.8901", "1,234,567.8901"),
            ("0.001", "0.001"),
        ] {
            assert_eq!(grouped(text.parse().unwrap()), expected);
        }
    }

    #[test]
    fn money_is_rounded_to_cents_without_minus_zero() {
        let cents = |units: i128| money(Notional(units * (Notional::ONE / 1_000)));
        assert_eq!([cents(1_234_565), cents(-4), cents(-5)], ["1,234.57", "0.00", "-0.01"]);
    }

    #[test]
    fn undefined_figures_are_dashes() {
        assert_eq!([float(None, 2), percent(Some(f64::NAN))], [DASH, DASH]);
        assert_eq!([float(Some(1_234.5), 2), percent(Some(-0.0123))], ["1,234.50", "-1.23 %"]);
        assert_eq!(float(Some(1e12), 2), "1.00e12");
    }

    #[test]
    fn headlines_leave_cents_out_where_they_do_not_fit() {
        let text = |text: &str| headline(Notional::from_decimal(text.parse().unwrap()).unwrap());
        assert_eq!(text("999999.994"), "999,999.99");
        assert_eq!(text("449109086.37"), "449,109,086");
    }

    #[test]
    fn times_and_spans() {
        assert_eq!(moment(Nanos(1_736_143_200 * Nanos::SECOND)), "2025-01-06 06:00:00");
        assert_eq!(day(20_094), "2025-01-06");
        let spans = [90 * Nanos::DAY, 3_700 * Nanos::SECOND, 61 * Nanos::SECOND, 1_500_000_000, 42];
        assert_eq!(spans.map(span), ["90 d 0 h", "1 h 1 min", "1 min 1 s", "1.5 s", "42 ns"]);
        assert_eq!(latency(12_345), "12.35 µs");
    }

    #[test]
    fn markup_in_text_stays_text() {
        assert_eq!(escape("<b a='x'>\"&\u{202e}"), "&lt;b a=&#39;x&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
