"""What `.ci/system` does once tools and programs are there. See there for usage and settings."""

import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiosmtpd.controller
import boto3
import samcli
import standardwebhooks
from samcli.yamlhelper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ["LEADLOOP_BIN_DIR"]).resolve()
REGION = "eu-central-1"
STACK = "leadloop-system"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# The form that the stack is shown to score: one file serves both parts, and the tests in Rust.
FORM = ROOT / "events" / "lead-capture" / "form-json.202.json"


class Failed(Exception):
    """A check that did not hold; its text is what the reader needs to know."""


def say(text):
    print(f"system: {text}", flush=True)


def functions():
    return sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "Cargo.toml").exists())


def stem(name):
    return "".join(part.capitalize() for part in name.split("-"))


def program(name):
    path = BIN / name
    if not path.exists():
        raise Failed(f"there is no program {name} in {BIN}: build it first")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(**more):
    """This process's environment without any AWS setting of the person or machine that runs it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | CREDENTIALS | {"SAM_CLI_TELEMETRY": "0", "NO_COLOR": "1", "NO_PROXY": "127.0.0.1"} | more


def tail(path, lines=25):
    return "\n".join("    " + line for line in path.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def running(name, command, log, environment, cwd=ROOT):
    """A program for the length of a `with`; it and what it started are ended afterwards, whatever happened."""
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment, cwd=cwd, start_new_session=True,
        )
    try:
        yield process
    finally:
        for sign, patience in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(what, check, process, log, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = check()
        if result:
            return result
        if process.poll() is not None:
            raise Failed(f"{what}: the program ended with {process.returncode}\n{tail(log)}")
        time.sleep(0.1)
    raise Failed(f"{what}: not within {seconds} s\n{tail(log)}")


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def http(method, url, body=None, headers=None, seconds=60):
    """Status, headers and body, for any status; redirects are not followed."""
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with opener.open(request, timeout=seconds) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, refusal.read()
    except (urllib.error.URLError, OSError) as trouble:
        return 0, {}, str(trouble).encode()


# ---------------------------------------------------------------------------------------------------------- binaries


def template_environment(template, name, physical):
    """The variables that the template gives a function, with `physical` in place of what AWS would name."""
    defaults = {key: str(value["Default"]) for key, value in template["Parameters"].items() if "Default" in value}
    names = defaults | physical | {
        "AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": "000000000000", "AWS::StackName": STACK,
    }
    own = template["Resources"][f"{stem(name)}Function"]["Properties"].get("Environment", {}).get("Variables", {})
    result = {}
    for variable, value in (template["Globals"]["Function"]["Environment"]["Variables"] | own).items():
        if isinstance(value, dict) and value.get("Ref") == "AWS::NoValue":
            continue
        if isinstance(value, dict) and "Ref" in value:
            value = names.get(value["Ref"], value["Ref"])
        elif isinstance(value, dict) and "Fn::Sub" in value:
            value = re.sub(r"\$\{([^}]+)\}", lambda match: names.get(match[1], match[1]), value["Fn::Sub"])
        result[variable] = str(value)
    return result


def expectation(path):
    """`form-json.202.json` must be answered with status 202, `due.ok.json` without an error."""
    match = re.fullmatch(r"[a-z0-9-]+\.(\d{3}|ok)\.json", path.name)
    if not match:
        raise Failed(f"{path.relative_to(ROOT)}: the name must end in what is expected, .<status>.json or .ok.json")
    return match[1]


def check_answer(path, answer):
    """What is wrong with a function's answer to an event, or None."""
    expected = expectation(path)
    try:
        said = json.loads(answer)
    except ValueError:
        return f"not JSON: {answer[:300]!r}"
    if isinstance(said, dict) and "errorType" in said:
        return f"{said['errorType']}: {str(said.get('errorMessage'))[:300]}"
    if expected == "ok":
        return None
    status = said.get("statusCode") if isinstance(said, dict) else None
    if str(status) != expected:
        return f"status {status} instead of {expected}: {str(said.get('body') if isinstance(said, dict) else said)[:400]}"
    return None


def binaries(work):
    """Every function's real binary, under AWS's runtime interface emulator, fed every file of its folder in events/."""
    machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    emulator = pathlib.Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    data, log = work / "dev", work / "leadloop-dev.log"
    template = yaml_parse((ROOT / "template.yaml").read_text())
    wrong, fed = [], 0

    command = [program("leadloop"), "dev", "--port", "0", "--data-dir", data]
    with running("leadloop dev", command, log, clean_environment()) as dev:
        files = [data / "endpoints.json", data / "tokens.json"]
        wait_for("leadloop dev", lambda: all(file.exists() for file in files), dev, log, 90)
        endpoints, tokens = (json.loads(file.read_text()) for file in files)
        wait_for("leadloop dev", lambda: http("GET", endpoints["api"] + "/health")[0] == 200, dev, log, 30)
        say(f"leadloop dev answers at {endpoints['api']}")

        handed_off(endpoints["api"], tokens, "ada@company.example")
        say(heard_by_webhook(endpoints["api"], tokens))
        say(told_by_mail(work, data, endpoints, tokens, emulator, template))
        webhook = register(endpoints["api"], tokens, "https://hooks.example/leads")["id"]
        mapped(endpoints["api"], tokens)
        job = agreement(endpoints["api"], tokens)
        # The playbook's events last: they leave sweeps behind, which no other program could start here.
        for name in sorted(functions(), key=lambda name: name == "playbook"):
            events = sorted((ROOT / "events" / name).glob("*.json"))
            if not events:
                wrong.append(f"events/{name}/ holds no event")
                continue
            port, runtime_port, log_of = free_port(), free_port(), work / f"{name}.log"
            environment = clean_environment(
                **template_environment(template, name, {"ExportsBucket": "exports"}),
                AWS_ENDPOINT_URL="http://127.0.0.1:1",  # whatever is not embedded must fail at once, not reach AWS
                AWS_ENDPOINT_URL_DYNAMODB=endpoints["dynamodb"],
                AWS_ENDPOINT_URL_S3=endpoints["s3"],
                AWS_LAMBDA_FUNCTION_NAME=f"{STACK}-{name}",
                AWS_LAMBDA_FUNCTION_TIMEOUT="30",
            )
            command = [
                emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
                "--runtime-api-address", f"127.0.0.1:{runtime_port}", program(name),
            ]
            with running(name, command, log_of, environment) as process:
                wait_for(name, lambda: listens(port), process, log_of, 20)
                for path in events:
                    text = path.read_text()
                    for role, token in tokens.items():
                        text = text.replace(f"TOKEN_{role.upper()}", token)
                    text = text.replace("JOB_ID", job).replace("WEBHOOK_ID", webhook)
                    if "CONFIRM_TOKEN" in text:
                        lead = handed_off(endpoints["api"], tokens, f"confirm-{fed}@company.example")
                        text = text.replace("CONFIRM_TOKEN", confirm_link(mail_about(data, lead)).rsplit("/", 1)[1])
                    if re.search("(CLICK|OPEN|UNSUBSCRIBE|OPT_IN)_TOKEN", text):
                        address = f"mailed-{fed}@company.example"
                        lead = handed_off(endpoints["api"], tokens, address)
                        mark = hashlib.sha256(f"{lead}\0{address}".encode()).digest()[:8]
                        for word, purpose, rest in (
                            ("CLICK", "mail click", b"https://www.company.example/pricing"), ("OPEN", "mail open", b""),
                            ("UNSUBSCRIBE", "mail unsubscribe", b"\x01"), ("OPT_IN", "mail opt-in", b"\x01" + mark),
                        ):
                            text = text.replace(f"{word}_TOKEN", mail_token(endpoints, purpose, lead, rest))
                    if "LEAD_ID" in text:
                        text = text.replace("LEAD_ID", handed_off(endpoints["api"], tokens, f"ada-{fed}@company.example"))
                    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
                    _, _, answer = http("POST", url, text.encode())
                    fault = check_answer(path, answer)
                    fed += 1
                    if fault:
                        wrong.append(f"{path.relative_to(ROOT)}: {fault}")
                        say(f"  ✗ {name}: {path.name}: {fault}")
                    else:
                        say(f"  ✓ {name}: {path.name}")
            if any(line.startswith(f"events/{name}/") for line in wrong):
                print(tail(log_of), flush=True)
        # It makes a playbook version, of which the sample events know nothing.
        say(warmed_by_mail(work, endpoints, tokens, emulator, template))
    if wrong:
        raise Failed(f"{len(wrong)} of {fed} events:\n" + "\n".join("  " + line for line in wrong))
    return f"{fed} events through {len(functions())} functions"


class Letterbox:
    """What a mail server does with what it takes: it is kept."""

    def __init__(self):
        self.got = []

    async def handle_DATA(self, server, session, envelope):
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"


def parsed(raw):
    """A mail as Python's `email` reads it; what that library finds wrong with it is a failure."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    defects = [defect for part in mail.walk() for defect in part.defects]
    defects += [defect for value in mail.values() for defect in getattr(value, "defects", ())]
    if defects:
        raise Failed(f"a mail has defects: {defects}")
    return mail


def mail_about(data, lead):
    """The mail that `leadloop dev` wrote about a lead's hand-over."""
    found = lambda: next((data / "mails").glob(f"hand-off.{lead}.*.eml"), None)
    wait_until(f"a mail about {lead}", found, 30)
    return parsed(found().read_bytes())


def confirm_link(mail):
    # A mail's lines end in CRLF, of which `$` knows the second half.
    return re.search(r"^https?://\S+/t/f/\S+(?=\r?$)", mail.get_body(("plain",)).get_content(), re.MULTILINE)[0]


def mail_token(endpoints, purpose, lead, rest=b""):
    """The token of a link in yesterday's first mail to a lead, signed here as functions/nurture/src/link.rs says."""
    database = boto3.session.Session("test", "test", region_name=REGION).client("dynamodb", endpoint_url=endpoints["dynamodb"])
    kept = database.get_item(TableName="Catalog", Key={"kind": {"S": "link_key"}, "id": {"S": "keys"}})
    newest = json.loads(kept["Item"]["body"]["S"])["keys"][0]
    written = int(time.time() * 1000) - 86_400_000
    # Its form, the lead, the mail's number, when it was written; neither program nor content.
    about = b"\x01" + lead.encode() + struct.pack(">Iq", 1, written) + b"\0\0" + rest
    signed = bytes.fromhex(newest["id"]) + struct.pack(">q", written + 3_652 * 86_400_000) + about
    code = hmac.digest(base64.b64decode(newest["secret"]), purpose.encode() + b"\0" + signed, "sha256")[:16]
    return base64.urlsafe_b64encode(signed + code).decode().rstrip("=")


def told_by_mail(work, data, endpoints, tokens, emulator, template):
    """The real `notify` sends a mail to a real mail server; another library reads it, and its link answers."""
    name = 'Žofia "die" <script>alert(1)</script>\r\nBcc: eve@evil.example'
    api, letterbox = endpoints["api"], Letterbox()
    lead = handed_off(api, tokens, "mail@company.example", name)
    written = mail_about(data, lead)
    # `leadloop dev` has told its owner already: here that is forgotten, so that the program has something to do.
    aws = boto3.session.Session("test", "test", region_name=REGION)
    database = aws.client("dynamodb", endpoint_url=endpoints["dynamodb"])
    kept = database.query(TableName="Catalog", KeyConditionExpression="kind = :k", ExpressionAttributeValues={":k": {"S": "claim"}})
    claims = [item for item in kept["Items"] if lead in item["id"]["S"]]
    if len(claims) != 1:
        raise Failed(f"{len(claims)} claims about one hand-over")
    database.delete_item(TableName="Catalog", Key={"kind": claims[0]["kind"], "id": claims[0]["id"]})
    server = aiosmtpd.controller.Controller(letterbox, hostname="127.0.0.1", port=free_port())
    server.start()
    port, runtime_port, log = free_port(), free_port(), work / "notify-by-smtp.log"
    environment = clean_environment(**template_environment(template, "notify", {}) | {
        "MAIL_TRANSPORT": "smtp", "MAIL_FROM": "leads@company.example", "MAIL_FROM_NAME": "Leads, büro",
        "SMTP_URL": f"smtp://127.0.0.1:{server.port}", "PUBLIC_BASE_URL": api,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_DYNAMODB": endpoints["dynamodb"],
        "AWS_LAMBDA_FUNCTION_NAME": f"{STACK}-notify", "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
    })
    command = [
        emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
        "--runtime-api-address", f"127.0.0.1:{runtime_port}", program("notify"),
    ]
    event = (ROOT / "events" / "notify" / "queue-handed-off.ok.json").read_text().replace("LEAD_ID", lead)
    try:
        with running("notify", command, log, environment) as process:
            wait_for("notify", lambda: listens(port), process, log, 20)
            for _ in range(2):  # the second time there is nothing left to tell
                url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
                _, _, answer = http("POST", url, event.encode())
                if json.loads(answer) != {"batchItemFailures": []}:
                    raise Failed(f"notify answered {answer[:500]!r}\n{tail(log)}")
    finally:
        server.stop()
    if len(letterbox.got) != 1:
        raise Failed(f"{len(letterbox.got)} mails for one hand-over\n{tail(log)}")
    [(mail_from, recipients, raw)] = letterbox.got
    mail = parsed(raw)
    [owner] = recipients
    headers = sorted(header.lower() for header in mail.keys() if not header.lower().startswith("x-"))
    wanted = ["auto-submitted", "content-type", "date", "from", "message-id", "mime-version", "subject", "to"]
    html, text = (mail.get_body((kind,)).get_content() for kind in ("html", "plain"))
    for what, holds in {
        "the envelope's sender": mail_from == "leads@company.example",
        "the recipient": mail["to"].addresses[0].addr_spec == owner == "anna.berger@company.example",
        "the sender's name": mail["from"].addresses[0].display_name == "Leads, büro",
        f"the headers {headers}": headers == wanted,
        "the same id as the file's": mail["message-id"].split("@")[0] == written["message-id"].split("@")[0],
        "the subject": mail["subject"] == written["subject"] and 'Žofia "die" <script>' in mail["subject"],
        "one line of a name": "Bcc: eve@evil.example" not in text.splitlines(),
        "escaped HTML": "<script" not in html and "&lt;script&gt;" in html,
        "what Python reads as multipart/alternative": mail.get_content_type() == "multipart/alternative",
        "Auto-Submitted": mail["auto-submitted"] == "auto-generated",
        "lines of at most 998 bytes": all(len(line) <= 998 for line in raw.splitlines()),
    }.items():
        if not holds:
            raise Failed(f"a mail has not {what}:\n{raw.decode(errors='replace')}")
    link = confirm_link(mail)
    status, _, page = http("GET", link)
    if status != 200 or b"<script" in page:
        raise Failed(f"GET {link}: {status}: {page[:500].decode(errors='replace')}")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for said in (b"Thank you, recorded", b"recorded before"):
        status, _, page = http("POST", link, b"answer=accepted&note=Gr%C3%BC%C3%9Fe", form)
        if status != 200 or said not in page:
            raise Failed(f"POST {link}: {status}: {page[:2000].decode(errors='replace')}")
    return "one mail over SMTP for one hand-over; Python's email reads it without a defect, and its link answers"


def warmed_by_mail(work, endpoints, tokens, emulator, template):
    """The real `nurture` mails a lead over a real mail server; another library reads it, and its links lead and unsubscribe."""
    api, letterbox = endpoints["api"], Letterbox()

    def ask(role, method, path, body=None, expected=(200, 201)):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {tokens[role]}"}
        status, _, answer = http(method, api + path, json.dumps(body).encode() if body is not None else None, headers)
        if status not in expected:
            raise Failed(f"{method} {path}: {status}: {answer[:500].decode(errors='replace')}")
        return json.loads(answer)

    document = ask("marketing", "GET", "/v1/playbooks/active")["document"]
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    document["nurture"] |= {"hours": {day: "00:00-24:00" for day in days}, "holidays": [], "track_opens": "always"}
    audience = {"attribute": "job_title", "equals": "Clerk"}
    document["programs"] = [{"id": "warm", "priority": 1, "audience": audience, "first_after_days": 0, "content": ["system-guide"]}]
    version = ask("marketing", "POST", "/v1/playbooks", document)["version"]
    ask("marketing", "POST", f"/v1/playbooks/{version}/propose")
    ask("marketing", "POST", f"/v1/playbooks/{version}/signoffs")
    ask("marketing", "POST", f"/v1/playbooks/{version}/activate")
    piece = {"title": "Žofia’s guide", "url": "/papers/guide?a=1&b=2", "kind": "guide"}
    ask("marketing", "PUT", "/v1/content/system-guide", piece)

    server = aiosmtpd.controller.Controller(letterbox, hostname="127.0.0.1", port=free_port())
    server.start()
    port, runtime_port, log = free_port(), free_port(), work / "nurture-by-smtp.log"
    environment = clean_environment(**template_environment(template, "nurture", {}) | {
        "MAIL_TRANSPORT": "smtp", "MAIL_FROM": "hello@company.example", "MAIL_FROM_NAME": "Company, büro",
        "SMTP_URL": f"smtp://127.0.0.1:{server.port}", "PUBLIC_BASE_URL": api, "MAILS_PER_SECOND": "100",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_DYNAMODB": endpoints["dynamodb"],
        "AWS_LAMBDA_FUNCTION_NAME": f"{STACK}-nurture", "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
    })
    command = [
        emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
        "--runtime-api-address", f"127.0.0.1:{runtime_port}", program("nurture"),
    ]
    name = 'Žofia "die" <script>alert(1)</script>\r\nBcc: eve@evil.example'
    try:
        with running("nurture", command, log, environment) as process:
            wait_for("nurture", lambda: listens(port), process, log, 20)
            url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
            # `leadloop dev` ticks once a minute too, and writes a file: whoever it mails first is not ours.
            for n in range(5):
                lead = ask("marketing", "POST", "/v1/leads", {
                    "email": f"warm-{n}@company.example", "attributes": {"full_name": name, "job_title": "Clerk"},
                    "consent": [{"purpose": "marketing", "status": "confirmed", "basis": "consent"}],
                })["lead_id"]
                time.sleep(1.1)  # the index of what is due knows whole seconds
                for _ in range(2):  # the second time nothing is due
                    _, _, answer = http("POST", url, b'{"action": "due"}')
                    if "sent" not in json.loads(answer):
                        raise Failed(f"nurture answered {answer[:500]!r}\n{tail(log)}")
                ours = [got for got in letterbox.got if got[1] == [f"warm-{n}@company.example"]]
                if ours:
                    break
            else:
                raise Failed(f"no mail to a lead over SMTP: {answer[:300]!r}\n{tail(log)}")
    finally:
        server.stop()
    [(mail_from, recipients, raw)] = ours
    mail = parsed(raw)
    headers = sorted(header.lower() for header in mail.keys() if not header.lower().startswith("x-"))
    wanted = ["auto-submitted", "content-type", "date", "from", "list-id", "list-unsubscribe", "list-unsubscribe-post",
              "message-id", "mime-version", "subject", "to"]
    html, text = (mail.get_body((kind,)).get_content() for kind in ("html", "plain"))
    unsubscribe = str(mail["list-unsubscribe"]).strip("<>")
    click, pixel = (re.search(rf"{re.escape(api)}/t/{kind}/[A-Za-z0-9_-]+", html)[0] for kind in "co")
    for what, holds in {
        "the envelope's sender": mail_from == "hello@company.example",
        "the recipient": mail["to"].addresses[0].addr_spec == recipients[0] == f"warm-{n}@company.example",
        "the sender's name": mail["from"].addresses[0].display_name == "Company, büro",
        f"the headers {headers}": headers == wanted,
        "its own id": mail["message-id"] == f"<nurture.{lead}.1@company.example>",
        "one click to unsubscribe (RFC 8058)": mail["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        and unsubscribe.startswith(f"{api}/t/u/"),
        "the piece": "Žofia’s guide" in html and "Žofia’s guide" in text,
        "the postal address": all("Hauptstraße 1" in part for part in (html, text)),
        "escaped HTML": "<script" not in html,
        "nobody's address in its links": "warm-" not in html and "warm-" not in text,
        "what Python reads as multipart/alternative": mail.get_content_type() == "multipart/alternative",
        "lines of at most 998 bytes": all(len(line) <= 998 for line in raw.splitlines()),
    }.items():
        if not holds:
            raise Failed(f"a mail to a lead has not {what}:\n{raw.decode(errors='replace')}")
    status, headers, _ = http("GET", click, None, {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"})
    target = headers.get("location") or headers.get("Location") or ""
    if status not in (302, 303) or not target.startswith("https://www.company.example/papers/guide?a=1&b=2&utm_"):
        raise Failed(f"GET {click}: {status}, to {target}")
    status, headers, body = http("GET", pixel)
    if status != 200 or not body.startswith(b"GIF8"):
        raise Failed(f"GET {pixel}: {status}, {body[:40]}")
    status, _, page = http("POST", unsubscribe, b"List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"})
    if status != 200:
        raise Failed(f"POST {unsubscribe}: {status}: {page[:500].decode(errors='replace')}")
    shown = ask("sales", "GET", f"/v1/leads/{lead}?limit=100")
    [consent] = [consent for consent in shown["consent"] if consent["purpose"] == "marketing"]
    kinds = [entry.get("activity") for entry in shown["timeline"]["items"]]
    if consent["status"] != "withdrawn" or shown["nurture"]["program"] is not None or "email_sent" not in kinds:
        raise Failed(f"after one click: {consent}, {shown['nurture']}, {kinds}")
    return "one mail to a lead over SMTP; Python's email reads it without a defect, its links lead on, and one click ends it"


def register(api, tokens, url, path="/v1/webhooks"):
    """Registers a webhook, or makes a new secret for one; gives the answer, with the secret."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {tokens['admin']}"}
    body = json.dumps({"url": url}).encode() if url else None
    status, _, answer = http("POST", api + path, body, headers)
    if status not in (200, 201):
        raise Failed(f"POST {path}: {status}: {answer[:500].decode(errors='replace')}")
    return json.loads(answer)


def mapped(api, tokens):
    """Says how the CRM `crm` of the sample events tells us, as `tests/tests/acceptance/events.rs` does."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {tokens['admin']}"}
    auth = {"kind": "header", "header": "x-api-key", "secret": "a-key-of-the-crm"}
    body = json.dumps({"preset": "salesforce", "auth": auth}).encode()
    status, _, answer = http("PUT", api + "/v1/crm/mappings/crm", body, headers)
    if status != 200:
        raise Failed(f"PUT /v1/crm/mappings/crm: {status}: {answer[:500].decode(errors='replace')}")


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks that keeps what it hears, and refuses the first message with 500."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.heard = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class ReceiverHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((dict(self.headers.items()), body))
        self.send_response(500 if len(self.server.heard) == 1 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


def heard_by_webhook(api, tokens):
    """`leadloop dev` sends what happens to a receiver that believes only what the published library verifies."""
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        made = register(api, tokens, receiver.url)
        handed_off(api, tokens, "hook-1@company.example")
        wait_until("webhooks", lambda: len({h["webhook-id"] for h, _ in receiver.heard[1:]}) >= 4, 60)
        refused = receiver.heard[0][0]["webhook-id"]
        wait_until("the refused message, once more", lambda: refused in {h["webhook-id"] for h, _ in receiver.heard[1:]}, 60)
        first, before = standardwebhooks.Webhook(made["secret"]), len(receiver.heard)
        for headers, body in receiver.heard:
            if first.verify(body, headers)["id"] != headers["webhook-id"]:
                raise Failed("a message has another id than its event")
        second = standardwebhooks.Webhook(register(api, tokens, None, f"/v1/webhooks/{made['id']}/rotate")["secret"])
        handed_off(api, tokens, "hook-2@company.example")
        wait_until("webhooks after the rotation", lambda: len(receiver.heard) >= before + 4, 60)
        for headers, body in receiver.heard[before:]:
            first.verify(body, headers)
            second.verify(body, headers)
        headers, body = receiver.heard[-1]
        for forged, of in ((body + b" ", headers), (body, headers | {"webhook-id": "evt_other"})):
            try:
                first.verify(forged, of)
            except standardwebhooks.WebhookVerificationError:
                continue
            raise Failed("the published library believes a message that was changed")
        types = sorted({json.loads(body)["type"].rsplit(".", 1)[1] for _, body in receiver.heard})
        receiver.shutdown()
        return f"{len(receiver.heard)} webhooks verified by standardwebhooks, also while a secret is rotated: {', '.join(types)}"


def wait_until(what, check, seconds):
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def handed_off(api, tokens, email, name="Ada Example"):
    """Makes a lead that the starter playbook hands to sales, and gives its id."""
    form = {
        "email": email, "full_name": name, "company": "Company Ltd.", "country": "Austria",
        "job_title": "Head of Sales", "company_size": "120", "submission_id": email,
    }
    headers = {"Content-Type": "application/json"}
    http("POST", f"{api}/v1/forms/contact", json.dumps(form).encode(), headers)
    headers["Authorization"] = f"Bearer {tokens['sales']}"
    _, _, found = http("POST", f"{api}/v1/leads/lookup", json.dumps({"email": email}).encode(), headers)
    return json.loads(found)["items"][0]["lead_id"]


def agreement(api, tokens):
    """Writes the versions that the events speak of (see tests/tests/acceptance/events.rs); gives a backtest of version 2."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {tokens['marketing']}"}

    def call(method, path, body=None):
        status, _, answer = http(method, api + path, json.dumps(body).encode() if body else None, headers)
        if status not in (200, 201):
            raise Failed(f"{method} {path}: {status}: {answer[:500].decode(errors='replace')}")
        return json.loads(answer)

    active = call("GET", "/v1/playbooks/active")["document"]
    sample = {"id": "event_sample", "when": {"fit": {"at_least": 50}}}
    call("POST", "/v1/playbooks", active | {"promises": {"first_answer_hours": 12}})
    call("POST", "/v1/playbooks/2/propose")
    call("POST", "/v1/playbooks", active | {"segments": active["segments"] + [sample]})
    call("POST", "/v1/playbooks/3/propose")
    call("POST", "/v1/playbooks/3/signoffs")
    call("POST", "/v1/playbooks", active | {"name": "Another name"})
    return call("POST", "/v1/playbooks/2/backtest")["job"]


# ------------------------------------------------------------------------------------------------------------- stack


def sam(work, environment, *arguments, seconds=1800):
    log = work / f"sam-{arguments[0]}.log"
    with open(log, "wb") as out:
        code = subprocess.run(
            ["sam", *[str(argument) for argument in arguments]], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, timeout=seconds,
        ).returncode
    if code != 0:
        raise Failed(f"sam {arguments[0]} ended with {code}\n{tail(log, 40)}")


def copy_build(work):
    """The layout that `sam build` makes, from programs that are compiled already: `CodeUri` is all it changes too."""
    build = work / "build"
    text = (ROOT / "template.yaml").read_text()
    for name in functions():
        folder = build / f"{stem(name)}Function"
        folder.mkdir(parents=True)
        subprocess.run(["strip", "-o", folder / "bootstrap", program(name)], check=True)
        text, count = re.subn(rf"CodeUri: functions/{name}\n", f"CodeUri: {folder.name}\n", text)
        if count != 1:
            raise Failed(f"template.yaml names functions/{name} {count} times, not once")
    shutil.copytree(ROOT / "statemachines", build / "statemachines")
    (build / "template.yaml").write_text(text)
    return build / "template.yaml"


def without_metric_filters(template):
    """The one kind of resource in the template that the emulator cannot make, and that nothing else refers to."""
    filters = sum(resource["Type"] == "AWS::Logs::MetricFilter"
                  for resource in yaml_parse(template.read_text())["Resources"].values())
    text, count = re.subn(r"(?m)^  \w+:\n    Type: AWS::Logs::MetricFilter\n(    .*\n)+", "", template.read_text())
    if count != filters:
        raise Failed(f"{template} has {filters} metric filters, of which {count} were found")
    template.write_text(text)


def post_form(api):
    event = json.loads(FORM.read_text())
    body = event["body"].encode()
    status, _, answer = http(event["httpMethod"], api + event["path"], body, event["headers"])
    if status != 202:
        raise Failed(f"the form was answered with {status} instead of 202: {answer[:500].decode(errors='replace')}")


def stack(work):
    """The template, but for its metric filters, in an emulated AWS: bootstrapped, scoring a form that its API was sent, and
    telling of it."""
    if not FORM.exists():
        raise Failed(f"{FORM.relative_to(ROOT)} is missing: it is the form that is posted")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    scratch = work / "emulator"
    scratch.mkdir()
    environment = clean_environment(AWS_ENDPOINT_URL=endpoint)
    emulator_environment = environment | {
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION, "TMPDIR": str(scratch),
        "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0",  # they would listen on every address of the machine
    }
    log = work / "ministack.log"
    with running("ministack", ["ministack"], log, emulator_environment, cwd=scratch) as emulator:
        wait_for("ministack", lambda: http("GET", endpoint + "/_ministack/health")[0] == 200, emulator, log, 60)
        say(f"the emulated AWS answers at {endpoint}")

        machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
        parameters = ["ProtectData=no", f"Architecture={machine}"]
        if os.environ.get("LEADLOOP_SYSTEM_BUILD", "copy") == "sam":
            say("sam build")
            sam(work, environment, "build", "--build-dir", work / "build", "--parameter-overrides", *parameters)
            template = work / "build" / "template.yaml"
        else:
            template = copy_build(work)
        without_metric_filters(template)

        say("sam deploy")
        sam(work, environment, "deploy", "--config-file", ROOT / "samconfig.toml", "--template-file", template,
            "--stack-name", STACK, "--no-confirm-changeset", "--no-progressbar", "--parameter-overrides", *parameters)
        aws = boto3.session.Session("test", "test", region_name=REGION)
        client = lambda service: aws.client(service, endpoint_url=endpoint)
        described = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        if described["StackStatus"] != "CREATE_COMPLETE":
            raise Failed(f"the stack is {described['StackStatus']}: {described.get('StackStatusReason')}")
        outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        # The emulator answers under a path what AWS answers under a name: https://<id>.execute-api.…/<stage>
        api_id, stage = re.match(r"https://([^.]+)\.execute-api\.[^/]+/(\w+)$", outputs["ApiUrl"]).groups()
        api = f"{endpoint}/_aws/execute-api/{api_id}/{stage}"

        say(f"leadloop bootstrap --stack {STACK}")
        done = subprocess.run([program("leadloop"), "bootstrap", "--stack", STACK], cwd=ROOT, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise Failed(f"leadloop bootstrap ended with {done.returncode}: {done.stderr[-1500:]}")
        words = re.findall(r"[A-Za-z0-9_\-]{24,}", done.stdout)
        if not words:
            raise Failed(f"leadloop bootstrap printed no token: {done.stdout[-500:]!r}")

        status, _, answer = http("GET", api + "/health")
        if status != 200:
            raise Failed(f"GET /health: {status}: {answer[:300]!r}")
        status, _, answer = http("GET", api + "/v1/tokens", headers={"authorization": f"Bearer {words[-1]}"})
        if status != 200:
            raise Failed(f"the token that bootstrap printed does not open GET /v1/tokens: {status}: {answer[:300]!r}")
        status, _, _ = http("GET", api + "/v1/tokens")
        if status != 401:
            raise Failed(f"GET /v1/tokens without a token: {status} instead of 401")
        say("the printed token opens the API, and none does not")

        # Who listens on the bus, and a webhook that nobody answers.
        bus, rules, queues = outputs["EventBusName"], client("events"), client("sqs")
        listener = queues.create_queue(QueueName="listener")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=listener, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rules.put_rule(Name="everything", EventBusName=bus, EventPattern='{"source":["leadloop"]}')
        rules.put_targets(Rule="everything", EventBusName=bus, Targets=[{"Id": "listener", "Arn": arn}])
        webhook = register(api, {"admin": words[-1]}, "https://nobody.invalid/hook")["id"]

        # Posted twice as it stands: one submission id, so one lead. (The emulator also hands a function the same event
        # again now and then while it ends it, as AWS may.)
        post_form(api)
        post_form(api)
        leads = client("dynamodb").scan(TableName=outputs["LeadsTable"], ConsistentRead=True)["Items"]
        if len(leads) != 1:
            raise Failed(f"there are {len(leads)} leads instead of 1 after the form was posted")
        scored = sorted({"score", "label"} & leads[0].keys())
        if not scored:
            raise Failed(f"the lead carries neither score nor label, only {', '.join(sorted(leads[0]))}")
        say(f"the form became one lead, scored: it carries {' and '.join(scored)}")

        answer = client("lambda").invoke(FunctionName=f"{STACK}-rescore", Payload=b'{"action":"due"}')
        said = answer["Payload"].read().decode(errors="replace")
        if answer.get("FunctionError"):
            raise Failed(f"rescore did not do what the schedule asks of it: {said[:500]}")
        say(f"rescore does what its schedule asks: {said[:200]}")

        types, headers = set(), {"authorization": f"Bearer {words[-1]}"}

        def heard():
            for message in queues.receive_message(QueueUrl=listener, MaxNumberOfMessages=10).get("Messages", []):
                event = json.loads(message["Body"])["detail"]
                if event["subject"] != leads[0]["lead_id"]["S"]:
                    raise Failed(f"an event about another lead: {event}")
                types.add(event["type"].rsplit(".", 1)[1])
            return len(types) >= 4

        wait_until("events on the bus", heard, 60)
        say(f"dispatch told the bus: {', '.join(sorted(types))}")

        def tried():
            _, _, answer = http("GET", f"{api}/v1/webhooks/{webhook}", headers=headers)
            return "resolved" in json.loads(answer).get("last_failure", {}).get("how", "")

        wait_until("a try at the webhook", tried, 60)
        say("deliver tried the webhook and says that its host cannot be resolved")

        for url in queues.list_queues().get("QueueUrls", []):
            if "DeadLetters" not in url:
                continue
            found = queues.receive_message(QueueUrl=url).get("Messages")
            if found:
                raise Failed(f"a dead letter in {url.rsplit('/', 1)[1]}: {found[0]['Body'][:500]}")
    resources = len(yaml_parse((ROOT / "template.yaml").read_text())["Resources"])
    return f"{resources} resources deployed, one form posted, scored and told"


def main():
    os.environ["NO_PROXY"] = "127.0.0.1"
    parts = {"binaries": binaries, "stack": stack}
    chosen = sys.argv[1:] or list(parts)
    unknown = [name for name in chosen if name not in parts]
    if unknown:
        sys.exit(f"system: no part {unknown[0]}; there are {', '.join(parts)}")
    failed = []
    for name in chosen:
        work = pathlib.Path(tempfile.mkdtemp(prefix=f"leadloop-system-{name}-"))
        began = time.monotonic()
        say(f"== {name}")
        try:
            say(f"{name} passed: {parts[name](work)}, {time.monotonic() - began:.0f} s")
        except (Failed, OSError, KeyError, ValueError, subprocess.SubprocessError) as reason:
            failed.append(name)
            say(f"{name} FAILED after {time.monotonic() - began:.0f} s: {type(reason).__name__}: {reason}")
        finally:
            if os.environ.get("LEADLOOP_SYSTEM_KEEP"):
                say(f"logs are in {work}")
            else:
                shutil.rmtree(work, ignore_errors=True)
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
