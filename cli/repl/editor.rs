//! The line editor, put together.

use std::path::PathBuf;

use etcetera::BaseStrategy;
use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, DefaultHinter, EditCommand, Emacs, FileBackedHistory, InputMode, KeyCode,
    KeyModifiers, MenuBuilder, Reedline, ReedlineEvent, ReedlineMenu, default_emacs_keybindings,
};

use super::completer::Completer;
use super::highlighter::Highlighter;
use super::names::SharedNames;
use super::validator::Semicolon;
use crate::config::Config;

const MENU: &str = "completion";

/// The line editor.
pub(super) fn editor(config: &Config, names: SharedNames) -> Reedline {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]),
    );
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    keys.add_binding(
        KeyModifiers::ALT,
        KeyCode::Enter,
        ReedlineEvent::Edit(vec![EditCommand::InsertNewline]),
    );
    let menu = ColumnarMenu::default()
        .with_name(MENU)
        .with_marker("> ")
        .with_input_mode(InputMode::FullBuffer)
        .with_word_chars("_.\"\\")
        .with_text_style(Style::new())
        .with_selected_text_style(Style::new().reverse())
        .with_description_text_style(Style::new().dimmed());
    let hinter = DefaultHinter::default().with_style(Style::new().fg(Color::DarkGray));
    let editor = Reedline::create()
        .with_ansi_colors(crate::style::stderr_has_colour())
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_completer(Box::new(Completer::new(names)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_highlighter(Box::new(Highlighter))
        .with_validator(Box::new(Semicolon))
        .with_hinter(Box::new(hinter))
        .use_bracketed_paste(true);
    match history(config) {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// The statements typed so far. A shell without them is still a shell.
fn history(config: &Config) -> Option<FileBackedHistory> {
    let mut path = config.repl.history_file.clone();
    if path.as_os_str().is_empty() {
        path = default_history_file()?;
    }
    let opened = private_file(&path).map_err(|error| error.to_string()).and_then(|()| {
        FileBackedHistory::with_file(config.repl.history_size, path.clone())
            .map_err(|error| error.to_string())
    });
    opened.inspect_err(|error| tracing::warn!("no history: could not open {path:?}: {error}")).ok()
}

fn default_history_file() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    let folder = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(folder.join("boathouse").join("history"))
}

/// Makes a new file readable to its owner only: statements may hold secrets.
fn private_file(path: &std::path::Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
