//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flag;
use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  boathouse                                   SQL shell on the lake in ./boathouse-data
  boathouse trips.parquet                     the same, with this file as the table trips
  boathouse sql -c 'SHOW TABLES'              run SQL and leave
  boathouse serve                             serve the lake over Arrow Flight SQL and AWS Glue's API
  boathouse crawl s3://bucket/raw/ --plan     show which tables are there, without making them
  boathouse --connect grpc://127.0.0.1:8815   SQL shell on a lake that is served
  boathouse demo                              a lake with sample data, served

Exit codes: 0 done, 1 a statement failed, 2 wrong usage, 3 no connection, 130 interrupted.";

const SQL_EXAMPLES: &str = "\
Examples:
  boathouse sql -c 'SELECT count(*) FROM flights'
  boathouse sql -f report.sql --format csv > report.csv
  boathouse sql -c 'SELECT * FROM flights' -o flights.parquet
  boathouse sql --connect grpc://127.0.0.1:8815 -c 'SHOW TABLES' --format json
  echo 'SELECT 1;' | boathouse sql -f -";

const SERVE_EXAMPLES: &str = "\
Examples:
  boathouse serve
  boathouse serve --data-dir /srv/lake --flight 127.0.0.1:9000
  boathouse serve --catalog postgres://user:password@host/catalog --lake s3://bucket/lake/";

/// A lakehouse in one binary: data catalog, SQL over Parquet and Delta, Arrow Flight SQL.
///
/// Without a verb: a SQL shell.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) lake: LakeFlags,

    #[command(flatten)]
    pub(crate) remote: RemoteFlag,

    /// A Parquet, CSV or JSON file, or a folder of them, to open as a table.
    ///
    /// The table is named after the file. It lives in a fresh lake that is removed at the end,
    /// unless --data-dir says otherwise.
    #[arg(conflicts_with = "connect")]
    pub(crate) file: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// Which lake: these mean the same with every verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct LakeFlags {
    /// Folder of the catalog and the tables [default: boathouse-data].
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) data_dir: Option<String>,

    /// Where the catalog is kept: a SQLite file, postgres://… or glue:… [default: catalog.db in the
    /// data folder].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) catalog: Option<String>,

    /// Where new tables are kept: a folder or s3://… [default: the folder lake in the data folder].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) lake: Option<String>,
}

/// A lake that another process serves.
#[derive(Clone, Debug, Args)]
pub(crate) struct RemoteFlag {
    /// Use the lake that is served there, as in grpc://127.0.0.1:8815 or grpc://user:pw@host:8815.
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "catalog", "lake"])]
    pub(crate) connect: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run SQL statements and leave.
    Sql(SqlArguments),
    /// Serve the lake to programs and BI tools until Ctrl-C.
    Serve(ServeArguments),
    /// Make a lake with sample data, answer three questions, and serve it until Ctrl-C.
    Demo(DemoArguments),
    /// Make tables of files: look at a location, or run a crawler of the catalog.
    Crawl(CrawlArguments),
    /// Make and revoke the keys that AWS clients sign their requests with.
    AccessKey {
        #[command(subcommand)]
        verb: AccessKeyVerb,
    },
    /// Tell about the settings.
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
}

/// `boathouse sql`.
#[derive(Debug, Args)]
#[command(after_help = SQL_EXAMPLES)]
pub(crate) struct SqlArguments {
    #[command(flatten)]
    pub(crate) remote: RemoteFlag,

    /// The statements to run, with a semicolon between two of them.
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    pub(crate) command: Option<String>,

    /// The file of the statements to run; "-" is standard input.
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,

    /// How rows are written [default: by the name of the output file, else table].
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Write the rows to this file instead of standard output. It appears when all is done.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// How many rows of a result a table shows, 0 for all [default: the setting repl.max_rows].
    #[arg(long, value_name = "N")]
    pub(crate) max_rows: Option<usize>,
}

/// `boathouse serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArguments {
    /// Address of the Flight SQL endpoint [default: 127.0.0.1:8815].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) flight: Option<SocketAddr>,

    /// Address of the HTTP endpoint, for AWS clients [default: 127.0.0.1:8816].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,

    /// Open a door that empties the catalog, POST /moto-api/reset. For test suites only.
    #[arg(long)]
    pub(crate) test_reset: bool,
}

/// `boathouse crawl`.
#[derive(Debug, Args)]
pub(crate) struct CrawlArguments {
    /// The name of a crawler, or a folder or URL to look at.
    pub(crate) what: String,

    /// Show what would change, and why, and change nothing.
    #[arg(long)]
    pub(crate) plan: bool,

    /// The database for the tables of a location [default: default].
    #[arg(long, value_name = "DATABASE")]
    pub(crate) into: Option<String>,
}

/// `boathouse access-key`.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessKeyVerb {
    /// Make a key and print its id and its secret, which is shown only now.
    Create {
        /// Who or what it is for.
        #[arg(long)]
        comment: Option<String>,
    },
    /// List the keys, without their secrets.
    List,
    /// Make a key invalid.
    Revoke {
        /// The key's id.
        id: String,
    },
}

/// `boathouse demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Stop after the answers, without serving.
    #[arg(long)]
    pub(crate) once: bool,

    /// Address of the Flight SQL endpoint [default: 127.0.0.1:8815].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) flight: Option<SocketAddr>,
}

/// `boathouse config`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print every setting, its value and where that came from.
    Show,
}

impl Arguments {
    /// The settings among the flags.
    pub(crate) fn settings(&self) -> Vec<Flag> {
        let LakeFlags { data_dir, catalog, lake } = self.lake.clone();
        let flight = match &self.verb {
            Some(Verb::Serve(arguments)) => arguments.flight,
            Some(Verb::Demo(arguments)) => arguments.flight,
            _ => None,
        };
        let http = match &self.verb {
            Some(Verb::Serve(arguments)) => arguments.http,
            _ => None,
        };
        let flags = [
            ("data_dir", "--data-dir", data_dir),
            ("catalog.url", "--catalog", catalog),
            ("lake.url", "--lake", lake),
            ("flight.listen", "--flight", flight.map(|address| address.to_string())),
            ("http.listen", "--http", http.map(|address| address.to_string())),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(key, name, value)| Some(Flag { key, name, value: value? }));
        given.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn lake_flags_may_stand_before_and_behind_the_verb() {
        for line in
            [["boathouse", "--data-dir", "d", "serve"], ["boathouse", "serve", "--data-dir", "d"]]
        {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.lake.data_dir.as_deref(), Some("d"));
        }
    }
}
