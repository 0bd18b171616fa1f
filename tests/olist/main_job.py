#!/usr/bin/env python3
"""The main job on real input, checked against an independent query (SQLite over the same files).

    tests/olist/main_job.py LEADS.csv DEALS.csv [--leadloop target/release/leadloop]

It starts its own servers in folders of its own and needs only Python's standard library.

1. History: all leads and the deals they became are imported; the campaigns report by channel and by landing page
   equals the query, to the last lead and cent.
2. Live: the first 500 leads, first contact moved to the last days, a country each: labels, stages and the inbox of
   each qualifier equal the query; the import run again changes no number.
3. Killed: the server is killed (SIGKILL) in mid-import and started again; the import run again ends in the state of 2.
"""

import argparse
import collections
import csv
import datetime
import hashlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COUNTRIES = ["AT", "DE", "CH", "FR", "ES", "PT", "BR", "US", "Österreich", "Brasil", "Atlantis", ""]


class Server:
    """A `leadloop dev` in a folder of its own."""

    def __init__(self, program, data, playbook=None):
        self.program, self.data, self.playbook = program, pathlib.Path(data), playbook
        self.start()

    def start(self):
        for name in ("endpoints.json",):
            (self.data / name).unlink(missing_ok=True)
        command = [self.program, "dev", "--port", "0", "--data-dir", self.data, "--template", ROOT / "template.yaml"]
        if self.playbook:
            command += ["--playbook", self.playbook]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        for _ in range(600):
            if (self.data / "endpoints.json").exists():
                try:
                    self.url = json.loads((self.data / "endpoints.json").read_text())["api"]
                    urllib.request.urlopen(self.url + "/health", timeout=5)
                    break
                except (OSError, ValueError):
                    pass
            if self.process.poll() is not None:
                raise SystemExit("leadloop dev did not start")
            time.sleep(0.1)
        self.tokens = json.loads((self.data / "tokens.json").read_text())

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait(60)

    def call(self, method, path, body=None, role="marketing"):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer " + self.tokens[role], "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def importing(self, what, file, *flags):
        command = [self.program, "import", what, file, "--url", self.url, "--data-dir", self.data, *flags]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)

    def imported(self, what, file, *flags):
        started = time.monotonic()
        process = self.importing(what, file, *flags)
        out, _ = process.communicate()
        assert process.returncode == 0, f"import {what} failed"
        print("   ", out.strip())
        return out, time.monotonic() - started


def check(what, ours, theirs):
    if ours != theirs:
        print(f"FAILED {what}")
        keys = set(ours) | set(theirs) if isinstance(ours, dict) else []
        for key in sorted(keys, key=str)[:2000]:
            if ours.get(key) != theirs.get(key):
                print("   ", key, "ours:", ours.get(key), "query:", theirs.get(key))
        if not keys:
            print("    ours: ", str(ours)[:500], "\n    query:", str(theirs)[:500])
        raise SystemExit(1)
    print(f"ok      {what}")


def amount(row):
    """The files' amounts are mostly zero: an amount in cents that follows from the ids alone."""
    return int(hashlib.sha256((row["seller_id"] + row["mql_id"]).encode()).hexdigest()[:6], 16)


def history(args, leads, deals, work):
    print("1. history: all leads, and the deals they became")
    deals_file = work / "deals.csv"
    with open(deals_file, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["mql_id", "seller_id", "won_date", "amount"])
        for deal in deals:
            cents = amount(deal)
            writer.writerow([deal["mql_id"], deal["seller_id"], deal["won_date"], f"{cents // 100}.{cents % 100:02}"])
    server = Server(args.leadloop, work / "history", HERE / "playbook.yaml")
    try:
        lead_flags = ["--mode", "history", "--map", "mql_id=external_id:olist", "--map", "first_contact_date=occurred_at",
                      "--map", "origin=source.channel", "--map", "landing_page_id=source.landing_page"]
        deal_flags = ["--mode", "history", "--map", "mql_id=lead.external_id:olist", "--map", "won_date=occurred_at",
                      "--map", "seller_id=deal:olist", "--map", "amount=amount.amount",
                      "--set", "kind=won", "--set", "amount.currency=BRL"]
        _, seconds = server.imported("leads", args.leads, *lead_flags)
        server.imported("feedback", deals_file, *deal_flags)
        reports = compare_reports(server, leads, deals)
        print(f"    {len(leads)} leads in {seconds:.1f} s: {len(leads) / seconds:.0f} leads a second")
        out, _ = server.imported("leads", args.leads, *lead_flags)
        check("leads imported again: all unchanged", f" {len(leads)} unchanged" in out, True)
        out, _ = server.imported("feedback", deals_file, *deal_flags)
        check("deals imported again: all unchanged", f" {len(deals)} unchanged" in out, True)
        check("the reports are the same after the second import", compare_reports(server, leads, deals), reports)
        server.stop()
        server.start()
        check("the reports are the same after a restart", compare_reports(server, leads, deals), reports)
    finally:
        server.stop()


def compare_reports(server, leads, deals):
    db = sqlite3.connect(":memory:")
    db.execute("create table leads (id primary key, day, page, origin)")
    db.executemany("insert into leads values (?,?,?,?)", [
        (r["mql_id"], r["first_contact_date"], r["landing_page_id"], r["origin"]) for r in leads])
    db.execute("create table deals (lead, deal, cents)")
    db.executemany("insert into deals values (?,?,?)", [(r["mql_id"], r["seller_id"], amount(r)) for r in deals])
    reports = {}
    months = [(None, None)] + [("2018-01-01", "2018-02-01"), ("2018-02-01", "2018-03-01"), ("2018-02-15", None)]
    for group, column in (("channel", "origin"), ("landing_page", "page")):
        for start, end in months:
            query = f"""
              select nullif({column}, ''), count(distinct l.id), count(distinct d.lead), coalesce(sum(d.cents), 0)
              from leads l left join deals d on d.lead = l.id
              where (?1 is null or l.day >= ?1) and (?2 is null or l.day < ?2) group by 1"""
            theirs = {name: (n, won, cents) for name, n, won, cents in db.execute(query, (start, end))}
            path = f"/v1/reports/campaigns?group_by={group}"
            path += (f"&from={start}" if start else "") + (f"&to={end}" if end else "")
            rows = server.call("GET", path)["rows"]
            ours = {}
            for row in rows:
                revenue = {money["currency"]: money["amount"] for money in row["revenue"]}
                assert set(revenue) <= {"BRL"}, revenue
                cents = int(revenue.get("BRL", "0.00").replace(".", ""))
                ours[row[group]] = (row["leads"], row["won"], cents)
                assert row["open"] == row["leads"] - row["won"] and row["lost"] == 0, row
                assert abs(row["conversion_rate"] - row["won"] / row["leads"]) < 1e-12, row
                assert row["win_rate"] == (1.0 if row["won"] else None), row
            check(f"report by {group}, from {start} to {end}: {len(ours)} rows, {sum(n for n, _, _ in ours.values())} leads", ours, theirs)
            reports[(group, start, end)] = ours
    return reports


def live_file(leads, work):
    """The first 500 leads, first contact moved to the last days, a country each from a seeded list."""
    rng = random.Random(42)
    rows = []
    now = datetime.datetime.now(datetime.timezone.utc)
    for lead in leads[:500]:
        at = now - datetime.timedelta(minutes=rng.randrange(30, 6 * 24 * 60))
        rows.append({"mql_id": lead["mql_id"], "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "page": lead["landing_page_id"],
                     "origin": lead["origin"], "country": rng.choice(COUNTRIES)})
    file = work / "live.csv"
    with open(file, "w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file, rows


LIVE_FLAGS = ["--map", "mql_id=external_id:olist", "--map", "at=occurred_at", "--map", "origin=source.channel",
              "--map", "page=source.landing_page", "--map", "country=attributes.country"]


def query_live(rows):
    """What the playbook says of them, in SQL of its own."""
    db = sqlite3.connect(":memory:")
    db.execute("create table leads (id primary key, page, origin, country)")
    db.executemany("insert into leads values (?,?,?,?)", [(r["mql_id"], r["page"], r["origin"], r["country"]) for r in rows])
    db.execute("""create view points as select id, country,
        min(60, case origin when 'paid_search' then 40 when 'organic_search' then 35 when 'direct_traffic' then 30
            when 'referral' then 30 when 'social' then 15 when 'unknown' then -10 when 'other' then -10 else 0 end)
        + min(30, (page = 'b76ef37428e6799c421989521c0e5077') * 30 + (page like '22c%') * 20 + (length(page) = 32) * 5) as raw
        from leads""")
    db.execute("""create view labels as select id, country, max(0, min(100, raw)) as fit,
        case when raw >= 60 then 'A4' when raw >= 40 then 'B4' when raw >= 20 then 'C4' else 'D4' end as label from points""")
    db.execute("""create view result as select id, fit, label,
        case when label in ('A4', 'B4') then 'marketing_qualified' else 'inquiry' end as stage,
        case when label not in ('A4', 'B4') then null
            when country in ('AT', 'DE', 'CH', 'Österreich') then 'at-1' when country = 'FR' then 'fr-1'
            when country in ('ES', 'PT') then 'es-1' else 'world-1' end as person from labels""")
    state = {id: (fit, label, stage, person) for id, fit, label, stage, person in db.execute("select * from result")}
    inbox = collections.defaultdict(set)
    for id, (_, _, _, person) in state.items():
        if person:
            inbox[person].add(id)
    return state, dict(inbox)


def state_live(server, rows):
    state = {}
    for row in rows:
        found = server.call("POST", "/v1/leads/lookup", {"external_id": {"system": "olist", "id": row["mql_id"]}})["items"]
        assert len(found) == 1, (row, found)
        lead = found[0]
        state[row["mql_id"]] = (lead["score"]["fit"], lead["score"]["label"], lead["stage"], lead["owner"]["person"])
    inbox = {}
    for person in ("at-1", "fr-1", "es-1", "world-1"):
        ids, cursor = set(), ""
        while cursor is not None:
            page = server.call("GET", f"/v1/inbox?owner={person}&limit=50" + (f"&cursor={cursor}" if cursor else ""), role="sales")
            for item in page["items"]:
                (external,) = item["external_ids"]
                assert external["id"] not in ids, "twice in the inbox"
                ids.add(external["id"])
            cursor = page["next_cursor"]
        inbox[person] = ids
    return state, inbox


def compare_live(server, rows):
    state, inbox = state_live(server, rows)
    query_state, query_inbox = query_live(rows)
    labels = collections.Counter(label for _, label, _, _ in state.values())
    check(f"scores, labels, stages and owners of {len(state)} leads {dict(sorted(labels.items()))}", state, query_state)
    counts = {person: len(ids) for person, ids in inbox.items()}
    check(f"the inbox of each qualifier {counts}", inbox, query_inbox)
    return state, inbox


def live(args, leads, work):
    print("2. live: 500 leads of the last days")
    file, rows = live_file(leads, work)
    server = Server(args.leadloop, work / "live", HERE / "playbook.yaml")
    try:
        server.imported("leads", file, *LIVE_FLAGS)
        compare_live(server, rows)
        out, _ = server.imported("leads", file, *LIVE_FLAGS)
        check("imported again: all unchanged", f" {len(rows)} unchanged" in out, True)
        compare_live(server, rows)
    finally:
        server.stop()
    print("3. killed in mid-import, started and imported again")
    server = Server(args.leadloop, work / "killed", HERE / "playbook.yaml")
    process = server.importing("leads", file, *LIVE_FLAGS)
    # Killed once some, and before all, leads are there.
    first = {"external_id": {"system": "olist", "id": rows[0]["mql_id"]}}
    while process.poll() is None and not server.call("POST", "/v1/leads/lookup", first)["items"]:
        pass
    server.stop(signal.SIGKILL)
    process.kill()
    process.wait()
    server.start()
    try:
        last = {"external_id": {"system": "olist", "id": rows[-1]["mql_id"]}}
        print("    the last row was", "already" if server.call("POST", "/v1/leads/lookup", last)["items"] else "not yet", "there")
        server.imported("leads", file, *LIVE_FLAGS)
        compare_live(server, rows)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("leads", type=pathlib.Path)
    parser.add_argument("deals", type=pathlib.Path)
    parser.add_argument("--leadloop", default=ROOT / "target" / "release" / "leadloop", type=pathlib.Path)
    args = parser.parse_args()
    with open(args.leads, newline="") as file:
        leads = list(csv.DictReader(file))
    with open(args.deals, newline="") as file:
        deals = list(csv.DictReader(file))
    with tempfile.TemporaryDirectory() as work:
        for name in ("history", "live", "killed"):
            os.makedirs(pathlib.Path(work) / name)
        history(args, leads, deals, pathlib.Path(work))
        live(args, leads, pathlib.Path(work))
    print("all equal")


if __name__ == "__main__":
    sys.exit(main())
