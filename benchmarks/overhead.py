"""What starting jobs costs: one that does nothing, and all of the default study.

    python benchmarks/overhead.py

Processor time is that of Snakemake and of every process it waited for, as the kernel counts it. A
job's cost is the difference between many jobs and few, over their number. The share of the default
study is all but what its scripts spend between the first line of their `main` and the last, which
their logs say: imports, forks, ends of processes, and Snakemake itself.
"""

import argparse
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
from warm import warm
prepare()
warm(workflow)
rule all:
    input: [f"done/{{k}}" for k in range({jobs})]
rule job:
    output: touch("done/{{k}}")
    params: code={code!r}
    script: "job.py"
"""
#: Scripts that do nothing: without imports, and with those of two stages.
SCRIPTS = {
    "nothing": "",
    "what theory does": "import finitewidth.theory.predict.predict_member\n",
    "what sampling does": "import finitewidth.sampling.sample_member\n",
}


def run(folder: Path, *arguments: str, warm: bool) -> tuple[float, float, float]:
    """Seconds of wall time, of processor time, and of that Snakemake's own."""
    own = folder / "controller"
    command = [sys.executable, "-c", CONTROLLER, str(own), "--quiet", "all", *arguments]
    environment = {**os.environ, "FINITEWIDTH_WARM": "1" if warm else "0"}
    start = time.perf_counter()
    with open(folder / "out", "w") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "out").read_text())
    taken = time.perf_counter() - start
    return taken, usage.ru_utime + usage.ru_stime, float(own.read_text())


def cost(body: str, jobs: int, *, warm: bool) -> list[float]:
    """Wall and processor seconds of one more job, one at a time; of the latter, Snakemake's own."""
    totals = []
    for count in (2, 2 + jobs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "job.py").write_text(body)
            file = SNAKEFILE.format(
                workflow=str(WORKFLOW), jobs=count, code=code.used(folder / "job.py")
            )
            (folder / "Snakefile").write_text(file)
            totals.append(run(folder, "--cores", "1", warm=warm))
    return [(many - few) / jobs for few, many in zip(*totals, strict=True)]


def study(cores: int, *, warm: bool) -> None:
    """Run the default study and print where its processor time went."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entry = str(WORKFLOW.parent / "Snakefile")
        wall, total, own = run(
            folder, "-s", entry, "--cores", str(cores), "--directory", name, warm=warm
        )
        spent: dict[str, list[float]] = defaultdict(list)
        logs = folder / "results" / "logs"
        for log in logs.rglob("*.log"):
            stage = log.relative_to(logs).parts[0]
            spent[stage].append(float(re.search(r"done in (\S+) s", log.read_text())[1]))
    computing = sum(map(sum, spent.values()))
    print(f"| {'warm' if warm else 'cold'} | {sum(map(len, spent.values()))} | {wall:.0f} "
          f"| {total:.0f} | {computing:.0f} | {own:.0f} | {total - computing - own:.0f} "
          f"| {1 - computing / total:.2f} |", flush=True)  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()

    print("## A job that does nothing but import, through the local executor\n")
    print("| it imports | start | wall, s | processor, s | of that Snakemake, s |")
    print("|---|---|---|---|---|")
    for what, body in SCRIPTS.items():
        for warm in (False, True):
            shown = " | ".join(f"{x:.2f}" for x in cost(body, options.jobs, warm=warm))
            print(f"| {what} | {'warm' if warm else 'cold'} | {shown} |", flush=True)

    print("\n## The default study\n")
    print("| start | jobs | wall, s | processor, s | computing, s | Snakemake, s "
          "| starting and ending, s | share of the last two |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for warm in (True, False):
        study(options.cores, warm=warm)


if __name__ == "__main__":
    main()
