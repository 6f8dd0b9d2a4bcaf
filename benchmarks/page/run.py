#!/usr/bin/env python3
"""How fast the HTML report opens: a stored report as it is, and with many items of each model.

    run.py CANDOR REPORT.json [--items 10000] [--runs 7] [--out FILE]

Lists `--items` made-up items of every model of REPORT.json (with prompts of some 300 characters, the most that a report keeps), renders both
with `CANDOR report`, opens each `--runs` times in Chromium with a fresh profile, alternating, and prints the medians: bytes, milliseconds to
DOMContentLoaded, to the first contentful paint and to a page of items after the list is unfolded. Needs Python's standard library and Chromium
(`CHROMIUM` names another).
"""

import argparse
import http.server
import json
import os
import queue
import random
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
from pathlib import Path

PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByType("paint").find((entry) => entry.name === "first-contentful-paint");
  const list = document.querySelector(".items");
  const done = (unfolded) => fetch("http://127.0.0.1:PORT/", { method: "POST", mode: "no-cors", body: JSON.stringify({
    loaded: navigation.domContentLoadedEventEnd, paint: paint ? paint.startTime : NaN, unfolded,
    items: list ? list.querySelector(".count").textContent : "none",
  }) });
  if (!list) return done(0);
  const start = performance.now();
  list.addEventListener("toggle", () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start))));
  list.open = true;
}, 500));
</script>
"""


def enlarged(report: dict, items: int) -> dict:
    """The report with `items` items of each model; all models are asked the same ones."""
    rng = random.Random(1)
    words = ["the", "capital", "of", "a", "country", "that", "nobody", "mentions", "is", "said", "to", "be", "known", "among", "people"]
    prompts = [" ".join(rng.choice(words) for _ in range(60))[:300] for _ in range(items)]
    for model in report["models"]:
        detectors = [detector["id"] for detector in model["detectors"]]
        lines = [
            {
                "suite": "made-up", "item": f"item-{at:05d}", "group": f"group-{at // 4}", "condition": ["tested", "baseline"][at % 2],
                "pair": f"item-{at + 1:05d}" if at % 2 == 0 else None, "prompt": prompt, "said": rng.choice(words) + " " + rng.choice(words),
                "answer": rng.choice(words), "outcome": rng.choice(["true", "false", "unclear"]),
                "scores": [round(rng.gauss(0, 3), 4) for _ in detectors],
                "flagged": [one for one in range(len(detectors)) if rng.random() < 0.2], "unstable": [],
            }
            for at, prompt in enumerate(prompts)
        ]
        model["items"] = {"total": 10 * items, "detectors": detectors, "lines": lines}
    return report


class Ear(http.server.BaseHTTPRequestHandler):
    """Hears what a page tells of itself."""

    def do_POST(self) -> None:
        self.server.heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


def opened(chromium: str, page: Path) -> dict:
    """Opens a page from disk; its own policy, which forbids it to tell anybody anything, is taken off first."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Ear)
    server.heard = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(), count=1)
    probe = PROBE.replace("PORT", str(server.server_port))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        probed = Path(folder) / "page.html"
        probed.write_text(text.replace("</body>", probe + "</body>"))
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile", "--remote-debugging-port=0"]
        browser = subprocess.Popen([chromium, *arguments, f"file://{probed}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            return server.heard.get(timeout=60)
        finally:
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait()
            server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candor")
    parser.add_argument("report", type=Path)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("no chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = folder / "large.json"
        large.write_text(json.dumps(enlarged(json.loads(args.report.read_text()), args.items)))
        pages = {}
        for label, stored in [("as stored", args.report), (f"{args.items} items a model", large)]:
            page = folder / f"{len(pages)}.html"
            subprocess.run([args.candor, "report", str(stored), "--output", f"html={page}"], check=True, capture_output=True)
            pages[label] = page
        runs = {label: [] for label in pages}
        for _ in range(args.runs):
            for label, page in pages.items():
                runs[label].append(opened(chromium, page))
        rows = []
        for label, page in pages.items():
            median = {what: statistics.median(run[what] or 0.0 for run in runs[label]) for what in ("loaded", "paint", "unfolded")}
            rows.append({"page": label, "bytes": page.stat().st_size, **{what: round(value, 1) for what, value in median.items()}, "items": runs[label][0]["items"]})
    small, big = rows
    for row in rows:
        print(f"{row['page']:24} {row['bytes']:>9} bytes  DOMContentLoaded {row['loaded']:7.1f} ms  first paint {row['paint']:7.1f} ms  list unfolded {row['unfolded']:7.1f} ms  ({row['items']})")
    print(f"ratio: {big['bytes'] / small['bytes']:.1f} in bytes, {big['loaded'] / small['loaded']:.1f} to DOMContentLoaded")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
