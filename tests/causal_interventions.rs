//! Every intervention against its definition: a whole forward in PyTorch with hooks (`tests/fixtures/causal/make.py`).
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::causal::intervention::{Directional, FeatureEdit, Features, Mean, Over, Resample};
use candor::causal::{
    Blockwise, By, Cell, DEFAULT_BUDGET, Engine, Grid, Intervention, Metric, Pair, Row, Runs,
    Sweep, sweep,
};
use candor::detect::{Probe, Sae};
use candor::evidence::PatchMode;
use candor::model::{Architecture, Layout, Model, SiteName};
use candor::run::{Runtime, RuntimeOptions};
use candor::tokens::Encoded;
use ndarray::{Array1, Array2, Axis};
use safetensors::SafeTensors;

const NAMES: [&str; 3] = ["gpt2", "llama", "neox"];
const SAES: [&str; 3] = ["standard", "layer_norm", "topk"];
const SCORED: &str = "blocks.2.hook_mlp_out";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/causal")
}

/// `KIND SITES POSITIONS HEAD` of `cases.txt`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Case {
    kind: String,
    sites: Vec<SiteName>,
    positions: Vec<usize>,
    head: Option<usize>,
}

struct Reference {
    cases: Vec<Case>,
    logits: Array2<f64>,
    metrics: Array2<f64>,
    ends: Array2<f64>,
    clean: Vec<i64>,
    corrupt: Vec<i64>,
    control: Vec<Vec<i64>>,
    other: Vec<Vec<i64>>,
    direction: Array1<f32>,
    probe: Probe,
    answer: i64,
    foil: i64,
    features: Vec<usize>,
}

impl Reference {
    fn open(name: &str) -> Self {
        let bytes = fs::read(folder().join(name).join("reference.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |key: &str| -> Array2<f64> {
            let view = tensors.tensor(key).unwrap();
            let data = view.data();
            let values: Vec<f64> = match view.dtype() {
                safetensors::Dtype::F32 => data
                    .chunks_exact(4)
                    .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
                    .collect(),
                _ => data
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                    .collect(),
            };
            let columns = *view.shape().last().unwrap();
            Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
        };
        let rows = |key: &str| -> Vec<Vec<i64>> {
            let view = tensors.tensor(key).unwrap();
            let values: Vec<i64> = view
                .data()
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
                .collect();
            let columns = *view.shape().last().unwrap();
            values.chunks_exact(columns).map(<[i64]>::to_vec).collect()
        };
        #[allow(clippy::cast_possible_truncation, reason = "stored as float32")]
        let vector = |key: &str| floats(key).row(0).mapv(|x| x as f32);
        let cases = fs::read_to_string(folder().join(name).join("cases.txt")).unwrap();
        let answer_foil = rows("answer_foil").remove(0);
        Self {
            cases: cases.lines().map(Case::parse).collect(),
            logits: floats("logits"),
            metrics: floats("metrics"),
            ends: floats("ends"),
            clean: rows("clean").remove(0),
            corrupt: rows("corrupt").remove(0),
            control: rows("control"),
            other: rows("other"),
            direction: vector("direction"),
            probe: Probe::linear(vector("probe"), 0.25),
            answer: answer_foil[0],
            foil: answer_foil[1],
            features: rows("features")
                .remove(0)
                .into_iter()
                .map(|feature| usize::try_from(feature).unwrap())
                .collect(),
        }
    }

    fn pair(&self) -> Pair {
        let encoded = |ids: &[i64]| Encoded {
            ids: ids.to_vec(),
            tokens: ids.iter().map(ToString::to_string).collect(),
            special: vec![false; ids.len()],
            response_start: ids.len(),
        };
        Pair {
            item: "corrupt".into(),
            counterpart: "clean".into(),
            group: String::new(),
            clean: encoded(&self.clean),
            corrupt: encoded(&self.corrupt),
            answer: self.answer,
            foil: self.foil,
            answer_text: String::new(),
            foil_text: String::new(),
        }
    }
}

impl Case {
    fn parse(line: &str) -> Self {
        let parts: Vec<&str> = line.split(' ').collect();
        Self {
            kind: parts[0].to_owned(),
            sites: parts[1]
                .split(',')
                .map(|site| site.parse().unwrap())
                .collect(),
            positions: parts[2].split(',').map(|at| at.parse().unwrap()).collect(),
            head: parts[3].parse().ok(),
        }
    }
}

struct Models {
    model: Model,
    arch: Architecture,
    runtime: Runtime,
    reference: Reference,
}

impl Models {
    fn open(name: &'static str) -> Self {
        let model = Model::open(&folder().join(name).join("model.onnx")).unwrap();
        let arch = Architecture::find(&model).unwrap();
        Self {
            reference: Reference::open(name),
            runtime: Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap(),
            arch,
            model,
        }
    }

    fn sites(&self) -> Vec<SiteName> {
        let mut all: Vec<SiteName> = Vec::new();
        for site in self.reference.cases.iter().flat_map(|case| &case.sites) {
            if !all.contains(site) {
                all.push(*site);
            }
        }
        all
    }

    /// Everything that runs rows.
    fn engines(&self) -> Vec<(&'static str, Box<dyn Runs>)> {
        let sites = self.sites();
        let whole = Engine::open(
            &self.runtime,
            &self.model,
            &self.arch,
            &sites,
            &sites,
            Vec::new(),
        );
        let blocks = Blockwise::open(&self.runtime, &self.model, &self.arch, DEFAULT_BUDGET);
        vec![
            ("whole graph", Box::new(whole.unwrap())),
            ("block by block", Box::new(blocks.unwrap())),
        ]
    }
}

fn saes() -> Vec<Sae> {
    let open = |name: &&str| Sae::open(&folder().join("saes").join(name)).unwrap();
    SAES.iter().map(open).collect()
}

/// The interventions by the kinds of `cases.txt`.
fn interventions<'a>(
    runs: &dyn Runs,
    reference: &'a Reference,
    sites: &[SiteName],
    saes: &'a [Sae],
) -> HashMap<String, Intervention<'a>> {
    let control = &reference.control;
    let mean = |over| Intervention::Mean(Mean::over(runs, control, sites, over).unwrap());
    let directional = Directional::to_mean(&reference.direction, runs, control, sites).unwrap();
    let resample = Resample {
        control: &reference.other,
        seed: 3,
    };
    let mut all = HashMap::from([
        ("denoise".to_owned(), Intervention::Patch),
        ("noise".to_owned(), Intervention::Patch),
        ("zero".to_owned(), Intervention::Zero),
        ("mean".to_owned(), mean(Over::Position)),
        ("mean-tokens".to_owned(), mean(Over::Tokens)),
        ("resample".to_owned(), Intervention::Resample(resample)),
        (
            "directional".to_owned(),
            Intervention::Directional(directional),
        ),
        (
            "add".to_owned(),
            Intervention::Add(&reference.direction * 1.5),
        ),
    ]);
    for ((name, sae), feature) in SAES.iter().zip(saes).zip(&reference.features) {
        let edits = [
            ("ablate", FeatureEdit::Ablate),
            ("set", FeatureEdit::Set(3.0)),
            ("scale", FeatureEdit::Scale(2.5)),
        ];
        for (edit, to) in edits {
            let site = "blocks.1.hook_resid_post".parse().unwrap();
            let features = Features::new(sae, site, vec![*feature], to).unwrap();
            all.insert(format!("{edit}:{name}"), Intervention::Features(features));
        }
    }
    all
}

fn mode(kind: &str) -> PatchMode {
    match kind {
        "denoise" => PatchMode::Denoising,
        _ => PatchMode::Noising,
    }
}

#[test]
fn every_row_gives_the_logits_of_a_hooked_forward() {
    let saes = saes();
    for name in NAMES {
        let models = Models::open(name);
        let (reference, sites) = (&models.reference, models.sites());
        for (engine, runs) in models.engines() {
            let runs = runs.as_ref();
            let interventions = interventions(runs, reference, &sites, &saes);
            let both: [&[i64]; 2] = [&reference.clean, &reference.corrupt];
            let plain = runs.plain_activations(&both, &sites).unwrap();
            let last = reference.clean.len() - 1;
            let rows: Vec<Row<'_>> = reference
                .cases
                .iter()
                .map(|case| {
                    let (ids, other) = match mode(&case.kind) {
                        PatchMode::Denoising => (&reference.corrupt, &plain[0]),
                        PatchMode::Noising => (&reference.clean, &plain[1]),
                    };
                    let intervention = &interventions[&case.kind];
                    let donor = intervention.donor(runs, 0, ids, &sites, other).unwrap();
                    let cell = Cell {
                        sites: case.sites.clone(),
                        positions: case.positions.clone(),
                        head: case.head,
                    };
                    let to = |site, position| {
                        let head = head(&models.arch, site, case.head);
                        intervention.to(site, position, head, 16, donor.as_ref())
                    };
                    Row {
                        ids,
                        changes: cell.changes(to).unwrap(),
                        read: vec![last],
                    }
                })
                .collect();
            for (index, logits) in runs.logits(&rows).unwrap().iter().enumerate() {
                let off = (&logits.row(0).mapv(f64::from) - &reference.logits.row(index))
                    .mapv(f64::abs)
                    .fold(0.0, |a: f64, b| if *b > a || b.is_nan() { *b } else { a });
                assert!(
                    off <= 1e-5,
                    "{name}, {engine}: {:?}: {off:e}",
                    reference.cases[index]
                );
            }
        }
    }
}

fn head(
    arch: &Architecture,
    site: SiteName,
    head: Option<usize>,
) -> Option<std::ops::Range<usize>> {
    match arch.site(site).unwrap().layout {
        Layout::Heads { d_head, .. } => head.map(|head| head * d_head..(head + 1) * d_head),
        _ => None,
    }
}

fn score(probe: &Probe) -> Metric<'_> {
    Metric::Score {
        name: "probe".into(),
        site: SCORED.parse().unwrap(),
        score: Box::new(|x| Ok(probe.scores(x.insert_axis(Axis(0)))?[[0, 0]])),
    }
}

/// The whole way of `candor patch`: grids, metrics, both modes, self-patches.
#[test]
fn sweeps_give_the_metrics_of_hooked_forwards() {
    let saes = saes();
    for name in NAMES {
        let models = Models::open(name);
        let (reference, sites) = (&models.reference, models.sites());
        let known: HashMap<&Case, usize> = reference.cases.iter().zip(0..).collect();
        for (engine, runs) in models.engines() {
            let runs = runs.as_ref();
            let interventions = interventions(runs, reference, &sites, &saes);
            let mut cells = 0;
            for (kind, intervention) in &interventions {
                for grid in grids(&models.arch, &sites, kind) {
                    // Only whole maps are in the reference.
                    let wanted: Vec<Case> = grid
                        .cells(reference.clean.len())
                        .unwrap()
                        .into_iter()
                        .map(|cell| Case {
                            kind: kind.clone(),
                            sites: cell.sites,
                            positions: cell.positions,
                            head: cell.head,
                        })
                        .collect();
                    if wanted.iter().any(|case| !known.contains_key(case)) {
                        continue;
                    }
                    cells += wanted.len();
                    let score = score(&reference.probe);
                    let metrics = [
                        Metric::LogitDifference,
                        Metric::LogProbability,
                        Metric::Divergence,
                        Metric::Rank,
                        score,
                    ];
                    for (column, metric) in metrics.iter().enumerate() {
                        let plan = Sweep {
                            grid: &grid,
                            intervention,
                            mode: mode(kind),
                            metric,
                            at: None,
                            controls: 0,
                            seed: 1,
                            by_class: false,
                            budget: 64 << 20,
                            done: &|_| (),
                        };
                        let swept = sweep(runs, &[reference.pair()], &plan).unwrap();
                        let map = &swept.pairs[0];
                        let label = format!("{name}, {engine}: {kind} {}", metric.name());
                        let near = |found: f64, expected: f64, what: &str| {
                            let off = (found - expected).abs();
                            assert!(off <= 1e-5, "{label}: {what}: {found} {expected}");
                        };
                        near(map.clean, reference.ends[[0, column]], "clean");
                        near(map.corrupt, reference.ends[[1, column]], "corrupt");
                        assert!(map.self_patch <= 1e-5, "{label}: {}", map.self_patch);
                        let (clean, corrupt) = (map.clean, map.corrupt);
                        for (index, case) in wanted.iter().enumerate() {
                            let n = map.columns.len();
                            let at = [index / n, index % n];
                            let expected = reference.metrics[[known[case], column]];
                            near(map.metric[at], expected, &format!("{case:?}"));
                            match &map.recovery {
                                None => assert_eq!(metric.name(), "rank"),
                                Some(recovery) => near(
                                    recovery[at] * (clean - corrupt) + corrupt,
                                    expected,
                                    "recovery",
                                ),
                            }
                        }
                        // The probe reads what lies before some of the patches.
                        let downstream = !matches!(metric, Metric::Score { .. });
                        for whole in map.whole.iter().flatten().filter(|_| downstream) {
                            let all = match (mode(kind), metric) {
                                (PatchMode::Denoising, Metric::Rank) => clean,
                                (PatchMode::Noising, Metric::Rank) => corrupt,
                                (PatchMode::Denoising, _) => 1.0,
                                (PatchMode::Noising, _) => 0.0,
                            };
                            assert!((whole - all).abs() <= 1e-3, "{label}: {whole}");
                        }
                    }
                }
            }
            assert!(cells >= reference.cases.len(), "{cells} cells");
        }
    }
}

/// The maps whose cells the reference may have.
fn grids(arch: &Architecture, sites: &[SiteName], kind: &str) -> Vec<Grid> {
    let of_point = |site: SiteName| {
        let sites = sites.iter().copied();
        sites
            .filter(|other| other.point == site.point)
            .collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    let mut add = |sites: &[SiteName], by, positions| {
        all.push(Grid::of(arch, sites, by, positions).unwrap());
    };
    for &site in sites.iter().filter(|site| site.layer == Some(0)) {
        let layers = of_point(site);
        add(&layers, By::Position, None);
        add(&layers, By::Window(2), None);
        add(&layers, By::AllLayers, None);
        if site.hook() == "attn.hook_z" {
            add(&layers, By::Head, None);
            add(&layers, By::Head, Some(vec![1, 4]));
        }
    }
    if kind.contains(':') {
        let site = "blocks.1.hook_resid_post".parse().unwrap();
        all = vec![Grid::of(arch, &[site], By::Position, None).unwrap()];
    }
    all
}
