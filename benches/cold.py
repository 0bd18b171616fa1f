"""P7: the first and the later answers of a function under AWS's runtime interface emulator.

    RIE=…/aws-lambda-rie-x86_64 python cold.py [--database JSON] RUNS NAME[@EVENT]=COMMAND…

Commands take turns, so that a busy moment of the machine meets all of them. The emulator starts a function with its
first event, so the time from that event to its answer holds everything: process, init, connection, first write. Each
event gets an e-mail address and a submission id of its own; EVENT is a file of API Gateway's with a form in JSON, or
else a handler gets a lead as the yardsticks' handlers read it. `--database` is the line that `benches serve` prints; its
endpoint and some credentials go into the environment. The emulator is part of the package aws-sam-cli.
"""
import argparse, http.client, json, os, pathlib, re, shlex, signal, socket, statistics, subprocess, time

parser = argparse.ArgumentParser()
parser.add_argument("--database", type=json.loads)
parser.add_argument("runs", type=int)
parser.add_argument("commands", nargs="+")
options = parser.parse_args()

environment = dict(os.environ) | {
    "AWS_ACCESS_KEY_ID": "benchmarks", "AWS_SECRET_ACCESS_KEY": "benchmarks", "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_LAMBDA_FUNCTION_NAME": "cold",
    "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
} | {f"{name.upper()}_TABLE": name.capitalize() for name in ("leads", "timeline", "identities", "catalog", "outbox")}
if options.database:
    environment |= {"AWS_ENDPOINT_URL": options.database["endpoint"], "DDB_ENDPOINT": options.database["endpoint"]}


def event(file):
    """An event that nobody sent before."""
    unique = f"{os.getpid()}-{time.time_ns()}"
    if file:
        sent = json.loads(pathlib.Path(file).read_text())
        body = json.loads(sent["body"]) | {"email": f"cold-{unique}@company.example", "submission_id": unique}
    else:
        sent = {"version": "2.0", "rawPath": "/leads", "headers": {}, "isBase64Encoded": False,
                "requestContext": {"http": {"method": "POST", "path": "/leads"}}}
        body = {"event_id": unique, "email": f"cold-{unique}@company.example", "name": "Ada Example",
                "company": "Company Ltd.", "country": "AT", "employees": 120, "source": "web_form"}
    return json.dumps(sent | {"body": json.dumps(body)})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def invoke(port, sent):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    begin = time.perf_counter()
    connection.request("POST", "/2015-03-31/functions/function/invocations", sent)
    answer = connection.getresponse().read()
    milliseconds = (time.perf_counter() - begin) * 1e3
    if json.loads(answer).get("statusCode") not in (200, 202):
        raise SystemExit(f"answered {answer[:500]!r}")
    return milliseconds


def used(process_group):
    """CPU milliseconds and resident MiB of the function: the emulator's youngest descendant."""
    for entry in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True):
        try:
            fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == process_group or os.getpgid(entry) == process_group or os.getsid(entry) == process_group:
                if entry == process_group:
                    continue
                threads = pathlib.Path(f"/proc/{entry}/task").iterdir()
                cpu = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e6
                resident = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{entry}/status").read_text())
                return cpu, int(resident[1]) / 1024
        except (OSError, IndexError):
            continue
    return float("nan"), float("nan")


def run(command, file):
    port, runtime_port = free_port(), free_port()
    emulator = subprocess.Popen(
        [os.environ["RIE"], "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
         "--runtime-api-address", f"127.0.0.1:{runtime_port}", *shlex.split(command)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.005)
        time.sleep(0.05)
        first = invoke(port, event(file))
        cpu, _ = used(emulator.pid)
        later = [invoke(port, event(file)) for _ in range(19)]
        _, resident = used(emulator.pid)
    finally:
        os.killpg(emulator.pid, signal.SIGKILL)
        said = emulator.stdout.read().decode(errors="replace")
        emulator.wait()
    init = re.search(r"Init Duration: ([\d.]+) ms\s+Duration: ([\d.]+) ms", said)
    return {"first": first, "later": statistics.median(later), "init": float(init[1]) if init else float("nan"),
            "first_duration": float(init[2]) if init else float("nan"), "cpu_to_first": cpu, "rss": resident}


named = [command.split("=", 1) for command in options.commands]
results = {name: [] for name, _ in named}
for _ in range(options.runs):
    for name, command in named:
        results[name].append(run(command, name.partition("@")[2]))
for name, runs in results.items():
    figure = lambda key: (lambda v: f"{key}={statistics.median(v):.1f} ({v[0]:.1f}–{v[-1]:.1f})")(sorted(r[key] for r in runs))
    print(f"cold {name.partition('@')[0]} runs={len(runs)} ms: " + " ".join(map(figure, ("first", "init", "first_duration", "later", "cpu_to_first"))),
          figure("rss") + " MiB")
