//! Colours for SQL while it is typed.

use nu_ansi_term::{Color, Style};
use reedline::StyledText;

use super::commands;
use crate::keywords;
use crate::statements::{self, Kind};

/// Tells keywords, strings, numbers and comments apart.
pub(super) struct Highlighter;

impl reedline::Highlighter for Highlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        if commands::is_command(line) {
            text.push((Style::new().bold(), line.to_owned()));
            return text;
        }
        for token in statements::tokens(line) {
            let piece = token.text(line);
            let style = match token.kind {
                Kind::Word if keywords::is_keyword(piece) => Color::Blue.bold(),
                Kind::String => Color::Green.normal(),
                Kind::Number => Color::Purple.normal(),
                Kind::Comment => Style::new().dimmed(),
                Kind::Word | Kind::QuotedName | Kind::Space | Kind::Symbol => Style::new(),
            };
            text.push((style, piece.to_owned()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_what_it_is() {
        let line = "select 'x' -- open\n, \"";
        let styled = reedline::Highlighter::highlight(&Highlighter, line, 0);
        let text: String = styled.buffer.iter().map(|(_, piece)| piece.as_str()).collect();
        assert_eq!(text, line);
        assert_eq!(styled.buffer[0].0, Color::Blue.bold());
        assert_eq!(styled.buffer[2].0, Color::Green.normal());
    }
}
