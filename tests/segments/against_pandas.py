#!/usr/bin/env python3
"""Segments on real leads, against pandas: who is in them, who was when, what became of them, and which tells most.

    tests/segments/against_pandas.py --olist LEADS.csv DEALS.csv --x-education LEADS.csv [--leadloop target/release/leadloop]

It starts its own servers in folders of its own. pandas and numpy are all that it needs beside Python.

For each segment the count of `GET /v1/segments/{id}/preview`, the `members` of `GET /v1/reports/segments`, its members at
the end of each month, its cohort (leads, won, lost, win rate with its interval, revenue, days to win) and the information
value of segmentations with its interval equal what pandas and numpy make of the same files without a line of our code.

The Olist files hold neither countries nor page views nor lost leads. A country and up to four page views follow from each
lead's id; the leads of January and February that were never won count as lost on the day the data was taken. All days are
moved, so that that day was three days ago.
"""

import argparse
import csv
import datetime
import hashlib
import json
import math
import pathlib
import re
import sys
import tempfile
import time
import urllib.parse

import numpy
import pandas

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "olist"))

from main_job import COUNTRIES, Server, amount, check  # noqa: E402

DACH = {"AT", "DE", "CH", "Österreich"}
KNOWN = DACH | {"FR", "ES", "PT", "BR", "US", "Brasil"}
DAY = pandas.Timedelta(days=1)
UTC = datetime.timezone.utc


def report(server, **words):
    path = "/v1/reports/segments?" + urllib.parse.urlencode(words)
    started = time.monotonic()
    for _ in range(600):
        answer = server.call("GET", path)
        if "segments" in answer:
            print(f"        the report took {time.monotonic() - started:.1f} s")
            return answer
        time.sleep(1)
    raise SystemExit("the report does not come to an end")


def wilson(hits, of):
    if of == 0:
        return None, None
    p, z2 = hits / of, 1.959963984540054 ** 2
    centre, half = p + z2 / (2 * of), math.sqrt(z2) * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return round((centre - half) / (1 + z2 / of), 4), round((centre + half) / (1 + z2 / of), 4)


def cohort_of(leads):
    """What the report says of a cohort, from a frame of its leads."""
    won, lost = leads[leads.outcome == "won"], leads[leads.outcome == "lost"]
    low, high = wilson(len(won), len(won) + len(lost))
    days = (won.decided - won.captured).dt.days.sort_values()
    days = days.where(days <= 90, days // 7 * 7)
    return {
        "leads": len(leads), "won": len(won), "lost": len(lost), "open": len(leads) - len(won) - len(lost),
        "low": low, "high": high, "cents": int(won.cents.sum()),
        "median": int(days.iloc[(len(days) - 1) // 2]) if len(days) else None,
    }


def cohort_in(segment):
    cohort = segment["cohort"]
    revenue = {money["currency"]: money["amount"] for money in cohort["revenue"]}
    assert set(revenue) <= {"BRL"}, revenue
    return {
        **{name: cohort[name] for name in ("leads", "won", "lost", "open")},
        "low": cohort["win_rate"]["low"], "high": cohort["win_rate"]["high"],
        "cents": int(revenue.get("BRL", "0.00").replace(".", "")), "median": cohort["days_to_win"]["median"],
    }


def information_value(won, lost):
    """Of arrays of counts by group; half a lead is added on each side."""
    p, q = (won + 0.5) / (won.sum() + 1), (lost + 0.5) / (lost.sum() + 1)
    return float(((p - q) * numpy.log(p / q)).sum())


def table_of(judged, groups):
    """Won and lost by group, as arrays."""
    table = pandas.crosstab(groups, judged.outcome).reindex(columns=["won", "lost"], fill_value=0)
    return table.won.to_numpy(), table.lost.to_numpy()


def joined(values, judged):
    """Values that fewer than 30 judged leads or half a per cent have are one group."""
    values = values.fillna("not given").str.lower()
    counts = values[judged.index].value_counts()
    support = max(30, len(judged) // 200)
    named = values[values != "not given"].value_counts()
    top = set(sorted(named.index, key=lambda name: (-named[name], name))[:24]) | {"not given"}
    return values.where(values.isin(top) & (values.map(counts).fillna(0) >= support), "anything else")


def interval_of(judged, groups, other=None):
    """The basic bootstrap interval, drawn lead by lead."""
    rng = numpy.random.default_rng(7)
    codes = [pandas.factorize(one[judged.index])[0] for one in ([groups] if other is None else [groups, other])]
    won = (judged.outcome == "won").to_numpy()

    def value(draw):
        values = []
        for code in codes:
            w = numpy.bincount(code[draw][won[draw]], minlength=code.max() + 1)
            l = numpy.bincount(code[draw][~won[draw]], minlength=code.max() + 1)
            values.append(information_value(w, l))
        return values[0] - sum(values[1:])

    n = len(judged)
    told = value(numpy.arange(n))
    drawn = [value(rng.integers(0, n, n)) for _ in range(1500)]
    high, low = numpy.quantile(drawn, [0.025, 0.975])
    return 2 * told - low, 2 * told - high


def near(what, ours, theirs):
    """Bootstrap intervals are drawn with other dice: their ends agree within a tenth of their width, or 0.004."""
    width = max(0.04, theirs[1] - theirs[0])
    print(f"        {what}: ours {ours[0]:.4f} to {ours[1]:.4f}, numpy {theirs[0]:.4f} to {theirs[1]:.4f}")
    check(what, max(abs(a - b) for a, b in zip(ours, theirs)) <= width / 10, True)


def members(server, answer, now):
    """The members of each segment now: by preview, by report, and by the flow of the last period."""
    ours = {}
    for segment in answer["segments"]:
        preview = server.call("GET", f"/v1/segments/{segment['segment']}/preview")
        assert preview["complete"], preview
        by_flow = segment["periods"][-1]["members"]
        ours[segment["segment"]] = (preview["count"], segment["members"], by_flow, sum(segment["labels"].values()))
    theirs = {name: (int(held.sum()),) * 4 for name, held in now.items()}
    check(f"members of {len(ours)} segments { {name: counts[0] for name, counts in ours.items()} }", ours, theirs)


def compared(answer, judged, groups, names):
    for name, one in zip(names, answer["compare"]):
        won, lost = table_of(judged, groups[name][judged.index])
        check(f"information value of {name}: {one['information_value']}", one["information_value"], round(information_value(won, lost), 4))
        ours = (one["beyond_chance"]["low"], one["beyond_chance"]["high"])
        near(f"interval of {name}", ours, interval_of(judged, groups[name]))
    for found in answer["differences"]:
        theirs = interval_of(judged, groups[found["one"]], groups[found["other"]])
        near(f"difference of {found['one']} and {found['other']}", (found["low"], found["high"]), theirs)
    print("        answer:", answer["answer"])


def write(file, header, rows):
    with open(file, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows)


def spread(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def iso(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def olist(args, work):
    print("1. Olist")
    now = pandas.Timestamp.now(UTC).floor("s")
    leads = pandas.read_csv(args.olist[0], keep_default_na=False).set_index("mql_id")
    deals = pandas.read_csv(args.olist[1], keep_default_na=False).set_index("mql_id")
    won = pandas.to_datetime(deals.won_date, utc=True)
    taken = won.max().normalize() + DAY
    moved = now.normalize() - 3 * DAY - taken
    leads["captured"] = pandas.to_datetime(leads.first_contact_date, utc=True) + moved
    leads["country"] = [COUNTRIES[spread(id) % len(COUNTRIES)] for id in leads.index]
    leads["decided"] = (won + moved).reindex(leads.index)
    leads["outcome"] = numpy.where(leads.decided.notna(), "won", "open")
    given_up = leads.decided.isna() & (leads.first_contact_date < "2018-03-01")
    leads.loc[given_up, "decided"] = taken + moved
    leads.loc[given_up, "outcome"] = "lost"
    cents = pandas.Series({id: amount({"seller_id": deal.seller_id, "mql_id": id}) for id, deal in deals.iterrows()})
    leads["cents"] = cents.reindex(leads.index).fillna(0).astype(int)
    # Up to four views, half of the leads soon after they came, the others lately.
    views = {}
    for id, lead in leads.iterrows():
        draw = spread("views " + id)
        first = lead.captured if draw % 2 else now.normalize() - 40 * DAY
        gaps = [draw // 7 ** n % 13 for n in range(1, 1 + draw // 5 % 5)]
        days = [first + sum(gaps[:n + 1]) * DAY + pandas.Timedelta(hours=10) for n in range(len(gaps))]
        views[id] = [at for at in days if at < now - 8 * DAY]

    write(work / "leads.csv", ["external_id:olist", "occurred_at", "source.channel", "source.landing_page", "attributes.country"],
          ([id, iso(lead.captured), lead.origin, lead.landing_page_id, lead.country] for id, lead in leads.iterrows()))
    decided = leads[leads.outcome != "open"]
    write(work / "ends.csv", ["lead.external_id:olist", "occurred_at", "kind", "deal:olist", "amount.amount", "amount.currency"],
          ([id, iso(lead.decided), lead.outcome, *((deals.seller_id[id], f"{lead.cents / 100:.2f}", "BRL") if lead.outcome == "won" else ("", "", ""))]
           for id, lead in decided.iterrows()))
    (work / "data").mkdir()
    server = Server(args.leadloop, work / "data", HERE / "olist.yaml")
    try:
        server.imported("leads", work / "leads.csv", "--mode", "history")
        server.imported("feedback", work / "ends.csv", "--mode", "history")
        all_views = [{"lead": {"external_id": {"system": "olist", "id": id}}, "kind": "page_viewed", "occurred_at": iso(at), "id": f"{id} {n}",
                      "properties": {"path": "/"}} for id, ats in views.items() for n, at in enumerate(ats)]
        for start in range(0, len(all_views), 100):
            results = server.call("POST", "/v1/activities", {"activities": all_views[start:start + 100]}, role="capture")
            assert all(result["status"] in ("created", "updated") for result in results["results"]), results
        print(f"        {len(leads)} leads, {len(decided)} decided, {len(all_views)} page views")

        points = leads.origin.map({"paid_search": 40, "organic_search": 35, "social": 15}).fillna(0)
        best = leads.landing_page_id.str.startswith("b76")
        fit = points + 25 * best
        dach, elsewhere = leads.country.isin(DACH), leads.country.isin(KNOWN - DACH)
        searched = leads.origin.isin(["paid_search", "organic_search"])

        def held(seen, came_back, customer):
            """Who is in which segment, from the views so far and whether it bought."""
            seen, came_back = pandas.Series(seen).reindex(leads.index), pandas.Series(came_back).reindex(leads.index)
            return {
                "paid": leads.origin == "paid_search", "searched": searched, "dach": dach, "elsewhere": elsewhere,
                "best_page": best, "came_back": came_back, "never_looked": seen == 0, "good_fit": fit >= 40,
                "warm": (fit >= 40) & (seen > 0), "wide": (searched & (fit >= 60)) | (elsewhere & (seen > 0)),
                "customers": customer, "not_yet": (fit >= 40) & ~customer,
            }

        window = now.normalize() - 13 * DAY
        today = held({id: len(ats) for id, ats in views.items()},
                     {id: sum(at >= window for at in ats) >= 2 for id, ats in views.items()}, leads.outcome == "won")
        start = leads.captured.min().normalize().replace(day=1)
        names = ["paid,searched,best_page", "channel", "dach,elsewhere"]
        answer = report(server, **{"from": start.date(), "compare": "|".join(names)})
        members(server, answer, today)

        # The record of what never changes with a lead's days: from the first contact on; customers from the day they bought.
        for name, since in [*((name, leads.captured[today[name]]) for name in ("paid", "dach", "elsewhere", "best_page", "good_fit")),
                            ("customers", leads.decided[leads.outcome == "won"])]:
            (segment,) = [one for one in answer["segments"] if one["segment"] == name]
            ours = [(p["members"], p["entered"], p["left"]) for p in segment["periods"]]
            ends = [(pandas.Timestamp(p["from"]), pandas.Timestamp(p["to"])) for p in segment["periods"]]
            theirs = [(int((since < to).sum()), int(((since >= begin) & (since < to)).sum()), 0) for begin, to in ends]
            check(f"members of {name} at the end of {len(ours)} months", ours, theirs)

        for begin, end in ((start, now), (start + 20 * DAY, start + 75 * DAY)):
            words = {"from": begin.date(), "compare": "|".join(names)} | ({"to": end.date()} if end is not now else {})
            answer = report(server, **words)
            moment = (leads.decided - pandas.Timedelta(milliseconds=1)).fillna(now)
            last = numpy.minimum(moment, end - pandas.Timedelta(milliseconds=1) if end is not now else now)
            # Who was won before the first contact was no lead of marketing's: counted apart.
            sensible = ~(leads.decided < leads.captured)
            check("leads that sales found first", answer["apart"]["sales_came_first"], int((~sensible).sum()))
            counted = (leads.captured < end) & (moment >= begin) & sensible
            # A segment that looks at views holds at some moment of the time: look at each view, and at the beginning.
            ever = {name: [] for name in today}
            for id, lead in leads.iterrows():
                moments = [max(begin, lead.captured)] + [at for at in views[id] if begin <= at <= last[id]]
                told = {name: False for name in ("came_back", "never_looked", "seen")}
                for at in moments:
                    so_far = [view for view in views[id] if view <= at]
                    told["seen"] |= bool(so_far)
                    told["never_looked"] |= not so_far
                    told["came_back"] |= sum(view >= at.normalize() - 13 * DAY for view in so_far) >= 2
                ever_seen = told["seen"]
                ever["came_back"].append(told["came_back"])
                ever["never_looked"].append(told["never_looked"])
                ever["warm"].append(fit[id] >= 40 and ever_seen)
                ever["wide"].append((searched[id] and fit[id] >= 60) or (elsewhere[id] and ever_seen))
            was = today | {name: pandas.Series(held, leads.index) for name, held in ever.items() if held}
            was |= {"customers": pandas.Series(False, leads.index), "not_yet": fit >= 40}
            ours = {segment["segment"]: cohort_in(segment) for segment in answer["segments"]}
            theirs = {name: cohort_of(leads[counted & held]) for name, held in was.items()}
            check(f"cohorts of {len(ours)} segments, {begin.date()} to {end.date()}: { {name: (c['won'], c['lost'], c['open']) for name, c in ours.items()} }", ours, theirs)
            check(f"leads of the time: {answer['leads']}", answer["leads"], int(counted.sum()))
        looking = [segment["segment"] for segment in answer["segments"] if segment["looks_at_the_outcome"]]
        check("segments that look at the outcome", looking, ["customers", "not_yet"])

        answer = report(server, **{"from": start.date(), "compare": "|".join(names)})
        judged = leads[(leads.outcome != "open") & ~(leads.decided < leads.captured)]
        first = lambda *segments: numpy.select([today[name] for name in segments], segments, "none of these")
        groups = {"paid,searched,best_page": pandas.Series(first("paid", "searched", "best_page"), leads.index),
                  "channel": joined(leads.origin.where(leads.origin != ""), judged),
                  "dach,elsewhere": pandas.Series(first("dach", "elsewhere"), leads.index)}
        compared(answer, judged, groups, names)
    finally:
        server.stop()


def snake(column):
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()).strip("_")


def x_education(args, work):
    print("2. X Education")
    captured, ended = "2024-01-01", "2024-01-02"  # The data has no times: all came on one day and were decided on the next.
    leads = pandas.read_csv(args.x_education, dtype=str, keep_default_na=False).replace("Select", "")
    write(work / "leads.csv", ["external_id:x_education", "occurred_at", *("attributes." + snake(c) for c in leads.columns)],
          ([lead["Prospect ID"], captured, *lead] for _, lead in leads.iterrows()))
    write(work / "ends.csv", ["lead.external_id:x_education", "occurred_at", "kind", "deal:x_education"],
          ([lead["Prospect ID"], ended, *(("won", lead["Prospect ID"]) if lead["Converted"] == "1" else ("lost", ""))]
           for _, lead in leads.iterrows()))
    (work / "data").mkdir()
    server = Server(args.leadloop, work / "data", HERE / "x_education.yaml")
    try:
        server.imported("leads", work / "leads.csv", "--mode", "history")
        server.imported("feedback", work / "ends.csv", "--mode", "history")
        text = lambda column: leads[column].str.strip()
        time_spent = pandas.to_numeric(leads["Total Time Spent on Website"], errors="coerce")
        visits = pandas.to_numeric(leads["TotalVisits"], errors="coerce")
        country, occupation = text("Country"), text("What is your current occupation")
        source = text("Lead Source").str.lower()
        keen = (time_spent >= 600) | (visits >= 8)
        # "unknown" and the names of continents name no country: whether they are abroad cannot be known.
        names = {name for name in country.unique() if name.lower() not in
                 ("", "unknown", "asia/pacific region", "india")}
        fit = (occupation == "Working Professional") * 45 + (text("Lead Origin") == "Lead Add Form") * 30 + (time_spent >= 600) * 25
        won = leads["Converted"] == "1"
        today = {
            "landed": text("Lead Origin") == "Landing Page Submission", "india": country == "India",
            "abroad": country.isin(names), "keen": keen,
            "keen_from_search": keen & source.isin(["google", "organic search", "bing"]) & (text("Do Not Email") != "Yes"),
            "specialised": text("Specialization").str.lower().str.contains("management"), "not_given": occupation == "",
            "fitting": fit >= 45, "referred": text("Lead Source").str.match("Reference|Referral"), "customers": won,
        }
        compare = ["keen_from_search,keen", "fitting,referred", "attribute:lead_source", "label"]
        words = {"from": captured, "to": "2024-01-08", "per": "day", "compare": "|".join(compare)}
        answer = report(server, **words)
        members(server, answer, today)
        leads["outcome"] = numpy.where(won, "won", "lost")
        leads["captured"], leads["decided"], leads["cents"] = pandas.Timestamp(captured), pandas.Timestamp(ended), 0
        ours = {segment["segment"]: cohort_in(segment) for segment in answer["segments"]}
        was = today | {"customers": pandas.Series(False, leads.index)}
        theirs = {name: cohort_of(leads[held]) for name, held in was.items()}
        check(f"cohorts of {len(ours)} segments: { {name: (c['won'], c['lost']) for name, c in ours.items()} }", ours, theirs)
        first = lambda *segments: pandas.Series(numpy.select([today[name] for name in segments], segments, "none of these"), leads.index)
        label = pandas.Series(numpy.select([fit >= 70, fit >= 45, fit >= 20], ["a4", "b4", "c4"], "d4"), leads.index)
        groups = {"keen_from_search,keen": first("keen_from_search", "keen"), "fitting,referred": first("fitting", "referred"),
                  "attribute:lead_source": joined(text("Lead Source").where(leads["Lead Source"] != ""), leads), "label": joined(label, leads)}
        compared(answer, leads, groups, compare)
        # What sales wrote with the outcome separates best, and is named.
        answer = report(server, **(words | {"compare": "attribute:tags|fitting,referred"}))
        check(f"`tags` comes first and is named: {answer['compare'][0]['information_value']}",
              answer["answer"].startswith("`attribute:tags`") and any(said.startswith("`tags` is undated") for said in answer["caution"]), True)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--olist", nargs=2, type=pathlib.Path, metavar=("LEADS", "DEALS"))
    parser.add_argument("--x-education", type=pathlib.Path, metavar="LEADS")
    parser.add_argument("--leadloop", default=ROOT / "target" / "release" / "leadloop", type=pathlib.Path)
    args = parser.parse_args()
    for given, run in ((args.olist, olist), (args.x_education, x_education)):
        if given:
            with tempfile.TemporaryDirectory() as work:
                run(args, pathlib.Path(work))
    print("all equal")


if __name__ == "__main__":
    sys.exit(main())
