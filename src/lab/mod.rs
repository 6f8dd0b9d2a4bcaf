//! The researcher's verbs, each a function over one opened model: respond, read, capture, patch, steer, monitor,
//! train, find.
//!
//! `audit` is made of the same verbs.

mod capture;
mod check;
mod chunks;
mod circuit;
mod encode;
mod features;
mod find;
mod folders;
mod import;
mod labelled;
mod monitor;
mod own;
mod pairs;
mod patch;
mod path;
mod probe;
mod progress;
mod push;
mod read;
mod respond;
mod sites;
mod splice;
mod steer;
mod steered;
mod subject;
mod train_sae;

pub use capture::{Captured, capture, check_ids};
pub use check::{
    Candidate, CheckFile, CheckRequest, Checked, Columns, Conclusion, Dictionaries, Flips,
    Harmless, Reference, SaeFound, SuiteFound, Texts, Transfer, check,
};
pub use circuit::{CircuitFile, CircuitRequest, CircuitStudy, circuit_page, find_circuit};
pub use encode::encode_file;
pub use features::{
    Chosen, Context as FeatureContext, FeaturePage, FeatureProfile, LabelLift, LogitEffect, Logits,
    PageRequest, Shown as ActiveItems, feature_page, feature_page_html,
};
pub use find::{
    Bounds, FeatureLine, FeatureRanking, FeatureSearch, Found as FoundFeatures, Named, ReaderLine,
    Side as SplitSide, Verdict as FeatureVerdict, find_features,
};
pub use folders::detector_folders;
pub use import::{Import, import};
pub use monitor::{Monitored, Placed, SCORES, Watched, Weights, monitor};
pub use own::{Drift, drift};
pub use pairs::{Given, Side, Sides, bare, one_pair, read_pairs, single_token};
pub use patch::{
    Dose, Found, Intervals, InterventionNote, Kind, Map, Measure, PairEntry, PatchFile,
    PatchRequest, Patched, Random, Refused, Windows, patch,
};
pub use path::{PathFile, PathRequest, Told, patch_paths};
pub use probe::{
    BaselineLine, Bin, Cell, CountLine, DatasetLine, EstimateLine, LeftOut, PermutationLine,
    ProbeReport, ProbeRequest, ReliabilityLine, SplitLine, SweepLine, TrainedProbe, TransferTable,
    ValueLine, probe_page, train_probe,
};
pub use progress::{Progress, Silent};
pub use push::{Along, At, Push, Unit};
pub use read::{Reading, encode_item, encode_items, span_positions};
pub use respond::Asking;
pub use sites::select_sites;
pub use splice::{SpliceLoss, splice_loss};
pub use steer::steer;
pub use steered::{Steered, SteeredText, Unsteered};
pub use subject::Subject;
pub use train_sae::{Every, Length, Line, Own, SaeRequest, Source, Text, TrainedSae, train_sae};
