//! A block of the stream as a box: the stream runs down on the left, branches leave it and come back.

use super::layers::{Branch, Group};
use super::paint::{Line, Tone, flow};
use super::words;
use crate::model::Norm;

/// Columns before the box, and from its side to the stream.
const MARGIN: usize = 2;
const STEM: usize = 4;
/// Columns from the rail that branches come back on to the box's right side.
const RIGHT: usize = 3;
/// Details stand under their title if so many columns are left there.
const ROOM: usize = 26;

/// Draws boxes of one width.
pub struct Boxes {
    width: usize,
}

impl Boxes {
    /// `width` with the margin.
    pub fn new(width: usize) -> Self {
        Self { width }
    }

    /// The stream between boxes.
    pub fn stem() -> Line {
        Line::new().with(Tone::Rail, format!("{}│", " ".repeat(MARGIN + STEM)))
    }

    pub fn draw(&self, group: &Group) -> Vec<Line> {
        let shape = &group.shape;
        let order = match (&shape.mlp, shape.parallel) {
            (None, _) => "attention alone",
            (_, true) => "parallel",
            (_, false) => "sequential",
        };
        let name = words::blocks(&group.numbers);
        let mut lines = vec![self.border("╭", &[&name, order], "╮")];
        match (&shape.mlp, shape.parallel) {
            (Some(mlp), true) if shape.one_norm => lines.extend(self.forked(group, mlp)),
            (Some(mlp), true) => {
                lines.push(self.out(&shape.attention, "├", Tone::Attention, "╮"));
                lines.extend(self.details(&shape.attention, &group.attention, true));
                lines.push(self.out(mlp, "├", Tone::Mlp, "┤"));
                lines.extend(self.details(mlp, &group.mlp, true));
                lines.extend(self.back(mlp.stream));
            }
            (mlp, _) => {
                lines.push(self.out(&shape.attention, "├", Tone::Attention, "╮"));
                lines.extend(self.details(&shape.attention, &group.attention, true));
                lines.extend(self.back(shape.attention.stream));
                if let Some(mlp) = mlp {
                    lines.push(self.out(mlp, "├", Tone::Mlp, "╮"));
                    lines.extend(self.details(mlp, &group.mlp, true));
                    lines.extend(self.back(mlp.stream));
                }
            }
        }
        lines.push(self.border("╰", &[], "╯"));
        lines
    }

    fn border(&self, left: &str, names: &[&str], right: &str) -> Line {
        let side = format!("{}{left}{}", " ".repeat(MARGIN), "─".repeat(STEM - 1));
        let mut line = Line::new().with(Tone::Quiet, side).with(Tone::Rail, "┼");
        for (number, name) in names.iter().enumerate() {
            let tone = if number == 0 {
                Tone::Strong
            } else {
                Tone::Quiet
            };
            line = line
                .with(Tone::Quiet, "─ ")
                .with(tone, name)
                .with(Tone::Quiet, " ");
        }
        line.filled(Tone::Quiet, "─", self.width - 1)
            .with(Tone::Quiet, right)
    }

    /// A line within the box, from its left side to the stream.
    fn inside() -> Line {
        Line::new().with(
            Tone::Quiet,
            format!("{}│{}", " ".repeat(MARGIN), " ".repeat(STEM - 1)),
        )
    }

    fn close(&self, line: Line) -> Line {
        line.filled(Tone::Plain, " ", self.width - 1)
            .with(Tone::Quiet, "│")
    }

    fn rail(&self) -> usize {
        self.width - 1 - RIGHT
    }

    fn norm(line: Line, norm: Option<Norm>) -> Line {
        match norm {
            Some(norm) => line.with(Tone::Norm, norm.name()),
            None => line,
        }
    }

    /// Where a branch leaves the stream: its norms, its title, and the way to the rail.
    fn out(&self, branch: &Branch, start: &str, tone: Tone, end: &str) -> Line {
        let line = Self::inside().with(Tone::Rail, format!("{start}─▶ "));
        let line = match branch.before {
            Some(norm) => line.with(Tone::Norm, norm.name()).with(Tone::Rail, " ─▶ "),
            None => line,
        };
        self.titled(line, branch, tone, end)
    }

    /// A branch's title behind what leads to it, the norm behind it, and the way to the rail.
    fn titled(&self, line: Line, branch: &Branch, tone: Tone, end: &str) -> Line {
        let line = line.with(tone, branch.title).with(Tone::Rail, " ");
        let line = match branch.after {
            Some(norm) => line
                .with(Tone::Rail, "─▶ ")
                .with(Tone::Norm, norm.name())
                .with(Tone::Rail, " "),
            None => line,
        };
        self.close(
            line.filled(Tone::Rail, "─", self.rail())
                .with(Tone::Rail, end),
        )
    }

    /// The column at which a branch's title begins.
    fn title(branch: &Branch) -> usize {
        let before = branch.before.map_or(0, |norm| norm.name().len() + 4);
        MARGIN + STEM + 4 + before
    }

    fn details(&self, branch: &Branch, said: &[String], railed: bool) -> Vec<Line> {
        let under = Self::title(branch);
        let start = if self.rail() > under + ROOM {
            under
        } else {
            MARGIN + STEM + 4
        };
        self.said(said, start, &[MARGIN + STEM], railed)
    }

    /// Text between vertical lines of the stream and of what runs beside it.
    fn said(&self, said: &[String], start: usize, verticals: &[usize], railed: bool) -> Vec<Line> {
        let texts = flow(said, self.rail().saturating_sub(start + 1));
        let lines = texts.into_iter().map(|text| {
            let mut line = Line::new().with(Tone::Quiet, format!("{}│", " ".repeat(MARGIN)));
            for column in verticals {
                line = line.filled(Tone::Plain, " ", *column).with(Tone::Rail, "│");
            }
            let line = line
                .filled(Tone::Plain, " ", start)
                .with(Tone::Plain, text)
                .filled(Tone::Plain, " ", self.rail());
            self.close(if railed {
                line.with(Tone::Rail, "│")
            } else {
                line
            })
        });
        lines.collect()
    }

    /// Where the rail comes back to the stream, and what norm the stream then passes.
    fn back(&self, norm: Option<Norm>) -> Vec<Line> {
        let line = Self::inside()
            .with(Tone::Rail, "⊕◀")
            .filled(Tone::Rail, "─", self.rail())
            .with(Tone::Rail, "╯");
        let mut lines = vec![self.close(line)];
        if norm.is_some() {
            let line = Self::inside().with(Tone::Rail, "● ");
            lines.push(self.close(Self::norm(line, norm)));
        }
        lines
    }

    /// A parallel block with one norm for both branches.
    fn forked(&self, group: &Group, mlp: &Branch) -> Vec<Line> {
        let attention = &group.shape.attention;
        let norm = attention.before.map_or("", Norm::name);
        let line = Self::inside()
            .with(Tone::Rail, "├─▶ ")
            .with(Tone::Norm, norm);
        let line = if norm.is_empty() {
            line
        } else {
            line.with(Tone::Rail, " ─")
        };
        let fork = line.width();
        let mut lines = vec![self.titled(
            line.with(Tone::Rail, "┬─▶ "),
            attention,
            Tone::Attention,
            "╮",
        )];
        lines.extend(self.said(&group.attention, fork + 4, &[MARGIN + STEM, fork], true));
        let line = Self::inside()
            .with(Tone::Rail, "│")
            .filled(Tone::Plain, " ", fork);
        lines.push(self.titled(line.with(Tone::Rail, "╰─▶ "), mlp, Tone::Mlp, "┤"));
        lines.extend(self.said(&group.mlp, fork + 4, &[MARGIN + STEM], true));
        lines.extend(self.back(mlp.stream));
        lines
    }
}
