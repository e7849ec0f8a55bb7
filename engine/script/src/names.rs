//! Finding the name that somebody meant.

/// Returns the known name closest to `given`, if one is close enough to be a slip.
pub(crate) fn closest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = 1 + given.chars().count() / 3;
    known
        .into_iter()
        .map(|name| (distance(given, name), name))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Returns `unknown {what} {given}` with a suggestion and the list of what is known.
pub(crate) fn unknown<'a>(
    what: &str,
    given: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    let names: Vec<_> = known.clone().into_iter().collect();
    let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    match closest(given, known) {
        Some(name) => format!("unknown {what} \"{given}\", did you mean \"{name}\"? known: {list}"),
        None => format!("unknown {what} \"{given}\", known: {list}"),
    }
}

/// Number of characters to insert, delete or change.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["fast", "slow", "rsi_period"];
        assert_eq!(closest("fats", known), Some("fast"));
        assert_eq!(closest("rsi_perod", known), Some("rsi_period"));
        assert_eq!(closest("quantity", known), None);
        assert_eq!(
            unknown("parameter", "slov", known),
            "unknown parameter \"slov\", did you mean \"slow\"? known: fast, slow, rsi_period"
        );
    }
}
