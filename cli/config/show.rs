//! `boathouse config show`.

use std::fmt::Write as _;

use toml::Value;
use url::Url;

use super::Settings;

/// One line for each setting: its name, its value and where that came from.
pub(crate) fn show(settings: &Settings) -> String {
    let rows: Vec<[String; 3]> = settings
        .values
        .iter()
        .map(|(key, (value, source))| [key.clone(), shown(key, value), source.to_string()])
        .collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (keys, values) = (width(0), width(1));
    let mut text = String::new();
    for [key, value, source] in &rows {
        let _ = writeln!(text, "{key:keys$}  {value:values$}  {source}");
    }
    text
}

/// `value` without what nobody else should read.
fn shown(key: &str, value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let is_secret = matches!(key, "s3.secret_access_key" | "s3.session_token");
    if is_secret && !text.is_empty() {
        return "(hidden)".to_owned();
    }
    if let Ok(mut url) = Url::parse(text)
        && url.password().is_some()
        && url.set_password(Some("hidden")).is_ok()
    {
        return Value::String(url.into()).to_string();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let secret = Value::String("abc".to_owned());
        assert_eq!(shown("s3.secret_access_key", &secret), "(hidden)");
        let url = Value::String("postgres://me:abc@there/db".to_owned());
        assert_eq!(shown("catalog.url", &url), "\"postgres://me:hidden@there/db\"");
    }

    #[test]
    fn columns_are_aligned() {
        let text = show(&Settings::defaults().unwrap());
        let starts: Vec<_> = text.lines().map(|line| line.rfind("  default")).collect();
        assert!(starts.iter().all(|start| start.is_some() && *start == starts[0]), "{text}");
    }
}
