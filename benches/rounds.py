"""Runs Leadloop and what a user would pick instead in turns, so that a busy moment of the machine meets all of them.

    python rounds.py ROUNDS NAME=COMMAND…

Each command prints figures; those that the patterns below know are collected, and at the end each is given as its
median with the least and the most. Commands run in the present folder; `{n}` in one becomes the number of the round.
"""
import re, statistics, subprocess, sys

FIGURES = [
    # Ours; `figure=1.23 (1.20–1.30)` counts with its median.
    r"(out_of_cache|page|page_decoded|decode_only|bare_get_item|form_new_lead|form_repeat|lead_new|activity|form_as_lambda_event|rss|peak|leads_read_per_cpu_second|leads_per_cpu_second)=([\d.]+)",
    # The yardsticks'.
    r"(leads/cpu-s|handler_cpu_ms/req|p50)=([\d.]+)",
]
rounds, commands = int(sys.argv[1]), [command.split("=", 1) for command in sys.argv[2:]]
found = {}
for number in range(rounds):
    for name, command in commands:
        done = subprocess.run(command.replace("{n}", str(number)), shell=True, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr[-800:]}")
        for pattern in FIGURES:
            for figure, value in re.findall(pattern, done.stdout):
                found.setdefault((name, figure), []).append(float(value))
for (name, figure), values in found.items():
    print(f"{name} {figure}: {statistics.median(values):g} ({min(values):g}–{max(values):g}), {len(values)} rounds")
