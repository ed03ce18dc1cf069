use llm_bench_core::Json;
use llm_bench_core::dataset::{Dataset, Format, Split};
use llm_bench_core::model::Origin;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A registered dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetView {
    pub name: String,
    /// `bundled`, `local`, `uploaded` or `path`.
    #[schema(value_type = String)]
    pub origin: Origin,
    pub description: String,
    pub licence: Option<String>,
    /// Columns that a solver never sees.
    pub gold: Vec<String>,
    pub splits: Vec<SplitView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SplitView {
    pub name: String,
    /// `json-lines` or `csv`.
    #[schema(value_type = String)]
    pub format: Format,
    pub rows: u64,
    pub bytes: u64,
    /// SHA-256 of the file.
    pub digest: String,
    pub columns: Vec<String>,
}

/// The first rows of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewView {
    pub dataset: String,
    pub split: String,
    /// Columns that a solver never sees.
    pub gold: Vec<String>,
    /// Rows, or `{"error": …}` for one that cannot be read.
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<Json>,
}

impl From<Dataset> for DatasetView {
    fn from(dataset: Dataset) -> Self {
        let Dataset { name, origin, description, licence, gold, splits } = dataset;
        Self {
            name,
            origin,
            description,
            licence,
            gold,
            splits: splits.into_iter().map(SplitView::from).collect(),
        }
    }
}

impl From<Split> for SplitView {
    fn from(split: Split) -> Self {
        let Split { name, format, rows, bytes, digest, columns, .. } = split;
        Self { name, format, rows, bytes, digest, columns }
    }
}
