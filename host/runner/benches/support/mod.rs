//! What the benchmarks share: the model, the runner through its public port, and a bare loop as their peer.

pub(crate) mod bare;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use llm_bench_core::model::{
    Generation, GenerationRequest, LoadedModel, Model, ModelRequest, ModelResponse, ModelRunner, Origin,
    Prompt, Sampling,
};
use llm_bench_runner::{OnnxRunner, RunnerConfig};
use tokio_util::sync::CancellationToken;

/// `$LLM_BENCH_BENCH_MODEL`, else the model that `cargo xtask peers prepare` makes.
pub(crate) fn model_folder() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("LLM_BENCH_BENCH_MODEL").or_else(|| {
        let cache = variable("LLM_BENCH_TOOLS")
            .or_else(|| variable("XDG_CACHE_HOME").map(|caches| caches.join("llm-bench-build")))
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache/llm-bench-build")))?;
        Some(cache.join("peers/llama-135m"))
    });
    match folder {
        Some(folder) if folder.is_dir() => folder,
        Some(folder) => panic!(
            "there is no model folder {}: run `cargo xtask peers prepare`, or name one in LLM_BENCH_BENCH_MODEL",
            folder.display()
        ),
        None => panic!("no cache folder: name a model in LLM_BENCH_BENCH_MODEL"),
    }
}

/// `$LLM_BENCH_ONNXRUNTIME`, else `lib/libonnxruntime.so` of the folder that holds this build, or of the installation
/// in it.
pub(crate) fn library() -> PathBuf {
    if let Some(library) = std::env::var_os("LLM_BENCH_ONNXRUNTIME") {
        return library.into();
    }
    let executable = std::env::current_exe().expect("this program has a path");
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    executable
        .ancestors()
        .flat_map(|folder| ["lib", "dist/lib"].map(|place| folder.join(place).join(&name)))
        .find(|library| library.is_file())
        .unwrap_or_else(|| panic!("no lib/{name} beside the build: run `cargo xtask layout` first"))
}

/// Made-up prompts, the same each time, of different lengths where there are several.
pub(crate) fn prompts(count: usize) -> Vec<String> {
    const SYLLABLES: [&str; 8] = ["ka", "lo", "mir", "ten", "su", "vel", "dor", "pin"];
    let word = |seed: usize| -> String {
        (0..2).map(|place| SYLLABLES[(seed / (place * 7 + 1) + place) % SYLLABLES.len()]).collect()
    };
    (0..count)
        .map(|prompt| {
            let words = 10 + prompt % 6;
            (0..words).map(|place| word(prompt * 31 + place * 17)).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// The runner with one model, as the orchestrator sees it.
pub(crate) struct Loaded {
    model: Arc<dyn LoadedModel>,
}

impl Loaded {
    /// Loads the model and lets it write a little, so that what is done once is done.
    pub(crate) async fn open(path: &Path) -> Self {
        let runner = OnnxRunner::new(RunnerConfig::new(library()));
        let facts = runner.inspect(path).await.expect("the model can be inspected");
        let name = path.display().to_string();
        let model = Model { name, origin: Origin::Path, path: path.to_owned(), facts };
        let loaded = Self { model: runner.load(&model).await.expect("the model loads") };
        loaded.write("first words", 8).await;
        loaded
    }

    /// Greedy text of so many tokens.
    pub(crate) async fn write(&self, prompt: &str, tokens: usize) -> Generation {
        let sampling = Sampling {
            max_tokens: Some(u32::try_from(tokens).expect("few tokens")),
            temperature: Some(0.0),
            ..Sampling::default()
        };
        let request = GenerationRequest { prompt: Prompt::Text(prompt.to_owned()), sampling };
        let answer = self.model.answer(ModelRequest::Generate(vec![request]), CancellationToken::new()).await;
        let ModelResponse::Generate(mut generations) = answer.expect("the model answers").response else {
            panic!("the model answers another question");
        };
        let generation = generations.remove(0);
        assert_eq!(
            usize::try_from(generation.completion_tokens),
            Ok(tokens),
            "the model ended by itself after `{prompt}`"
        );
        generation
    }
}

/// What a future gives, and the seconds it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, f64) {
    let start = Instant::now();
    let result = work.await;
    (result, start.elapsed().as_secs_f64())
}

/// How many texts are equal. Where the best two tokens are almost equally likely, another order of sums may turn one
/// text in many; were most of them different, the figures would be of different work.
pub(crate) fn agreement<'text>(texts: impl Iterator<Item = (&'text str, &'text str)>) -> String {
    let texts: Vec<_> = texts.collect();
    let equal = texts.iter().filter(|(one, other)| one == other).count();
    assert!(2 * equal > texts.len(), "only {equal} of {} texts are equal: {texts:?}", texts.len());
    format!("{equal} of {} texts are equal", texts.len())
}

/// One line with a ratio and the bar that it is to reach.
#[expect(clippy::print_stdout, reason = "a benchmark prints its result")]
pub(crate) fn report(ratio: f64, bar: f64, what: &str) {
    let met = if ratio >= bar { "met" } else { "NOT met" };
    println!("{ratio:.3} × {what}; the bar of {bar} × is {met}");
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its result")]
pub(crate) fn machine() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    println!("{cores} cores, {}", cpu.unwrap_or("CPU unknown"));
}
