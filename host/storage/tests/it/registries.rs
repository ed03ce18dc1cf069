//! Models, datasets and plugins by name.

use llm_bench_core::ErrorKind;
use llm_bench_core::dataset::{Dataset, DatasetRepository};
use llm_bench_core::model::{Model, ModelRepository, Origin};
use llm_bench_core::plugin::{Plugin, PluginRepository};

use crate::common::{Database, model, plugin, split};

#[tokio::test]
async fn models_are_replaced_by_name_and_listed_in_order() {
    let database = Database::new().await;
    let models: &dyn ModelRepository = &database.storage;
    models.save(&model("b")).await.unwrap();
    models.save(&model("a")).await.unwrap();
    let moved = Model { origin: Origin::Local, path: "/elsewhere".into(), ..model("b") };
    models.save(&moved).await.unwrap();

    assert_eq!(models.list().await.unwrap(), [model("a"), moved.clone()]);
    assert_eq!(models.find("b").await.unwrap(), Some(moved));
    assert_eq!(models.find("c").await.unwrap(), None);
}

#[tokio::test]
async fn a_removed_model_is_gone_and_cannot_be_removed_again() {
    let database = Database::new().await;
    let models: &dyn ModelRepository = &database.storage;
    models.save(&model("a")).await.unwrap();
    models.remove("a").await.unwrap();
    assert_eq!(models.find("a").await.unwrap(), None);
    let error = models.remove("a").await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::NotFound, "model-not-found"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let database = Database::new().await;
    let models: &dyn ModelRepository = &database.storage;
    let path = std::ffi::OsString::from_vec(vec![b'/', 0xff]).into();
    let error = models.save(&Model { path, ..model("a") }).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "not-storable"));
}

#[tokio::test]
async fn datasets_are_replaced_by_name_and_listed_in_order() {
    let database = Database::new().await;
    let datasets: &dyn DatasetRepository = &database.storage;
    let dataset = |name: &str, licence: Option<&str>| Dataset {
        name: name.to_owned(),
        origin: Origin::Uploaded,
        description: "countries and their capitals".to_owned(),
        licence: licence.map(str::to_owned),
        gold: vec!["answer".to_owned()],
        splits: vec![split("train"), split("test")],
    };
    datasets.save(&dataset("capitals", None)).await.unwrap();
    datasets.save(&dataset("arithmetic", None)).await.unwrap();
    datasets.save(&dataset("capitals", Some("CC0-1.0"))).await.unwrap();

    let expected = [dataset("arithmetic", None), dataset("capitals", Some("CC0-1.0"))];
    assert_eq!(datasets.list().await.unwrap(), expected);
    assert_eq!(datasets.find("capitals").await.unwrap().as_ref(), Some(&expected[1]));
    datasets.remove("capitals").await.unwrap();
    assert_eq!(datasets.remove("capitals").await.unwrap_err().code, "dataset-not-found");
}

#[tokio::test]
async fn the_bundled_plugin_of_another_program_version_replaces_the_one_before() {
    let database = Database::new().await;
    let plugins: &dyn PluginRepository = &database.storage;
    let bundled = |version: &str, digest: &str, seconds| Plugin {
        origin: Origin::Bundled,
        is_default: true,
        ..plugin("choice", version, digest, seconds)
    };
    plugins.insert(&bundled("0.1.0", "aa", 1), None).await.unwrap();
    let rebuilt = bundled("0.1.0", "bb", 2);
    plugins.insert(&rebuilt, None).await.unwrap();
    assert_eq!(plugins.list().await.unwrap(), std::slice::from_ref(&rebuilt));
    let newer = bundled("0.2.0", "cc", 3);
    plugins.insert(&newer, None).await.unwrap();
    assert_eq!(plugins.find(&"choice".parse().unwrap()).await.unwrap(), Some(newer));
    // The older program is started again.
    plugins.insert(&rebuilt, None).await.unwrap();
    assert_eq!(plugins.find(&"choice".parse().unwrap()).await.unwrap(), Some(rebuilt));

    let foreign = plugin("choice", "0.2.0", "dd", 4);
    let error = plugins.insert(&Plugin { origin: Origin::Uploaded, ..foreign }, None).await.unwrap_err();
    assert_eq!(error.code, "plugin-version-exists");
}

#[tokio::test]
async fn the_first_version_of_a_plugin_is_its_default_and_stays_so() {
    let database = Database::new().await;
    let plugins: &dyn PluginRepository = &database.storage;
    let first = plugin("choice", "0.1.0", "aa", 1);
    let second = Plugin { is_default: true, ..plugin("choice", "0.2.0", "bb", 2) };
    plugins.insert(&first, None).await.unwrap();
    plugins.insert(&second, None).await.unwrap();
    plugins.insert(&plugin("another", "1.0.0", "cc", 3), None).await.unwrap();

    let first = Plugin { is_default: true, ..first };
    let second = Plugin { is_default: false, ..second };
    assert_eq!(plugins.find(&"choice".parse().unwrap()).await.unwrap(), Some(first.clone()));
    assert_eq!(plugins.find(&"choice@0.2.0".parse().unwrap()).await.unwrap(), Some(second.clone()));
    assert_eq!(plugins.find(&"choice@0.3.0".parse().unwrap()).await.unwrap(), None);
    assert_eq!(plugins.find(&"unknown".parse().unwrap()).await.unwrap(), None);
    assert_eq!(plugins.find_by_digest(&"bb".repeat(32)).await.unwrap(), Some(second.clone()));
    assert_eq!(plugins.find_by_digest("bb").await.unwrap(), None);

    let another = Plugin { is_default: true, ..plugin("another", "1.0.0", "cc", 3) };
    assert_eq!(plugins.list().await.unwrap(), [another, second, first]);
}

#[tokio::test]
async fn a_version_means_one_content_for_ever() {
    let database = Database::new().await;
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.insert(&plugin("choice", "0.1.0", "aa", 1), None).await.unwrap();

    plugins.insert(&plugin("choice", "0.1.0", "aa", 9), None).await.unwrap();
    let error = plugins.insert(&plugin("choice", "0.1.0", "bb", 9), None).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Conflict, "plugin-version-exists"));
    assert!(error.message.contains("choice@0.1.0"), "{error}");
    let stored = plugins.list().await.unwrap();
    assert_eq!(stored, [Plugin { is_default: true, ..plugin("choice", "0.1.0", "aa", 1) }]);
}
