#!/usr/bin/env python3
"""The main job on real input, checked against an independent query (SQLite over the same files).

    tests/olist/main_job.py LEADS.csv DEALS.csv [--leadloop target/release/leadloop]

It starts its own servers in folders of its own and needs only Python's standard library.

1. History: all leads and the deals they became are imported; the campaigns report by origin and landing page, and the
   funnel by origin, landing page, month and person, both as cohorts and in periods, equal the query, to the last lead, cent
   and hour of a median.
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


def moment(text):
    """A time of the files: a day, or a time in UTC."""
    return datetime.datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=datetime.timezone.utc)


def way(came, deal):
    """The files know the first contact and the win only: a lead is qualified half-way, and becomes an opportunity at
    three quarters of it."""
    start, won = moment(came), moment(deal["won_date"])
    seconds = max(0, int((won - start).total_seconds()))
    at = lambda part: won - datetime.timedelta(seconds=seconds - seconds * part // 4)
    return at(2), at(3), won


def history(args, leads, deals, work):
    print("1. history: all leads, and the deals they became")
    deals_file, facts = work / "deals.csv", 0
    came = {lead["mql_id"]: lead["first_contact_date"] for lead in leads}
    with open(deals_file, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["mql_id", "kind", "at", "by", "to", "deal", "amount.amount", "amount.currency"])
        for deal in deals:
            qualified, opened, won = way(came[deal["mql_id"]], deal)
            cents, lead, sdr, sr = amount(deal), deal["mql_id"], deal["sdr_id"], deal["sr_id"]
            rows = [("qualified", qualified, sdr, "", "", "", ""), ("assigned", opened, sdr, sr, "", "", ""),
                    ("opportunity", opened, sr, "", deal["seller_id"], "", ""),
                    ("won", won, sr, "", deal["seller_id"], f"{cents // 100}.{cents % 100:02}", "BRL")]
            for kind, at, *rest in rows:
                writer.writerow([lead, kind, at.strftime("%Y-%m-%dT%H:%M:%SZ"), *rest])
                facts += 1
    server = Server(args.leadloop, work / "history", HERE / "playbook.yaml")
    try:
        lead_flags = ["--mode", "history", "--map", "mql_id=external_id:olist", "--map", "first_contact_date=occurred_at",
                      "--map", "origin=source.channel", "--map", "landing_page_id=source.landing_page"]
        deal_flags = ["--mode", "history", "--map", "mql_id=lead.external_id:olist", "--map", "at=occurred_at",
                      "--map", "deal=deal:olist"]
        _, seconds = server.imported("leads", args.leads, *lead_flags)
        server.imported("feedback", deals_file, *deal_flags)
        reports = compare_reports(server, leads, deals)
        print(f"    {len(leads)} leads in {seconds:.1f} s: {len(leads) / seconds:.0f} leads a second")
        out, _ = server.imported("leads", args.leads, *lead_flags)
        check("leads imported again: all unchanged", f" {len(leads)} unchanged" in out, True)
        out, _ = server.imported("feedback", deals_file, *deal_flags)
        check("deals imported again: all unchanged", f" {facts} unchanged" in out, True)
        check("the reports are the same after the second import", compare_reports(server, leads, deals), reports)
        server.stop()
        server.start()
        check("the reports are the same after a restart", compare_reports(server, leads, deals), reports)
    finally:
        server.stop()


MODELS = ["first_touch", "last_touch", "linear", "u_shaped", "w_shaped", "time_decay"]
PATH = ["inquiry", "marketing_qualified", "sales_accepted", "sales_qualified", "opportunity", "customer"]


def database(leads, deals):
    """The files in tables; times are seconds."""
    db = sqlite3.connect(":memory:")
    seconds = lambda at: int(at.timestamp())
    db.execute("create table leads (id primary key, day, first, page, origin)")
    db.executemany("insert into leads values (?,?,?,?,?)", [
        (r["mql_id"], r["first_contact_date"], seconds(moment(r["first_contact_date"])), r["landing_page_id"], r["origin"])
        for r in leads])
    came = {lead["mql_id"]: lead["first_contact_date"] for lead in leads}
    db.execute("create table deals (lead primary key, deal, cents, person, qualified, opened, won)")
    db.executemany("insert into deals values (?,?,?,?,?,?,?)", [
        (r["mql_id"], r["seller_id"], amount(r), r["sr_id"], *map(seconds, way(came[r["mql_id"]], r))) for r in deals])
    db.execute("""create view rows as select l.id, l.first, l.origin, l.page, substr(l.day, 1, 7) as month,
        d.person, d.cents, d.qualified, d.opened, d.won from leads l left join deals d on d.lead = l.id""")
    # Where each lead stood from when to when; nobody was handed over, so nobody was accepted.
    db.execute("""create view stays as
        select id, 0 as stage, first as since, qualified as until, null as before from rows
        union all select id, 3, qualified, opened, null from rows where won is not null
        union all select id, 4, opened, won, qualified from rows where won is not null
        union all select id, 5, won, null, opened from rows where won is not null""")
    return db


def bounds(start, end):
    return [None if day is None else int(moment(day).timestamp()) for day in (start, end)]


def compare_campaigns_in_periods(db, server, group, column, start, end):
    """Of the campaigns report, leads that were won in the time, and what they brought."""
    theirs = {name: (n, n, cents) for name, n, cents in db.execute(f"""
        select nullif({column}, ''), count(*), sum(cents) from rows
        where won is not null and (?1 is null or won >= ?1) and (?2 is null or won < ?2) group by 1""", bounds(start, end))}
    path = f"/v1/reports/campaigns?group_by={group}&basis=period"
    path += (f"&from={start}" if start else "") + (f"&to={end}" if end else "")
    ours = {}
    # A row that only models credit has no leads.
    for row in (row for row in server.call("GET", path)["rows"] if row["leads"]):
        cents = sum(int(money["amount"].replace(".", "")) for money in row["revenue"])
        ours[row[group]] = (row["leads"], row["won"], cents)
        assert row["qualified"] == row["accepted"] == row["won"] and row["open"] == row["lost"] == 0, row
    check(f"campaigns by {group} in the period from {start} to {end}: {sum(n for n, _, _ in ours.values())} won", ours, theirs)
    return ours


def compare_credits(db, group, column, start, end, rows):
    """One touch each: every model gives it the whole deal, but for a win before the touch, which nothing explains."""
    theirs = dict(((name), (n, cents)) for name, n, cents in db.execute(f"""
        select case when won >= first then nullif({column}, '') end, count(*), sum(cents) from rows
        where won is not null and (?1 is null or first >= ?1) and (?2 is null or first < ?2) group by 1""", bounds(start, end)))
    for model in MODELS:
        ours = {}
        for row in rows:
            credit = row["models"][model]
            if credit["deals"]:
                ours[row[group]] = (credit["deals"], sum(int(money["amount"].replace(".", "")) for money in credit["revenue"]))
        if ours != theirs:
            check(f"credits of {model} by {group}, from {start} to {end}", ours, theirs)


def place(seconds):
    """A duration as the funnel keeps it, in hours: to the hour up to 30 days, to the day beyond."""
    return f"""(case when max(0, {seconds}) < 720 * 3600 then max(0, {seconds}) / 3600
        else min(26280, {seconds} / 86400 * 24) end)"""


def quantiles(db, group, took, counted, span):
    """By group and stage: how many, the median and the 90th percentile by nearest rank."""
    found = {}
    for name, stage, n, half, most in db.execute(f"""
        with durations as (select nullif({group}, '') as name, stage, {place(took)} as hours from stays join rows using (id)
            where {took} is not null and {counted}),
        ranked as (select *, row_number() over (partition by name, stage order by hours) as rank,
            count(*) over (partition by name, stage) as n from durations)
        select name, stage, n, max(case when rank = (n * 50 + 99) / 100 then hours end),
            max(case when rank = (n * 90 + 99) / 100 then hours end) from ranked group by 1, 2, 3""", span):
        found[name, stage] = {"of": n, "median": half, "p90": most}
    return found


NOTHING = {"of": 0, "median": None, "p90": None}


def query_funnel(db, basis, group, span):
    """What the funnel is to say, in SQL of its own: by group the leads and won, and of each stage its figures."""
    within = lambda at: f"{at} is not null and (?1 is null or {at} >= ?1) and (?2 is null or {at} < ?2)"
    theirs = {}
    if basis == "cohort":
        chosen = within("first")
        for name, n, won in db.execute(
                f"select nullif({group}, ''), count(*), count(won) from rows where {chosen} group by 1", span):
            theirs[name] = {"leads": n, "won": won}
        entered = dict(((name, stage), n) for name, stage, n in db.execute(f"""
            select nullif({group}, ''), stage, count(*) from stays join rows using (id) where {chosen} group by 1, 2""", span))
        took = quantiles(db, group, "(since - before)", chosen, span)
        first = quantiles(db, group, "(since - first)", chosen, span)
        for name, row in theirs.items():
            for stage in range(6):
                reached = row["leads"] if stage == 0 else row["won"]
                row[PATH[stage]] = (reached, entered.get((name, stage), 0), row["leads"] - row["won"] if stage == 0 else 0,
                                    took.get((name, stage), NOTHING), first.get((name, stage), NOTHING))
    else:
        moved = f"""id in (select id from stays where {within("since")})"""
        for name, n, won in db.execute(f"""select nullif({group}, ''), count(*), sum({within("won")}) from rows
                where {moved} group by 1""", span):
            theirs[name] = {"leads": n, "won": won}
        counts = lambda at: dict(((name, stage), n) for name, stage, n in db.execute(f"""
            select nullif({group}, ''), stage, count(*) from stays join rows using (id) where {within(at)} group by 1, 2""", span))
        entered, left = counts("since"), counts("until")
        took = quantiles(db, group, "(until - since)", within("until"), span)
        first = quantiles(db, group, "(since - first)", within("since"), span)
        for name, row in theirs.items():
            for stage in range(6):
                row[PATH[stage]] = (entered.get((name, stage), 0), left.get((name, stage), 0), left.get((name, stage), 0),
                                    took.get((name, stage), NOTHING), first.get((name, stage), NOTHING))
    return theirs


def compare_funnels(db, server):
    """The funnel by origin, landing page, month and person; of landing pages those with most leads have rows."""
    reports = {}
    spans = [(None, None), ("2018-01-15", "2018-03-01"), ("2018-02-01", None)]
    groups = (("channel", "origin"), ("landing_page", "page"), ("first_contact_month", "month"), ("person", "person"))
    for basis in ("cohort", "period"):
        for group, column in groups:
            for start, end in spans:
                path = f"/v1/reports/funnel?group_by={group}&basis={basis}"
                path += (f"&from={start}" if start else "") + (f"&to={end}" if end else "")
                report, ours = server.call("GET", path), {}
                theirs = query_funnel(db, basis, column, bounds(start, end))
                told_apart = [row for row in report["rows"] if not row.get("others")]
                for row in told_apart:
                    assert row["open"] == row["leads"] - row["won"] and row["lost"] == 0, row
                    one = {"leads": row["leads"], "won": row["won"]}
                    for stage in row["stages"]:
                        if stage["stage"] not in PATH:
                            assert not stage["entered"], "nobody was given back"
                            continue
                        names = ("reached", "entered", "open", "hours_from_previous") if basis == "cohort" else (
                            "entered", "left", "advanced", "hours_in_stage")
                        one[stage["stage"]] = tuple(stage[name] for name in (*names, "hours_since_first_contact"))
                    ours[row[group]] = one
                if len(theirs) > 200:
                    assert len(told_apart) == 200 and report["rows"][200]["others"], len(told_apart)
                    assert report["rows"][200]["leads"] == sum(
                        row["leads"] for name, row in theirs.items() if name not in ours), "the others"
                    fewest = min(row["leads"] for row in ours.values())
                    assert all(row["leads"] <= fewest for name, row in theirs.items() if name not in ours)
                    theirs = {name: row for name, row in theirs.items() if name in ours}
                check(f"funnel by {group}, {basis} from {start} to {end}: {len(ours)} rows, {report['total']['leads']} leads,"
                      f" {report['total']['won']} won", ours, theirs)
                reports[basis, group, start, end] = ours
    return reports


def compare_leads_behind(db, server):
    """Who stands behind a figure: the very leads that the query names."""
    ids, cursor = set(), ""
    path = "/v1/reports/funnel/leads?group_by=channel&row=email&figure=entered&stage=customer&basis=period&from=2018-02-01"
    while cursor is not None:
        page = server.call("GET", path + (f"&cursor={cursor}" if cursor else ""))
        ids |= {item["lead_id"] for item in page["items"]}
        cursor = page["next_cursor"]
    theirs = [id for (id,) in db.execute("select id from rows where origin = 'email' and won >= ?", bounds("2018-02-01", None)[:1])]
    lookup = lambda id: server.call("POST", "/v1/leads/lookup", {"external_id": {"system": "olist", "id": id}})["items"]
    check(f"the {len(theirs)} leads of origin email that were won from February on", ids, {
        item["lead_id"] for id in theirs for item in lookup(id)})


def compare_reports(server, leads, deals):
    db = database(leads, deals)
    reports = compare_funnels(db, server)
    compare_leads_behind(db, server)
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
            compare_credits(db, group, column, start, end, rows)
            for row in (row for row in rows if row["leads"]):
                revenue = {money["currency"]: money["amount"] for money in row["revenue"]}
                assert set(revenue) <= {"BRL"}, revenue
                cents = int(revenue.get("BRL", "0.00").replace(".", ""))
                ours[row[group]] = (row["leads"], row["won"], cents)
                assert row["open"] == row["leads"] - row["won"] and row["lost"] == 0, row
                assert abs(row["conversion_rate"] - row["won"] / row["leads"]) < 1e-12, row
                assert row["win_rate"] == (1.0 if row["won"] else None), row
                assert row["qualified"] == row["accepted"] == row["won"], row
            check(f"report by {group}, from {start} to {end}: {len(ours)} rows, {sum(n for n, _, _ in ours.values())} leads", ours, theirs)
            reports[(group, start, end)] = ours
            reports[("period", group, start, end)] = compare_campaigns_in_periods(db, server, group, column, start, end)
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
