//! The models that are registered by name.

use async_trait::async_trait;
use llm_bench_core::model::{Model, ModelFacts, ModelRepository, Origin};
use llm_bench_core::{Error, Result};
use sqlx::FromRow;

use crate::column::{Document, Word};
use crate::error::database_error;
use crate::{Storage, commit};

#[async_trait]
impl ModelRepository for Storage {
    async fn save(&self, model: &Model) -> Result<()> {
        const UPSERT: &str = "INSERT INTO models (name, origin, path, facts) VALUES (?, ?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET origin = excluded.origin, path = excluded.path, facts = excluded.facts";
        let path = model.path.to_str().ok_or_else(|| {
            Error::invalid("not-storable", format!("the path {} is not valid UTF-8", model.path.display()))
        })?;
        let mut transaction = self.write().await?;
        sqlx::query(UPSERT)
            .bind(&model.name)
            .bind(Word(model.origin))
            .bind(path)
            .bind(Document(&model.facts))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        commit(transaction).await
    }

    async fn find(&self, name: &str) -> Result<Option<Model>> {
        const SELECT: &str = "SELECT * FROM models WHERE name = ?";
        let row: Option<ModelRow> =
            sqlx::query_as(SELECT).bind(name).fetch_optional(&self.readers).await.map_err(database_error)?;
        Ok(row.map(Model::from))
    }

    async fn list(&self) -> Result<Vec<Model>> {
        const SELECT: &str = "SELECT * FROM models ORDER BY name";
        let rows: Vec<ModelRow> =
            sqlx::query_as(SELECT).fetch_all(&self.readers).await.map_err(database_error)?;
        Ok(rows.into_iter().map(Model::from).collect())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        const DELETE: &str = "DELETE FROM models WHERE name = ?";
        let mut transaction = self.write().await?;
        let done = sqlx::query(DELETE).bind(name).execute(&mut *transaction).await.map_err(database_error)?;
        if done.rows_affected() == 0 {
            return Err(Error::not_found("model-not-found", format!("there is no model `{name}`")));
        }
        commit(transaction).await
    }
}

#[derive(FromRow)]
struct ModelRow {
    name: String,
    origin: Word<Origin>,
    path: String,
    facts: Document<ModelFacts>,
}

impl From<ModelRow> for Model {
    fn from(row: ModelRow) -> Self {
        Self { name: row.name, origin: row.origin.0, path: row.path.into(), facts: row.facts.0 }
    }
}
