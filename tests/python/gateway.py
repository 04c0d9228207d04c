"""The same answers over gRPC (grpcio), curl and the fetch of a browser.

    python gateway.py GRPC_ENDPOINT HTTP_BASE CREDENTIALS_FILE

asks a running house, which has some customers, the same things in three ways and compares the
JSON. fetch is that of Node.js, sent as a page of another origin would send it; without Node on the
PATH that third is left out, and said so. The exit code is 0 when all answers were the same.
"""

import json
import shutil
import subprocess
import sys
import tomllib

import grpc
from client import Client
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2  # noqa: F401 (what the details of errors are made of)
from grpc_status import rpc_status

# Tokens of pages hold what differs from call to call; so do ids of requests.
DIFFER = {"nextPageToken", "requestId"}

FETCH = """
const [,, asked] = process.argv;
const out = [];
for (const { method, url, body, token } of JSON.parse(asked)) {
  const answer = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, origin: 'https://oa.example.com',
               'content-type': 'application/json' },
    body: body === null ? undefined : JSON.stringify(body),
  });
  out.push([answer.status, await answer.json()]);
}
console.log(JSON.stringify(out));
"""

CUSTOMER = "jinke.customer.v1.CustomerService"
# What is asked over gRPC, and the same over HTTP.
SAME = [
    (f"{CUSTOMER}/ListCustomers", {"page_size": 2}, "GET", "/v1/customers?pageSize=2", None),
    (
        f"{CUSTOMER}/ListCustomers",
        {"page_size": 5, "view": "CUSTOMER_VIEW_FULL", "order_by": "name desc"},
        "GET",
        "/v1/customers?page_size=5&view=CUSTOMER_VIEW_FULL&orderBy=name%20desc",
        None,
    ),
    (f"{CUSTOMER}/GetCustomer", {"name": "customers/1"}, "GET", "/v1/customers/1", None),
    (f"{CUSTOMER}/GetCustomerStats", {}, "GET", "/v1/customers:stats", None),
    (
        f"{CUSTOMER}/ListCustomerRevisions",
        {"parent": "customers/1"},
        "GET",
        "/v1/customers/1/revisions",
        None,
    ),
    ("jinke.customer.v1.SourceService/ListSources", {}, "GET", "/v1/sources", None),
    ("jinke.identity.v1.IdentityService/ListUsers", {}, "GET", "/v1/users", None),
    ("jinke.identity.v1.TokenService/GetCaller", {}, "GET", "/v1/caller", None),
    # Errors are the same too.
    (f"{CUSTOMER}/GetCustomer", {"name": "customers/999999"}, "GET", "/v1/customers/999999", None),
    (
        f"{CUSTOMER}/ListCustomers",
        {"filter": "nonsense ==="},
        "GET",
        "/v1/customers?filter=nonsense%20%3D%3D%3D",
        None,
    ),
    (
        f"{CUSTOMER}/MergeCustomers",
        {"customer": "customers/1", "other_customer": "customers/1"},
        "POST",
        "/v1/customers:merge",
        {"customer": "customers/1", "otherCustomer": "customers/1"},
    ),
    (
        f"{CUSTOMER}/AddCustomerTag",
        {"name": "customers/1", "tag": "同样 same"},
        "POST",
        "/v1/customers/1:addTag",
        {"tag": "同样 same"},
    ),
]

# https://github.com/googleapis/googleapis, google/rpc/code.proto says which HTTP code each is.
HTTP = {3: 400, 5: 404, 6: 409, 7: 403, 9: 400, 10: 409, 16: 401}


def scrub(value):
    if isinstance(value, dict):
        return {k: scrub(v) for k, v in value.items() if k not in DIFFER}
    if isinstance(value, list):
        return [scrub(v) for v in value]
    return value


def over_grpc(client, path, request):
    request_type, response_type = client._method(path)
    stub = client.channel.unary_unary(
        f"/{path}",
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    try:
        message = ParseDict(request, request_type())
        return 200, MessageToDict(stub(message, metadata=client._metadata(), timeout=30))
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        return HTTP[status.code], MessageToDict(status)


def over_curl(token, method, url, body):
    command = ["curl", "-sS", "-X", method, "-w", "\n%{http_code}", url]
    command += ["-H", f"Authorization: Bearer {token}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer, code = text.rsplit("\n", 1)
    return int(code), json.loads(answer)


def over_fetch(calls):
    if not shutil.which("node"):
        print("Node.js is not here: fetch was left out")
        return None
    command = ["node", "--input-type=module", "-", json.dumps(calls)]
    run = subprocess.run(command, input=FETCH, check=True, capture_output=True, text=True)
    return [(code, answer) for code, answer in json.loads(run.stdout)]


def first_event(token, url):
    """The first event with changes of a stream, as curl and the event stream's rules give it.

    A stream ends after gateway.stream_seconds and is opened again, as browsers do.
    """
    command = ["curl", "-sSN", "--max-time", "20", url, "-H", f"Authorization: Bearer {token}"]
    for _ in range(30):
        stream = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            for line in stream.stdout:
                if line.startswith("data:"):
                    event = json.loads(line.removeprefix("data:"))
                    if event.get("changes"):
                        return event
        finally:
            stream.kill()
            stream.wait()
    raise AssertionError("no event came")


def main(endpoint, base, credentials):
    client = Client(endpoint)
    with open(credentials, "rb") as file:
        key = tomllib.load(file)["key"]
    login = client.call("jinke.identity.v1.TokenService/LoginWithKey", {"key": key})
    token = client.token = login["tokens"]["access_token"]

    calls = [
        {"method": method, "url": base + path, "body": body, "token": token}
        for _, _, method, path, body in SAME
    ]
    # The one that writes is done before, so that each way of asking finds the same.
    client.call(f"{CUSTOMER}/AddCustomerTag", {"name": "customers/1", "tag": "同样 same"})
    fetched = over_fetch(calls)
    for at, (rpc, request, method, path, body) in enumerate(SAME):
        expected = scrub(over_grpc(client, rpc, request))
        ways = {"curl": over_curl(token, method, base + path, body)}
        if fetched:
            ways["fetch"] = fetched[at]
        for way, answer in ways.items():
            answer = scrub(tuple(answer))
            assert answer == expected, f"{method} {path}\ngRPC  {expected}\n{way} {answer}"
    # Without a token, and with a wrong one.
    for wrong in ["", "nonsense"]:
        client.token = wrong
        expected = scrub(over_grpc(client, f"{CUSTOMER}/ListCustomers", {}))
        answer = scrub(over_curl(wrong, "GET", base + "/v1/customers", None)) if wrong else None
        assert answer is None or answer == expected, (expected, answer)
        assert expected[0] == 401, expected
    client.token = token

    watched = next(
        message
        for message in client.watch(f"{CUSTOMER}/WatchCustomerChanges", {})
        if message.get("changes")
    )
    event = first_event(token, base + "/v1/customerChanges:watch")
    positions = [c["position"] for c in watched["changes"]]
    assert [c["position"] for c in event["changes"]] == positions, (watched, event)
    print(f"{len(SAME)} questions, the same answers over gRPC, curl{' and fetch' if fetched else ''}")


if __name__ == "__main__":
    main(*sys.argv[1:])
