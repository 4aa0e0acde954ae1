//! The `boathouse` binary: a SQL shell, and the wiring of everything else.

mod access_key;
mod args;
mod client;
mod config;
mod crawl;
mod demo;
mod failure;
mod keywords;
mod lake;
mod output;
mod repl;
mod run;
mod serve;
mod statements;
mod style;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, ConfigVerb, Verb};
use crate::config::{Config, Settings};
use crate::failure::{Failure, Result};
use crate::lake::Lake;

/// Deeply nested SQL is planned by recursion.
const THREAD_STACK_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    // ring and aws-lc-rs are both linked in: without this, rustls does not know which to take.
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::panic::set_hook(Box::new(|panic| {
        // On the engine's threads a panic becomes the statement's error, or a library's own.
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.starts_with("boathouse-")) {
            tracing::debug!(%panic, "caught");
        } else {
            anstream::eprintln!("{} a bug in boathouse: {panic}", style::error("error:"));
        }
    }));
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_ansi(style::stderr_has_colour())
        .with_writer(std::io::stderr)
        .init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let settings = Settings::load(arguments.settings())?;
    for warning in &settings.warnings {
        anstream::eprintln!("{} {warning}", style::warning("warning:"));
    }
    let config = settings.config()?;
    if let Some(Verb::Config { verb: ConfigVerb::Show }) = &arguments.verb {
        return print(&config::show(&settings));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(THREAD_STACK_BYTES)
        .build()
        .map_err(|error| Failure::io("start threads", &error))?;
    match &arguments.verb {
        None => shell(&runtime, arguments, config),
        Some(Verb::Sql(sql)) => {
            let connect = sql.remote.connect.as_ref().or(arguments.remote.connect.as_ref());
            runtime.block_on(async {
                let lake = Lake::open(connect.map(String::as_str), &config).await?;
                let result = run::sql(lake.connection(), sql, &config).await;
                lake.close().await;
                result
            })
        }
        Some(Verb::Serve(arguments)) => {
            runtime.block_on(serve::serve(&config, arguments.test_reset))
        }
        Some(Verb::Crawl(crawl)) => runtime.block_on(crawl::crawl(&config, crawl)),
        Some(Verb::AccessKey { verb }) => {
            print(&runtime.block_on(access_key::access_key(&config, verb))?)
        }
        Some(Verb::Demo(demo)) => {
            let keep = arguments.lake.data_dir.is_some();
            runtime.block_on(demo::demo(config, demo.once, keep))
        }
        Some(Verb::Config { .. }) => Ok(()),
    }
}

/// The SQL shell, or what stands in standard input if that is no terminal.
fn shell(runtime: &Runtime, arguments: &Arguments, mut config: Config) -> Result<()> {
    let mut temporary = None;
    if let Some(file) = &arguments.file {
        lake::check_file(file)?;
        if arguments.lake.data_dir.is_none() {
            temporary = Some(lake::temporary_folder(&mut config)?);
        }
    }
    let lake = runtime.block_on(Lake::open(arguments.remote.connect.as_deref(), &config))?;
    let result = (|| {
        if let Some(file) = &arguments.file {
            runtime.block_on(lake::open_file(lake.connection(), file))?;
        }
        if !std::io::stdin().is_terminal() {
            return runtime.block_on(run::stdin(lake.connection(), &config));
        }
        anstream::eprintln!(
            "Boathouse {}. Statements end with a semicolon; \\? lists commands, Ctrl-D quits.",
            env!("CARGO_PKG_VERSION")
        );
        repl::run(runtime, lake.connection(), &config)
    })();
    runtime.block_on(lake.close());
    drop(temporary);
    result
}

fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::PipeClosed),
        Err(error) => Err(Failure::io("write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}
