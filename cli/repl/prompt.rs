//! What stands before the cursor.

use std::borrow::Cow;

use reedline::{PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus};

/// As long as the head of the first line, so that lines begin below each other.
const CONTINUED: &str = "-> ";

/// The prompt: the name of the program, and of the current database where it isn't the default.
pub(super) struct Prompt {
    name: String,
}

impl Prompt {
    pub(super) fn new(database: &str) -> Self {
        Self {
            name: match database {
                "default" => "boathouse".to_owned(),
                other => format!("boathouse:{}", crate::output::printable(other)),
            },
        }
    }
}

impl reedline::Prompt for Prompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        let width = self.name.chars().count() + 2;
        Cow::Owned(format!("{CONTINUED:>width$}"))
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let found = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing ",
        };
        Cow::Owned(format!(" {found}found for \"{}\"> ", search.term))
    }
}
