//! User-defined functions: kept for the engines that know what to do with them.

use boathouse_catalog::{Document, DocumentKind};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tables::name_pattern;
use super::{Answer, CATALOG_ID, Glue, input, nothing, page, seconds};
use crate::aws::AwsError;

const PAGE_LIMIT: usize = 100;
const URIS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateFunction {
    database_name: String,
    function_input: FunctionInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateFunction {
    database_name: String,
    function_name: String,
    function_input: FunctionInput,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FunctionInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_type: Option<OwnerType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_type: Option<FunctionType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_uris: Option<Vec<ResourceUri>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    governance_mode: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum OwnerType {
    User,
    Role,
    Group,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum FunctionType {
    RegularFunction,
    AggregateFunction,
    StoredProcedure,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ResourceUri {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByFunction {
    database_name: String,
    function_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Functions {
    database_name: Option<String>,
    pattern: String,
    function_type: Option<FunctionType>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Glue {
    pub(super) async fn create_function(&self, input: CreateFunction) -> Answer {
        let function = input.function_input;
        let name = function.function_name.clone().unwrap_or_default().to_lowercase();
        let body = self.checked(&name, &function)?;
        let database = self.catalog.database(&input.database_name).await?.name;
        let kind = DocumentKind::Function;
        match self.catalog.create_document(kind, &database, &name, &body).await? {
            true => nothing(),
            false => Err(AwsError::already_exists("Function already exists.")),
        }
    }

    pub(super) async fn function(&self, input: ByFunction) -> Answer {
        let (database, name) = (input.database_name.to_lowercase(), input.function_name);
        let name = name.to_lowercase();
        let stored = self.catalog.document(DocumentKind::Function, &database, &name).await?;
        let stored = stored.ok_or_else(|| missing(&name))?;
        Ok(json!({"UserDefinedFunction": shape(&database, stored)}))
    }

    pub(super) async fn functions(&self, input: Functions) -> Answer {
        let pattern = name_pattern(&input.pattern)?;
        let databases = match &input.database_name {
            Some(database) => vec![self.catalog.database(database).await?.name],
            None => self.catalog.databases().await?.into_iter().map(|one| one.name).collect(),
        };
        let mut found: Vec<(String, Value)> = Vec::new();
        for database in databases {
            for stored in self.catalog.documents(DocumentKind::Function, &database).await? {
                if is_wanted(&pattern, input.function_type, &stored.name, &stored.body) {
                    let place = format!("{database}\n{}", stored.name);
                    found.push((place, shape(&database, stored)));
                }
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let token = input.next_token.as_deref();
        let (page, next) =
            page::by_name(found, |one| &one.0, input.max_results, PAGE_LIMIT, token)?;
        let page: Vec<Value> = page.into_iter().map(|(_, shape)| shape).collect();
        Ok(page::with_token(json!({"UserDefinedFunctions": page}), next))
    }

    pub(super) async fn update_function(&self, input: UpdateFunction) -> Answer {
        let (database, name) = (input.database_name.to_lowercase(), input.function_name);
        let name = name.to_lowercase();
        let mut function = input.function_input;
        if function.function_name.as_ref().is_some_and(|new| new.to_lowercase() != name) {
            return Err(AwsError::invalid_input("A function cannot be renamed."));
        }
        function.function_name = Some(name.clone());
        let body = self.checked(&name, &function)?;
        let stored = self.catalog.document(DocumentKind::Function, &database, &name).await?;
        stored.ok_or_else(|| missing(&name))?;
        self.catalog.put_documents(DocumentKind::Function, &database, &[(name, body)]).await?;
        nothing()
    }

    pub(super) async fn delete_function(&self, input: ByFunction) -> Answer {
        let (database, name) = (input.database_name.to_lowercase(), input.function_name);
        let name = name.to_lowercase();
        match self.catalog.delete_document(DocumentKind::Function, &database, &name).await? {
            true => nothing(),
            false => Err(missing(&name)),
        }
    }

    fn checked(&self, name: &str, function: &FunctionInput) -> Result<Value, AwsError> {
        input::text(name, 255, "functionInput.functionName")?;
        input::at_most(
            function.resource_uris.as_deref().unwrap_or_default(),
            URIS_MAX,
            "functionInput.resourceUris",
        )?;
        serde_json::to_value(function).map_err(|fault| AwsError::internal(fault.to_string()))
    }
}

fn is_wanted(pattern: &Regex, wanted: Option<FunctionType>, name: &str, body: &Value) -> bool {
    let of_type = wanted.is_none_or(|wanted| body["FunctionType"] == json!(wanted));
    of_type && pattern.is_match(name)
}

fn missing(name: &str) -> AwsError {
    AwsError::not_found(format!("Function {name} not found."))
}

fn shape(database: &str, stored: Document) -> Value {
    let mut body = stored.body;
    let name = body["FunctionName"].as_str().unwrap_or_default().to_lowercase();
    body["FunctionName"] = json!(name);
    body["DatabaseName"] = json!(database);
    body["CatalogId"] = json!(CATALOG_ID);
    body["CreateTime"] = seconds(stored.updated_at_ms);
    body
}
