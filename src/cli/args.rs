//! The command line, as clap sees it.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, value_parser};

/// Audits an exported language model for deception before release.
#[derive(Debug, Parser)]
#[command(
    name = "candor",
    version,
    max_term_width = 110,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Show what happens inside, with times (-vv for more).
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// No progress bars.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Where and how models run.
    #[command(flatten)]
    pub runtime: RuntimeArgs,
}

/// Where and how models run.
#[derive(Debug, Args)]
pub struct RuntimeArgs {
    /// ONNX Runtime's shared library (also ORT_DYLIB_PATH); otherwise it is searched for, then fetched.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Runtime")]
    pub runtime: Option<PathBuf>,
    /// Never fetch anything.
    #[arg(long, global = true, help_heading = "Runtime")]
    pub offline: bool,
    /// Execution provider.
    #[arg(long, global = true, value_enum, default_value_t = ProviderArg::Cpu, help_heading = "Runtime")]
    pub provider: ProviderArg,
    /// Threads within an operator (default: all cores).
    #[arg(long, global = true, value_name = "N", value_parser = at_least_one(1024), help_heading = "Runtime")]
    pub threads: Option<usize>,
}

/// More random draws of one sort than any statistic asks for; beyond it a number is a slip of the keyboard.
pub const MOST: u64 = 100_000;
/// Wider than any published dictionary.
pub const MOST_FEATURES: u64 = 1 << 24;

/// A count from 0 to `most`.
pub fn up_to(most: u64) -> impl TypedValueParser<Value = usize> {
    counted(0, most)
}

/// A count from 1 to `most`.
pub fn at_least_one(most: u64) -> impl TypedValueParser<Value = usize> {
    counted(1, most)
}

fn counted(least: u64, most: u64) -> impl TypedValueParser<Value = usize> {
    value_parser!(u64)
        .range(least..=most)
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// A number from 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

/// Execution providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderArg {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU; refuses to run where it is not available.
    Cuda,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Audit models and write a report that gates.
    Audit(AuditArgs),
    /// Show a model's architecture, sites, inputs and digests.
    Inspect(InspectArgs),
    /// Write the activations of chosen sites to a safetensors file.
    Capture(CaptureArgs),
    /// Continue prompts, greedily or sampling, with activations if wanted.
    Generate(super::generate::GenerateArgs),
    /// Patch, ablate or steer pairs of prompts at every layer and position, head or window.
    #[command(long_about = super::patch::LONG)]
    Patch(Box<super::patch::PatchArgs>),
    /// Write the model with one more output, the scores of detectors at every token.
    Monitor(super::monitor::MonitorArgs),
    /// Generate while a detector's direction is added to the stream, beside the plain text.
    Steer(super::steer::SteerArgs),
    /// Patch paths: what heads and MLPs tell others, all other ways closed.
    Path(super::path::PathArgs),
    /// Find the heads, MLPs and edges that carry an effect, and draw them.
    Circuit(super::circuit::CircuitArgs),
    /// Train a detector.
    #[command(subcommand)]
    Train(super::train::TrainCommand),
    /// Check rules, print their schema.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Check waivers, print their schema.
    #[command(subcommand)]
    Waivers(super::waivers::WaiversCommand),
    /// Show what suites are made of: sources, rows left out, labels, groups.
    #[command(subcommand)]
    Suites(super::suites::SuitesCommand),
    /// Check detectors, choose SAE features, encode activations.
    #[command(subcommand)]
    Detectors(super::detectors::DetectorsCommand),
    /// Render a stored report.json again.
    Report(ReportArgs),
    /// Make an ed25519 key that signs reports and evidence.
    Keygen(super::keygen::KeygenArgs),
    /// Measure Candor itself.
    #[command(subcommand)]
    Bench(super::bench::BenchCommand),
    /// Check that an audit was not changed, and reach its verdicts again from its evidence.
    Verify(super::verify::VerifyArgs),
}

/// `candor audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// An AUDIT.yaml that names models, suites, detectors and rules.
    #[arg(value_name = "AUDIT.yaml", required_unless_present_any = ["model", "rescore"], conflicts_with_all = ["model", "tokenizer", "suite", "rules", "detectors", "rescore"])]
    pub audit: Option<PathBuf>,
    /// The model to audit.
    #[arg(long, value_name = "ONNX", requires_all = ["suite", "rules"])]
    pub model: Option<PathBuf>,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// A suite of prompts; may be repeated.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub suite: Vec<PathBuf>,
    /// Detector folders; may be repeated.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub detectors: Vec<PathBuf>,
    /// Rule files or folders; may be repeated.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Audit only these models of an AUDIT.yaml.
    #[arg(long, value_name = "NAME", requires = "audit")]
    pub only: Vec<String>,
    /// Folder for report.json, report.html and the evidence tables.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// One more rendering of the report, such as sarif=PATH; may be repeated. The path `-` is standard output; the file that
    /// GITHUB_STEP_SUMMARY names is appended to.
    #[arg(long, value_name = "FORMAT=PATH")]
    pub output: Vec<String>,
    /// Let detectors in that were made on another model, or whose card does not bind their weights; the report says so.
    #[arg(long)]
    pub allow_foreign_detector: bool,
    /// The severity from which a finding gates: low, medium, high, critical (default: the AUDIT.yaml's, else high).
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<String>,
    /// The least severity that lists of findings show; report.json holds all of them: low, medium, high, critical (default: low).
    #[arg(long, value_name = "SEVERITY")]
    pub min_severity: Option<String>,
    /// Sign attestations and the audit's seal with this ed25519 key (PKCS#8 PEM); `candor keygen` makes one.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// Waiver files or folders, beside those of the AUDIT.yaml; may be repeated.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub waivers: Vec<PathBuf>,
    /// The report.json of the approved model's audit: what it had at least as gravely does not gate, if this model is shown to be no worse.
    #[arg(long, value_name = "REPORT.json")]
    pub baseline: Option<PathBuf>,
    /// By how much a rate may rise over the baseline's before the model counts as worse (default: the AUDIT.yaml's, else 0.05).
    #[arg(long, value_name = "RATE")]
    pub margin: Option<f64>,
    /// The model of the baseline that a model is held against, where their names differ; may be repeated.
    #[arg(long, value_name = "MODEL=APPROVED")]
    pub baseline_model: Vec<String>,
    /// Seeds every random choice.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Go on with the audit that was interrupted in --out; what it has measured is not measured again.
    #[arg(long)]
    pub resume: bool,
    /// Judge the evidence of a finished audit again, by the --rules, --waivers and --baseline given here, without its models.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "resume"])]
    pub rescore: Option<PathBuf>,
    /// Exit with 0 whatever was found (a failed audit still exits with 1 or 2).
    #[arg(long)]
    pub no_exit_codes: bool,
}

/// `candor inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The exported model.
    pub model: PathBuf,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub format: InspectFormat,
    /// List every site with its tensor, not one line for each kind.
    #[arg(long)]
    pub sites: bool,
    /// Read all files and show their SHA-256.
    #[arg(long)]
    pub digest: bool,
    /// Write the JSON to a file, whatever is printed.
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
}

/// Renderings of `inspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InspectFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `candor capture`
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// The exported model.
    pub model: PathBuf,
    /// Token ids as JSON: `[[1,2,3]]`.
    #[arg(
        long,
        value_name = "JSON",
        required_unless_present = "prompts",
        conflicts_with = "prompts"
    )]
    pub ids: Option<String>,
    /// A file of prompts: one a line, or JSONL with `prompt` (and `response`).
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Sites to read, by name or glob.
    #[arg(long, value_name = "GLOB", num_args = 1.., required = true)]
    pub sites: Vec<String>,
    /// The safetensors file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// A model and labelled items for it.
#[derive(Debug, Args)]
pub struct LabelledArgs {
    /// The exported model.
    #[arg(long, value_name = "ONNX")]
    pub model: PathBuf,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// The labelled calibration suite.
    #[arg(long, visible_alias = "labels", value_name = "DIR")]
    pub suite: PathBuf,
}

/// `candor rules`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Report everything that is wrong in rule files and control mappings, with file, line and column.
    Check {
        /// Rule files, control mappings or folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Print the JSON Schema of rule files or of control mappings.
    Schema {
        /// Whose schema.
        #[arg(long, value_enum, default_value_t = SchemaOf::Rules)]
        of: SchemaOf,
    },
}

/// Files that `rules schema` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Rules.
    Rules,
    /// Control mappings.
    Controls,
    /// Certificates.
    Certificate,
}

/// `candor report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A stored report.json.
    pub report: PathBuf,
    /// Renderings, such as html=PATH; may be repeated. The path `-` is standard output; the file that GITHUB_STEP_SUMMARY names
    /// is appended to.
    #[arg(long, value_name = "FORMAT=PATH", required = true)]
    pub output: Vec<String>,
    /// The least severity that lists of findings show; report.json holds all of them: low, medium, high, critical (default: low).
    #[arg(long, value_name = "SEVERITY")]
    pub min_severity: Option<String>,
    /// Sign attestations with this ed25519 key (PKCS#8 PEM); `candor keygen` makes one.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
}
