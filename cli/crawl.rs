//! `boathouse crawl`: CRAWL from the command line.

use crate::args::CrawlArguments;
use crate::config::Config;
use crate::failure::Result;
use crate::lake::Lake;
use crate::output::{Format, Output, Place};
use crate::run;
use crate::statements::{literal, quoted};

/// Runs the crawl, or its plan, and prints the changes with their reasons.
pub(crate) async fn crawl(config: &Config, arguments: &CrawlArguments) -> Result<()> {
    let lake = Lake::open(None, config).await?;
    let result = async {
        let mut output = Output::new(Format::Table, Place::Stdout)?;
        let style = run::table_style(config);
        run::script(lake.connection(), &statement(arguments), None, &mut output, &style).await
    };
    let result = result.await;
    lake.close().await;
    result
}

fn statement(arguments: &CrawlArguments) -> String {
    let explain = if arguments.plan { "EXPLAIN " } else { "" };
    let what = &arguments.what;
    let is_there = std::path::Path::new(what).exists();
    let is_location = is_there || what.contains(['/', '.']) || arguments.into.is_some();
    if !is_location {
        return format!("{explain}CRAWL {}", quoted(what));
    }
    let into = arguments.into.as_deref().map(|database| format!(" INTO {}", quoted(database)));
    format!("{explain}CRAWL {}{}", literal(what), into.unwrap_or_default())
}
