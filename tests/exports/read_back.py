#!/usr/bin/env python3
"""Exports as another reader sees them: row for row against what was put in, by pandas and LibreOffice.

    tests/exports/read_back.py [--leadloop target/release/leadloop] [--leads 400]

It starts its own server in a folder of its own, and needs pandas. LibreOffice (`soffice`) is used where it is installed; where it
is not, that part is said to be missing, and `--need-office` makes that a failure.

1. Everybody, as CSV and as JSON Lines: every row and cell is that of the lead; a text that a spreadsheet could run as a formula
   comes out as text in CSV and unchanged in JSON Lines, a phone number as it is dialled in both; LibreOffice, told to evaluate
   formulas, finds none.
2. What changed: after some were changed, withdrew or left, the rows say so, and nothing else.
3. An audience: the hashes are those of Python's hashlib, over a second writing of the destination's rules; two spellings of one
   Gmail address are one row, that stays while one of them does and goes when one of them withdraws.
4. Manifests: rows, bytes and SHA-256 are those of the file, which is what the link gives.
"""

import argparse
import hashlib
import io
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import pandas

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLUMNS = ["lead_id", "email", "phone", "country", "attributes.note", "attributes.size", "attributes.vip"]
# What spreadsheets run, or have run: https://owasp.org/www-community/attacks/CSV_Injection
NOTES = ["=1+1", "=HYPERLINK(\"http://x.example\",\"y\")", "+1+1", "-1+1", "@SUM(1+1)", "\t=1+1", "=cmd|' /C calc'!A0", "＝1+1",
         "|calc", "%0A", " =1+1", "plain", "with, comma", "with \"quotes\"", "two\nlines", "two\r\nlines", "ümläut 정", "'apostrophe",
         "1e5", "007", "TRUE", "2026-01-02"]
E164 = re.compile(r"^\+[0-9]{7,15}$")
RISKY = re.compile(r"^[ \u00a0\ufeff]*[=+\-@\t\r\n|%＝＋－＠]")


class Server:
    """A `leadloop dev` in a folder of its own."""

    def __init__(self, program, data):
        self.data = pathlib.Path(data)
        command = [program, "dev", "--port", "0", "--data-dir", self.data, "--template", ROOT / "template.yaml",
                   "--playbook", ROOT / "shared/testkit/src/playbook.json"]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit("leadloop dev did not start")
            try:
                self.url = json.loads((self.data / "endpoints.json").read_text())["api"]
                urllib.request.urlopen(self.url + "/health", timeout=5)
                break
            except (OSError, ValueError):
                time.sleep(0.1)
        self.tokens = json.loads((self.data / "tokens.json").read_text())

    def call(self, method, path, body=None, role="marketing"):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer " + self.tokens[role], "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + "/v1" + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def export(self, body):
        """Gives the answer of a finished export, and its files as they come over the links."""
        export = self.call("POST", "/segments/newsletter/exports", body)["export_id"]
        for _ in range(600):
            answer = self.call("GET", f"/exports/{export}")
            if answer["status"] in ("done", "failed"):
                break
            time.sleep(0.1)
        check("the export is done", answer["status"], "done")
        files = []
        for file in answer["files"]:
            with urllib.request.urlopen(file["link"], timeout=60) as got:
                content = got.read()
            with urllib.request.urlopen(file["manifest_link"], timeout=60) as got:
                check("the manifest beside the file is that of the answer", json.load(got), file["manifest"])
            manifest = file["manifest"]
            check("SHA-256 of the manifest", manifest["sha256"], hashlib.sha256(content).hexdigest())
            check("bytes of the manifest", manifest["bytes"], len(content))
            files.append((manifest, content))
        return answer, files


def check(what, ours, theirs):
    if ours != theirs:
        print(f"FAILED {what}\n    ours:   {str(ours)[:2000]}\n    theirs: {str(theirs)[:2000]}")
        raise SystemExit(1)
    check.held += 1


check.held = 0


def harmless(text):
    return "'" + text if RISKY.match(text) else text


def leads_of(count):
    """Leads of whom a third consented, a third not, and a third withdrew; only the first are in the segment."""
    rng = random.Random(7)
    leads = []
    for n in range(count):
        leads.append({
            "email": f"Person.{n}+tag@{'gmail.com' if n % 2 else 'company.example'}", "phone": f"+43664{1000000 + n}",
            "attributes": {"country": rng.choice(["AT", "DE", "CH"]), "note": NOTES[n % len(NOTES)], "size": rng.choice([n, n + 0.5]),
                           "vip": n % 5 == 0, "full_name": f"Ada Number{n}", "postal_code": f"1{n % 1000:03}"},
            "consent": [{"purpose": purpose, "status": "confirmed"} for purpose in ("marketing", "ad_audience")]
            if n % 3 == 0 else [{"purpose": "marketing", "status": ["confirmed", "pending", "withdrawn"][n % 3]}],
        })
    return leads


def put(server, leads):
    for start in range(0, len(leads), 100):
        results = server.call("POST", "/leads/batch", {"leads": leads[start:start + 100]})["results"]
        for lead, result in zip(leads[start:], results):
            if result["status"] == "rejected":
                raise SystemExit(f"rejected: {result}")
            lead["lead_id"] = result["lead_id"]
    for lead in leads:
        # Texts come back trimmed.
        lead["attributes"]["note"] = lead["attributes"]["note"].strip()
    return leads


def cells(lead):
    attributes = lead["attributes"]
    return {"lead_id": lead["lead_id"], "email": lead["email"].lower(), "phone": lead["phone"], "country": attributes["country"],
            "attributes.note": attributes["note"], "attributes.size": attributes["size"], "attributes.vip": attributes["vip"]}


def as_csv(value, name=""):
    if isinstance(value, bool):
        return str(value).lower()
    if name == "phone" and E164.match(value):
        return value
    return harmless(value) if isinstance(value, str) else str(value)


def frame(content):
    return pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def by_id(rows):
    return {row["lead_id"]: row for row in rows}


def everybody(server, leads, office):
    print("1. everybody")
    wanted = [lead for lead in leads if lead["consent"][0]["status"] == "confirmed"]
    body = {"format": "csv", "purpose": "marketing", "columns": COLUMNS}
    answer, [(manifest, content)] = server.export(body)
    table = frame(content)
    check("columns", list(table.columns), COLUMNS)
    check("rows of the manifest", (manifest["rows"], answer["rows"]), (len(table), len(table)))
    check("left out", answer["left_out"]["consent_pending"] + answer["left_out"]["consent_withdrawn"], 0)
    expected = {lead["lead_id"]: {name: as_csv(value, name) for name, value in cells(lead).items()} for lead in wanted}
    check("CSV, cell by cell", by_id(table.to_dict("records")), expected)
    risky = [cell for name in COLUMNS for cell in table[name] if RISKY.match(cell) and not (name == "phone" and E164.match(cell))]
    check("no cell begins as a formula", risky, [])
    answer, [(manifest, lines)] = server.export({**body, "format": "jsonl"})
    rows = pandas.read_json(io.BytesIO(lines), lines=True, dtype=False).to_dict("records")
    check("rows of the manifest", manifest["rows"], len(rows))
    check("JSON Lines, value by value", by_id(rows), {lead["lead_id"]: cells(lead) for lead in wanted})
    print(f"    {len(table)} rows, by pandas")
    in_office(content, table, office)


def formulas(content, office):
    """Gives the formulas that LibreOffice finds in a file, opened as somebody would who double-clicks it, and its rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "export.csv"
        path.write_bytes(content)
        # Comma, double quote, UTF-8, from line 1; formulas are evaluated where there are any, the worst case.
        options = "CSV:44,34,76,1,,0,false,true,false,false,false,-1,true"
        command = [office, f"-env:UserInstallation=file://{folder}/profile", "--headless", f"--infilter={options}",
                   "--convert-to", "fods", "--outdir", folder, str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        made = next(pathlib.Path(folder).glob("export*.fods")).read_text()
    return re.findall(r"table:formula=\"[^\"]*\"", made), len(re.findall(r"<table:table-row[ >]", made))


def in_office(content, table, office):
    if not office:
        print("    LibreOffice is not installed: not tried")
        return
    check("a file in which nothing is made harmless has formulas", len(formulas(b"a,b\r\n=1+1,=2+2\r\n", office)[0]), 2)
    found, rows = formulas(content, office)
    check("formulas in LibreOffice", found, [])
    check("LibreOffice has a row for each of ours", rows >= len(table), True)
    print(f"    {len(table)} rows and no formula, by LibreOffice")


def changes(server, leads):
    print("2. what changed")
    body = {"format": "csv", "purpose": "marketing", "columns": COLUMNS, "since": "last"}
    _, [(_, content)] = server.export(body)
    check("nothing changed since everybody was exported", len(frame(content)), 0)
    members = [lead for lead in leads if lead["consent"][0]["status"] == "confirmed"]
    changed, gone = members[0], members[1]
    put(server, [{"email": changed["email"], "attributes": {"note": "=2+2"}}])
    changed["attributes"]["note"] = "=2+2"
    server.call("POST", "/leads/batch", {"leads": [
        {"email": gone["email"], "consent": [{"purpose": "marketing", "status": "withdrawn"}]}]})
    answer, [(manifest, content)] = server.export(body)
    rows = by_id(frame(content).to_dict("records"))
    check("two rows", (set(rows), manifest["rows"]), ({changed["lead_id"], gone["lead_id"]}, 2))
    check("changed", rows[changed["lead_id"]],
          {"change": "changed", "reason": "", **{name: as_csv(value, name) for name, value in cells(changed).items()}})
    nothing = {name: "" for name in COLUMNS}
    check("removed", rows[gone["lead_id"]], {
        **nothing, "change": "removed", "reason": "consent_withdrawn", "lead_id": gone["lead_id"],
        "email": gone["email"].lower(), "phone": gone["phone"]})
    check("counts", answer["changes"], {"added": 0, "changed": 1, "removed": 1, "replaced": 0})
    gone["consent"][0]["status"] = "withdrawn"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def google(lead):
    user, domain = lead["email"].lower().split("@")
    if domain == "gmail.com":
        user = user.split("+")[0].replace(".", "")
    first, last = lead["attributes"]["full_name"].split()
    return (sha(f"{user}@{domain}"), sha(lead["phone"]), sha(first.lower()), sha(last.lower()), lead["attributes"]["country"],
            lead["attributes"]["postal_code"])


def meta(lead):
    first, last = lead["attributes"]["full_name"].split()
    return tuple(sha(text) for text in (lead["email"].lower(), lead["phone"].lstrip("+"), first.lower(), last.lower(),
                                        lead["attributes"]["country"].lower(), lead["attributes"]["postal_code"]))


def audiences(server, leads):
    print("3. audiences")
    # In the segment by the consent to be written to, in the file by the one to be matched.
    members = [lead for lead in leads if lead["consent"][0]["status"] == "confirmed"]
    wanted = [lead for lead in members if len(lead["consent"]) == 2]
    for preset, rule in (("google_customer_match", google), ("meta_custom_audiences", meta)):
        answer, [(manifest, content)] = server.export({"preset": preset})
        rows = {tuple(row) for row in frame(content).to_numpy()}
        check(preset, rows, {rule(lead) for lead in wanted})
        check("those without consent are counted", answer["left_out"]["no_consent"], len(members) - len(wanted))
        check("rows of the manifest", manifest["rows"], len(wanted))
        print(f"    {preset}: {len(rows)} rows")


def spellings(server):
    both = put(server, [{"email": email, "attributes": {"country": "AT", "note": "twin"},
                         "consent": [{"purpose": purpose, "status": "confirmed"} for purpose in ("marketing", "ad_audience")]}
                        for email in ("ada.lovelace@gmail.com", "adalovelace@gmail.com")])
    body = {"preset": "google_customer_match", "since": "last"}

    def changes_now():
        answer, files = server.export(body)
        return [[row[0] for row in frame(content).to_numpy()] for _, content in files], answer["left_out"]["withdrew_elsewhere"]

    def say(lead, purpose, status):
        server.call("POST", "/leads/batch", {"leads": [{"email": lead["email"], "consent": [{"purpose": purpose, "status": status}]}]})

    ada = sha("adalovelace@gmail.com")
    check("two spellings are one row", changes_now(), ([[ada], []], 0))
    say(both[0], "marketing", "withdrawn")
    check("one leaves the segment, and the other one stays", changes_now(), ([[], []], 0))
    say(both[0], "ad_audience", "withdrawn")
    check("one withdraws, and the other one is taken back", changes_now(), ([[], [ada]], 1))
    check("once", changes_now(), ([[], []], 1))
    print("    two spellings of one address")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leadloop", default=ROOT / "target/release/leadloop", type=pathlib.Path)
    parser.add_argument("--leads", default=400, type=int)
    parser.add_argument("--need-office", action="store_true")
    args = parser.parse_args()
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if args.need_office and not office:
        raise SystemExit("LibreOffice is not installed")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(args.leadloop, folder)
        try:
            leads = put(server, leads_of(args.leads))
            everybody(server, leads, office)
            changes(server, leads)
            audiences(server, leads)
            spellings(server)
        finally:
            server.process.send_signal(signal.SIGINT)
            server.process.wait(60)
    print(f"4. every file is as its manifest says; {check.held} comparisons held")


if __name__ == "__main__":
    sys.exit(main())
