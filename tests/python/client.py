"""A stock Python client of Jinke: grpcio and server reflection, nothing generated.

    python client.py ENDPOINT CREDENTIALS_FILE

logs in with the service account key of the credentials file, sends two records of one company
from two systems, finds them as one customer, and reads the change feed. Every step is checked;
the exit code is 0 when all of them held.
"""

import sys
import tomllib
import uuid

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


class Client:
    """Calls any method by name with a dict, as the server's reflection describes it."""

    def __init__(self, endpoint):
        self.channel = grpc.insecure_channel(endpoint)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.token = None

    def _method(self, path):
        service, name = path.rsplit("/", 1)
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        return GetMessageClass(method.input_type), GetMessageClass(method.output_type)

    def _metadata(self):
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    def call(self, path, request=None):
        request_type, response_type = self._method(path)
        stub = self.channel.unary_unary(
            f"/{path}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        answer = stub(
            ParseDict(request or {}, request_type()), metadata=self._metadata(), timeout=30
        )
        return MessageToDict(answer, preserving_proto_field_name=True)

    def watch(self, path, request):
        request_type, response_type = self._method(path)
        stub = self.channel.unary_stream(
            f"/{path}",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        for answer in stub(ParseDict(request, request_type()), metadata=self._metadata(), timeout=30):
            yield MessageToDict(answer, preserving_proto_field_name=True)


def organization(source, external_id, name, **values):
    listed = [{"attribute": "name", "text": name}]
    for attribute, text in values.items():
        if attribute == "uscc":
            listed.append({"attribute": "identifier", "scheme": "uscc", "text": text})
        else:
            listed.append({"attribute": attribute, "text": text})
    return {
        "key": {"source": source, "external_id": external_id},
        "party": {"kind": "PARTY_KIND_ORGANIZATION", "values": listed},
    }


def main(endpoint, credentials):
    client = Client(endpoint)

    # Without a token nothing but login answers.
    try:
        client.call("jinke.customer.v1.CustomerService/ListCustomers")
        raise AssertionError("a call without a token was answered")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error

    with open(credentials, "rb") as file:
        key = tomllib.load(file)["key"]
    login = client.call("jinke.identity.v1.TokenService/LoginWithKey", {"key": key})
    client.token = login["tokens"]["access_token"]

    run = uuid.uuid4().hex[:8]
    sources = [f"sources/py-a-{run}", f"sources/py-b-{run}"]
    for source in sources:
        client.call(
            "jinke.customer.v1.SourceService/CreateSource",
            {"source_id": source.split("/")[1], "source": {"display_name": "Python 示例"}},
        )
    uscc = "91440300MA5DA1LQ7N"  # invented; the check character holds
    records = [
        organization(sources[0], "C-1", "深圳市蓝鲸派森科技有限公司", uscc=uscc, phone="0755-86013388"),
        organization(sources[1], "8801", "蓝鲸派森(深圳)科技有限公司", uscc=uscc, phone="+86 755 8601 3388"),
    ]
    answer = client.call(
        "jinke.customer.v1.SourceService/IngestSourceRecords",
        {"records": records, "request_id": str(uuid.uuid4())},
    )
    outcomes = [result["outcome"] for result in answer["results"]]
    assert outcomes == ["OUTCOME_CREATED", "OUTCOME_CREATED"], answer
    assert answer["results"][0]["customer"] == answer["results"][1]["customer"], answer
    name = answer["results"][0]["customer"]

    customer = client.call("jinke.customer.v1.CustomerService/GetCustomer", {"name": name})
    assert len(customer["records"]) == 2, customer
    assert customer["display_name"], customer
    listed = client.call(
        "jinke.customer.v1.CustomerService/ListCustomers",
        {"filter": f'source = "{sources[0]}"'},
    )
    assert [c["name"] for c in listed["customers"]] == [name], listed
    found = client.call("jinke.customer.v1.CustomerService/SearchCustomers", {"query": "蓝鲸派森"})
    assert name in [c["name"] for c in found["customers"]], found
    by_phone = client.call(
        "jinke.customer.v1.CustomerService/LookupCustomers", {"phone": "(0755) 8601-3388"}
    )
    assert name in [c["name"] for c in by_phone["customers"]], by_phone

    seen = set()
    for answer in client.watch("jinke.customer.v1.CustomerService/WatchCustomerChanges", {}):
        seen.update(change["customer"] for change in answer.get("changes", []))
        if name in seen:
            break
    assert name in seen
    print(f"{name} {customer['display_name']}: {len(customer['records'])} records, one customer")


if __name__ == "__main__":
    main(*sys.argv[1:])
