"""DingTalk's own SDKs against the simulator and our endpoint.

  state BASE KEY SECRET OPERATOR         what alibabacloud-dingtalk reads, as one JSON object
  stream BASE KEY SECRET COUNT           what dingtalk-stream hears: COUNT events
  callbacks URL OWNER TOKEN KEY          genuine, doubled, tampered and stale calls; what was answered
"""
import asyncio, base64, hashlib, json, os, secrets, struct, sys, time, urllib.error, urllib.parse, urllib.request


def state(base, key, secret, operator):
    from alibabacloud_dingtalk.crm_1_0 import models as cm
    from alibabacloud_dingtalk.crm_1_0.client import Client as Crm
    from alibabacloud_dingtalk.oauth2_1_0 import models as om
    from alibabacloud_dingtalk.oauth2_1_0.client import Client as OAuth
    from alibabacloud_tea_openapi import models as tm
    from alibabacloud_tea_util import models as um

    at = urllib.parse.urlparse(base)
    config = lambda: tm.Config(protocol=at.scheme, endpoint=at.netloc, region_id="central")
    body = OAuth(config()).get_access_token(om.GetAccessTokenRequest(app_key=key, app_secret=secret)).body
    told = {}
    for relation in ["crm_customer", "crm_customer_personal"]:
        headers = cm.QueryCrmPersonalCustomerHeaders(x_acs_dingtalk_access_token=body.access_token)
        rows, token = {}, None
        while True:
            request = cm.QueryCrmPersonalCustomerRequest(current_operator_user_id=operator, relation_type=relation, max_results=7, next_token=token)
            page = Crm(config()).query_crm_personal_customer_with_options(request, headers, um.RuntimeOptions()).body
            for row in page.values:
                rows[row.instance_id] = {"name": row.data["customer_name"], "phone": row.data.get("customer_phone", ""), "owners": row.permission.owner_staff_ids, "modified": row.gmt_modified}
            if not page.has_more:
                break
            token = page.next_token
        assert page.total_count == len(rows), (page.total_count, len(rows))
        told[relation] = rows
    headers = cm.GetContactsHeaders(x_acs_dingtalk_access_token=body.access_token)
    rows, token = {}, None
    while True:
        request = cm.GetContactsRequest(current_operator_user_id=operator, object_type="crm_contact", max_results=7, next_token=token)
        page = Crm(config()).get_contacts_with_options(request, headers, um.RuntimeOptions()).body.result
        for row in page.values:
            rows[row.instance_id] = {"name": row.data["contact_name"], "phone": row.data.get("contact_phone", ""), "owners": row.permission.owner_user_ids, "modified": row.gmt_modified}
        if not page.has_more:
            break
        token = page.next_token
    told["crm_contact"] = rows
    headers = cm.DescribeCrmPersonalCustomerObjectMetaHeaders(x_acs_dingtalk_access_token=body.access_token)
    request = cm.DescribeCrmPersonalCustomerObjectMetaRequest(relation_type="crm_customer")
    meta = Crm(config()).describe_crm_personal_customer_object_meta_with_options(request, headers, um.RuntimeOptions()).body
    told["fields"] = {f.name: f.label for f in meta.fields}
    return told


def stream(base, key, secret, count):
    os.environ["DINGTALK_OPENAPI_ENDPOINT"] = base
    import dingtalk_stream

    heard = []

    class Handler(dingtalk_stream.EventHandler):
        async def process(self, event):
            heard.append({"type": event.headers.event_type, "id": event.headers.event_id, "data": event.data})
            return dingtalk_stream.AckMessage.STATUS_OK, "OK"

    client = dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(key, secret))
    client.register_all_event_handler(Handler())

    async def run():
        task = asyncio.create_task(client.start())
        for _ in range(1000):
            if len(heard) >= int(count):
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        # The client takes a cancellation for a broken network and connects anew.
        print(json.dumps(heard, ensure_ascii=False), flush=True)
        os._exit(0 if task else 1)

    asyncio.run(asyncio.wait_for(run(), 20))


def callbacks(url, owner, token, key):
    from Crypto.Cipher import AES

    raw = base64.b64decode(key + "=")

    def sealed(text, at=None, owner=owner):
        text = text.encode()
        plain = secrets.token_hex(8).encode() + struct.pack(">I", len(text)) + text + owner.encode()
        pad = 32 - len(plain) % 32
        plain += bytes([pad]) * pad
        encrypted = base64.b64encode(AES.new(raw, AES.MODE_CBC, raw[:16]).encrypt(plain)).decode()
        timestamp, nonce = str(int((at or time.time()) * 1000)), secrets.token_hex(4)
        signature = hashlib.sha1("".join(sorted([token, timestamp, nonce, encrypted])).encode()).hexdigest()
        return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}, encrypted

    def opened(body):
        told = json.loads(body)
        want = hashlib.sha1("".join(sorted([token, told["timeStamp"], told["nonce"], told["encrypt"]])).encode()).hexdigest()
        assert told["msg_signature"] == want
        plain = AES.new(raw, AES.MODE_CBC, raw[:16]).decrypt(base64.b64decode(told["encrypt"]))
        plain = plain[: -plain[-1]]
        length = struct.unpack(">I", plain[16:20])[0]
        assert plain[20 + length :].decode() == owner
        return plain[20 : 20 + length].decode()

    def call(query, encrypted):
        data = json.dumps({"encrypt": encrypted}).encode()
        request = urllib.request.Request(url + "?" + urllib.parse.urlencode(query), data=data, headers={"content-type": "application/json"})
        began = time.time()
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                said = opened(answer.read())
                assert time.time() - began < 1.5, "DingTalk waits 1.5 s"
                return [answer.status, said]
        except urllib.error.HTTPError as error:
            return [error.code, error.read().decode()]

    def event(user):
        return json.dumps({"EventType": "user_leave_org", "UserId": [user], "TimeStamp": "1700000000000", "CorpId": "dingcorp1", "title": "离职的张三"}, ensure_ascii=False)

    told = {"check": call(*sealed(json.dumps({"EventType": "check_url"})))}
    first, body = sealed(event("one"))
    told["genuine"] = call(first, body)
    told["replayed"] = call(first, body)
    told["repeated"] = call(*sealed(event("one")))
    told["second"] = call(*sealed(event("two")))
    told["tampered"] = call(first, body[:-8] + ("AAAA" if body[-8:-4] != "AAAA" else "BBBB") + body[-4:])
    told["resigned"] = call({**first, "nonce": "1"}, body)
    told["stale"] = call(*sealed(event("stale"), at=time.time() - 3600))
    told["foreign"] = call(*sealed(event("foreign"), owner="another"))
    return told


verb, *rest = sys.argv[1:]
print(json.dumps({"state": state, "stream": stream, "callbacks": callbacks}[verb](*rest), ensure_ascii=False))
