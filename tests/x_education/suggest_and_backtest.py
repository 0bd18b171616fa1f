#!/usr/bin/env python3
"""A card suggested from won and lost, tested on later leads, beside the usual classifiers on the same columns.

    tests/x_education/suggest_and_backtest.py LEADS.csv [--leadloop target/release/leadloop] [--olist LEADS.csv DEALS.csv]

It starts its own servers in folders of its own. To drive them it needs only Python's standard library; the comparison
needs pandas and scikit-learn.

1. X Education: all leads are imported as history, each column an attribute without a time; those known at capture are
   declared so. A card is suggested from the first 80 % by lead number and backtested on the last 20 %, with the columns
   of the web tracker named as behaviour and without. Its figures are read from the API's answers.
2. Olist: the columns of the deals are attributes that only the won leads have. They are named and left out while they
   are undated, and named as leaks where somebody declares them known at capture.
"""

import argparse
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "olist"))

from main_job import Server  # noqa: E402

TIME = ("2024-01-01", "2024-01-02")  # The data has no times: all came on one day and were decided on the next.
BEHAVIOUR = ["TotalVisits", "Total Time Spent on Website", "Page Views Per Visit"]
AT_CAPTURE = BEHAVIOUR + [
    "Lead Origin", "Lead Source", "Do Not Email", "Do Not Call", "Country", "Specialization",
    "How did you hear about X Education", "What is your current occupation",
    "What matters most to you in choosing a course", "Search", "Magazine", "Newspaper Article", "X Education Forums",
    "Newspaper", "Digital Advertisement", "Through Recommendations", "A free copy of Mastering The Interview",
]
RULES = 15


def snake(column):
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()).strip("_")


def write(file, header, rows):
    with open(file, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows)


def done(server, job):
    while job["status"] != "done":
        assert job["status"] != "failed", job
        time.sleep(0.5)
        job = server.call("GET", "/v1/jobs/" + job["job"])
    return job["result"]


def declare(server, names):
    command = [server.program, "playbook", "declare", *names, "--url", server.url, "--data-dir", server.data]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def check(what, holds, shown=""):
    print(f"{'ok     ' if holds else 'FAILED '} {what}{f': {shown}' if shown != '' else ''}", flush=True)
    return bool(holds)


def named(entries):
    return {entry["attribute"] for entry in entries}


def attributes_of(condition):
    if isinstance(condition, list):
        return set().union(*map(attributes_of, condition))
    if isinstance(condition, dict):
        own = {condition["attribute"]} if "attribute" in condition else set()
        return own.union(*map(attributes_of, condition.values()))
    return set()


def rules_of(document):
    return [rule for part in ("fit", "engagement") for group in document[part] for rule in group["rules"]]


def x_education(args, work):
    print("1. X Education")
    with open(args.leads, newline="") as file:
        leads = list(csv.DictReader(file))
    leads.sort(key=lambda lead: int(lead["Lead Number"]))
    columns = [column for column in leads[0] if column not in ("Prospect ID", "Converted")]
    given = lambda text: "" if text == "Select" else text
    write(work / "leads.csv", ["external_id:x_education", "occurred_at", *("attributes." + snake(c) for c in columns)],
          ([lead["Prospect ID"], TIME[0], *(given(lead[c]) for c in columns)] for lead in leads))
    write(work / "outcomes.csv", ["lead.external_id:x_education", "occurred_at", "kind", "deal:x_education"],
          ([lead["Prospect ID"], TIME[1], *(("won", lead["Prospect ID"]) if lead["Converted"] == "1" else ("lost", ""))]
           for lead in leads))
    first = len(leads) * 4 // 5
    until = int(leads[first - 1]["Lead Number"])

    classifiers = reference(leads, first)
    (work / "data").mkdir()
    server = Server(args.leadloop, work / "data")
    cards = []
    try:
        server.imported("leads", work / "leads.csv", "--mode", "history")
        server.imported("feedback", work / "outcomes.csv", "--mode", "history")
        declare(server, [snake(column) for column in AT_CAPTURE])
        for title, behaviour in (("card", []), ("card, with behaviour", [snake(column) for column in BEHAVIOUR])):
            started = time.monotonic()
            where = {"attribute": "lead_number", "at_most": until}
            suggested = done(server, server.call("POST", "/v1/playbooks/suggest", {
                "rules": RULES, "behaviour": behaviour, "where": where}))
            assert suggested["version"], suggested
            took = time.monotonic() - started
            where = {"attribute": "lead_number", "at_least": until + 1}
            path = f"/v1/playbooks/{suggested['version']}/backtest"
            tested = done(server, server.call("POST", path, {"where": where}))
            cards.append((title, suggested, tested, took))
    finally:
        server.stop()

    gradient_boosting = [figures for name, figures in classifiers.items() if "oosting" in name]
    best_auc, best_precision = (max(column) for column in zip(*gradient_boosting))
    undated = {snake(column) for column in columns if column not in AT_CAPTURE}
    holds = []
    figures = {}
    for title, suggested, tested, took in cards:
        auc, precision = figures[title] = of_the_card(tested)
        rules = rules_of(suggested["document"])
        print(f"   {title}: version {suggested['version']}, suggested in {took:.1f} s")
        for rule in rules:
            print(f"      {rule['points']:+4}  {rule['title']}")
        points = [rule["points"] for rule in rules]
        used = set().union(*(attributes_of(rule["when"]) for rule in rules))
        holds += [
            check(f"{title}: learned from the first {first} leads, tested on the others",
                  (suggested["leads"], tested["leads"]) == (first, len(leads) - first)),
            check(f"{title}: at most {RULES} rules, points in fives", len(rules) <= RULES and not any(p % 5 for p in points), len(rules)),
            check(f"{title}: no two rules ask the same", len({json.dumps(rule["when"]) for rule in rules}) == len(rules)),
            check(f"{title}: AUC not below logistic regression's", auc >= classifiers["LogisticRegression"][0], auc),
            check(f"{title}: AUC within 0.01 of gradient boosting's", auc >= best_auc - 0.01, auc),
            check(f"{title}: precision in the best 20 % within 0.02 of gradient boosting's", precision >= best_precision - 0.02, f"{precision:.4f}"),
            check(f"{title}: the suggestion names each undated column", undated <= named(suggested["left_out"]), len(undated)),
            check(f"{title}: the backtest names each undated column", undated <= named(tested["refused"]), len(undated)),
            check(f"{title}: no rule rests on one", used and not used & undated, sorted(used & undated) or ""),
        ]
    print(f"\n   {'the last 20 %: ' + str(len(leads) - first) + ' leads':<36} {'AUC':>7} {'precision in the best 20 %':>28}")
    for name, (auc, precision) in (figures | classifiers).items():
        print(f"   {name:<36} {auc:>7.4f} {precision:>28.4f}")
    print()
    return holds


def of_the_card(tested):
    """Reads AUC and the precision in the best two tenths from a backtest's answer."""
    moment = tested["tested"]["moments"]["day_30"]
    best = moment["tenths"][:2]
    return moment["auc"]["value"], sum(t["wins"] for t in best) / sum(t["leads"] for t in best)


def reference(leads, first):
    """Fits the usual classifiers to the same columns of the same leads."""
    try:
        import pandas
        from sklearn.compose import make_column_transformer
        from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler
    except ImportError as error:
        raise SystemExit(f"{error}; the comparison needs: python3 -m pip install pandas scikit-learn") from error
    texts = [column for column in AT_CAPTURE if column not in BEHAVIOUR]
    table = pandas.DataFrame(leads)
    table[texts] = table[texts].replace("Select", "")
    table[BEHAVIOUR] = table[BEHAVIOUR].apply(pandas.to_numeric)
    won = (table["Converted"] == "1").to_numpy()
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts), (numbers, BEHAVIOUR))
    figures = {}
    for model in (LogisticRegression(max_iter=5000), GradientBoostingClassifier(random_state=0),
                  HistGradientBoostingClassifier(random_state=0), RandomForestClassifier(500, random_state=0)):
        fitted = make_pipeline(columns, model).fit(table[:first], won[:first])
        scores = fitted.predict_proba(table[first:])[:, 1]
        figures[type(model).__name__] = roc_auc_score(won[first:], scores), best_fifth(won[first:], scores)
    return figures


def best_fifth(won, scores):
    """Gives the share of the won in the best 20 %; of leads with equal scores at the edge, their part."""
    room, wins = len(won) / 5, 0.0
    for score in sorted(set(scores), reverse=True):
        tied = won[scores == score]
        wins += tied.sum() * min(1.0, room / len(tied))
        room -= len(tied)
        if room <= 0:
            break
    return wins / (len(won) / 5)


DEAL_COLUMNS = [
    "sdr_id", "sr_id", "business_segment", "lead_type", "lead_behaviour_profile", "has_company", "has_gtin", "average_stock",
    "business_type", "declared_product_catalog_size", "declared_monthly_revenue",
]


def olist(args, work):
    print("2. Olist: what only the won have")
    leads_file, deals_file = args.olist
    with open(leads_file, newline="") as file:
        leads = list(csv.DictReader(file))
    with open(deals_file, newline="") as file:
        deals = {deal["mql_id"]: deal for deal in csv.DictReader(file)}
    known = ["origin", "landing_page_id"]
    write(work / "sellers.csv", ["external_id:olist", "occurred_at", *("attributes." + c for c in known + DEAL_COLUMNS)],
          ([lead["mql_id"], lead["first_contact_date"], *(lead[c] for c in known),
            *(deals.get(lead["mql_id"], {}).get(c, "") for c in DEAL_COLUMNS)] for lead in leads))
    write(work / "deals.csv", ["lead.external_id:olist", "occurred_at", "kind", "deal:olist"],
          ([id, deal["won_date"], "won", deal["seller_id"]] for id, deal in deals.items()))
    (work / "olist").mkdir()
    server = Server(args.leadloop, work / "olist")
    deal_columns = set(DEAL_COLUMNS)
    asked = {"from": "2018-01-01", "to": "2018-04-01", "precision": 0.2}
    try:
        server.imported("leads", work / "sellers.csv", "--mode", "history")
        server.imported("feedback", work / "deals.csv", "--mode", "history")
        declare(server, known)
        suggested = done(server, server.call("POST", "/v1/playbooks/suggest", asked))
        tested = done(server, server.call("POST", f"/v1/playbooks/{suggested['version']}/backtest", {}))
        used = set().union(*(attributes_of(rule["when"]) for rule in rules_of(suggested["document"])))
        auc = tested["tested"]["moments"]["day_30"]["auc"]
        holds = [
            check("undated: the suggestion names each column of the deals", deal_columns <= named(suggested["left_out"])),
            check("undated: the backtest names each column of the deals", deal_columns <= named(tested["refused"])),
            check("undated: no rule rests on one", used and not used & deal_columns, f"AUC {auc['value']} from {auc['low']} to {auc['high']}"),
        ]
        # What fewer than 30 leads have is too little to learn from, and to tell a leak by.
        many = {c for c in DEAL_COLUMNS if sum(1 for lead in leads if deals.get(lead["mql_id"], {}).get(c)) >= 30}
        declare(server, DEAL_COLUMNS)
        suggested = done(server, server.call("POST", "/v1/playbooks/suggest", asked))
        used = set().union(*(attributes_of(rule["when"]) for rule in rules_of(suggested["document"])))
        query = urllib.parse.urlencode({"from": "2018-01-01", "to": "2018-04-01"})
        report = server.call("GET", f"/v1/reports/characteristics?{query}")
        traits = {row["attribute"] for side in ("best", "worst") for row in report[side] if row.get("attribute")}
        holds += [
            check("declared: the suggestion names them as leaks", many <= named(suggested["left_out"]), len(many)),
            check("declared: no rule rests on one", used and not used & deal_columns, sorted(used & deal_columns) or ""),
            check("declared: the characteristics name them as leaks", many <= named(report["left_out"]), len(many)),
            check("declared: no characteristic is one", traits and not traits & many, sorted(traits & many) or ""),
        ]
        for leak in suggested["left_out"]:
            print("       ", leak["because"])
    finally:
        server.stop()
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("leads", type=pathlib.Path)
    parser.add_argument("--leadloop", default=ROOT / "target" / "release" / "leadloop", type=pathlib.Path)
    parser.add_argument("--olist", nargs=2, type=pathlib.Path, metavar=("LEADS", "DEALS"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        holds = x_education(args, pathlib.Path(work))
        if args.olist:
            holds += olist(args, pathlib.Path(work))
    if not all(holds):
        return f"{holds.count(False)} of {len(holds)} do not hold"
    print("all hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
