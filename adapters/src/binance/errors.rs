//! What the venue's codes mean.

use std::fmt::Write as _;

use super::hosts::Product;
use crate::document::{Document, Fields, Value};
use crate::error::{ErrorKind, VenueError};
use crate::protocol::VenueText;

/// Returns what a refusal means.
///
/// `status` is the HTTP status, or the one of an answer of the WebSocket API.
pub(crate) fn refusal(
    product: Product,
    status: u16,
    code: i64,
    text: &str,
    retry_after_s: Option<u32>,
) -> VenueError {
    let mut short = VenueText::new();
    let _ = write!(short, "{code}");
    let kind = kind(product, status, code, text);
    VenueError { kind, code: short, text: plain(text), retry_after_s }
}

/// Keeps the venue's words, less what they repeat of a request: some refusals quote a parameter.
fn plain(text: &str) -> String {
    let mut short: String = text.chars().take(200).collect();
    for (before, after) in [("Illegal characters found in parameter '", "'"), ("; legal range", "")]
    {
        if let Some(at) = short.find(before) {
            // The parameter's name stays, a pattern or a value behind it goes.
            let from = at + before.len();
            let end = if after.is_empty() {
                at
            } else {
                short[from..].find(after).map_or(short.len(), |n| from + n + after.len())
            };
            short.truncate(end);
        }
    }
    short
}

/// Returns the error of an answer that is not a success: its JSON, or what there is instead.
pub(crate) fn of_answer(
    product: Product,
    status: u16,
    body: &[u8],
    retry_after_s: Option<u32>,
    document: &mut Document,
) -> VenueError {
    let told = document.read(body, |value| {
        let code = value.integer("code")?;
        Some((code, value.text("msg").unwrap_or_default().to_owned()))
    });
    match told {
        Ok(Some((code, text))) => refusal(product, status, code, &text, retry_after_s),
        // A page of a proxy, of which only the status can be understood.
        _ => refusal(product, status, i64::from(status), "", retry_after_s),
    }
}

/// Returns the error of an answer of the WebSocket API.
pub(crate) fn of_frame(product: Product, status: u16, error: Value<'_, '_>) -> VenueError {
    let code = error.integer("code").unwrap_or_default();
    let text = error.text("msg").unwrap_or_default();
    // A point in time, of which what remains is counted from the venue's own.
    let retry_after_s = error.field("data").and_then(|data| {
        let left_ms = data.integer("retryAfter")?.checked_sub(data.integer("serverTime")?)?;
        u32::try_from(left_ms.max(0).div_euclid(1_000) + 1).ok()
    });
    refusal(product, status, code, text, retry_after_s)
}

fn kind(product: Product, status: u16, code: i64, text: &str) -> ErrorKind {
    match code {
        // The status does not matter to these: they come with 5xx and 4xx alike.
        -1007 | -1006 => return ErrorKind::OutcomeUnknown,
        _ => {}
    }
    match status {
        418 => return ErrorKind::Banned,
        429 if code == -1015 => return ErrorKind::TooManyOrders,
        429 => return ErrorKind::RateLimited,
        // The venue's word: it may have been done, also where the code says no more than that it is
        // overloaded (-1008). An order that was taken for refused and traded is nobody's.
        500.. => return ErrorKind::OutcomeUnknown,
        403 => return ErrorKind::RateLimited,
        _ => {}
    }
    match code {
        -1000 | -1001 => ErrorKind::OutcomeUnknown,
        -1003 | -1034 => ErrorKind::RateLimited,
        -1015 => ErrorKind::TooManyOrders,
        -1004 | -1008 | -1016 | -1035 => ErrorKind::Unavailable,
        -1021 => ErrorKind::Timestamp,
        -1002 | -1022 | -1099 | -2008 | -2014 | -2015 | -2017 | -4087 | -4088 => ErrorKind::Auth,
        -1013
        | -1111
        | -4003..=-4001
        | -4005
        | -4013..=-4012
        | -4014
        | -4016
        | -4023..=-4022
        | -4024
        | -4029
        | -4030
        | -4131
        | -4164
        | -4184..=-4183 => ErrorKind::Filter,
        -2010 | -2019 | -2018 | -2021 | -2022 | -2038 => rejected(product, code, text),
        -2011 => canceling(text),
        -2013 | -2026 => ErrorKind::UnknownOrder,
        -4015 if text.contains("duplicate") => ErrorKind::DuplicateOrder,
        -4111 | -4116 => ErrorKind::DuplicateOrder,
        -2020 | -5021 => ErrorKind::Other,
        -5022 => ErrorKind::WouldTake,
        -4118 => ErrorKind::WouldIncrease,
        -4046 | -4059 | -4171 | -5027 => ErrorKind::NoChange,
        -2024 | -2025 | -4045 => ErrorKind::TooManyOrders,
        -4050 | -4051 | -4028 => ErrorKind::InsufficientBalance,
        -1299..=-1010 | -4199..=-4000 => ErrorKind::BadRequest,
        _ => ErrorKind::Other,
    }
}

/// What a refused order was refused for, which on spot only the text tells.
fn rejected(product: Product, code: i64, text: &str) -> ErrorKind {
    let has = |words: &str| text.to_ascii_lowercase().contains(words);
    match (product, code) {
        (Product::UsdMargined, -2021) => ErrorKind::WouldTrigger,
        (Product::UsdMargined, -2022) => ErrorKind::WouldIncrease,
        (_, -2019 | -2018) => ErrorKind::InsufficientBalance,
        _ if has("insufficient balance") => ErrorKind::InsufficientBalance,
        _ if has("duplicate") => ErrorKind::DuplicateOrder,
        _ if has("immediately match") => ErrorKind::WouldTake,
        _ if has("trigger immediately") => ErrorKind::WouldTrigger,
        _ if has("filter failure") => ErrorKind::Filter,
        _ if has("unknown order") => ErrorKind::UnknownOrder,
        _ => ErrorKind::Other,
    }
}

/// What a refused withdrawal was refused for.
fn canceling(text: &str) -> ErrorKind {
    // Filled in part, or over: how it stands has to be asked.
    if text.contains("cancel restrictions") { ErrorKind::Other } else { ErrorKind::UnknownOrder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_venue_says() {
        use ErrorKind as E;
        let spot = Product::Spot;
        let usdm = Product::UsdMargined;
        for (product, status, code, text, kind) in [
            (spot, 400, -1003, "Too much request weight used", E::RateLimited),
            (spot, 429, -1003, "", E::RateLimited),
            (spot, 418, -1003, "Way too much", E::Banned),
            (spot, 429, -1015, "Too many new orders", E::TooManyOrders),
            (spot, 503, -1008, "Server is currently overloaded", E::OutcomeUnknown),
            (usdm, 429, -1008, "Server is currently overloaded", E::RateLimited),
            (usdm, 400, -1008, "Server is currently overloaded", E::Unavailable),
            (spot, 504, -1007, "Timeout waiting for response", E::OutcomeUnknown),
            (spot, 502, 502, "", E::OutcomeUnknown),
            (spot, 400, -1013, "Filter failure: LOT_SIZE", E::Filter),
            (spot, 400, -1111, "Precision is over the maximum", E::Filter),
            (spot, 400, -1021, "Timestamp for this request", E::Timestamp),
            (spot, 400, -1022, "Signature for this request is not valid.", E::Auth),
            (spot, 401, -2015, "Invalid API-key, IP, or permissions", E::Auth),
            (spot, 400, -1102, "Mandatory parameter 'x'", E::BadRequest),
            (spot, 400, -1121, "Invalid symbol.", E::BadRequest),
            (
                spot,
                400,
                -2010,
                "Account has insufficient balance for requested action.",
                E::InsufficientBalance,
            ),
            (spot, 400, -2010, "Duplicate order sent.", E::DuplicateOrder),
            (spot, 400, -2010, "Order would immediately match and take.", E::WouldTake),
            (spot, 400, -2010, "Order would trigger immediately.", E::WouldTrigger),
            (spot, 400, -2010, "Market is closed.", E::Other),
            (spot, 400, -2011, "Unknown order sent.", E::UnknownOrder),
            (spot, 400, -2011, "Order was not canceled due to cancel restrictions.", E::Other),
            (spot, 400, -2013, "Order does not exist.", E::UnknownOrder),
            (usdm, 400, -2021, "Order would immediately trigger.", E::WouldTrigger),
            (usdm, 400, -2022, "ReduceOnly Order is rejected.", E::WouldIncrease),
            (usdm, 400, -2019, "Margin is insufficient.", E::InsufficientBalance),
            (usdm, 400, -4164, "Order's notional must be no smaller than 100", E::Filter),
            (usdm, 400, -5022, "Post Only order will be rejected.", E::WouldTake),
            (usdm, 400, -4046, "No need to change margin type.", E::NoChange),
            (usdm, 400, -4059, "No need to change position side.", E::NoChange),
            (usdm, 400, -4120, "Order type not supported for this endpoint.", E::BadRequest),
            (spot, 400, -9999, "Something new.", E::Other),
        ] {
            let error = refusal(product, status, code, text, None);
            assert_eq!(error.kind, kind, "{code} {text}");
        }
    }

    #[test]
    fn pages_of_proxies_are_known_by_their_status() {
        let mut document = Document::new();
        let error = of_answer(Product::Spot, 403, b"<html>", None, &mut document);
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::RateLimited, "403"));
    }

    #[test]
    fn words_quote_no_values() {
        let text =
            "Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})$'.";
        assert_eq!(plain(text), "Illegal characters found in parameter 'price'");
    }
}
