//! `boathouse access-key`: the keys that AWS clients sign their requests with.

use std::fmt::Write as _;

use boathouse_engine::Engine;

use crate::args::AccessKeyVerb;
use crate::config::Config;
use crate::failure::{Failure, Result};

/// Does it, and says what to print.
pub(crate) async fn access_key(config: &Config, verb: &AccessKeyVerb) -> Result<String> {
    let engine = Engine::open(config.engine()?).await?;
    let text = run(&engine, verb).await;
    engine.close().await;
    text
}

async fn run(engine: &Engine, verb: &AccessKeyVerb) -> Result<String> {
    let failed = |error| Failure::from(boathouse_engine::Error::from(error));
    let catalog = engine.catalog();
    match verb {
        AccessKeyVerb::Create { comment } => {
            let key = catalog.create_access_key(comment.clone()).await.map_err(failed)?;
            Ok(format!("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n", key.id, key.secret))
        }
        AccessKeyVerb::List => {
            let mut text = String::new();
            for key in catalog.access_keys().await.map_err(failed)? {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{}\t{}", key.id, key.comment.unwrap_or_default());
            }
            Ok(text)
        }
        AccessKeyVerb::Revoke { id } => {
            match catalog.revoke_access_key(id).await.map_err(failed)? {
                true => Ok(String::new()),
                false => Err(Failure::Failed(format!(
                    "access key \"{id}\" does not exist\n\
                     Hint: Run boathouse access-key list to see the keys there are."
                ))),
            }
        }
    }
}
