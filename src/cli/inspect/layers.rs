//! What is said of each block's branches, and which blocks look alike.

use super::words;
use crate::model::{Block, MlpKind, Norm, Norms, Positions};

/// One branch as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub before: Option<Norm>,
    pub title: &'static str,
    pub after: Option<Norm>,
    /// The norm on the stream behind the addition.
    pub stream: Option<Norm>,
}

/// What the drawing of a block looks like, but for what stands in its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub parallel: bool,
    pub one_norm: bool,
    pub attention: Branch,
    pub mlp: Option<Branch>,
}

/// Blocks that are drawn as one.
pub struct Group {
    pub numbers: Vec<usize>,
    pub shape: Shape,
    pub attention: Vec<String>,
    pub mlp: Vec<String>,
}

/// More boxes than this are drawn once for each kind instead of once for each run.
const BOXES: usize = 6;

/// Blocks in the order of the stream, neighbours of one shape together.
pub fn groups(blocks: &[Block]) -> Vec<Group> {
    let mut runs: Vec<(Shape, Vec<usize>)> = Vec::new();
    let mut kinds: Vec<(Shape, Vec<usize>)> = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        let shape = shape(block);
        match runs.last_mut().filter(|(other, _)| *other == shape) {
            Some((_, numbers)) => numbers.push(number),
            None => runs.push((shape.clone(), vec![number])),
        }
        match kinds.iter_mut().find(|(other, _)| *other == shape) {
            Some((_, numbers)) => numbers.push(number),
            None => kinds.push((shape, vec![number])),
        }
    }
    let chosen = if runs.len() > BOXES { kinds } else { runs };
    let group = |(shape, numbers): (Shape, Vec<usize>)| {
        let attention = shared(blocks, &numbers, attention);
        let mlp = shared(blocks, &numbers, mlp);
        Group {
            numbers,
            shape,
            attention,
            mlp,
        }
    };
    chosen.into_iter().map(group).collect()
}

fn shape(block: &Block) -> Shape {
    let facts = &block.facts;
    let branch = |title, norms: Norms| Branch {
        before: norms.before,
        title,
        after: norms.after,
        stream: norms.stream,
    };
    let mlp = match &facts.mlp.kind {
        Some(MlpKind::Absent) => None,
        Some(MlpKind::Gated) => Some("gated MLP"),
        Some(MlpKind::Experts { .. }) => Some("experts"),
        Some(MlpKind::Plain) | None => Some("MLP"),
    };
    Shape {
        parallel: block.parallel,
        one_norm: facts.one_norm,
        attention: branch("attention", facts.attention_norms),
        mlp: mlp.map(|title| branch(title, facts.mlp_norms)),
    }
}

/// What is said of all blocks, and then what is said of some, with their numbers.
fn shared(blocks: &[Block], numbers: &[usize], say: impl Fn(&Block) -> Vec<String>) -> Vec<String> {
    let mut said: Vec<(String, Vec<usize>)> = Vec::new();
    for &number in numbers {
        for words in blocks.get(number).map(&say).unwrap_or_default() {
            match said.iter_mut().find(|(other, _)| *other == words) {
                Some((_, numbers)) => numbers.push(number),
                None => said.push((words, vec![number])),
            }
        }
    }
    let (all, some): (Vec<_>, Vec<_>) = said
        .into_iter()
        .partition(|(_, of)| of.len() == numbers.len());
    let some = some
        .into_iter()
        .map(|(words, of)| format!("{words} in {}", words::blocks(&of)));
    all.into_iter()
        .map(|(words, _)| words)
        .chain(some)
        .collect()
}

fn attention(block: &Block) -> Vec<String> {
    let facts = &block.facts.attention;
    let mut said = Vec::new();
    let width = facts
        .d_head
        .map_or_else(String::new, |width| format!(" × {width}"));
    match (facts.heads, facts.kv_heads) {
        (Some(heads), Some(kv)) if kv != heads => {
            said.push(format!("{heads} heads{width} → {kv} kv"));
        }
        (Some(heads), _) => said.push(format!("{}{width}", words::counted(heads, "head", "heads"))),
        (None, _) => {}
    }
    if facts.fused_qkv == Some(true) {
        said.push("fused qkv".into());
    }
    said.extend(
        facts
            .qk_norm
            .map(|norm| format!("{} of q and k", norm.name())),
    );
    said.extend(facts.positions.map(|positions| match positions {
        Positions::Rotary => "rotary".into(),
        Positions::Alibi => "ALiBi".into(),
    }));
    said.extend(facts.window.map(|window| format!("window {window}")));
    said.extend(
        facts
            .score_cap
            .map(|cap| format!("soft cap {}", words::constant(cap))),
    );
    if block.attention != "Softmax" {
        said.push(format!("operator {}", block.attention));
    }
    said
}

fn mlp(block: &Block) -> Vec<String> {
    let facts = &block.facts.mlp;
    let mut said = Vec::new();
    if let Some(MlpKind::Experts {
        count,
        chosen,
        gated,
        shared,
    }) = &facts.kind
    {
        said.push(match chosen {
            Some(chosen) => format!("{chosen} of {count}"),
            None => format!("{count}"),
        });
        if *gated == Some(true) {
            said.push("gated".into());
        }
        if *shared {
            said.push("one shared".into());
        }
    }
    said.extend(facts.width.map(|width| format!("{width} wide")));
    said.extend(
        facts
            .activation
            .map(|activation| activation.name().to_owned())
            .filter(|name| name != "other"),
    );
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlockFacts, MlpFacts};

    fn blocks(count: usize, change: impl Fn(usize, &mut BlockFacts)) -> Vec<Block> {
        (0..count)
            .map(|number| {
                let mut facts = BlockFacts::default();
                change(number, &mut facts);
                Block {
                    parallel: false,
                    attention: "Softmax".into(),
                    crossing: Vec::new(),
                    facts,
                }
            })
            .collect()
    }

    fn experts() -> MlpFacts {
        let kind = MlpKind::Experts {
            count: 8,
            chosen: Some(2),
            gated: None,
            shared: false,
        };
        MlpFacts {
            kind: Some(kind),
            ..MlpFacts::default()
        }
    }

    #[test]
    fn windows_that_alternate_stay_in_one_box() {
        let blocks = blocks(42, |number, facts| {
            facts.attention.heads = Some(8);
            facts.attention.window = (number % 2 == 0).then_some(4096);
        });
        let groups = groups(&blocks);
        assert_eq!(groups.len(), 1);
        let only = &groups[0];
        assert_eq!(only.numbers.len(), 42);
        assert_eq!(
            only.attention,
            ["8 heads", "window 4096 in blocks 0, 2, 4 … 40"]
        );
    }

    #[test]
    fn a_dense_block_before_experts_has_its_own_box() {
        let blocks = blocks(27, |number, facts| {
            if number > 0 {
                facts.mlp = experts();
            }
        });
        let numbers: Vec<usize> = groups(&blocks)
            .iter()
            .map(|group| group.numbers.len())
            .collect();
        assert_eq!(numbers, [1, 26]);
    }

    #[test]
    fn kinds_that_alternate_for_long_are_drawn_once() {
        let blocks = blocks(48, |number, facts| {
            if number % 2 == 1 {
                facts.mlp = experts();
            }
        });
        let groups = groups(&blocks);
        assert_eq!(groups.len(), 2);
        assert_eq!(words::blocks(&groups[1].numbers), "blocks 1, 3, 5 … 47");
    }
}
