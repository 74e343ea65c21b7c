"""What starting jobs costs: one that does nothing, and all of the default study.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --again FOLDER    # only the two tables of plans
    python benchmarks/overhead.py --stages FOLDER   # only where a finished run's time went

Processor time is that of Snakemake and of every process it waited for, as the kernel counts it. A
job's cost is the difference between many jobs and few, over their number. The share of the default
study is all but what its scripts spend between the first line of their `main` and the last, which
their logs say: imports, ends of processes, and Snakemake itself.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from finitewidth.provenance import code

WORKFLOW = Path(code.PACKAGE).parent
#: Runs Snakemake and writes how much processor time it took itself, without its jobs.
CONTROLLER = """
import atexit, sys, time
from pathlib import Path
file = Path(sys.argv.pop(1)).resolve()
atexit.register(lambda: file.write_text(str(time.process_time())))
from snakemake.cli import main
main()
"""
SNAKEFILE = """
import sys
sys.path.insert(0, {workflow!r})
from finitewidth.runtime.environment import prepare
prepare()
rule all:
    input: [f"done/{{k}}" for k in range({jobs})]
rule job:
    output: touch("done/{{k}}")
    log: "logs/{{k}}.log"
    script: "job.py"
"""
#: What Snakemake itself takes for a plan.
BARE = """
rule all:
    input: [f"done/{{k}}" for k in range({jobs})]
rule job:
    output: "done/{{k}}"
    log: "logs/{{k}}.log"
    script: "job.py"
"""
#: What scripts import that then do nothing; no script of ours is the first.
SCRIPTS = {
    "nothing": None,
    "what the gallery does": "json",
    "what theory does": "finitewidth.theory.predict.predict_member",
    "what figures do": "finitewidth.figures, matplotlib.pyplot",
    "what sampling does": "finitewidth.sampling.sample_member",
}
SCRIPT = "from finitewidth.runtime.job import run\nimport {}\nrun(lambda job: None, snakemake)\n"


def run(folder: Path, *arguments: str) -> tuple[float, float, float]:
    """Seconds of wall time, of processor time, and of that Snakemake's own."""
    own = folder / "controller"
    command = [sys.executable, "-c", CONTROLLER, str(own), "--quiet", "all", *arguments]
    start = time.perf_counter()
    with open(folder / "out", "w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "out").read_text())
    taken = time.perf_counter() - start
    return taken, usage.ru_utime + usage.ru_stime, float(own.read_text())


def cost(body: str, jobs: int) -> list[float]:
    """Wall and processor seconds of one more job, one at a time; of the latter, Snakemake's own."""
    totals = []
    for count in (2, 2 + jobs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "job.py").write_text(body)
            (folder / "Snakefile").write_text(SNAKEFILE.format(workflow=str(WORKFLOW), jobs=count))
            totals.append(run(folder, "--cores", "1"))
    return [(many - few) / jobs for few, many in zip(*totals, strict=True)]


def logged(logs: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Of each stage its jobs: processor seconds in all, those of computing, and the log's name.

    Each line of a log begins with the processor time of the whole process so far.
    """
    jobs = defaultdict(list)
    for log in sorted(logs.rglob("*.log")):
        told = re.search(r"(\S+) s: done in (\S+) s of processor time", log.read_text())
        if told:
            first, *more = log.relative_to(logs).with_suffix("").parts
            jobs[first if more else "others"].append((float(told[1]), float(told[2]), log.stem))
    return jobs


def stages(results: Path, costliest: int = 10) -> None:
    """Print where the time of a finished run went, by its logs."""
    jobs = logged(results / "logs")
    print("| stage | jobs | all, s | starting, s | computing, s |\n|---|---|---|---|---|")
    rows = [(stage, len(own), sum(all_ for all_, _, _ in own), sum(c for _, c, _ in own))
            for stage, own in jobs.items()]  # fmt: skip
    rows.sort(key=lambda row: -row[2])
    rows.append(("together", *map(sum, list(zip(*rows, strict=True))[1:])))
    for stage, count, whole, computing in rows:
        print(f"| {stage} | {count} | {whole:.0f} | {whole - computing:.0f} | {computing:.0f} |")
    print("\n| job | computing, s |\n|---|---|")
    each = [(c, f"{stage} {name}") for stage, own in jobs.items() for _, c, name in own]
    for computing, name in sorted(each, reverse=True)[:costliest]:
        print(f"| {name} | {computing:.1f} |")


def study(cores: int) -> None:
    """Run the default study and print where its processor time went."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entry = str(WORKFLOW.parent / "Snakefile")
        wall, total, own = run(folder, "-s", entry, "--cores", str(cores), "--directory", name)
        spent = [c for own in logged(folder / "results" / "logs").values() for _, c, _ in own]
        computing = sum(spent)
        print(f"| {len(spent)} | {wall:.0f} "
              f"| {total:.0f} | {computing:.0f} | {own:.0f} | {total - computing - own:.0f} "
              f"| {1 - computing / total:.2f} |\n", flush=True)  # fmt: skip
        stages(folder / "results")
        again(folder)


def seconds(folder: Path, *words: str) -> float:
    """Wall time of a command that is to end well."""
    start = time.perf_counter()
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def again(folder: Path, times: int = 7) -> None:
    """Print what a run with nothing to do takes, beside Snakemake with an empty Snakefile."""
    profile = str(WORKFLOW / "profiles" / "default")
    ours = ("finitewidth", "run", "--cores", "1", "--workflow-profile", profile)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "Snakefile").touch()
        # By turns, so that what else the machine does meets both.
        pairs = [(seconds(Path(name), "snakemake", "--cores", "1"),
                  seconds(folder, *ours, "--directory", str(folder)))
                 for _ in range(times)]  # fmt: skip
    # The least of each: what else the machine does only adds to it.
    empty, full = map(min, zip(*pairs, strict=True))
    print("\n## Nothing to do: the default study, finished\n")
    print("| Snakemake with an empty Snakefile, s | ours, s | more, s |\n|---|---|---|")
    print(f"| {empty:.2f} | {full:.2f} | {full - empty:.2f} |", flush=True)


def planned(jobs: int) -> None:
    """Print what a dry run of a study of so many jobs takes, beside as many that say nothing."""
    ensemble = {"activation": "relu", "inputs": "x", "width": 8, "depth": 3, "init": "critical",
                "networks": 2**12 * jobs, "shards": jobs}  # fmt: skip
    content = {"seed": 1, "inputs": {"x": {"kind": "sphere", "dimension": 4, "count": 2}},
               "ensembles": {"e": ensemble}, "studies": {"s": {"ensembles": ["e"]}}}  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(json.dumps(content))
        (folder / "job.py").touch()
        (folder / "Snakefile").write_text(BARE.format(jobs=jobs))
        bare = seconds(folder, "snakemake", "--dry-run")
        full = seconds(folder, "finitewidth", "run", "study.yaml", "--dry-run")
    print(f"\n## A plan of {jobs} jobs, built and printed\n")
    print("| as many jobs of one bare rule, s | a study of ours, s |\n|---|---|")
    print(f"| {bare:.1f} | {full:.1f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--plan", type=int, default=10_000, help="jobs of the plan")
    parser.add_argument("--again", metavar="FOLDER", help="where the default study was finished")
    parser.add_argument("--stages", metavar="FOLDER", help="results of a run that was finished")
    options = parser.parse_args()
    if options.stages:
        stages(Path(options.stages))
        return
    if options.again:
        again(Path(options.again).resolve())
        planned(options.plan)
        return

    print("## A job that does nothing but import, through the local executor\n")
    print("| it imports | wall, s | processor, s | of that Snakemake, s |")
    print("|---|---|---|---|")
    for what, names in SCRIPTS.items():
        body = SCRIPT.format(names) if names else ""
        shown = " | ".join(f"{x:.2f}" for x in cost(body, options.jobs))
        print(f"| {what} | {shown} |", flush=True)

    print("\n## The default study\n")
    print("| jobs | wall, s | processor, s | computing, s | Snakemake, s "
          "| starting and ending, s | share of the last two |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    study(options.cores)
    planned(options.plan)


if __name__ == "__main__":
    main()
