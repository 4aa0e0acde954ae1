//! `boathouse demo`: a lake with sample data, three answers, and a server.

use std::io::Write;
use std::time::Instant;

use boathouse_datasets::amp::{Amp, AmpTable};
use boathouse_datasets::nycflights13;
use boathouse_engine::{Engine, IfExists, IfMissing, IngestTarget, Session};
use futures::stream;

use crate::client::Connection;
use crate::config::{self, Config};
use crate::failure::{Failure, Result};
use crate::output::{Format, Output, Place, TableStyle};
use crate::statements::{literal, quoted};
use crate::{lake, run, serve, style};

/// The database of the live-audio data.
const AMP: &str = "amp";

/// How much of it there is: enough to ask about, and made in seconds.
const AMP_SCALE: f64 = 1.0;
const AMP_SEED: u64 = 1;

/// The database of what a crawler finds in the raw zone, and how much there is to find: a week
/// of a small app.
const RAW: &str = "raw";
const RAW_SCALE: f64 = 0.2;
const RAW_DAYS: u32 = 7;

/// Questions, and the SQL that answers them.
const QUESTIONS: [(&str, &str); 4] = [
    (
        "How many flights left New York in 2013, in all and with each airline?",
        "\
SELECT coalesce(airlines.name, 'all airlines') AS airline, count(*) AS flights
FROM flights JOIN airlines ON flights.carrier = airlines.carrier
GROUP BY ROLLUP (airlines.name)
ORDER BY flights DESC, airline",
    ),
    (
        "Are flights late when pilots cannot see far?",
        "\
SELECT CASE WHEN visib < 1 THEN '1: under a mile'
            WHEN visib < 5 THEN '2: one to five miles'
            ELSE '3: further' END AS visibility,
       count(*) AS flights,
       round(avg(dep_delay), 1) AS minutes_late,
       round(100.0 * count(*) FILTER (WHERE dep_time IS NULL) / count(*), 1) AS percent_cancelled
FROM flights JOIN weather
  ON flights.origin = weather.origin AND flights.time_hour = weather.time_hour
GROUP BY 1
ORDER BY 1",
    ),
    (
        "Which kinds of live-audio shows keep their listeners longest?",
        "\
SELECT genre,
       count(DISTINCT user_id) AS listeners,
       round(avg(listened_s) / 60, 1) AS minutes_per_listen,
       round(100.0 * count(*) FILTER (WHERE ended_by = 'end') / count(*), 1) AS percent_to_the_end
FROM amp.listens JOIN amp.shows ON listens.show_id = shows.show_id
WHERE mode = 'live'
GROUP BY genre
ORDER BY minutes_per_listen DESC
LIMIT 5",
    ),
    (
        "How many of the raw zone's events came late or twice? (A crawler made this table.)",
        "\
SELECT ingest_date,
       count(*) AS events,
       count(*) FILTER (WHERE ingest_time > event_time + INTERVAL '5 minutes') AS late,
       count(*) - count(DISTINCT event_id) AS twice
FROM raw.listens
WHERE ingest_date BETWEEN '2024-01-02' AND '2024-01-04'
GROUP BY ingest_date
ORDER BY ingest_date",
    ),
];

/// Makes the lake, unless it is there; answers; serves until Ctrl-C unless `once`.
///
/// Without `keep` the lake is in a fresh folder that is removed at the end.
pub(crate) async fn demo(mut config: Config, once: bool, keep: bool) -> Result<()> {
    let began = Instant::now();
    // Removed when this function is left, also by Ctrl-C.
    let _temporary = if keep { None } else { Some(lake::temporary_folder(&mut config)?) };
    let engine = Engine::open(config.engine()?).await?;
    let result = async {
        // A taken port should be known before the work is done.
        let server = if once { None } else { Some(serve::bind(&engine, &config.flight).await?) };
        tokio::select! {
            result = prepare(&engine, &config) => result?,
            _ = tokio::signal::ctrl_c() => return Err(Failure::Interrupted(began.elapsed())),
        }
        answer(&engine, &config).await?;
        let Some(server) = server else { return Ok(()) };
        let address = format!("grpc://{}", server.local_addr());
        print(&connect_panel(&address))?;
        anstream::eprintln!("Serving on {address} until Ctrl-C");
        serve::until_stopped(server).await
    };
    let result = result.await;
    engine.close().await;
    result
}

/// Makes the tables that are missing.
async fn prepare(engine: &Engine, config: &Config) -> Result<()> {
    let session = engine.session();
    let tables = session.tables(false).await?;
    let is_there = |database: &str, name: &str| {
        tables.iter().any(|t| t.database == database && t.name == name)
    };

    let folder = config::absolute(&config.data_dir)?.join("nycflights13");
    let missing = nycflights13::TABLES.iter().filter(|table| !is_there("default", table.name));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        step("Writing the flights of 2013 as Parquet files");
        let target = folder.clone();
        let written = tokio::task::spawn_blocking(move || nycflights13::write_to(&target)).await;
        written
            .map_err(|error| Failure::Failed(error.to_string()))?
            .map_err(|error| Failure::io(format_args!("write to {folder:?}"), &error))?;
    }
    for table in missing {
        let location = config::path_text(&folder.join(table.name))?;
        let sql = format!(
            "CREATE EXTERNAL TABLE {} STORED AS PARQUET LOCATION {}",
            quoted(table.name),
            literal(&format!("{location}/"))
        );
        run_quietly(&session, &sql).await?;
    }

    let amp = Amp::new(AMP_SEED, AMP_SCALE);
    let missing: Vec<_> =
        amp.tables().into_iter().filter(|table| !is_there(AMP, table.name)).collect();
    if !missing.is_empty() {
        step("Making up thirty days of a live-audio app as Delta tables");
        run_quietly(&session, &format!("CREATE DATABASE IF NOT EXISTS {AMP}")).await?;
    }
    for table in missing {
        ingest(&session, &table).await?;
    }
    if !session.databases().await?.iter().any(|name| name == RAW) {
        crawl_raw(&session, config).await?;
    }
    Ok(())
}

/// Writes a raw zone of CSV and JSON files, and lets a crawler make tables of it.
async fn crawl_raw(session: &Session, config: &Config) -> Result<()> {
    step("Writing a week of the app's events and exports as JSON and CSV files, and crawling them");
    let folder = config::absolute(&config.data_dir)?.join(RAW);
    let target = folder.clone();
    let amp = Amp { days: RAW_DAYS, ..Amp::new(AMP_SEED, RAW_SCALE) };
    tokio::task::spawn_blocking(move || amp.write_raw(&target))
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?
        .map_err(|error| Failure::Failed(format!("could not write the raw zone: {error}")))?;
    let location = literal(&format!("{}/", config::path_text(&folder)?));
    for sql in [
        format!("CREATE DATABASE {RAW}"),
        format!("CREATE CRAWLER IF NOT EXISTS {RAW} ON {location} INTO {RAW}"),
        format!("CRAWL {RAW}"),
    ] {
        run_quietly(session, &sql).await?;
    }
    Ok(())
}

async fn run_quietly(session: &Session, sql: &str) -> Result<()> {
    let connection = Connection::Embedded(session.clone());
    connection.prepare(sql).await?.execute().await.map(drop)
}

async fn ingest(session: &Session, table: &AmpTable) -> Result<()> {
    let target = IngestTarget {
        database: Some(AMP.to_owned()),
        table: table.name.to_owned(),
        if_missing: IfMissing::Create,
        if_exists: IfExists::Fail,
        transaction: None,
    };
    let batches = stream::iter(table.batches().map(Ok));
    session.ingest(target, Box::pin(batches), table.schema()).await?;
    Ok(())
}

/// Prints each question with its SQL and its answer.
async fn answer(engine: &Engine, config: &Config) -> Result<()> {
    let connection = Connection::Embedded(engine.session());
    let mut output = Output::new(Format::Table, Place::Stdout)?;
    let style = TableStyle { timing: true, ..run::table_style(config) };
    for (question, sql) in QUESTIONS {
        print(&format!("\n{}\n\n{sql};\n\n", style::heading(question)))?;
        run::statement(&connection, sql, &mut output, &style).await?;
    }
    Ok(())
}

fn step(text: &str) {
    anstream::eprintln!("{text} …");
}

fn print(text: &str) -> Result<()> {
    match write!(anstream::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::PipeClosed),
        Err(error) => Err(Failure::io("write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

/// How to reach the lake at `address` from elsewhere, to be copied.
fn connect_panel(address: &str) -> String {
    let title = style::heading("Connect");
    let host = address.trim_start_matches("grpc://");
    format!(
        "
{title}

SQL shell             boathouse --connect {address}
One statement         boathouse sql --connect {address} -c 'SELECT count(*) FROM flights'

Python                pip install adbc-driver-flightsql adbc-driver-manager pyarrow
                      from adbc_driver_flightsql import dbapi
                      connection = dbapi.connect(\"{address}\")
pandas                pandas.read_sql(\"SELECT * FROM airlines\", connection)
polars                polars.read_database(\"SELECT * FROM airlines\", connection)
SQLAlchemy 1.4        pip install flightsql-dbapi 'sqlalchemy<2'
                      sqlalchemy.create_engine(\"datafusion://{host}?insecure=True\")

"
    )
}
