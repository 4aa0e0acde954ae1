//! Nearest names to a wrong one.

/// At most three of `candidates` that `wrong` may have been meant for, nearest first.
pub(crate) fn nearest<S: AsRef<str>>(wrong: &str, candidates: &[S]) -> Vec<String> {
    let wrong = wrong.to_lowercase();
    let allowed = (wrong.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = candidates
        .iter()
        .map(AsRef::as_ref)
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&wrong, &lower);
            let contained = wrong.len() >= 4 && lower.contains(&wrong);
            (distance <= allowed || contained).then_some((distance, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// A hint with the nearest names, or nothing.
pub(crate) fn did_you_mean<S: AsRef<str>>(wrong: &str, candidates: &[S]) -> Option<String> {
    let found = nearest(wrong, candidates);
    (!found.is_empty()).then(|| format!("Did you mean {}?", found.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_none() {
        let names = ["flights", "airlines", "planes"];
        assert_eq!(nearest("flihgts", &names), ["flights"]);
        assert_eq!(nearest("FLIGHT", &names), ["flights"]);
        assert!(nearest("xyz", &names).is_empty());
    }
}
