use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt;
use llm_bench_core::dataset::{Dataset, DatasetFiles};
use llm_bench_core::model::Origin;
use llm_bench_core::name::Name;
use llm_bench_core::{Error, Json as JsonValue};
use serde::Deserialize;
use tempfile::TempPath;
use utoipa::IntoParams;

use crate::app::App;
use crate::extract::{Path, Query};
use crate::page::{PageQuery, PageView};
use crate::problem::Problem;
use crate::upload;
use crate::view::{DatasetView, PreviewView};

/// Rows of a preview unless the client says otherwise.
const PREVIEW_ROWS: u32 = 10;
const MOST_PREVIEW_ROWS: u32 = 100;
/// Bytes of one uploaded split, at most.
const MOST_BYTES: u64 = 1 << 30;

/// The registered datasets, ordered by name.
#[utoipa::path(get, path = "/api/v1/datasets", tag = "datasets", params(PageQuery),
    responses((status = 200, body = PageView<DatasetView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PageView<DatasetView>>, Problem> {
    let datasets = app.catalog.datasets.list().await?;
    Ok(axum::Json(page.cut(datasets, |dataset| dataset.name.clone(), DatasetView::from)?))
}

/// One dataset.
#[utoipa::path(get, path = "/api/v1/datasets/{name}", tag = "datasets",
    responses((status = 200, body = DatasetView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<axum::Json<DatasetView>, Problem> {
    Ok(axum::Json(app.catalog.dataset(&name).await?.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    /// The split; the one that a benchmark would use without it.
    split: Option<String>,
    /// Rows, 1 to 100; 10 unless given.
    limit: Option<u32>,
}

/// The first rows of a split.
#[utoipa::path(get, path = "/api/v1/datasets/{name}/preview", tag = "datasets", params(PreviewQuery),
    responses((status = 200, body = PreviewView), (status = "4XX", body = Problem)))]
pub(super) async fn preview(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Result<axum::Json<PreviewView>, Problem> {
    let limit = query.limit.unwrap_or(PREVIEW_ROWS);
    if !(1..=MOST_PREVIEW_ROWS).contains(&limit) {
        let detail = format!("limit is {limit}; it must be 1 to {MOST_PREVIEW_ROWS}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-limit", detail));
    }
    let dataset = app.catalog.dataset(&name).await?;
    let split = match &query.split {
        Some(split) => dataset.split(split)?,
        None => dataset
            .default_split()
            .ok_or_else(|| Error::invalid("dataset-empty", format!("dataset `{name}` has no splits")))?,
    };
    let mut rows = Vec::new();
    let mut stream = app.datasets.rows(split, 0).take(limit as usize);
    while let Some(row) = stream.next().await {
        rows.push(match row? {
            Ok(row) => JsonValue::Object(row.row),
            Err(unreadable) => serde_json::json!({ "error": unreadable.error.message }),
        });
    }
    Ok(axum::Json(PreviewView {
        split: split.name.clone(),
        gold: dataset.gold.clone(),
        dataset: dataset.name,
        rows,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// The split that the file becomes; `test` unless given.
    split: Option<String>,
    /// Columns that hold the answer, separated by commas; a solver never sees them.
    gold: Option<String>,
}

/// Upload one split as JSON Lines (`application/jsonl`) or CSV (`text/csv`).
///
/// A dataset of that name that was uploaded before gets the split added or replaced.
#[utoipa::path(put, path = "/api/v1/datasets/{name}", tag = "datasets", params(UploadQuery),
    request_body(content = String, content_type = "application/jsonl"),
    responses((status = 200, body = DatasetView), (status = "4XX", body = Problem)))]
pub(super) async fn upload(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<axum::Json<DatasetView>, Problem> {
    let name = Name::new(name)?;
    let split = Name::new(query.split.as_deref().unwrap_or("test"))?;
    let extension = extension_of(&headers)?;
    let file = upload::receive(body.into_data_stream(), &app.data.uploads(), MOST_BYTES).await?.file;
    let uploaded = inspect(&app, &name, &split, file.path(), extension).await?;
    // One upload at a time from here: two splits of one dataset may come at once.
    let _turn = app.dataset_uploads.lock().await;
    let known = app.catalog.datasets.find(name.as_str()).await?;
    if known.as_ref().is_some_and(|known| known.origin != Origin::Uploaded) {
        let detail = format!("dataset `{name}` was not uploaded; give yours another name");
        return Err(Problem::new(StatusCode::CONFLICT, "dataset-name-taken", detail));
    }
    let mut dataset = known.unwrap_or_else(|| Dataset { splits: Vec::new(), ..uploaded.clone() });
    if let Some(gold) = &query.gold {
        dataset.gold =
            gold.split(',').map(str::trim).filter(|column| !column.is_empty()).map(str::to_owned).collect();
    }
    for mut part in uploaded.splits {
        // Named by content: rows that a benchmark pinned stay what they were when the split is replaced.
        let folder = app.data.path().join("uploaded-datasets");
        part.path = folder.join(format!("{}.{extension}", part.digest));
        upload::keep(&file, &part.path)?;
        dataset.splits.retain(|old| old.name != part.name);
        dataset.splits.push(part);
    }
    check_gold(&dataset)?;
    app.catalog.datasets.save(&dataset).await?;
    Ok(axum::Json(dataset.into()))
}

/// A misspelt gold column would leave the real one in front of the solver.
fn check_gold(dataset: &Dataset) -> Result<(), Problem> {
    let is_there = |column: &String| dataset.splits.iter().any(|split| split.columns.contains(column));
    match dataset.gold.iter().find(|column| !is_there(column)) {
        None => Ok(()),
        Some(column) => {
            let detail = format!("dataset `{}` has no column `{column}` to withhold as gold", dataset.name);
            Err(Problem::new(StatusCode::BAD_REQUEST, "unknown-column", detail))
        }
    }
}

fn extension_of(headers: &HeaderMap) -> Result<&'static str, Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    match media_type.split(';').next().unwrap_or("").trim() {
        "application/jsonl" | "application/x-ndjson" | "application/json-lines" => Ok("jsonl"),
        "text/csv" => Ok("csv"),
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format!("the content type is `{other}`; send application/jsonl or text/csv"),
        )),
    }
}

/// Reads the received file under a name whose extension tells its format.
async fn inspect(
    app: &App,
    name: &Name,
    split: &Name,
    received: &std::path::Path,
    extension: &str,
) -> Result<Dataset, Problem> {
    let named = received.with_extension(extension);
    std::fs::hard_link(received, &named).map_err(|error| upload::cannot_store(&error))?;
    // Gone with this request, also when the client leaves in the middle of it.
    let named = TempPath::try_from_path(named).map_err(|error| upload::cannot_store(&error))?;
    let files = DatasetFiles {
        name: name.to_string(),
        origin: Origin::Uploaded,
        splits: vec![(split.to_string(), named.to_path_buf())],
    };
    Ok(app.datasets.inspect_files(files).await?)
}
