"""Print how often each rule of `privaudit reproduce` calls either world supported: the table of docs/reproducing.md.

    python benchmarks/claim_worlds.py
    python benchmarks/claim_worlds.py --runs 1000 --ruined 0.1

In the one world the paper is right, with the figures that it prints for each data set; in the other there is nothing to
find (reproduction/claims/worlds.toml). ``--ruined`` is the chance that a treatment of an order leaves a model in ruins.
"""

from __future__ import annotations

import argparse

from privaudit.reproduction.worlds.power import rates
from privaudit.reproduction.worlds.world import WORLDS

#: Data sets whose figures the paper prints, of the claims that start from any.
PRINTED = ("cifar10", "mnist", "cifar100", "tiny-imagenet")
OF_FIGURES = ("accuracy", "fall", "share", "tow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="simulated studies of nine seeds of either world")
    parser.add_argument("--ruined", type=float, default=0.0)
    options = parser.parse_args()
    print("| claim | protocol | " + " | ".join(f"right, {name}" for name in PRINTED) + " | nothing |")
    print("|---" * (3 + len(PRINTED)) + "|")
    for name, protocols in WORLDS.items():
        for protocol, world in protocols.items():
            datasets = PRINTED if world.draws in OF_FIGURES else PRINTED[:1]
            found = [rates(name, protocol, one, options.runs, ruined=options.ruined) for one in datasets]
            right = [f"{one.right:.2f}" for one in found] + ["as there"] * (len(PRINTED) - len(found))
            print(f"| {name} | {protocol} | {' | '.join(right)} | {max(one.nothing for one in found):.3f} |")


if __name__ == "__main__":
    main()
