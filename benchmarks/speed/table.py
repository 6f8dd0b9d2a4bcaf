"""The committed table."""


def seconds(value):
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def spread(entry):
    return f"{seconds(entry['median'])} ({seconds(entry['least'])} – {seconds(entry['most'])})"


def mebibytes(value):
    return "" if value is None else f"{value / 2**20:.0f} MiB"


def verdict(bar):
    sign = "≥" if bar["kind"] == "at least" else "≤"
    digits = 1 if bar["kind"] == "at least" else 3
    return f"{bar['factor']:.{digits}f}× (bar {sign} {bar['bar']}×: {'met' if bar['met'] else '**missed**'})"


def markdown(record):
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()))
    lines = [
        f"# Speed, {record['date']}",
        "",
        f"{machine['cpu']}, {machine['threads']} threads, {machine['system']}, Python {machine['python']}; Candor and ONNX Runtime on "
        f"{machine['provider']}. {versions}.",
        "",
        f"Median of {record['runs']} interleaved run{'s' if record['runs'] > 1 else ''} (least – most); of single forward passes, more of them. Every contender is a process that has loaded the same weights and "
        "uses all threads while the others wait. "
        + (f"Load of the machine before the first run: {machine['load_before']:.2f}." if machine.get("load_before") is not None else ""),
        "",
    ]
    for group, heading in (("sweep", "Sweeps"), ("forward", "One forward pass"), ("memory", "Memory"), ("growth", "As work grows")):
        chosen = [measure for measure in record["measures"] if measure["group"] == group]
        if chosen:
            lines += [f"## {heading}", ""] + {"memory": memory, "growth": growth}.get(group, compared)(chosen) + [""]
    if record.get("audits"):
        lines += ["## Whole audits", "", "| Model | Audit, peak | Plain session, peak | Against it |", "|---|---|---|---|"]
        for row in record["audits"]:
            found = f"{row['factor']:.2f}× (bar ≤ {row['bar']}×: {'met' if row['met'] else '**missed**'})"
            lines.append(f"| {row['name']} | {mebibytes(row['audit'])} | {mebibytes(row['plain'])} | {found} |")
        lines.append("")
    return "\n".join(lines)


def compared(chosen):
    lines = ["| Measure | Contender | Time | Against Candor | Largest difference in its numbers |", "|---|---|---|---|---|"]
    for measure in chosen:
        for place, (name, entry) in enumerate(measure["contenders"].items()):
            bar = next((bar for bar in measure["bars"] if bar["against"] == name), None)
            if name == "Candor":
                against, difference = "", ""
            else:
                ratio = entry["median"] / measure["contenders"]["Candor"]["median"]
                against = verdict(bar) if bar else f"{ratio:.2f}×"
                difference = "not compared" if entry["difference"] is None else f"{entry['difference']:.1e}"
            lines.append(f"| {measure['title'] if place == 0 else ''} | {name} | {spread(entry)} | {against} | {difference} |")
        for name, why in measure.get("not_measured", {}).items():
            lines.append(f"| | {name} | not measured: {why.splitlines()[0][:160]} | | |")
    lines += ["", "“At least” factors are the contender's time over Candor's, “at most” factors Candor's time over the contender's."]
    return lines


def memory(chosen):
    lines = ["| Measure | Contender | Before | Peak | Grown by | Stated budget or plain session |", "|---|---|---|---|---|---|"]
    for measure in chosen:
        for name, entry in measure["contenders"].items():
            grown = entry["peak"] - entry["before"] if entry.get("before") and entry.get("peak") else None
            lines.append(f"| {measure['title']} | {name} | {mebibytes(entry.get('before'))} | {mebibytes(entry['peak'])} | {mebibytes(grown)} | {mebibytes(measure.get('budget'))} |")
    return lines


def growth(chosen):
    names = list(chosen[0]["contenders"])
    lines = ["| Measure | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for measure in chosen:
        lines.append(f"| {measure['title']} | " + " | ".join(spread(measure["contenders"][name]) for name in names) + " |")
    return lines
