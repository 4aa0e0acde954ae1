//! Crawlers: what they are told, their runs and their schedules.

use std::collections::BTreeMap;

use boathouse_catalog::crawler::{
    self, Crawl, CrawlState, CrawlerSpec, OnChange, OnDelete, Recrawl, Target,
};
use boathouse_catalog::{Document, DocumentKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Answer, Glue, input, nothing, page, seconds, tags};
use crate::aws::{AwsError, Code};
use crate::crawls;

const PAGE_LIMIT: usize = 1000;
const BATCH_MAX: usize = 100;
/// The member of details that keeps when the crawler was made.
const CREATED: &str = "CreatedAtMs";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CrawlerInput {
    name: String,
    role: Option<String>,
    database_name: Option<String>,
    description: Option<String>,
    targets: Option<Targets>,
    schedule: Option<String>,
    classifiers: Option<Vec<String>>,
    table_prefix: Option<String>,
    schema_change_policy: Option<SchemaChangePolicy>,
    recrawl_policy: Option<RecrawlPolicy>,
    lineage_configuration: Option<Value>,
    lake_formation_configuration: Option<Value>,
    configuration: Option<String>,
    crawler_security_configuration: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Targets {
    s3_targets: Option<Vec<S3Target>>,
    delta_targets: Option<Vec<DeltaTarget>>,
    iceberg_targets: Option<Vec<PathsTarget>>,
    jdbc_targets: Option<Vec<Value>>,
    #[serde(rename = "MongoDBTargets")]
    mongo_db_targets: Option<Vec<Value>>,
    #[serde(rename = "DynamoDBTargets")]
    dynamo_db_targets: Option<Vec<Value>>,
    catalog_targets: Option<Vec<Value>>,
    hudi_targets: Option<Vec<Value>>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct S3Target {
    path: Option<String>,
    exclusions: Option<Vec<String>>,
    event_queue_arn: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeltaTarget {
    delta_tables: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PathsTarget {
    paths: Option<Vec<String>>,
    exclusions: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SchemaChangePolicy {
    update_behavior: Option<UpdateBehavior>,
    delete_behavior: Option<DeleteBehavior>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum UpdateBehavior {
    Log,
    UpdateInDatabase,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum DeleteBehavior {
    Log,
    DeleteFromDatabase,
    DeprecateInDatabase,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RecrawlPolicy {
    recrawl_behavior: Option<RecrawlBehavior>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "these are AWS's names")]
enum RecrawlBehavior {
    CrawlEverything,
    CrawlNewFoldersOnly,
    CrawlEventMode,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByName {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByCrawlerName {
    crawler_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSchedule {
    crawler_name: String,
    schedule: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Crawlers {
    max_results: Option<i64>,
    next_token: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CrawlerNames {
    #[serde(alias = "CrawlerNameList")]
    crawler_names: Option<Vec<String>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListCrawls {
    crawler_name: String,
    filters: Option<Vec<CrawlFilter>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CrawlFilter {
    field_name: Option<String>,
    filter_operator: Option<String>,
    field_value: Option<String>,
}

impl CrawlerInput {
    /// Puts what is given into `spec`; the rest of it stays.
    fn change(self, spec: &mut CrawlerSpec) -> Result<(), AwsError> {
        if let Some(targets) = self.targets {
            spec.targets = targets.locations(&mut spec.details)?;
        }
        if let Some(schedule) = self.schedule {
            spec.set_schedule(&schedule)?;
        }
        if let Some(database) = self.database_name {
            spec.database = database;
        }
        if let Some(prefix) = self.table_prefix {
            spec.table_prefix = prefix;
        }
        if let Some(classifiers) = self.classifiers {
            spec.classifiers = classifiers;
        }
        if self.description.is_some() {
            spec.description = self.description;
        }
        if let Some(policy) = self.schema_change_policy {
            policy.change(spec);
        }
        if let Some(policy) = self.recrawl_policy {
            spec.recrawl = match policy.recrawl_behavior {
                None | Some(RecrawlBehavior::CrawlEverything) => Recrawl::Everything,
                Some(RecrawlBehavior::CrawlNewFoldersOnly) => Recrawl::NewFoldersOnly,
                Some(RecrawlBehavior::CrawlEventMode) => Recrawl::Events,
            };
        }
        for (member, value) in [
            ("Role", self.role.map(Value::String)),
            ("Configuration", self.configuration.map(Value::String)),
            (
                "CrawlerSecurityConfiguration",
                self.crawler_security_configuration.map(Value::String),
            ),
            ("LineageConfiguration", self.lineage_configuration),
            ("LakeFormationConfiguration", self.lake_formation_configuration),
        ] {
            if let Some(value) = value {
                spec.details.insert(member.into(), value);
            }
        }
        merges_new_columns(spec)
    }
}

impl Targets {
    /// The places to look at. A queue of events is kept in `details`.
    fn locations(self, details: &mut Map<String, Value>) -> Result<Vec<Target>, AwsError> {
        let others = [
            ("JdbcTargets", self.jdbc_targets),
            ("MongoDBTargets", self.mongo_db_targets),
            ("DynamoDBTargets", self.dynamo_db_targets),
            ("CatalogTargets", self.catalog_targets),
            ("HudiTargets", self.hudi_targets),
        ];
        for (kind, targets) in others {
            if targets.is_some_and(|targets| !targets.is_empty()) {
                return Err(AwsError::invalid_input(format!(
                    "{kind} are not supported: use S3Targets, DeltaTargets or IcebergTargets."
                )));
            }
        }
        let mut locations = Vec::new();
        for target in self.s3_targets.unwrap_or_default() {
            if let Some(queue) = target.event_queue_arn {
                details.insert("EventQueue".into(), json!(queue));
            }
            let path = target.path.unwrap_or_default();
            locations.push(location(path, target.exclusions.unwrap_or_default())?);
        }
        for target in self.delta_targets.unwrap_or_default() {
            for path in target.delta_tables.unwrap_or_default() {
                locations.push(location(path, Vec::new())?);
            }
        }
        for target in self.iceberg_targets.unwrap_or_default() {
            let exclusions = target.exclusions.unwrap_or_default();
            for path in target.paths.unwrap_or_default() {
                locations.push(location(path, exclusions.clone())?);
            }
        }
        if locations.is_empty() {
            return Err(AwsError::invalid_input("A crawler needs a target."));
        }
        Ok(locations)
    }
}

impl SchemaChangePolicy {
    fn change(self, spec: &mut CrawlerSpec) {
        spec.on_change = match self.update_behavior {
            None | Some(UpdateBehavior::UpdateInDatabase) => OnChange::Update,
            Some(UpdateBehavior::Log) => OnChange::Log,
        };
        spec.on_delete = match self.delete_behavior {
            None | Some(DeleteBehavior::DeprecateInDatabase) => OnDelete::Deprecate,
            Some(DeleteBehavior::DeleteFromDatabase) => OnDelete::Delete,
            Some(DeleteBehavior::Log) => OnDelete::Log,
        };
    }
}

impl Glue {
    pub(super) async fn create_crawler(&self, input: CrawlerInput) -> Answer {
        let name = input.name.clone();
        input::text(&name, 255, "name")?;
        if input.targets.is_none() {
            return Err(AwsError::invalid_input("A crawler needs a target."));
        }
        let tags = input.tags.clone().unwrap_or_default();
        tags::check(&tags)?;
        let mut spec = CrawlerSpec::default();
        input.change(&mut spec)?;
        let now = chrono::Utc::now().timestamp_millis();
        spec.details.insert(CREATED.into(), json!(now));
        let (kind, body) = (DocumentKind::Crawler, body(&spec)?);
        if !self.catalog.create_document(kind, "", &name, &body).await? {
            return Err(AwsError::already_exists(format!("Crawler {name} already exists.")));
        }
        self.put_tags(&format!("crawler/{name}"), tags).await?;
        nothing()
    }

    pub(super) async fn crawler(&self, input: ByName) -> Answer {
        let stored = self.stored_crawler(&input.name).await?;
        Ok(json!({"Crawler": self.crawler_shape(&stored).await?}))
    }

    pub(super) async fn crawlers(&self, input: Crawlers) -> Answer {
        let (page, next) = self.page_of_crawlers(&input, |_| true).await?;
        let mut list = Vec::with_capacity(page.len());
        for stored in &page {
            list.push(self.crawler_shape(stored).await?);
        }
        Ok(page::with_token(json!({"Crawlers": list}), next))
    }

    pub(super) async fn batch_get_crawlers(&self, input: CrawlerNames) -> Answer {
        let names = input.crawler_names.unwrap_or_default();
        input::at_most(&names, BATCH_MAX, "crawlerNames")?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match self.catalog.document(DocumentKind::Crawler, "", &name).await? {
                Some(stored) => found.push(self.crawler_shape(&stored).await?),
                None => missing.push(name),
            }
        }
        Ok(json!({"Crawlers": found, "CrawlersNotFound": missing}))
    }

    pub(super) async fn list_crawlers(&self, input: Crawlers) -> Answer {
        let mut tagged = Vec::new();
        let wanted = input.tags.clone().unwrap_or_default();
        for stored in self.catalog.documents(DocumentKind::Tags, "").await? {
            let has = |(key, value): (&String, &String)| stored.body[key] == json!(value);
            if let Some(name) = stored.name.strip_prefix("crawler/")
                && wanted.iter().all(has)
            {
                tagged.push(name.to_owned());
            }
        }
        let is_wanted = |stored: &Document| wanted.is_empty() || tagged.contains(&stored.name);
        let (page, next) = self.page_of_crawlers(&input, is_wanted).await?;
        let names: Vec<&str> = page.iter().map(|stored| stored.name.as_str()).collect();
        Ok(page::with_token(json!({"CrawlerNames": names}), next))
    }

    /// What isn't given stays.
    pub(super) async fn update_crawler(&self, input: CrawlerInput) -> Answer {
        let name = input.name.clone();
        self.must_be_idle(&name).await?;
        self.change_crawler(&name, |spec| input.change(spec)).await
    }

    pub(super) async fn delete_crawler(&self, input: ByName) -> Answer {
        self.must_be_idle(&input.name).await?;
        if !crawler::delete(&self.catalog, &input.name).await? {
            return Err(missing(&input.name));
        }
        self.delete_tags(&format!("crawler/{}", input.name)).await?;
        nothing()
    }

    pub(super) async fn start_crawler(&self, input: ByName) -> Answer {
        let spec = spec(&self.stored_crawler(&input.name).await?)?;
        self.must_be_idle(&input.name).await?;
        match self.crawls.start(&input.name, spec) {
            true => nothing(),
            false => Err(running(&input.name)),
        }
    }

    pub(super) async fn stop_crawler(&self, input: ByName) -> Answer {
        self.stored_crawler(&input.name).await?;
        match self.crawls.stop(&input.name) {
            Some(crawls::Stopping::Now) => nothing(),
            Some(crawls::Stopping::Already) => Err(AwsError::new(
                Code::CrawlerStopping,
                format!("Crawler {} is stopping.", input.name),
            )),
            None => Err(AwsError::new(
                Code::CrawlerNotRunning,
                format!("Crawler {} is not running.", input.name),
            )),
        }
    }

    /// Newest first.
    pub(super) async fn list_crawls(&self, input: ListCrawls) -> Answer {
        self.stored_crawler(&input.crawler_name).await?;
        let size = page::size(input.max_results, PAGE_LIMIT)?;
        let skipped: usize = page::place(input.next_token.as_deref())?.unwrap_or(0);
        let filters = input.filters.unwrap_or_default();
        let mut found: Vec<Value> = Vec::new();
        for crawl in self.recorded(&input.crawler_name).await? {
            let shape = crawl_shape(&crawl);
            if filters
                .iter()
                .map(|filter| filter.passes(&shape))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .all(|passes| passes)
            {
                found.push(shape);
            }
        }
        let page: Vec<&Value> = found.iter().skip(skipped).take(size).collect();
        let end = skipped.saturating_add(page.len());
        let next = (end < found.len()).then(|| page::token(&end)).transpose()?;
        Ok(page::with_token(json!({"Crawls": page}), next))
    }

    pub(super) async fn crawler_metrics(&self, input: CrawlerNames) -> Answer {
        let wanted = input.crawler_names.unwrap_or_default();
        input::at_most(&wanted, BATCH_MAX, "crawlerNameList")?;
        let is_wanted = |stored: &Document| wanted.is_empty() || wanted.contains(&stored.name);
        let request =
            Crawlers { max_results: input.max_results, next_token: input.next_token, tags: None };
        let (page, next) = self.page_of_crawlers(&request, is_wanted).await?;
        let mut list = Vec::with_capacity(page.len());
        for stored in page {
            list.push(metrics(&stored.name, &self.recorded(&stored.name).await?));
        }
        Ok(page::with_token(json!({"CrawlerMetricsList": list}), next))
    }

    pub(super) async fn start_crawler_schedule(&self, input: ByCrawlerName) -> Answer {
        let name = input.crawler_name;
        self.change_crawler(&name, |spec| {
            if spec.schedule.is_none() {
                let text = format!("Crawler {name} has no schedule.");
                return Err(AwsError::new(Code::NoSchedule, text));
            }
            if spec.is_scheduled {
                let text = format!("The schedule of crawler {name} is running.");
                return Err(AwsError::new(Code::SchedulerRunning, text));
            }
            spec.is_scheduled = true;
            Ok(())
        })
        .await
    }

    pub(super) async fn stop_crawler_schedule(&self, input: ByCrawlerName) -> Answer {
        let name = input.crawler_name;
        self.change_crawler(&name, |spec| {
            if !spec.is_scheduled {
                let text = format!("The schedule of crawler {name} is not running.");
                return Err(AwsError::new(Code::SchedulerNotRunning, text));
            }
            spec.is_scheduled = false;
            Ok(())
        })
        .await
    }

    pub(super) async fn update_crawler_schedule(&self, input: UpdateSchedule) -> Answer {
        let schedule = input.schedule.unwrap_or_default();
        self.change_crawler(&input.crawler_name, |spec| Ok(spec.set_schedule(&schedule)?)).await
    }

    async fn change_crawler(
        &self,
        name: &str,
        change: impl FnOnce(&mut CrawlerSpec) -> Result<(), AwsError>,
    ) -> Answer {
        let stored = self.stored_crawler(name).await?;
        let mut spec = spec(&stored)?;
        change(&mut spec)?;
        let (kind, body) = (DocumentKind::Crawler, body(&spec)?);
        match self.catalog.replace_document(kind, "", name, stored.version, &body).await? {
            true => nothing(),
            false => {
                let text = format!("Crawler {name} was changed by somebody else.");
                Err(AwsError::new(Code::VersionMismatch, text))
            }
        }
    }

    async fn page_of_crawlers(
        &self,
        input: &Crawlers,
        is_wanted: impl Fn(&Document) -> bool,
    ) -> Result<(Vec<Document>, Option<String>), AwsError> {
        let mut all = self.catalog.documents(DocumentKind::Crawler, "").await?;
        all.retain(is_wanted);
        page::by_name(
            all,
            |stored| &stored.name,
            input.max_results,
            PAGE_LIMIT,
            input.next_token.as_deref(),
        )
    }

    async fn stored_crawler(&self, name: &str) -> Result<Document, AwsError> {
        let stored = self.catalog.document(DocumentKind::Crawler, "", name).await?;
        stored.ok_or_else(|| missing(name))
    }

    /// The crawls of a crawler, newest first.
    async fn recorded(&self, name: &str) -> Result<Vec<Crawl>, AwsError> {
        let crawls = crawler::crawls(&self.catalog, Some(name)).await?;
        Ok(crawls)
    }

    async fn must_be_idle(&self, name: &str) -> Result<(), AwsError> {
        let crawls = self.recorded(name).await?;
        match crawls.first().is_some_and(|crawl| crawl.state == CrawlState::Running)
            || self.crawls.is_running(name)
        {
            true => Err(running(name)),
            false => Ok(()),
        }
    }

    async fn crawler_shape(&self, stored: &Document) -> Answer {
        let spec = spec(stored)?;
        let crawls = self.recorded(&stored.name).await?;
        let mut shape = spec.details.clone();
        for own in [CREATED, "EventQueue"] {
            shape.remove(own);
        }
        let queue = spec.details.get("EventQueue");
        let targets: Vec<Value> = spec
            .targets
            .iter()
            .map(|target| {
                let mut shape = json!({"Path": target.location, "Exclusions": target.exclusions});
                if let Some(queue) = queue {
                    shape["EventQueueArn"] = queue.clone();
                }
                shape
            })
            .collect();
        let created = spec.details.get(CREATED).and_then(Value::as_i64);
        let newest = crawls.first();
        let is_running = newest.is_some_and(|crawl| crawl.state == CrawlState::Running);
        let state = match self.crawls.is_stopping(&stored.name) {
            true => "STOPPING",
            false if is_running || self.crawls.is_running(&stored.name) => "RUNNING",
            false => "READY",
        };
        let elapsed = newest
            .filter(|_| is_running)
            .map_or(0, |crawl| chrono::Utc::now().timestamp_millis() - crawl.started_at_ms);
        let members = [
            ("Name", json!(stored.name)),
            ("DatabaseName", json!(spec.database)),
            ("TablePrefix", json!(spec.table_prefix)),
            ("Targets", json!({"S3Targets": targets})),
            ("Classifiers", json!(spec.classifiers)),
            ("RecrawlPolicy", json!({"RecrawlBehavior": recrawl(spec.recrawl)})),
            ("SchemaChangePolicy", policy(&spec)),
            ("State", json!(state)),
            ("CrawlElapsedTime", json!(elapsed)),
            ("CreationTime", seconds(created.unwrap_or(stored.updated_at_ms))),
            ("LastUpdated", seconds(stored.updated_at_ms)),
            ("Version", json!(stored.version)),
        ];
        shape.extend(members.map(|(member, value)| (member.to_owned(), value)));
        if let Some(description) = &spec.description {
            shape.insert("Description".into(), json!(description));
        }
        if let Some(schedule) = &spec.schedule {
            let state = if spec.is_scheduled { "SCHEDULED" } else { "NOT_SCHEDULED" };
            let schedule = json!({"ScheduleExpression": schedule, "State": state});
            shape.insert("Schedule".into(), schedule);
        }
        let ended = crawls.iter().find(|crawl| crawl.state != CrawlState::Running);
        if let Some(crawl) = ended {
            shape.insert("LastCrawl".into(), last_crawl(crawl));
        }
        Ok(Value::Object(shape))
    }
}

impl CrawlFilter {
    /// Whether a crawl, as it's listed, passes.
    fn passes(&self, crawl: &Value) -> Result<bool, AwsError> {
        let value = self.field_value.as_deref().unwrap_or_default();
        let (found, wanted) = match self.field_name.as_deref().unwrap_or_default() {
            "CRAWL_ID" => (crawl["CrawlId"].clone(), json!(value)),
            "STATE" => (crawl["State"].clone(), json!(value)),
            "START_TIME" => (crawl["StartTime"].clone(), number(value)?),
            "END_TIME" => (crawl["EndTime"].clone(), number(value)?),
            "DPU_HOUR" => (crawl["DPUHour"].clone(), number(value)?),
            other => {
                return Err(AwsError::invalid_input(format!(
                    "\"{other}\" is no field of a crawl."
                )));
            }
        };
        let order = match (&found, &wanted) {
            (Value::String(found), Value::String(wanted)) => Some(found.cmp(wanted)),
            (found, wanted) => found
                .as_f64()
                .zip(wanted.as_f64())
                .and_then(|(found, wanted)| found.partial_cmp(&wanted)),
        };
        let Some(order) = order else { return Ok(false) };
        match self.filter_operator.as_deref().unwrap_or("EQ") {
            "EQ" => Ok(order.is_eq()),
            "NE" => Ok(order.is_ne()),
            "GT" => Ok(order.is_gt()),
            "GE" => Ok(order.is_ge()),
            "LT" => Ok(order.is_lt()),
            "LE" => Ok(order.is_le()),
            other => Err(AwsError::invalid_input(format!("\"{other}\" is no operator."))),
        }
    }
}

fn number(text: &str) -> Result<Value, AwsError> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Value::from).ok_or_else(|| {
        AwsError::invalid_input(format!("\"{text}\" is no number of seconds since 1970."))
    })
}

fn location(path: String, exclusions: Vec<String>) -> Result<Target, AwsError> {
    if !path.contains("://") {
        return Err(AwsError::invalid_input(format!(
            "\"{path}\" is no location such as s3://bucket/folder/."
        )));
    }
    Ok(Target { location: path, exclusions })
}

/// Glue's way to say that columns are added and types stay is in the configuration.
fn merges_new_columns(spec: &mut CrawlerSpec) -> Result<(), AwsError> {
    let Some(Value::String(text)) = spec.details.get("Configuration") else { return Ok(()) };
    if text.trim().is_empty() {
        return Ok(());
    }
    let configuration: Value = serde_json::from_str(text).map_err(|fault| {
        AwsError::invalid_input(format!("Configuration is not valid JSON: {fault}"))
    })?;
    let behavior = &configuration["CrawlerOutput"]["Tables"]["AddOrUpdateBehavior"];
    if *behavior == json!("MergeNewColumns") && spec.on_change == OnChange::Update {
        spec.on_change = OnChange::AddColumns;
    }
    Ok(())
}

/// The crawler that a document describes.
fn spec(stored: &Document) -> Result<CrawlerSpec, AwsError> {
    serde_json::from_value(stored.body.clone())
        .map_err(|fault| AwsError::internal(format!("crawler {}: {fault}", stored.name)))
}

fn body(spec: &CrawlerSpec) -> Result<Value, AwsError> {
    serde_json::to_value(spec).map_err(AwsError::internal)
}

fn missing(name: &str) -> AwsError {
    AwsError::not_found(format!("Crawler {name} not found."))
}

fn running(name: &str) -> AwsError {
    AwsError::new(Code::CrawlerRunning, format!("Crawler {name} is running."))
}

fn recrawl(recrawl: Recrawl) -> RecrawlBehavior {
    match recrawl {
        Recrawl::Everything => RecrawlBehavior::CrawlEverything,
        Recrawl::NewFoldersOnly => RecrawlBehavior::CrawlNewFoldersOnly,
        Recrawl::Events => RecrawlBehavior::CrawlEventMode,
    }
}

fn policy(spec: &CrawlerSpec) -> Value {
    let update = match spec.on_change {
        OnChange::Update | OnChange::AddColumns => UpdateBehavior::UpdateInDatabase,
        OnChange::Log => UpdateBehavior::Log,
    };
    let delete = match spec.on_delete {
        OnDelete::Delete => DeleteBehavior::DeleteFromDatabase,
        OnDelete::Deprecate => DeleteBehavior::DeprecateInDatabase,
        OnDelete::Log => DeleteBehavior::Log,
    };
    json!(SchemaChangePolicy { update_behavior: Some(update), delete_behavior: Some(delete) })
}

fn last_crawl(crawl: &Crawl) -> Value {
    let status = match crawl.state {
        CrawlState::Completed => "SUCCEEDED",
        CrawlState::Stopped => "CANCELLED",
        CrawlState::Running | CrawlState::Failed => "FAILED",
    };
    let mut shape = json!({"Status": status, "StartTime": seconds(crawl.started_at_ms)});
    if let Some(error) = &crawl.error {
        shape["ErrorMessage"] = json!(error);
    }
    shape
}

fn crawl_shape(crawl: &Crawl) -> Value {
    let state = match crawl.state {
        CrawlState::Running => "RUNNING",
        CrawlState::Completed => "COMPLETED",
        CrawlState::Failed => "FAILED",
        CrawlState::Stopped => "STOPPED",
    };
    let mut shape = json!({
        "CrawlId": crawl.id,
        "State": state,
        "StartTime": seconds(crawl.started_at_ms),
        "DPUHour": 0.0,
        "Summary": json!({"counts": crawl.counts, "changes": crawl.changes.first}).to_string(),
    });
    if let Some(ended) = crawl.ended_at_ms {
        shape["EndTime"] = seconds(ended);
    }
    if let Some(error) = &crawl.error {
        shape["ErrorMessage"] = json!(error);
    }
    shape
}

fn metrics(name: &str, crawls: &[Crawl]) -> Value {
    let mut times: Vec<f64> = crawls
        .iter()
        .filter_map(|crawl| Some((crawl.ended_at_ms? - crawl.started_at_ms) as f64 / 1000.0))
        .collect();
    let last = times.first().copied().unwrap_or(0.0);
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(0.0);
    let sum = |count: fn(&Crawl) -> u64| crawls.iter().map(count).sum::<u64>();
    json!({
        "CrawlerName": name,
        "TimeLeftSeconds": 0.0,
        "StillEstimating": false,
        "LastRuntimeSeconds": last,
        "MedianRuntimeSeconds": median,
        "TablesCreated": sum(|crawl| crawl.counts.created),
        "TablesUpdated": sum(|crawl| crawl.counts.updated),
        "TablesDeleted": sum(|crawl| crawl.counts.deleted),
    })
}
