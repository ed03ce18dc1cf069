use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::{ModelAnswer, ModelFacts, ModelRequest, Origin};

/// Writes down what it loads, and counts what is still loaded. A model called `broken` cannot be loaded.
#[derive(Default)]
struct CountingRunner {
    loads: Mutex<Vec<String>>,
    alive: Arc<AtomicUsize>,
    peak: AtomicUsize,
}

struct CountedModel(Arc<AtomicUsize>);

impl Drop for CountedModel {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl LoadedModel for CountedModel {
    async fn answer(&self, _: ModelRequest, _: CancellationToken) -> Result<ModelAnswer> {
        Err(Error::unsupported("not-a-model", "a counted model answers nothing"))
    }
}

#[async_trait]
impl ModelRunner for CountingRunner {
    async fn inspect(&self, _: &Path) -> Result<ModelFacts> {
        Err(Error::unsupported("not-a-model", "there are no folders here"))
    }

    async fn load(&self, model: &Model) -> Result<Arc<dyn LoadedModel>> {
        tokio::task::yield_now().await;
        if model.name == "broken" {
            return Err(Error::invalid("broken-model", "the graph is broken"));
        }
        self.loads.lock().unwrap().push(model.name.clone());
        let before = self.alive.fetch_add(1, Ordering::SeqCst);
        self.peak.fetch_max(before + 1, Ordering::SeqCst);
        Ok(Arc::new(CountedModel(self.alive.clone())))
    }
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A pool with room for so many models of [`model`]'s size.
fn pool(models: u64) -> (Arc<ModelPool>, Arc<CountingRunner>) {
    pool_of(CountingRunner::default(), models * BYTES)
}

fn pool_of(runner: CountingRunner, budget_bytes: u64) -> (Arc<ModelPool>, Arc<CountingRunner>) {
    let runner = Arc::new(runner);
    (Arc::new(ModelPool::new(runner.clone(), Arc::new(StoppedClock), budget_bytes)), runner)
}

const BYTES: u64 = 100;

fn model(name: &str) -> Model {
    Model {
        name: name.to_owned(),
        origin: Origin::Local,
        path: PathBuf::new(),
        facts: ModelFacts {
            digest: format!("digest of {name}"),
            bytes: BYTES,
            architecture: String::new(),
            max_length: 1,
            vocabulary_size: 1,
            has_chat_template: false,
        },
    }
}

impl CountingRunner {
    fn loads(&self) -> Vec<String> {
        self.loads.lock().unwrap().clone()
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

impl ModelPool {
    /// What a short benchmark does.
    async fn use_once(self: &Arc<Self>, name: &str) {
        drop(self.acquire(&[&model(name)]).await.unwrap());
    }

    fn state(&self, name: &str) -> ModelState {
        self.residence(&model(name)).state
    }

    /// Lets loads that were begun go on until the model stands elsewhere.
    async fn settled(&self, name: &str) -> Residence {
        while self.state(name) == ModelState::Loading {
            tokio::task::yield_now().await;
        }
        self.residence(&model(name))
    }
}

#[tokio::test]
async fn benchmarks_on_one_model_share_it_and_so_do_its_names() {
    let (pool, runner) = pool(1);
    let first = pool.acquire(&[&model("a")]).await.unwrap();
    let second = pool.acquire(&[&Model { name: "also a".to_owned(), ..model("a") }]).await.unwrap();
    assert_eq!((runner.loads(), runner.alive()), (vec!["a".to_owned()], 1));
    drop(first);
    assert_eq!(pool.state("a"), ModelState::InUse);
    drop(second);
    assert_eq!(pool.state("a"), ModelState::Loaded);
    pool.use_once("a").await;
    assert_eq!(runner.loads(), ["a"]);
}

#[tokio::test]
async fn the_model_used_longest_ago_makes_room_and_its_memory_is_given_back_before_the_next_load() {
    let (pool, runner) = pool(2);
    for name in ["a", "b", "a", "c"] {
        pool.use_once(name).await;
    }
    assert_eq!(runner.peak.load(Ordering::SeqCst), 2);
    let states = ["a", "b", "c"].map(|name| pool.state(name));
    assert_eq!(states, [ModelState::Loaded, ModelState::Unloaded, ModelState::Loaded]);
    pool.use_once("a").await;
    assert_eq!(runner.loads(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_model_in_use_is_not_unloaded_for_another_which_waits() {
    let (pool, runner) = pool(1);
    let (a, b) = (model("a"), model("b"));
    let in_use = pool.acquire(&[&a]).await.unwrap();
    let wanted = [&b];
    let mut waiting = Box::pin(pool.acquire(&wanted));
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!((pool.state("a"), runner.alive()), (ModelState::InUse, 1));

    drop(in_use);
    let acquired = waiting.await.unwrap();
    assert_eq!((pool.state("a"), pool.state("b")), (ModelState::Unloaded, ModelState::InUse));
    assert_eq!((acquired.len(), runner.alive()), (1, 1));
}

#[tokio::test]
async fn who_no_longer_waits_is_in_nobodys_way() {
    let (pool, runner) = pool(1);
    let in_use = pool.acquire(&[&model("a")]).await.unwrap();
    assert!(pool.acquire(&[&model("b")]).now_or_never().is_none());
    let shared = pool.acquire(&[&model("a")]).await.unwrap();
    drop((in_use, shared));
    pool.use_once("c").await;
    assert_eq!(runner.loads(), ["a", "c"]);
}

#[tokio::test]
async fn the_parts_of_one_benchmark_never_wait_for_each_other() {
    let (pool, runner) = pool(1);
    let (a, b) = (model("a"), model("b"));
    let both = pool.acquire(&[&a, &b]).await.unwrap();
    assert_eq!(runner.alive(), 2, "both are loaded though the budget holds one");

    // Of two benchmarks that want both, one comes after the other.
    let (pair, reversed) = ([&a, &b], [&b, &a]);
    let mut same = Box::pin(pool.acquire(&reversed));
    let shared = (&mut same).now_or_never().expect("what is loaded is shared at once").unwrap();
    drop((both, shared));
    pool.use_once("c").await;
    assert_eq!(runner.alive(), 1);
    let (first, second) = tokio::join!(
        pool.acquire(&pair).map(|got| got.map(drop)),
        pool.acquire(&reversed).map(|got| got.map(drop))
    );
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test]
async fn subject_and_judge_may_be_one_model() {
    let (pool, runner) = pool(1);
    let both = pool.acquire(&[&model("a"), &model("a")]).await.unwrap();
    assert_eq!((both.len(), runner.alive()), (2, 1));
    drop(both);
    assert_eq!(pool.state("a"), ModelState::Loaded);
}

#[tokio::test]
async fn a_model_can_be_loaded_and_unloaded_by_itself() {
    let (pool, runner) = pool(1);
    let a = model("a");
    assert_eq!(pool.start_loading(&a).unwrap().state, ModelState::Loading);
    assert_eq!(pool.start_loading(&a).unwrap().state, ModelState::Loading);
    assert_eq!(pool.unload(&a).await.unwrap_err().code, "model-loading");
    let loaded = pool.settled("a").await;
    assert_eq!((loaded.state, loaded.last_used_at), (ModelState::Loaded, None));
    assert_eq!(pool.start_loading(&a).unwrap().state, ModelState::Loaded);
    assert_eq!(runner.loads(), ["a"]);

    let in_use = pool.acquire(&[&a]).await.unwrap();
    assert_eq!(pool.residence(&a).last_used_at, Some(Timestamp::UNIX_EPOCH));
    let refused = pool.unload(&a).await.unwrap_err();
    assert_eq!((refused.kind, &*refused.code), (crate::ErrorKind::Conflict, "model-in-use"));
    drop(in_use);
    assert_eq!(pool.unload(&a).await.unwrap().state, ModelState::Unloaded);
    assert_eq!(runner.alive(), 0, "the memory is given back when the answer comes");
    assert_eq!(pool.unload(&a).await.unwrap().state, ModelState::Unloaded);
}

#[tokio::test]
async fn a_model_that_is_loaded_by_itself_waits_for_no_benchmark() {
    let (pool, runner) = pool(1);
    let in_use = pool.acquire(&[&model("a")]).await.unwrap();
    let refused = pool.start_loading(&model("b")).unwrap_err();
    assert_eq!(refused.code, "model-memory-in-use");
    assert!(refused.message.contains("beside a"), "{refused}");
    drop(in_use);
    pool.start_loading(&model("b")).unwrap();
    assert_eq!(pool.settled("b").await.state, ModelState::Loaded);
    assert_eq!((pool.state("a"), runner.alive()), (ModelState::Unloaded, 1));
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_says_why_and_may_be_tried_again() {
    let (pool, _) = pool(1);
    let broken = model("broken");
    pool.start_loading(&broken).unwrap();
    let residence = pool.settled("broken").await;
    assert_eq!(residence.state, ModelState::Unloaded);
    assert_eq!(residence.error.as_deref(), Some("the graph is broken"));
    assert!(pool.acquire(&[&model("a"), &broken]).await.is_err());
    assert_eq!(pool.state("a"), ModelState::Loaded, "a failure leaves nothing in use");
    assert_eq!(pool.start_loading(&broken).unwrap().error, None);
}

#[tokio::test]
async fn a_load_that_is_given_up_leaves_nothing_behind() {
    let (pool, runner) = pool(1);
    assert!(pool.acquire(&[&model("a")]).now_or_never().is_none(), "the load takes a turn of the runtime");
    assert_eq!(pool.state("a"), ModelState::Unloaded);
    pool.use_once("a").await;
    assert_eq!(runner.loads(), ["a"]);
}
