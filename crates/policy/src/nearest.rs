//! "Did you mean": the known name nearest to what was written. Cedar's own suggestion depends on the order of a hash map.

/// The known name at the smallest Levenshtein distance, if that is at most `limit`; of several the first in the alphabet.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl Iterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    let near = known.map(|name| (distance(written, name), name)).min()?;
    (near.0 <= limit).then_some(near.1)
}

/// Levenshtein distance of what is short; of a long text only the beginning counts.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().take(LONGEST).count()).collect();
    for (i, x) in a.chars().take(LONGEST).enumerate() {
        let mut left = i + 1;
        let mut cells = row.iter_mut();
        let Some(mut diagonal) = cells.next().map(|first| std::mem::replace(first, left)) else {
            continue;
        };
        for (cell, y) in cells.zip(b.chars()) {
            let cost = (diagonal + usize::from(x != y))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
    }
    row.last().copied().unwrap_or(0)
}

const LONGEST: usize = 96;

#[cfg(test)]
mod tests;
