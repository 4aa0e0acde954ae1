//! Benchmarks, in one binary so that they link once.
//!
//! ```text
//! cargo bench                              planning times (criterion; words filter by name)
//! cargo bench -- flight [SCALE [ROUNDS]]   rows a second over Flight, against a bare server
//! cargo bench -- queries FOLDER THREADS    answers queries; driven by benches/tpch.py
//! ```

#![expect(clippy::panic, clippy::unwrap_used, reason = "a benchmark stops at its first surprise")]

mod flight;
mod planning;
mod queries;

use std::path::Path;

use boathouse_engine::{EngineConfig, S3Config};

fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    // Cargo adds `--bench` for harnesses that want it.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["queries", folder, threads] => {
            queries::answer(Path::new(folder), threads.parse().unwrap())
        }
        ["flight"] => flight::compare(1.0, 5),
        ["flight", scale] => flight::compare(scale.parse().unwrap(), 5),
        ["flight", scale, rounds] => {
            flight::compare(scale.parse().unwrap(), rounds.parse().unwrap());
        }
        [flight::BARE_SERVER, table] => flight::bare_server(Path::new(table)),
        _ => planning::measure(),
    }
}

/// A lake in `folder` with the defaults of a user's.
fn config(folder: &Path, threads: usize) -> EngineConfig {
    let path = folder.to_str().unwrap();
    EngineConfig {
        catalog_url: format!("{path}/catalog.db"),
        catalog_cache: std::time::Duration::from_secs(30),
        lake_url: format!("file://{path}/lake/"),
        threads,
        memory_limit_bytes: 0,
        spill_dir: folder.join("spill"),
        spill_limit_bytes: 100 << 30,
        statement_timeout: None,
        s3: S3Config::default(),
    }
}
