//! Circuits: the part of a model that carries an effect, as a graph of heads, MLPs and the edges between them.
//!
//! The stream at any point is the sum of what the nodes before it have written: the embedding, each attention head, each MLP.
//! An edge from a node to what another reads (a head's queries, keys or values, an MLP, the logits) is taken out by replacing
//! that node's part of the sum in that reader's input alone (Conmy et al., "Towards automated circuit discovery", arXiv
//! 2304.14997). The model's own pieces compute everything; nothing is approximated.

mod ablation;
mod bench;
mod control;
mod forward;
mod graph;
mod groups;
mod measure;
mod pieces;
mod search;
mod subgraph;
mod verify;

pub use ablation::Ablation;
pub use bench::{Bench, Cost};
pub use control::{Stability, random_circuits, stability};
pub use graph::{Edge, Graph, Node, Receiver};
pub use measure::{Measured, Minimality, completeness, enough, faithfulness, measure};
pub use pieces::{Anatomy, BlockPieces, HeadInput, LayerParts, Pieces};
pub use search::{Discovered, Goal, discover, edge_effects};
pub use subgraph::Circuit;

pub(super) use verify::only_head;
