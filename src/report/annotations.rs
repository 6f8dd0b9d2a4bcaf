//! GitHub workflow commands: a line for each annotation, which the runner shows in the run and at the line of the rule.
//!
//! Ten are shown of a step; the gravest come first, and a line says how many more there are.

use super::exit::Standing;
use super::listing::{Listed, Notice, NoticeKind, cut, gravest_first, harmless, notices};
use super::{Source, words};

/// GitHub shows no more of a step.
const MOST: usize = 10;
const ERROR: &str = "error";
const WARNING: &str = "warning";
const NOTICE: &str = "notice";
const LEVELS: [&str; 3] = [ERROR, WARNING, NOTICE];
/// Characters of a title, and of a message.
const LONGEST: (usize, usize) = (200, 2_000);

pub(super) fn text(source: &Source) -> String {
    let notices = notices(source.report);
    let gaps = notices.iter().filter_map(|notice| match notice.kind {
        NoticeKind::Incomplete | NoticeKind::Unjudged => Some((ERROR, said(ERROR, notice))),
        NoticeKind::Waiver => Some((WARNING, said(WARNING, notice))),
        _ => None,
    });
    let listed = gravest_first(source);
    let mut annotations: Vec<(&str, String)> = gaps.chain(listed.iter().map(annotation)).collect();
    annotations.sort_by_key(|(command, _)| LEVELS.iter().position(|level| level == command));
    let mut lines: Vec<String> = annotations.into_iter().map(|(_, line)| line).collect();
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        let more = words::counted(more, "more annotation", "more annotations");
        lines.push(format!("Candor: {more} in the report."));
    } else if lines.is_empty() {
        lines.push("Candor: nothing to annotate.".to_owned());
    }
    lines.join("\n") + "\n"
}

fn annotation(listed: &Listed) -> (&'static str, String) {
    let command = match listed.standing {
        Standing::Gates(_) => ERROR,
        Standing::Untold | Standing::Below(_) => WARNING,
        Standing::Waived(_) | Standing::Excused | Standing::Harmless => NOTICE,
    };
    let finding = listed.finding;
    let message = format!(
        "{}\nGate: {}",
        listed.reasons().join("\n"),
        listed.consequence()
    );
    let line = format!(
        "::{command} file={},line={},title={}::{}",
        property(&finding.file, LONGEST.0),
        finding.line,
        property(&listed.headline(), LONGEST.0),
        data(&message, LONGEST.1)
    );
    (command, line)
}

/// An annotation without a place.
fn said(command: &str, notice: &Notice) -> String {
    let title = property(&format!("Candor: {}", notice.kind.name()), LONGEST.0);
    format!(
        "::{command} title={title}::{}",
        data(&notice.text, LONGEST.1)
    )
}

/// What stands behind `::`, as the runner reads it back.
fn data(text: &str, most: usize) -> String {
    cut(&harmless(text), most)
        .replace('%', "%25")
        .replace('\n', "%0A")
}

/// What stands behind `name=`.
fn property(text: &str, most: usize) -> String {
    data(text, most).replace(':', "%3A").replace(',', "%2C")
}
