"""Damaged DICOM files through the whole pipeline: `PYTHONPATH=tests python benchmarks/fuzz_dicom.py --files 2000`.

Prints a summary in Markdown, and ends with 1 if there is a finding. `--only dx/17` runs one file again and, as for
every finding, `--keep FOLDER` leaves it there.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.fuzzing.harness import Case, Result, run_cases
from support.mutations import mutated, seeds

NUMBERS_OF_A_SEED = 1_000_000


def cases(files: int, seed: int) -> Iterator[Case]:
    """Yield so many files; each seed has numbers of its own."""
    names = sorted(seeds())
    for index in range(files):
        number = seed * NUMBERS_OF_A_SEED + index
        yield case_of(f"{names[index % len(names)]}/{number}")


def case_of(name: str) -> Case:
    """Return the file that a name such as ``dx/17`` stands for."""
    seed, _, number = name.partition("/")
    return Case(name, *mutated(seed, int(number)))


def summary(results: Sequence[Result]) -> str:
    """Return the numbers and the findings in Markdown."""
    outcomes = Counter(result.outcome for result in results)
    lines = ["| outcome | files |", "| --- | ---: |"]
    lines += [f"| {outcome} | {count} |" for outcome, count in outcomes.most_common()]
    slowest = max(results, key=lambda result: result.seconds)
    largest = max(results, key=lambda result: result.peak_bytes)
    growth = max(result.growth_bytes for result in results)
    lines += [
        f"| **all** | {len(results)} |\n",
        f"Slowest: {slowest.seconds:.2f} s of processor time ({slowest.case.name}, {slowest.case.damage}).",
        f"Most memory: {largest.peak_bytes / 2**30:.2f} GiB in all, {growth / 2**30:.2f} GiB more than at the start.\n",
    ]
    findings = [(result, finding) for result in results for finding in result.findings]
    lines.append(f"Findings: {len(findings)}\n")
    if findings:
        lines += ["| file | damage | outcome | finding |", "| --- | --- | --- | --- |"]
    for result, finding in findings:
        words = "".join(letter if letter.isprintable() else "?" for letter in finding).replace("|", "\\|")
        lines.append(f"| {result.case.name} | {result.case.damage} | {result.outcome} | {words} |")
    return "\n".join(lines)


def main() -> int:
    """Run the files and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="other numbers, other files")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--judged-every", type=int, default=1, help="ask the judges about every n-th result")
    parser.add_argument("--model", choices=("tiny", "calibrated"), default="tiny", help="random or shipped weights")
    parser.add_argument("--only", help="run this file alone, such as dx/17")
    parser.add_argument("--keep", type=Path, help="folder for the files with findings, and for the one of --only")
    options = parser.parse_args()
    chosen = [case_of(options.only)] if options.only else cases(options.files, options.seed)
    results = []
    pipeline = f"support.fuzzing.worker:{options.model}_pipeline"
    for result in run_cases(chosen, workers=options.workers, pipeline=pipeline, judged_every=options.judged_every):
        results.append(result)
        if options.keep and (result.findings or options.only):
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{result.case.name.replace('/', '-')}.dcm").write_bytes(result.case.data)
    print(summary(results))
    return int(any(result.findings for result in results))


if __name__ == "__main__":
    sys.exit(main())
