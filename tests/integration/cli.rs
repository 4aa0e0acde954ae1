//! The `boathouse` command: exit codes, what goes where, settings, files.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

/// An empty folder to work in, with nothing from the outside but the program.
struct Place(TempDir);

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boathouse"));
        let ours = std::env::vars().filter(|(name, _)| name.starts_with("BOATHOUSE_"));
        ours.for_each(|(name, _)| {
            command.env_remove(name);
        });
        command
            .args(arguments)
            .current_dir(&self.0)
            .env("XDG_CONFIG_HOME", self.path("xdg-config"))
            .env("XDG_STATE_HOME", self.path("xdg-state"))
            .env("BOATHOUSE_HTTP_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        read(self.command(arguments).output().unwrap())
    }

    fn run_with_stdin(&self, arguments: &[&str], text: &str) -> Outcome {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        read(child.wait_with_output().unwrap())
    }

    /// The rows of `sql` in `format`.
    fn rows(&self, sql: &str, format: &str) -> String {
        let outcome = self.run(&["sql", "-c", sql, "--format", format]);
        assert_eq!(outcome.code, Some(0), "{sql}: {}", outcome.stderr);
        outcome.stdout
    }
}

fn read(output: Output) -> Outcome {
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_result_is_a_table_with_types() {
    let outcome = Place::new().run(&["sql", "-c", "SELECT 1 AS n, 'a' AS s, NULL::INT AS nothing"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[1].contains("n │ s") && lines[2].contains("bigint"), "{}", outcome.stdout);
    assert!(lines[4].contains("1 │ a") && lines[4].contains("NULL"), "{}", outcome.stdout);
    assert_eq!(lines.last(), Some(&"1 row"));
}

#[test]
fn a_long_table_is_shortened_and_says_so() {
    let place = Place::new();
    let sql = "SELECT * FROM generate_series(1, 1000)";
    let shortened = place.run(&["sql", "-c", sql]).stdout;
    assert!(shortened.ends_with("1000 rows (40 shown)\n"), "{shortened}");
    let whole = place.run(&["sql", "-c", sql, "--max-rows", "0"]).stdout;
    assert!(whole.ends_with("1000 rows\n") && 1000 < whole.lines().count(), "{whole}");
}

#[test]
fn machine_formats_are_whole_and_exact() {
    let place = Place::new();
    let sql = "SELECT * FROM (VALUES (1, 'a,b'), (2, 'say \"x\"'), (3, ''), (4, NULL)) AS t(n, s) ORDER BY n";
    assert_eq!(place.rows(sql, "csv"), "n,s\n1,\"a,b\"\n2,\"say \"\"x\"\"\"\n3,\"\"\n4,\n");
    assert_eq!(
        place.rows(sql, "json"),
        "[\n{\"n\":1,\"s\":\"a,b\"},\n{\"n\":2,\"s\":\"say \\\"x\\\"\"},\n{\"n\":3,\"s\":\"\"},\n{\"n\":4,\"s\":null}\n]\n"
    );
    assert_eq!(
        place.rows("SELECT 1 AS n UNION ALL SELECT 2 ORDER BY n", "ndjson"),
        "{\"n\":1}\n{\"n\":2}\n"
    );
    assert_eq!(
        place.rows("SELECT 1 AS n, 'a|b' AS s", "markdown"),
        "| n | s |\n| ---: | --- |\n| 1 | a\\|b |\n"
    );
    let series = place.rows("SELECT * FROM generate_series(1, 100000)", "csv");
    assert_eq!(series.lines().count(), 100_001);
    let nothing = "SELECT 1 AS n WHERE false";
    assert_eq!(place.rows(nothing, "csv"), "n\n");
    assert_eq!(place.rows(nothing, "json"), "[\n]\n");
    assert_eq!(place.rows(nothing, "ndjson"), "");
}

#[test]
fn arrow_is_a_stream_on_standard_output_and_a_file_in_a_file() {
    let place = Place::new();
    let output =
        place.command(&["sql", "-c", "SELECT 7 AS n", "--format", "arrow"]).output().unwrap();
    let mut reader = arrow::ipc::reader::StreamReader::try_new(&*output.stdout, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 1);

    assert_eq!(place.run(&["sql", "-c", "SELECT 7 AS n", "-o", "n.arrow"]).code, Some(0));
    let file = std::fs::File::open(place.path("n.arrow")).unwrap();
    let mut reader = arrow::ipc::reader::FileReader::try_new(file, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 1);
}

#[test]
fn a_file_argument_becomes_a_table_for_the_time_of_the_run() {
    let place = Place::new();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef),
    ])
    .unwrap();
    let file = std::fs::File::create(place.path("My-Trips.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let sql = "SELECT sum(id) AS total FROM my_trips;";
    let outcome = place.run_with_stdin(&["My-Trips.parquet"], sql);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("     6 │"), "{}", outcome.stdout);
    assert_eq!(outcome.stderr, "My-Trips.parquet is the table my_trips\n");
    assert_eq!(names(place.0.path()), ["My-Trips.parquet"], "something was left behind");

    let kept = place.run_with_stdin(&["My-Trips.parquet", "--data-dir", "kept"], sql);
    assert_eq!(kept.code, Some(0), "{}", kept.stderr);
    let again = place.run(&["sql", "--data-dir", "kept", "-c", sql, "--format", "csv"]);
    assert_eq!(again.stdout, "total\n6\n");
}

#[test]
fn csv_json_and_folders_open_too() {
    let place = Place::new();
    place.write("points.csv", "x,y\n1,2\n3,4\n");
    place.write("events.ndjson", "{\"x\":5}\n{\"x\":6}\n");
    place.write("days/day=1/a.csv", "x\n1\n");
    place.write("days/day=2/b.csv", "x\n2\n");
    for (file, sql, want) in [
        ("points.csv", "SELECT sum(y) AS n FROM points", "6"),
        ("events.ndjson", "SELECT sum(x) AS n FROM events", "11"),
        ("days", "SELECT sum(x) AS n FROM days WHERE day = 2", "2"),
    ] {
        let outcome = place.run_with_stdin(&[file], sql);
        assert_eq!(outcome.code, Some(0), "{file}: {}", outcome.stderr);
        assert!(outcome.stdout.contains(&format!(" {want} │")), "{file}: {}", outcome.stdout);
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let place = Place::new();
    place.write("notes.txt", "");
    for arguments in [
        &["--nonsense"][..],
        &["no-such-file.parquet"],
        &["notes.txt"],
        &["sql", "-c", "SELECT 1", "-f", "x.sql"],
        &["sql", "-c", "SELECT 1", "--format", "xml"],
        &["sql", "--connect", "http://127.0.0.1", "-c", "SELECT 1"],
        &["sql", "--connect", "grpc://127.0.0.1:1", "--data-dir", "d", "-c", "SELECT 1"],
    ] {
        let outcome = place.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: "), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    let outcome = place.run(&["serv"]);
    assert!(outcome.stderr.contains("did you mean `boathouse serve`?"), "{}", outcome.stderr);
    assert_eq!(names(place.0.path()), ["notes.txt"], "a wrong command line made something");
}

#[test]
fn a_failed_statement_is_exit_code_1_and_the_last_one() {
    let place = Place::new();
    let sql = "SELECT 1 AS first;\nSELECT * FROM flightz;\nSELECT 3 AS third";
    let outcome = place.run(&["sql", "-c", sql, "--format", "csv"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stdout, "first\n1\n");
    assert!(outcome.stderr.starts_with("error: table \"default.flightz\""), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with("The statement is at line 2.\n"), "{}", outcome.stderr);

    place.write("two.sql", "SELECT 1;\n\nSELEC 2;\n");
    let outcome = place.run(&["sql", "-f", "two.sql"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("at line 3 of two.sql"), "{}", outcome.stderr);
}

#[test]
fn no_server_is_exit_code_3_within_seconds() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = std::time::Instant::now();
    let outcome =
        Place::new().run(&["sql", "--connect", &format!("grpc://{free}"), "-c", "SELECT 1"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    let want = format!("error: cannot connect to {free}: ");
    assert!(outcome.stderr.starts_with(&want), "{}", outcome.stderr);
    assert!(began.elapsed().as_secs() < 6);
}

#[test]
fn statements_share_a_session_and_a_folder_outlives_a_run() {
    let place = Place::new();
    let made = place.run_with_stdin(
        &["sql", "-f", "-"],
        "CREATE DATABASE amp; USE amp; CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1), (2), (3);",
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(made.stdout, "");
    assert_eq!(made.stderr, "OK\nOK\nOK\n3 rows\n");
    assert_eq!(place.rows("SELECT count(*) AS n FROM amp.t", "csv"), "n\n3\n");
    assert_eq!(names(place.0.path()), ["boathouse-data"]);
}

#[test]
fn without_a_terminal_the_shell_runs_its_standard_input() {
    let outcome = Place::new().run_with_stdin(&[], "SELECT 1 AS one; SELECT 2 AS two");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("one") && outcome.stdout.contains("two"), "{}", outcome.stdout);
}

#[test]
fn an_output_file_is_whole_or_not_there() {
    let place = Place::new();
    let written = place.run(&["sql", "-c", "SELECT 1 AS n", "-o", "n.csv"]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{}", written.stderr);
    assert_eq!(place.read("n.csv"), "n\n1\n");

    // Fails after rows were written: the earlier file stays as it is.
    let sql = "SELECT 2 AS n; SELECT no_such_column";
    assert_eq!(place.run(&["sql", "-c", sql, "-o", "n.csv"]).code, Some(1));
    assert_eq!(place.read("n.csv"), "n\n1\n");
    assert_eq!(names(place.0.path()), ["boathouse-data", "n.csv"], "a part was left behind");

    let parquet = place.run(&["sql", "-c", "SELECT 1 AS n; SELECT 2 AS n", "-o", "n.parquet"]);
    assert_eq!(parquet.code, Some(1));
    assert!(parquet.stderr.contains("a Parquet file holds one result"), "{}", parquet.stderr);

    let nowhere = place.run(&["sql", "-c", "SELECT 1", "-o", "no/such/folder.csv"]);
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("could not write"), "{}", nowhere.stderr);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::new();
    let sql = "SELECT * FROM generate_series(1, 5000000)";
    let mut child = place.command(&["sql", "-c", sql, "--format", "csv"]).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn settings_come_from_flags_environment_files_and_defaults_in_this_order() {
    let place = Place::new();
    let source = |command: &mut Command, key: &str| {
        let outcome = read(command.output().unwrap());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let line = outcome.stdout.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    let show = ["config", "show"];
    assert_eq!(source(&mut place.command(&show), "engine.threads"), "0 default");
    place.write("xdg-config/boathouse/boathouse.toml", "data_dir = \"u\"\n[engine]\nthreads = 1\n");
    let user = source(&mut place.command(&show), "engine.threads");
    assert!(
        user.starts_with("1 ") && user.ends_with("xdg-config/boathouse/boathouse.toml"),
        "{user}"
    );
    place.write("boathouse.toml", "[engine]\nthreads = 2\n");
    assert_eq!(source(&mut place.command(&show), "engine.threads"), "2 ./boathouse.toml");
    let mut with_variable = place.command(&show);
    with_variable.env("BOATHOUSE_ENGINE_THREADS", "3").env("BOATHOUSE_DATA_DIR", "e");
    assert_eq!(source(&mut with_variable, "engine.threads"), "3 BOATHOUSE_ENGINE_THREADS");
    assert_eq!(source(&mut with_variable, "data_dir"), "\"e\" BOATHOUSE_DATA_DIR");
    with_variable.args(["--data-dir", "f"]);
    assert_eq!(source(&mut with_variable, "data_dir"), "\"f\" --data-dir");
}

#[test]
fn a_wrong_setting_names_its_file_and_the_right_one() {
    let place = Place::new();
    place.write("boathouse.toml", "[engine]\nthread = 2\n");
    let outcome = place.run(&["sql", "-c", "SELECT 1"]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: ./boathouse.toml: engine.thread is not a setting; did you mean engine.threads?\n"
    );

    let place = Place::new();
    let mut command = place.command(&["config", "show"]);
    command.env("BOATHOUSE_S3_SECRET_ACCESS_KEY", "do-not-tell");
    let shown = read(command.output().unwrap());
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(!shown.stdout.contains("do-not-tell"), "{}", shown.stdout);
}

#[test]
fn colours_are_for_terminals_only() {
    let outcome = Place::new().run(&["sql", "-c", "SELECT NULL AS n; SELECT * FROM nowhere"]);
    assert!(!outcome.stdout.contains('\x1b') && !outcome.stderr.contains('\x1b'));
}

#[cfg(unix)]
#[test]
fn an_interrupted_query_is_exit_code_130() {
    let place = Place::new();
    let sql = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let child = place.command(&["sql", "-c", sql]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let outcome = read(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(130), "{}", outcome.stderr);
    assert!(outcome.stderr.starts_with("Cancelled after "), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn help_and_version_are_data() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("Examples:") && help.stdout.contains("boathouse demo"));
    let version = place.run(&["--version"]);
    assert_eq!(version.stdout, format!("boathouse {}\n", env!("CARGO_PKG_VERSION")));
}

/// A running `boathouse`, ended when dropped.
#[cfg(unix)]
struct Server(std::process::Child);

#[cfg(unix)]
impl Server {
    /// Starts it; its address is the one that standard error tells.
    fn start(command: &mut Command) -> (Self, String) {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let server = Self(child);
        let address = lines.map_while(Result::ok).find_map(|line| {
            let word = line.split_whitespace().find(|word| word.starts_with("grpc://"));
            word.map(|word| word.trim_end_matches('.').to_owned())
        });
        (server, address.unwrap())
    }

    fn stop(mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

#[cfg(unix)]
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn a_served_lake_answers_like_one_of_our_own() {
    let place = Place::new();
    let (server, address) =
        Server::start(&mut place.command(&["serve", "--flight", "127.0.0.1:0"]));
    let sql = |sql: &str| place.run(&["sql", "--connect", &address, "-c", sql, "--format", "csv"]);

    let made = sql(
        "CREATE DATABASE amp; USE amp; CREATE TABLE t (n BIGINT);\nINSERT INTO t VALUES (1), (2)",
    );
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), "OK\nOK\nOK\n2 rows\n"));
    let rows = sql("USE amp; SELECT * FROM t ORDER BY n");
    assert_eq!((rows.code, rows.stdout.as_str()), (Some(0), "n\n1\n2\n"));
    assert_eq!(place.rows("SELECT sum(n) AS n FROM amp.t", "csv"), "n\n3\n", "not the same folder");

    let local = place.run(&["sql", "-c", "SELECT * FROM amp.tt"]);
    let remote = sql("SELECT * FROM amp.tt");
    assert_eq!((remote.code, remote.stderr), (Some(1), local.stderr));

    let address = address.trim_start_matches("grpc://");
    let second = place.run(&["serve", "--flight", address]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains(&format!("{address} is in use")), "{}", second.stderr);
    assert_eq!(server.stop(), Some(0));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_query_on_the_server() {
    let place = Place::new();
    let (_server, address) =
        Server::start(&mut place.command(&["serve", "--flight", "127.0.0.1:0"]));
    let sql = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let child = place.command(&["sql", "--connect", &address, "-c", sql]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    let next = place.run(&["sql", "--connect", &address, "-c", "SELECT 1 AS n", "--format", "csv"]);
    assert_eq!(next.stdout, "n\n1\n");
}

#[test]
fn the_demo_answers_with_real_numbers_and_keeps_what_it_is_told_to() {
    let place = Place::new();
    let demo = place.run(&["demo", "--once", "--data-dir", "lake"]);
    assert_eq!(demo.code, Some(0), "{}", demo.stderr);
    assert!(demo.stdout.contains("336776") && demo.stdout.contains("amp.listens"));
    let again = place.run(&["demo", "--once", "--data-dir", "lake"]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""), "made again");
    let count = ["sql", "--data-dir", "lake", "-c", "SELECT count(*) AS n FROM flights"];
    assert_eq!(place.run(&[&count[..], &["--format", "csv"]].concat()).stdout, "n\n336776\n");

    assert_eq!(names(place.0.path()), ["lake"]);
    the_raw_zone_became_tables_as_a_person_writes_them(&place);
}

fn the_raw_zone_became_tables_as_a_person_writes_them(place: &Place) {
    let sql = "SELECT table_name || ': ' || string_agg(column_name || ' ' || lower(data_type), ', '
                   ORDER BY ordinal_position) AS \"table\"
               FROM information_schema.columns WHERE table_schema = 'raw'
               GROUP BY table_name ORDER BY table_name";
    let tables = place.run(&["sql", "--data-dir", "lake", "--format", "json", "-c", sql]);
    let expected = [
        "chat_messages: event_id int64, session_id int64, user_id int64, episode_id int64, text utf8, \
         event_time TIME, ingest_time TIME, ingest_date date32",
        "creators: creator_id int64, handle utf8, name utf8, country utf8, verified boolean, \
         joined_at TIME",
        "episodes: episode_id int64, show_id int64, title utf8, scheduled_at TIME, \
         started_at TIME, ended_at TIME, duration_s int64",
        "follows: event_id int64, session_id int64, user_id int64, creator_id int64, \
         event_time TIME, ingest_time TIME, ingest_date date32",
        "likes: event_id int64, session_id int64, user_id int64, episode_id int64, \
         show_id int64, event_time TIME, ingest_time TIME, ingest_date date32",
        "listens: event_id int64, session_id int64, user_id int64, episode_id int64, \
         show_id int64, mode utf8, platform utf8, position_s int64, listened_s int64, \
         ended_by utf8, event_time TIME, ingest_time TIME, ingest_date date32",
        "poll_votes: event_id int64, poll_id int64, session_id int64, user_id int64, \
         choice int64, event_time TIME, ingest_time TIME, ingest_date date32",
        "polls: poll_id int64, episode_id int64, question utf8, options list(utf8), \
         opened_at TIME, closed_at TIME",
        "promotions: promotion_id int64, show_id int64, channel utf8, starts_at TIME, \
         ends_at TIME, budget_cents int64, impressions int64, clicks int64",
        "shows: show_id int64, creator_id int64, title utf8, genre utf8, language utf8, \
         planned_minutes int64, created_at TIME",
        "users: user_id int64, country utf8, platform utf8, birth_year int64, referrer utf8, \
         signed_up_at TIME",
    ];
    for table in expected {
        let table = table.replace("TIME", "timestamp(µs)");
        assert!(tables.stdout.contains(&table), "{table} is not in {}", tables.stdout);
    }
    let again = place.run(&["crawl", "--data-dir", "lake", "raw"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains("Nothing changes"), "{} {}", again.stdout, again.stderr);
}
