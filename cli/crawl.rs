//! `boathouse crawl`: CRAWL from the command line.

use crate::args::CrawlArguments;
use crate::config::Config;
use crate::failure::Result;
use crate::lake::Lake;
use crate::output::{Format, Output, Place};
use crate::run::{self, Done};
use crate::statements::{literal, quoted};

/// Runs the crawl, or its plan, and prints the changes with their reasons.
pub(crate) async fn crawl(config: &Config, arguments: &CrawlArguments) -> Result<()> {
    let lake = Lake::open(None, config).await?;
    let statement = statement(&arguments.what, arguments.into.as_deref(), arguments.plan);
    let result = async {
        let mut output = Output::new(Format::Table, Place::Stdout)?;
        let style = run::table_style(config);
        let done = run::statement(lake.connection(), &statement, &mut output, &style).await?;
        if done == Done::Rows(0) {
            anstream::eprintln!("Nothing changes: the catalog says what the files say");
        }
        Ok(())
    };
    let result = result.await;
    lake.close().await;
    result
}

/// The statement that crawls `what`: a location if it looks like one, or else a crawler.
pub(crate) fn statement(what: &str, into: Option<&str>, plan_only: bool) -> String {
    let explain = if plan_only { "EXPLAIN " } else { "" };
    let is_there = std::path::Path::new(what).exists();
    let is_location = is_there || what.contains(['/', '.']) || into.is_some();
    if !is_location {
        return format!("{explain}CRAWL {}", quoted(what));
    }
    let into = into.map(|database| format!(" INTO {}", quoted(database)));
    format!("{explain}CRAWL {}{}", literal(what), into.unwrap_or_default())
}
