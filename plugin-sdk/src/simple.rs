/// A whole task from two functions: one that asks the model and one that judges the answer.
///
/// ```
/// use llm_bench_plugin_sdk::{Model, Result, Row, Sampling, simple_task};
///
/// fn ask(model: &Model, row: &Row) -> Result<String> {
///     model.complete(format!("Question: {}\nAnswer:", row.text("question")?), Sampling::greedy(16).until(["\n"]))
/// }
///
/// fn judge(answer: &str, gold: &Row) -> Result<f64> {
///     Ok(if answer.trim() == gold.text("answer")? { 1.0 } else { 0.0 })
/// }
///
/// simple_task! { Arithmetic, gold: ["answer"], metric: "exact_match", solve: ask, score: judge }
/// ```
///
/// `gold` names the columns that only `score` sees, `metric` the one number that the task yields: the mean of what
/// `score` gives, higher is better. The task has no settings and shows no examples: for these, write
/// [`Plugin`](crate::Plugin), [`Solver`](crate::Solver) and [`Scorer`](crate::Scorer) yourself. The name before
/// `gold` is that of the type which the macro defines.
#[macro_export]
macro_rules! simple_task {
    ($name:ident, gold: $gold:tt, metric: $metric:literal, solve: $solve:path, score: $score:path $(,)?) => {
        /// A task made of two functions.
        struct $name;

        impl $crate::Plugin for $name {
            type Config = $crate::NoConfig;
            type Input = $crate::Row;
            type Target = $crate::Row;

            fn describe() -> $crate::Description {
                $crate::Description { parts: &["subject"], gold: &$gold, ..$crate::description!() }
            }

            fn metrics(_config: &$crate::NoConfig) -> $crate::Result<Vec<$crate::Metric>> {
                Ok(vec![$crate::Metric::mean($metric, concat!("mean of ", $metric, " over all samples"))])
            }
        }

        impl $crate::Solver for $name {
            fn solve(
                _context: &$crate::Context<Self>,
                sample: &$crate::Sample<Self>,
            ) -> $crate::Result<$crate::Solution> {
                let model = $crate::Model::open("subject")?;
                Ok($crate::Solution::answer($solve(&model, &sample.input)?))
            }
        }

        impl $crate::Scorer for $name {
            fn score(
                _context: &$crate::Context<Self>,
                _sample: &$crate::Sample<Self>,
                solution: &$crate::Solution,
                target: &$crate::Row,
            ) -> $crate::Result<Vec<$crate::Measurement>> {
                let value = $score(solution.text()?, target)?;
                Ok(vec![$crate::Measurement::of($metric, value)])
            }
        }

        $crate::export_task!($name);
    };
}
