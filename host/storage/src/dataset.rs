//! The datasets that are registered by name.

use async_trait::async_trait;
use llm_bench_core::dataset::{Dataset, DatasetRepository, Split};
use llm_bench_core::model::Origin;
use llm_bench_core::{Error, Result};
use sqlx::FromRow;

use crate::column::{Document, Word};
use crate::error::database_error;
use crate::{Storage, commit};

#[async_trait]
impl DatasetRepository for Storage {
    async fn save(&self, dataset: &Dataset) -> Result<()> {
        const UPSERT: &str = "INSERT INTO datasets (name, origin, description, licence, gold, splits)
            VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET origin = excluded.origin, description = excluded.description,
                licence = excluded.licence, gold = excluded.gold, splits = excluded.splits";
        let mut transaction = self.write().await?;
        sqlx::query(UPSERT)
            .bind(&dataset.name)
            .bind(Word(dataset.origin))
            .bind(&dataset.description)
            .bind(&dataset.licence)
            .bind(Document(&dataset.gold))
            .bind(Document(&dataset.splits))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        commit(transaction).await
    }

    async fn find(&self, name: &str) -> Result<Option<Dataset>> {
        const SELECT: &str = "SELECT * FROM datasets WHERE name = ?";
        let row: Option<DatasetRow> =
            sqlx::query_as(SELECT).bind(name).fetch_optional(&self.readers).await.map_err(database_error)?;
        Ok(row.map(Dataset::from))
    }

    async fn list(&self) -> Result<Vec<Dataset>> {
        const SELECT: &str = "SELECT * FROM datasets ORDER BY name";
        let rows: Vec<DatasetRow> =
            sqlx::query_as(SELECT).fetch_all(&self.readers).await.map_err(database_error)?;
        Ok(rows.into_iter().map(Dataset::from).collect())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        const DELETE: &str = "DELETE FROM datasets WHERE name = ?";
        let mut transaction = self.write().await?;
        let done = sqlx::query(DELETE).bind(name).execute(&mut *transaction).await.map_err(database_error)?;
        if done.rows_affected() == 0 {
            return Err(Error::not_found("dataset-not-found", format!("there is no dataset `{name}`")));
        }
        commit(transaction).await
    }
}

#[derive(FromRow)]
struct DatasetRow {
    name: String,
    origin: Word<Origin>,
    description: String,
    licence: Option<String>,
    gold: Document<Vec<String>>,
    splits: Document<Vec<Split>>,
}

impl From<DatasetRow> for Dataset {
    fn from(row: DatasetRow) -> Self {
        Self {
            name: row.name,
            origin: row.origin.0,
            description: row.description,
            licence: row.licence,
            gold: row.gold.0,
            splits: row.splits.0,
        }
    }
}
