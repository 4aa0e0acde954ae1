//! Events of an object store, from the messages in a folder.
//!
//! Messages come at least once and in any order: of two about one object, the one with the later
//! sequencer counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use serde_json::Value;
use url::Url;

use super::notes::Notes;
use super::plan::Messages;
use super::spec::url_of;
use super::{Error, Result};

/// Messages that one crawl takes; the rest stays for the next.
const MESSAGES_MAX: usize = 100_000;
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
const AT_ONCE: usize = 16;
/// Envelopes around a notification, of SNS in SQS and so on.
const ENVELOPES_MAX: usize = 4;

/// What is in a queue.
pub(super) struct Events {
    pub(super) touched: Touched,
    pub(super) messages: Messages,
}

/// The last event of each object.
#[derive(Debug, Default)]
pub(super) struct Touched(BTreeMap<(String, String), Last>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Last {
    /// A hexadecimal number, padded so that it sorts as one.
    sequencer: String,
    is_removed: bool,
}

struct Event {
    bucket: String,
    key: String,
    last: Last,
}

impl Touched {
    fn add(&mut self, event: Event) {
        let known = self.0.entry((event.bucket, event.key)).or_insert_with(|| event.last.clone());
        if *known < event.last {
            *known = event.last;
        }
    }

    /// The keys of the bucket of `url` that were touched. Local files are in no bucket.
    pub(super) fn keys<'a>(&'a self, url: &'a Url) -> impl Iterator<Item = &'a str> {
        let bucket = url.host_str().unwrap_or_default();
        let is_here = move |name: &str| url.scheme() == "file" || name == bucket;
        let keys = self.0.keys().filter(move |(name, _)| is_here(name));
        keys.map(|(_, key)| key.trim_start_matches('/'))
    }
}

/// Reads the messages in a folder. Those that are no notification stay and are noted.
pub(super) async fn read(
    store: Arc<dyn ObjectStore>,
    queue: &Url,
    path: &Path,
    notes: &mut Notes,
) -> Result<Events> {
    let unreachable = |error| Error::unreachable(queue, error);
    let listed = store.list(Some(path)).take(MESSAGES_MAX).try_collect();
    let mut metas: Vec<ObjectMeta> = listed.await.map_err(unreachable)?;
    metas.sort_by(|a, b| a.location.cmp(&b.location));
    let jobs: Vec<_> = metas
        .iter()
        .map(|meta| {
            let store = store.clone();
            async move {
                let length = meta.size.min(MESSAGE_BYTES_MAX);
                (&meta.location, store.get_range(&meta.location, 0..length).await)
            }
        })
        .collect();
    let mut touched = Touched::default();
    let mut paths = Vec::new();
    let mut messages = futures::stream::iter(jobs).buffered(AT_ONCE);
    while let Some((path, bytes)) = messages.next().await {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            // Another crawler of the queue was faster.
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(unreachable(error)),
        };
        match serde_json::from_slice(&bytes).ok().and_then(|message| events(&message, 0)) {
            Some(events) => {
                events.into_iter().for_each(|event| touched.add(event));
                paths.push(path.clone());
            }
            None => notes.add(url_of(queue, path).to_string(), "no message of an object's event"),
        }
    }
    drop(messages);
    Ok(Events { touched, messages: Messages { store, paths } })
}

/// The events of a message; `None` if it is none.
fn events(message: &Value, depth: usize) -> Option<Vec<Event>> {
    if depth > ENVELOPES_MAX {
        return None;
    }
    if let Some(records) = message.get("Records").and_then(Value::as_array) {
        let events = records.iter().map(|record| {
            // The records of a Lambda call have the message in their body.
            match record.get("body").or_else(|| record.pointer("/Sns")) {
                Some(inner) => events_within(inner, depth),
                None => Some(event(record).into_iter().collect()),
            }
        });
        return Some(events.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect());
    }
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Some(Vec::new());
    }
    if let Some(detail) = message.get("detail") {
        return Some(bridge_event(message, detail).into_iter().collect());
    }
    if let Some(messages) = message.get("Messages").and_then(Value::as_array) {
        let events = messages.iter().map(|message| events(message, depth + 1));
        return Some(events.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect());
    }
    let inner = message.get("Message").or_else(|| message.get("Body"))?;
    events_within(inner, depth)
}

/// The events of a message that is kept as a text in another.
fn events_within(inner: &Value, depth: usize) -> Option<Vec<Event>> {
    match inner {
        Value::String(text) => events(&serde_json::from_str(text).ok()?, depth + 1),
        Value::Object(_) => events(inner, depth + 1),
        _ => None,
    }
}

fn event(record: &Value) -> Option<Event> {
    let name = record.get("eventName")?.as_str()?;
    let is_removed = name.contains("ObjectRemoved") || name.contains("LifecycleExpiration");
    if !is_removed && !name.contains("ObjectCreated") && !name.contains("ObjectRestore") {
        return None;
    }
    let object = record.pointer("/s3/object")?;
    let key = form_decoded(object.get("key")?.as_str()?);
    let bucket = record.pointer("/s3/bucket/name").and_then(Value::as_str).unwrap_or_default();
    let last = Last { sequencer: sequencer(object), is_removed };
    Some(Event { bucket: bucket.to_owned(), key, last })
}

/// An event of EventBridge, whose keys are not encoded.
fn bridge_event(message: &Value, detail: &Value) -> Option<Event> {
    let is_removed = match message.get("detail-type")?.as_str()? {
        "Object Created" | "Object Restore Completed" => false,
        "Object Deleted" => true,
        _ => return None,
    };
    let object = detail.get("object")?;
    let key = object.get("key")?.as_str()?.to_owned();
    let bucket = detail.pointer("/bucket/name").and_then(Value::as_str).unwrap_or_default();
    let last = Last { sequencer: sequencer(object), is_removed };
    Some(Event { bucket: bucket.to_owned(), key, last })
}

fn sequencer(object: &Value) -> String {
    let text = object.get("sequencer").and_then(Value::as_str).unwrap_or_default();
    format!("{:0>64}", text.to_ascii_uppercase())
}

/// A key as it is written in a notification: `+` is a space.
fn form_decoded(text: &str) -> String {
    let text = format!("k={}", text.replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(text.as_bytes()).next();
    decoded.map(|(_, key)| key.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(name: &str, key: &str, sequencer: &str) -> Value {
        json!({ "eventName": name, "s3": {
            "bucket": { "name": "lake" }, "object": { "key": key, "sequencer": sequencer },
        }})
    }

    fn touched(messages: &[Value]) -> Vec<(String, bool)> {
        let mut touched = Touched::default();
        for message in messages {
            events(message, 0).unwrap().into_iter().for_each(|event| touched.add(event));
        }
        touched.0.into_iter().map(|((_, key), last)| (key, last.is_removed)).collect()
    }

    #[test]
    fn the_later_sequencer_counts_in_any_order() {
        let created = json!({ "Records": [record("ObjectCreated:Put", "a", "10000")] });
        let removed = json!({ "Records": [record("s3:ObjectRemoved:Delete", "a", "FFF")] });
        for messages in [[created.clone(), removed.clone()], [removed, created]] {
            assert_eq!(touched(&messages), [("a".to_owned(), false)]);
        }
    }

    #[test]
    fn envelopes_are_opened() {
        let inner = json!({ "Records": [record("ObjectCreated:Put", "a+b%3D%2Bc&d", "1")] });
        let sns = json!({ "Type": "Notification", "Message": inner.to_string() });
        let sqs = json!({ "Messages": [{ "Body": sns.to_string() }] });
        let bridge = json!({ "detail-type": "Object Created", "detail": {
            "bucket": { "name": "lake" }, "object": { "key": "a b=+c&d" },
        }});
        for message in [inner, sns, sqs, bridge] {
            assert_eq!(touched(&[message]), [("a b=+c&d".to_owned(), false)]);
        }
        assert!(events(&json!({ "Event": "s3:TestEvent" }), 0).unwrap().is_empty());
        assert!(events(&json!({ "a": 1 }), 0).is_none());
    }
}
