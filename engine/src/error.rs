//! What can go wrong with a query, and what the person who asked can do about it.

use std::fmt;

use arrow::error::ArrowError;
use boathouse_catalog as catalog;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::parquet::errors::ParquetError;
use deltalake::DeltaTableError;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::names::nearest;

/// The result of an engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One kind for each thing a caller may do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no SQL: correct it at the place that is shown.
    Syntax,
    /// A name names nothing: choose one of the candidates.
    NotFound,
    /// The name is taken: choose another.
    AlreadyExists,
    /// The statement or a value in it can't be right: correct it.
    InvalidArgument,
    /// It's understood and not offered: do it another way.
    Unsupported,
    /// Another writer came first: run the statement again.
    Conflict,
    /// A commit was sent and nobody can say whether it is there: look before running the
    /// statement again.
    OutcomeUnknown,
    /// A limit was reached: ask for less, or raise the limit that is named.
    ResourcesExhausted,
    /// It was cancelled.
    Cancelled,
    /// It ran longer than its timeout allows.
    TimedOut,
    /// A service or a disk that is needed doesn't answer: try later.
    Unavailable,
    /// A store refused the credentials.
    PermissionDenied,
    /// A file in the lake is damaged, or not what the catalog says it is.
    BadData,
    /// A bug of Boathouse.
    Internal,
}

/// A failed query. [`fmt::Display`] is the message alone; [`Error::report`] is what a person
/// should see.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    place: Option<Place>,
    /// A word of the statement that the message is about, where its place isn't known.
    word: Option<String>,
}

/// A place in a statement's text, for the caret under it.
#[derive(Clone, Debug)]
struct Place {
    /// From 1.
    line: u64,
    /// From 1, in characters.
    column: u64,
    /// The text of that line, once the statement is known.
    text: Option<String>,
}

impl Error {
    /// An error without hint or place. `message` names the object and the fact.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, place: None, word: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, format!("not supported: {}", message.into()))
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadData, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
            .with_hint("This is a bug of Boathouse. Please report it with the statement.")
    }

    /// What a store's failure is, from a reference.
    pub(crate) fn from_store(error: &object_store::Error) -> Self {
        from_store_text(error)
    }

    /// Adds what to do next, as a full sentence.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which object the failure belongs to, in front of the message.
    pub(crate) fn about(mut self, object: impl fmt::Display) -> Self {
        self.message = format!("{object}: {}", self.message);
        self
    }

    fn at(mut self, line: u64, column: u64) -> Self {
        if line > 0 {
            self.place = Some(Place { line, column, text: None });
        }
        self
    }

    /// Says which word of the statement is meant.
    pub(crate) fn with_word(mut self, word: impl Into<String>) -> Self {
        self.word = Some(word.into());
        self
    }

    /// Finds the place in the statement, and takes its line out of it.
    pub(crate) fn in_statement(mut self, sql: &str) -> Self {
        if self.place.is_none()
            && let Some((line, column)) = self.word.take().and_then(|word| find_word(sql, &word))
        {
            self = self.at(line, column);
        }
        if let Some(place) = &mut self.place
            && place.text.is_none()
        {
            let index = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
            place.text = sql.lines().nth(index).map(str::to_owned);
        }
        self
    }

    /// What a caller may do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user might do next, as a full sentence.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// All that a person should see: the message, then the place in the statement with a caret
    /// under it, then the hint. Lines are separated by `\n`; there is none at the end.
    pub fn report(&self) -> String {
        let mut text = self.message.clone();
        if let Some(Place { line, column, text: Some(source) }) = &self.place {
            let lead = format!("LINE {line}: ");
            let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
            let indent: String =
                source.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            text.push_str(&format!("\n{lead}{source}\n{}{indent}^", " ".repeat(lead.len())));
        }
        if let Some(hint) = &self.hint {
            text.push_str("\nHint: ");
            text.push_str(hint);
        }
        text
    }
}

/// Line and column of the first identifier or string of `sql` that is `word`.
fn find_word(sql: &str, word: &str) -> Option<(u64, u64)> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().ok()?;
    let found = tokens.iter().find(|token| match &token.token {
        Token::Word(found) => found.value.eq_ignore_ascii_case(word),
        Token::SingleQuotedString(found) => found == word,
        _ => false,
    })?;
    Some((found.span.start.line, found.span.start.column))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

impl From<catalog::Error> for Error {
    fn from(error: catalog::Error) -> Self {
        use catalog::Error as E;
        let kind = match &error {
            E::NotFound { .. } => ErrorKind::NotFound,
            E::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            E::NotEmpty { .. } | E::InvalidName(_) | E::Invalid(_) => ErrorKind::InvalidArgument,
            E::NewerStore { .. } => ErrorKind::Unsupported,
            E::Corrupt { .. } => ErrorKind::BadData,
            E::Unavailable { .. } => ErrorKind::Unavailable,
        };
        let hint = error.hint();
        let mut converted = Self::new(kind, catalog::chain(&error));
        converted.hint = hint.map(Into::into);
        converted
    }
}

impl From<catalog::crawler::Error> for Error {
    fn from(error: catalog::crawler::Error) -> Self {
        use catalog::crawler::Error as Crawling;
        let hint = error.hint();
        let kind = match &error {
            Crawling::Catalog(_) => None,
            Crawling::AlreadyRunning(_) => Some(ErrorKind::Conflict),
            Crawling::Invalid(_) => Some(ErrorKind::InvalidArgument),
            Crawling::Unreachable { .. } => Some(ErrorKind::Unavailable),
        };
        match (kind, error) {
            (None, Crawling::Catalog(error)) => error.into(),
            (kind, error) => {
                let kind = kind.unwrap_or(ErrorKind::Internal);
                let text = catalog::chain(&error);
                hint.into_iter().fold(Self::new(kind, text), Self::with_hint)
            }
        }
    }
}

impl From<ParserError> for Error {
    fn from(error: ParserError) -> Self {
        let text = match error {
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
            ParserError::RecursionLimitExceeded => {
                return Self::invalid("the statement is nested too deeply")
                    .with_hint("Split it with WITH clauses or views.");
            }
        };
        let (message, line, column) = split_location(&text);
        Self::new(ErrorKind::Syntax, format!("syntax error: {message}")).at(line, column)
    }
}

/// sqlparser ends its messages with ` at Line: 1, Column: 8`.
fn split_location(text: &str) -> (String, u64, u64) {
    let parsed = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
        Some((message.to_owned(), line.trim().parse().ok()?, digits.parse().ok()?))
    });
    parsed.unwrap_or_else(|| (text.to_owned(), 0, 0))
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::ExternalError(source) => from_boxed(source),
            ArrowError::DivideByZero => Self::invalid("division by zero")
                .with_hint("Use NULLIF(divisor, 0) to get NULL instead."),
            ArrowError::CsvError(text) => Self::bad_data(format!("bad CSV: {text}")),
            // The CSV reader's own words for a value of another type.
            ArrowError::ParseError(text) if text.starts_with("Error while parsing value") => {
                Self::bad_data(format!("bad CSV: {text}"))
            }
            ArrowError::JsonError(text) => Self::bad_data(format!("bad JSON: {text}")),
            ArrowError::ParquetError(text) => Self::bad_data(format!("bad Parquet: {text}")),
            ArrowError::IpcError(text) => Self::bad_data(format!("bad Arrow data: {text}")),
            ArrowError::IoError(text, source) => from_io(&text, &source),
            ArrowError::MemoryError(text) => Self::new(ErrorKind::ResourcesExhausted, text),
            ArrowError::NotYetImplemented(text) => Self::unsupported(text),
            ArrowError::CastError(text)
            | ArrowError::ParseError(text)
            | ArrowError::ComputeError(text)
            | ArrowError::InvalidArgumentError(text)
            | ArrowError::ArithmeticOverflow(text)
            | ArrowError::SchemaError(text) => Self::invalid(text),
            other => Self::invalid(other.to_string()),
        }
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => from_boxed(source),
            other => Self::bad_data(format!("bad Parquet: {other}")),
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        match &error {
            E::NotFound { path, .. } => {
                Self::new(ErrorKind::NotFound, format!("file \"{path}\" does not exist"))
            }
            E::AlreadyExists { path, .. } => {
                Self::new(ErrorKind::AlreadyExists, format!("file \"{path}\" already exists"))
            }
            E::PermissionDenied { path, .. } | E::Unauthenticated { path, .. } => Self::new(
                ErrorKind::PermissionDenied,
                format!("the store refuses access to \"{path}\": {}", root_cause(&error)),
            )
            .with_hint(
                "Check s3.access_key_id and s3.secret_access_key, or the AWS_* environment \
                     variables, and the bucket's policy.",
            ),
            E::Precondition { path, .. } | E::NotModified { path, .. } => {
                Self::new(ErrorKind::Conflict, format!("\"{path}\" has changed since it was read"))
                    .with_hint("Run the statement again.")
            }
            _ => from_store_text(&error),
        }
    }
}

fn from_store_text(error: &object_store::Error) -> Error {
    let text = root_cause(error);
    let all = error.to_string();
    if all.contains("os error 28") || text.contains("os error 28") {
        return disk_full(&text);
    }
    let denied = ["403 Forbidden", "401 Unauthorized", "InvalidAccessKeyId", "SignatureDoesNot"];
    if denied.iter().any(|sign| all.contains(sign)) {
        return Error::new(
            ErrorKind::PermissionDenied,
            format!("the store refuses access: {text}"),
        )
        .with_hint(
            "Check s3.access_key_id and s3.secret_access_key, or the AWS_* environment \
                 variables, and the bucket's policy.",
        );
    }
    Error::new(ErrorKind::Unavailable, format!("the object store can't be reached: {text}"))
        .with_hint("Check the location, s3.endpoint, s3.region and that the service is up.")
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl From<DeltaTableError> for Error {
    fn from(error: DeltaTableError) -> Self {
        use DeltaTableError as E;
        match error {
            E::ObjectStore { source } => source.into(),
            E::Arrow { source } => source.into(),
            E::Parquet { source } => source.into(),
            E::Io { source } => from_io("could not use the Delta table", &source),
            E::NotATable(text) => {
                Self::new(ErrorKind::NotFound, format!("there is no Delta table: {text}"))
            }
            E::InvalidData { .. } => Self::invalid(error.to_string()),
            E::Transaction { source } => source.into(),
            E::VersionAlreadyExists(_) | E::VersionMismatch(..) => {
                Self::new(ErrorKind::Conflict, error.to_string())
                    .with_hint("Run the statement again.")
            }
            other => from_delta_text(&other),
        }
    }
}

fn from_delta_text(error: &DeltaTableError) -> Error {
    from_chain(error)
        .unwrap_or_else(|| Error::bad_data(format!("the Delta table can't be read: {error}")))
}

/// The store's or the disk's failure that is somewhere below `error`.
fn from_chain(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut source = Some(error);
    while let Some(cause) = source {
        if let Some(store) = cause.downcast_ref::<object_store::Error>() {
            return Some(from_store_text(store));
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return Some(from_io("an operation on a file failed", io));
        }
        source = cause.source();
    }
    // Some libraries keep only the text of what failed.
    error.to_string().contains("os error 28").then(|| disk_full(&error.to_string()))
}

fn disk_full(text: &str) -> Error {
    Error::new(ErrorKind::ResourcesExhausted, format!("the disk is full: {text}"))
        .with_hint("Free some space, or put the lake and the spill folder on another disk.")
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        from_io("an operation on a file failed", &error)
    }
}

fn from_io(what: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, format!("{what}: {error}")),
        std::io::ErrorKind::StorageFull => disk_full(&error.to_string()),
        std::io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::PermissionDenied, format!("{what}: {error}"))
        }
        _ => Error::new(ErrorKind::Unavailable, format!("{what}: {error}")),
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        use DataFusionError as E;
        match error {
            E::SQL(source, _) => (*source).into(),
            E::ArrowError(source, _) => (*source).into(),
            E::ParquetError(source) => (*source).into(),
            E::ObjectStore(source) => (*source).into(),
            E::IoError(source) => source.into(),
            E::NotImplemented(text) => Self::unsupported(tidy(&text)),
            E::Plan(text) | E::Configuration(text) => from_plan_text(&text),
            E::SchemaError(source, _) => from_schema_error(*source),
            E::Execution(text) => from_execution_text(&text),
            E::ResourcesExhausted(text) => exhausted(&text),
            E::Internal(text) => Self::internal(tidy(&text)),
            E::Context(_, source) => (*source).into(),
            E::Diagnostic(diagnostic, source) => {
                let converted = Self::from(*source);
                match diagnostic.span {
                    Some(span) if converted.place.is_none() => {
                        converted.at(span.start.line, span.start.column)
                    }
                    _ => converted,
                }
            }
            E::Collection(errors) => errors
                .into_iter()
                .next()
                .map_or_else(|| Self::internal("an empty collection of errors"), Self::from),
            E::Shared(source) => from_shared(&source),
            E::External(source) => from_boxed(source),
            E::ExecutionJoin(source) => Self::internal(format!("a task failed: {source}")),
            other => Self::internal(other.to_string()),
        }
    }
}

/// A shared error can't be taken apart by value; its text and kind still can be told.
fn from_shared(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::ResourcesExhausted(text) => exhausted(text),
        DataFusionError::Execution(text) => from_execution_text(text),
        DataFusionError::Shared(source) => from_shared(source),
        DataFusionError::Context(_, source) => from_shared(source),
        DataFusionError::External(source) => match source.downcast_ref::<Error>() {
            Some(own) => own.clone(),
            None => Error::internal(source.to_string()),
        },
        DataFusionError::ArrowError(source, _) => match source.as_ref() {
            ArrowError::DivideByZero => ArrowError::DivideByZero.into(),
            ArrowError::CsvError(text) => ArrowError::CsvError(text.clone()).into(),
            ArrowError::JsonError(text) => ArrowError::JsonError(text.clone()).into(),
            other => Error::invalid(other.to_string()),
        },
        DataFusionError::ParquetError(source) => Error::bad_data(format!("bad Parquet: {source}")),
        DataFusionError::ObjectStore(source) => from_store_text(source),
        DataFusionError::Internal(text) => Error::internal(tidy(text)),
        other => Error::invalid(other.to_string()),
    }
}

fn from_boxed(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let source = match source.downcast::<Error>() {
        Ok(own) => return *own,
        Err(source) => source,
    };
    let source = match source.downcast::<DataFusionError>() {
        Ok(error) => return (*error).into(),
        Err(source) => source,
    };
    let source = match source.downcast::<object_store::Error>() {
        Ok(error) => return (*error).into(),
        Err(source) => source,
    };
    let source = match source.downcast::<DeltaTableError>() {
        Ok(error) => return (*error).into(),
        Err(source) => source,
    };
    let source = match source.downcast::<ArrowError>() {
        Ok(error) => return (*error).into(),
        Err(source) => source,
    };
    match source.downcast::<ParquetError>() {
        Ok(error) => (*error).into(),
        Err(source) => {
            from_chain(source.as_ref()).unwrap_or_else(|| Error::internal(source.to_string()))
        }
    }
}

fn from_schema_error(error: SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<String> = valid_fields.iter().map(|f| f.name.clone()).collect();
            let message = match &field.relation {
                Some(table) => {
                    format!("column \"{}\" does not exist in \"{}\"", field.name, table.table())
                }
                None => format!("column \"{}\" does not exist", field.name),
            };
            let found = nearest(&field.name, &names);
            let hint = if found.is_empty() {
                let mut names = names;
                names.dedup();
                let more = if names.len() > 12 { ", …" } else { "" };
                names.truncate(12);
                format!("The columns are {}{more}.", names.join(", "))
            } else {
                format!("Did you mean {}?", found.join(" or "))
            };
            let error = Error::new(ErrorKind::NotFound, message);
            if valid_fields.is_empty() { error } else { error.with_hint(hint) }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::invalid(format!("column \"{}\" is ambiguous", field.name))
                .with_hint("Write the table's name or alias before it: alias.column.")
        }
        other => Error::invalid(other.to_string()),
    }
}

fn from_plan_text(text: &str) -> Error {
    if let Some(error) = from_call_text(text) {
        return error;
    }
    let function = text
        .strip_prefix("Invalid function '")
        .and_then(|rest| rest.split_once('\''))
        .map(|(name, rest)| (name, rest.split('\'').nth(1)));
    match function {
        Some((name, nearest)) => {
            let error =
                Error::new(ErrorKind::NotFound, format!("function \"{name}\" does not exist"))
                    .with_word(name);
            match nearest {
                Some(nearest) => error.with_hint(format!("Did you mean {nearest}?")),
                None => error.with_hint("SHOW FUNCTIONS lists them."),
            }
        }
        None => Error::invalid(tidy(text)),
    }
}

/// A call whose arguments are of the wrong number or types.
fn from_call_text(text: &str) -> Option<Error> {
    let (why, rest) =
        text.split_once(" No function matches the given name and argument types '")?;
    // Functions of our own say what they want.
    if let Some((_, why)) = why.split_once("coercion failed with: External error: ") {
        return Some(Error::invalid(tidy(why)).with_hint("Cast the argument, or leave it out."));
    }
    let (call, rest) = rest.split_once('\'')?;
    let name = call.split('(').next().unwrap_or(call);
    let error = Error::invalid(format!("function \"{name}\" can't be called as {call}"));
    let candidates: Vec<&str> = rest
        .split_once("Candidate functions:")
        .map(|(_, candidates)| candidates.lines().map(str::trim).collect())
        .unwrap_or_default();
    let known = candidates.iter().filter(|c| !c.is_empty() && !c.contains("UserDefined")).take(4);
    let known: Vec<&str> = known.copied().collect();
    Some(match known.is_empty() {
        true => error.with_hint("Cast the arguments."),
        false => error.with_hint(format!("Cast the arguments: it is {}.", known.join(", "))),
    })
}

fn from_execution_text(text: &str) -> Error {
    if text.contains("Not enough disk space") || text.contains("max_temp_directory_size") {
        return exhausted(text);
    }
    if text.contains("Invalid Parquet RowSelection") {
        return Error::bad_data(format!("a Delta log has a wrong number of rows: {}", tidy(text)));
    }
    Error::invalid(tidy(text))
}

fn exhausted(text: &str) -> Error {
    let spill = text.contains("disk") || text.contains("temp_directory");
    let (what, setting) = if spill {
        ("the queries' spill limit is reached", "engine.spill_limit_bytes")
    } else {
        ("the queries' memory limit is reached", "engine.memory_limit_bytes")
    };
    Error::new(ErrorKind::ResourcesExhausted, format!("{what}: {}", tidy(text))).with_hint(format!(
        "Raise {setting}, run fewer queries at once, or ask for less in one query."
    ))
}

/// DataFusion's texts may carry a backtrace and the prefix of their kind.
fn tidy(text: &str) -> String {
    let text = text.split("\n\nbacktrace:").next().unwrap_or(text);
    text.trim().trim_end_matches('.').to_owned()
}
