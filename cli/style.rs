//! Colours. Streams of `anstream` drop them where they do not belong (`NO_COLOR`, no terminal).

use std::fmt::Display;

use anstream::{AutoStream, ColorChoice};
use nu_ansi_term::{Color, Style};

/// `text` as the head of an error message.
pub(crate) fn error(text: &str) -> impl Display {
    Color::Red.bold().paint(text.to_owned())
}

/// `text` as the head of a warning.
pub(crate) fn warning(text: &str) -> impl Display {
    Color::Yellow.bold().paint(text.to_owned())
}

/// `text` as a heading.
pub(crate) fn heading(text: &str) -> impl Display {
    Style::new().bold().paint(text.to_owned())
}

/// Whether standard output takes colours.
pub(crate) fn stdout_has_colour() -> bool {
    AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

/// Whether standard error takes colours.
pub(crate) fn stderr_has_colour() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// The member of `candidates` that is spelt most like `word`, where one is near enough.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
