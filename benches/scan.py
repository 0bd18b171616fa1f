"""Reads every lead with boto3, for P2.

    python scan.py ENDPOINT Leads              the table that `benches fill` filled, as it is
    python scan.py ENDPOINT fill LEADS         makes a table `nested` as one would without Leadloop: a map of attributes,
                                               a list of what the lead did, each a map
    python scan.py ENDPOINT nested             reads that

Each prints leads per CPU second of this process; boto3's resource gives each lead as a dictionary, nothing is scored.
"""
import os, random, resource, sys, time
os.environ.update(AWS_ACCESS_KEY_ID="leadloop-local", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="eu-central-1")
import boto3

endpoint, what = sys.argv[1], sys.argv[2]
db = boto3.resource("dynamodb", endpoint_url=endpoint)
KINDS = ["page_viewed", "email_clicked", "content_downloaded", "webinar_registered", "contact_requested"]


def lead(n, rng):
    return {
        "lead_id": f"L{n:08d}", "email": f"annemarie.hinterberger{n}@company.example",
        "attributes": {
            "annual_revenue": 12_500_000 + n, "city": "Salzburg", "company_size": 50 + n % 900, "country": "AT",
            "department": "Sales", "first_name": "Annemarie", "has_budget": n % 2 == 0, "industry": "manufacturing",
            "job_title": "Head of Sales Operations", "language": "de", "last_name": "Hinterberger", "seniority": "director",
        },
        "activities": [
            {"kind": rng.choice(KINDS), "at": 1_767_225_600 - rng.randrange(90 * 86_400), "path": "/products/pumps"}
            for _ in range(10)
        ],
    }


if what == "fill":
    table = db.create_table(
        TableName="nested", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "lead_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "lead_id", "AttributeType": "S"}])
    rng = random.Random(42)
    with table.batch_writer() as batch:
        for n in range(int(sys.argv[3])):
            batch.put_item(Item=lead(n, rng))
    sys.exit()
table, leads, more = db.Table(what), 0, {}
before = time.process_time()
while True:
    page = table.scan(**more)
    leads += len(page["Items"])
    if "LastEvaluatedKey" not in page:
        break
    more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
cpu = time.process_time() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"boto3 {what} leads={leads} cpu_ms={cpu * 1e3:.0f} leads_per_cpu_second={leads / cpu:.0f} peak={peak:.1f}MiB")
