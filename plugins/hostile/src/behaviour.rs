use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Config, exhaust, forge, probe};

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Does no harm.
    Honest,
    /// Reads `/etc/passwd`.
    ReadFile,
    /// Writes a file beside itself.
    WriteFile,
    /// Lists the root folder.
    ListFolder,
    /// Connects to a port of the host.
    OpenSocket,
    /// Reads environment variables and arguments.
    Environment,
    /// Waits for the clock to move.
    Clock,
    /// Asks the system for randomness; answers "RANDOM: …", the same in every run of one sample.
    Randomness,
    /// Reads a data file that it never declared, and one by a path that leads elsewhere.
    DataFile,
    /// Reads a data file while its config is checked.
    DataFileInMetrics,
    /// Looks for the gold answer in the row.
    PeekGold,
    /// Opens a part that it never declared.
    OpenJudge,
    /// Opens the subject while scoring.
    OpenSubjectInScore,
    /// Computes for ever in `solve`.
    Spin,
    /// Computes for ever in `score`.
    SpinInScore,
    /// Computes for ever while its config is checked.
    SpinInMetrics,
    /// Allocates until it is stopped.
    MemoryBomb,
    /// Recurses until it is stopped.
    Recurse,
    /// Panics in `solve`.
    Panic,
    /// Panics in `score`.
    PanicInScore,
    /// Aborts.
    Abort,
    /// Exits the process.
    Exit,
    /// Writes through a null pointer, which in WebAssembly is the start of its own memory.
    NullWrite,
    /// Writes through a pointer past all of its memory.
    WildWrite,
    /// Writes 32 MiB to standard output, then is honest.
    StdoutFlood,
    /// Writes 32 MiB to the log, then is honest.
    LogFlood,
    /// Calls the host for ever.
    HostCallFlood,
    /// Opens the subject for ever and closes none.
    HandleLeak,
    /// Asks for more tokens than any budget.
    TokenFlood,
    /// Answers 32 MiB.
    HugeAnswer,
    /// Adds a detail of 1000 arrays within each other.
    DeepDetail,
    /// Answers bytes that are no UTF-8.
    NoText,
    /// Calls the host `amount` times, then is honest.
    HostCalls,
    /// Asks for `amount` tokens, then is honest.
    Tokens,
    /// Asks a model about a text of `amount` bytes, then is honest.
    RequestBytes,
    /// Holds `amount` models open, then is honest.
    Handles,
    /// Writes `amount` bytes to the log, then is honest.
    LogBytes,
    /// Takes `amount` bytes of memory beyond what it has, then is honest.
    MemoryBytes,
    /// Reads `amount` bytes of the data file `data.bin`, as many at once as it gets; answers how many it read, and their sum.
    DataBytes,
    /// Answers `amount` bytes.
    AnswerBytes,
    /// Measures `amount` metrics.
    Measurements,
    /// Lets the numbers of its machine show: answers NaN bits, hash-map order, addresses and randomness.
    Fingerprint,
    /// Looks for what an earlier call left in a static.
    Leftovers,
    /// Looks for what others left in the memory that it takes.
    Scavenge,
    /// Measures NaN.
    NanMeasurement,
    /// Measures a metric that it never declared.
    UndeclaredMeasurement,
    /// Measures one metric twice.
    DuplicateMeasurement,
    /// Measures 200,000 times.
    ManyMeasurements,
    /// Gives a reason of 32 MiB for a measurement.
    HugeMeasurement,
    /// Adds up the samples of the corpus, and does no harm.
    AddUp,
    /// Measures a sample's value of the metric that its aggregator computes.
    CorpusInScore,
    /// Computes for ever when the aggregation begins.
    SpinInAggregation,
    /// Computes for a while over every batch.
    DawdleInAggregation,
    /// Keeps all that it is given, and more.
    Hoard,
    /// Panics in its aggregator.
    PanicInAggregation,
    /// Opens the judge in its aggregator.
    OpenJudgeInAggregation,
    /// Writes 32 MiB to the log in its aggregator.
    LogFloodInAggregation,
    /// Finishes with NaN.
    NanOfCorpus,
    /// Finishes without a measurement.
    NothingOfCorpus,
    /// Finishes with a metric of its scorer's.
    SampleMetricOfCorpus,
}

const FLOOD_BYTES: usize = 32 << 20;

/// The metric of the corpus.
pub(crate) const TOGETHER: &str = "harmless_together";

/// What the aggregator keeps.
#[derive(Debug, Default)]
pub struct Loot {
    /// Rounds or samples so far.
    samples: u64,
    kept: Vec<Vec<u8>>,
}

impl Behaviour {
    pub(crate) fn solve(self, config: &Config, input: &Row) -> Result<Solution> {
        match self {
            Self::ReadFile => probe::read_file(),
            Self::WriteFile => probe::write_file(),
            Self::ListFolder => probe::list_folder(),
            Self::OpenSocket => probe::open_socket(),
            Self::Environment => probe::environment(),
            Self::Clock => probe::clock(),
            Self::Randomness => Ok(probe::randomness()),
            Self::PeekGold => Ok(probe::read(input.value(&config.answer)?)),
            Self::DataFile => probe::data_file(),
            Self::DataBytes => exhaust::data(config.amount),
            Self::OpenJudge => Model::open("judge").map(|_| probe::read("a judge")),
            Self::Spin => exhaust::spin(),
            Self::MemoryBomb => exhaust::memory(),
            Self::Recurse => {
                Ok(Solution::answer(exhaust::recurse(0, std::hint::black_box(u64::MAX)).to_string()))
            }
            Self::Panic => panic!("this plugin panics on purpose"),
            Self::Abort => std::process::abort(),
            Self::Exit => std::process::exit(0),
            Self::StdoutFlood => exhaust::stdout(FLOOD_BYTES),
            Self::LogFlood => exhaust::log(FLOOD_BYTES),
            Self::HostCallFlood => exhaust::host_calls(),
            Self::HandleLeak => exhaust::handles(),
            Self::TokenFlood => exhaust::tokens(),
            Self::HostCalls => exhaust::some_host_calls(config.amount),
            Self::Tokens => exhaust::some_tokens(config.amount),
            Self::RequestBytes => exhaust::request_bytes(config.amount),
            Self::Handles => exhaust::some_handles(config.amount),
            Self::LogBytes => exhaust::log_bytes(config.amount),
            Self::MemoryBytes => exhaust::memory_bytes(config.amount),
            Self::AnswerBytes => Ok(Solution::answer("x".repeat(config.amount as usize))),
            Self::Fingerprint => Ok(probe::fingerprint()),
            Self::Leftovers => probe::leftovers(),
            Self::Scavenge => forge::scavenge(),
            Self::HugeAnswer => Ok(Solution::answer("x".repeat(FLOOD_BYTES))),
            Self::DeepDetail => Ok(exhaust::deep_detail()),
            Self::NoText => Ok(Solution::answer(forge::no_text())),
            Self::NullWrite => Ok(forge::write(0)),
            Self::WildWrite => Ok(forge::write(usize::MAX)),
            // What misbehaves elsewhere, or not at all.
            _ => Ok(Solution::answer("harmless")),
        }
    }

    pub(crate) fn score(self, config: &Config) -> Result<Vec<Measurement>> {
        let harmless = Measurement::of("harmless", 1.0);
        Ok(match self {
            Self::OpenSubjectInScore => {
                Model::open("subject")?;
                vec![Measurement::of("harmless", 0.0)]
            }
            Self::SpinInScore => exhaust::spin(),
            Self::PanicInScore => panic!("this plugin panics on purpose"),
            Self::NanMeasurement => vec![Measurement::of("harmless", f64::NAN)],
            Self::UndeclaredMeasurement => vec![Measurement::of("invented", 1.0)],
            Self::DuplicateMeasurement => vec![harmless.clone(), harmless],
            Self::ManyMeasurements => vec![harmless; 200_000],
            Self::HugeMeasurement => vec![Measurement::undefined("harmless", "x".repeat(FLOOD_BYTES))],
            Self::Measurements => {
                (0..config.amount).map(|number| Measurement::of(format!("m{number}"), 1.0)).collect()
            }
            Self::CorpusInScore => vec![harmless, Measurement::of(TOGETHER, 1.0)],
            _ => vec![harmless],
        })
    }

    /// Whether there is a metric of the corpus.
    pub(crate) fn aggregates(self) -> bool {
        matches!(
            self,
            Self::AddUp
                | Self::CorpusInScore
                | Self::SpinInAggregation
                | Self::DawdleInAggregation
                | Self::Hoard
                | Self::PanicInAggregation
                | Self::OpenJudgeInAggregation
                | Self::LogFloodInAggregation
                | Self::NanOfCorpus
                | Self::NothingOfCorpus
                | Self::SampleMetricOfCorpus
        )
    }

    pub(crate) fn add(self, loot: &mut Loot) -> Result<()> {
        loot.samples += 1;
        match self {
            Self::SpinInAggregation => exhaust::spin(),
            Self::DawdleInAggregation => exhaust::dawdle(),
            Self::Hoard => loot.kept.push(vec![1; 1 << 20]),
            Self::PanicInAggregation => panic!("this plugin panics on purpose"),
            Self::OpenJudgeInAggregation => {
                Model::open("judge")?;
            }
            Self::LogFloodInAggregation => {
                exhaust::log(FLOOD_BYTES)?;
            }
            _ => {}
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 samples")]
    pub(crate) fn finish(self, loot: &Loot) -> Vec<Measurement> {
        match self {
            Self::NanOfCorpus => vec![Measurement::of(TOGETHER, f64::NAN)],
            Self::NothingOfCorpus => vec![],
            Self::SampleMetricOfCorpus => {
                vec![Measurement::of(TOGETHER, 1.0), Measurement::of("harmless", 1.0)]
            }
            _ if loot.samples == 0 => vec![Measurement::undefined(TOGETHER, "there is no sample")],
            _ => vec![Measurement::of(TOGETHER, loot.samples as f64)],
        }
    }
}
