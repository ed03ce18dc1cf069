//! What the API and the command line show: JSON shapes, apart from the domain types so that these can change.

mod access;
mod answers;
mod benchmark;
mod comparison;
mod dataset;
mod group;
mod hardware;
mod model;
mod plugin;
mod preset;
mod rehearsal;
mod rescore;
mod sample;
mod verification;

pub use access::{AuditEntryView, CreatedTokenView, TokenView};
pub(crate) use answers::read_answers;
pub use benchmark::{BenchmarkView, MetricView, SamplesView, SpeedView};
pub use comparison::{
    ComparedView, ComparisonView, McNemarView, MetricComparisonView, NotComparedView, PairedSamplesView,
};
pub use dataset::{DatasetView, PreviewView, SplitView};
pub use group::{GroupView, MemberView, SkippedView};
pub use hardware::{HardwareInfoView, HardwareSummaryView, HardwareView, ReadingView};
pub use model::ModelView;
pub use plugin::{BlockView, ChangePlugin, GrantsView, PluginDetailView, PluginView, UnfinishedChoice};
pub use preset::{FewShotView, PresetView};
pub use rehearsal::{CheckedPluginView, RehearsalView, TrialView};
pub use rescore::{AgreementView, SourceView};
pub use sample::{CallView, FailureView, MeasurementView, PassageView, SampleView};
pub use verification::{FigureView, PassFailuresView, VerificationView, VerifiedMetricView};
