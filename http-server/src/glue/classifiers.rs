//! Classifiers: rules of a person's that tell a crawler what a file is.

use boathouse_catalog::{Document, DocumentKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Glue, input, nothing, page, seconds};
use crate::aws::AwsError;

const PAGE_LIMIT: usize = 1000;
/// The member that has a classifier, and what it must say when it's made.
type Kind = (&'static str, &'static [&'static str]);
/// The kinds of classifiers.
const KINDS: [Kind; 4] = [
    ("GrokClassifier", &["Classification", "GrokPattern"]),
    ("XMLClassifier", &["Classification"]),
    ("JsonClassifier", &["JsonPath"]),
    ("CsvClassifier", &[]),
];

/// One classifier of one kind.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClassifierInput {
    grok_classifier: Option<Map<String, Value>>,
    #[serde(rename = "XMLClassifier")]
    xml_classifier: Option<Map<String, Value>>,
    json_classifier: Option<Map<String, Value>>,
    csv_classifier: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByName {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Classifiers {
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl ClassifierInput {
    /// The kind and what it says; exactly one is given.
    fn only(self) -> Result<(Kind, Map<String, Value>), AwsError> {
        let given =
            [self.grok_classifier, self.xml_classifier, self.json_classifier, self.csv_classifier];
        let mut given = KINDS
            .into_iter()
            .zip(given)
            .filter_map(|(kind, classifier)| classifier.map(|classifier| (kind, classifier)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(AwsError::invalid_input("Exactly one classifier must be given.")),
        }
    }
}

impl Glue {
    pub(super) async fn create_classifier(&self, input: ClassifierInput) -> Answer {
        let ((kind, required), classifier) = input.only()?;
        let name = name_of(&classifier)?;
        for member in required {
            if !classifier.get(*member).is_some_and(Value::is_string) {
                return Err(AwsError::invalid_input(format!("{kind}.{member} must be given.")));
            }
        }
        let now = chrono::Utc::now().timestamp_millis();
        let body = json!({"kind": kind, "created_at_ms": now, "says": classifier});
        match self.catalog.create_document(DocumentKind::Classifier, "", &name, &body).await? {
            true => nothing(),
            false => Err(AwsError::already_exists(format!("Classifier {name} already exists."))),
        }
    }

    pub(super) async fn classifier(&self, input: ByName) -> Answer {
        let stored = self.stored_classifier(&input.name).await?;
        Ok(json!({"Classifier": shape(&stored)}))
    }

    pub(super) async fn classifiers(&self, input: Classifiers) -> Answer {
        let all = self.catalog.documents(DocumentKind::Classifier, "").await?;
        let token = input.next_token.as_deref();
        let (page, next) =
            page::by_name(all, |stored| &stored.name, input.max_results, PAGE_LIMIT, token)?;
        let list: Vec<Value> = page.iter().map(shape).collect();
        Ok(page::with_token(json!({"Classifiers": list}), next))
    }

    /// What isn't given stays.
    pub(super) async fn update_classifier(&self, input: ClassifierInput) -> Answer {
        let ((kind, _), classifier) = input.only()?;
        let name = name_of(&classifier)?;
        let stored = self.stored_classifier(&name).await?;
        let mut body = stored.body;
        if body["kind"] != kind {
            return Err(AwsError::invalid_input(format!("Classifier {name} is no {kind}.")));
        }
        if let Some(says) = body["says"].as_object_mut() {
            says.extend(classifier);
        }
        let (catalog, kind) = (&self.catalog, DocumentKind::Classifier);
        match catalog.replace_document(kind, "", &name, stored.version, &body).await? {
            true => nothing(),
            false => Err(AwsError::version_mismatch(format!("Classifier {name} was changed."))),
        }
    }

    pub(super) async fn delete_classifier(&self, input: ByName) -> Answer {
        match self.catalog.delete_document(DocumentKind::Classifier, "", &input.name).await? {
            true => nothing(),
            false => Err(missing(&input.name)),
        }
    }

    async fn stored_classifier(&self, name: &str) -> Result<Document, AwsError> {
        let stored = self.catalog.document(DocumentKind::Classifier, "", name).await?;
        stored.ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> AwsError {
    AwsError::not_found(format!("Classifier {name} not found."))
}

fn name_of(classifier: &Map<String, Value>) -> Result<String, AwsError> {
    let name = classifier.get("Name").and_then(Value::as_str).unwrap_or_default();
    input::text(name, 255, "name")?;
    Ok(name.to_owned())
}

fn shape(stored: &Document) -> Value {
    let body = &stored.body;
    let mut says = body["says"].clone();
    says["CreationTime"] = seconds(body["created_at_ms"].as_i64().unwrap_or_default());
    says["LastUpdated"] = seconds(stored.updated_at_ms);
    says["Version"] = json!(stored.version);
    let kind = body["kind"].as_str().unwrap_or("CsvClassifier");
    json!({kind: says})
}
