"""wechatpy, a client of WeCom that others wrote, against the simulator and our endpoint.

  state BASE CORP SECRET AGENT           what it reads, as one JSON object in the last line
  callbacks URL CORP TOKEN KEY           genuine, doubled, tampered and stale calls; what was answered
"""
import json, random, sys, time, urllib.error, urllib.request
from urllib.parse import urlencode
from wechatpy.crypto import _get_signature
from wechatpy.work import WeChatClient
from wechatpy.work.crypto import PrpCrypto, WeChatCrypto


def state(base, corp, secret, agent):
    class Client(WeChatClient):
        API_BASE_URL = base.rstrip("/") + "/cgi-bin/"

        def fetch_access_token(self):
            params = {"corpid": self.corp_id, "corpsecret": self.secret}
            return self._fetch_access_token(url=self.API_BASE_URL + "gettoken", params=params)

    client = Client(corp, secret)
    members = {}
    departments = {str(d["id"]): d["name"] for d in client.department.list()}
    for department in departments:
        for user in client.user.list(department, simple=False):
            members[user["userid"]] = {"name": user["name"], "departments": user["department"]}
    tags = {t["id"]: t["name"] for g in client.external_contact.get_corp_tag_list()["tag_group"] for t in g["tag"]}
    contacts = {}
    for user in client.external_contact.get_follow_user_list()["follow_user"]:
        try:
            listed = list(client.external_contact.gen_all_by_user(user, 7))
            ids = client.external_contact.list(user)["external_userid"]
        except Exception as error:
            assert getattr(error, "errcode", None) == 84061, error
            continue
        assert sorted(c["external_contact"]["external_userid"] for c in listed) == sorted(ids)
        for row in listed:
            contact, follow = row["external_contact"], row["follow_info"]
            kept = contacts.setdefault(contact["external_userid"], {"name": contact["name"], "corp": contact.get("corp_full_name", ""), "follows": {}})
            kept["follows"][user] = {"tags": sorted(tags[t] for t in follow["tag_id"]), "mobiles": follow.get("remark_mobiles", [])}
    for id in list(contacts)[:5]:
        one = client.external_contact.get(id)
        assert one["external_contact"]["name"] == contacts[id]["name"]
        assert sorted(f["userid"] for f in one["follow_user"]) == sorted(contacts[id]["follows"])
    sent = client.message.send_text(agent, ["zhangsan"], "你好，来自 SDK")
    return {"departments": departments, "members": members, "contacts": contacts, "sent": sent["errcode"]}


def callbacks(url, corp, token, key):
    crypto = WeChatCrypto(token, key, corp)

    def sealed(text, at=None, corp=corp):
        timestamp, nonce = str(int(at or time.time())), str(random.randint(10**8, 10**9))
        encrypted = PrpCrypto(crypto.key).encrypt(text, corp)
        encrypted = encrypted.decode() if isinstance(encrypted, bytes) else encrypted
        signature = _get_signature(token, timestamp, nonce, encrypted)
        return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}, encrypted

    def call(query, body=None):
        data = None if body is None else f"<xml><ToUserName><![CDATA[{corp}]]></ToUserName><Encrypt><![CDATA[{body}]]></Encrypt></xml>".encode()
        request = urllib.request.Request(url + "?" + urlencode(query), data=data, headers={"content-type": "text/xml"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return [answer.status, answer.read().decode()]
        except urllib.error.HTTPError as error:
            return [error.code, error.read().decode()]

    def event(user):
        return f"<xml><ToUserName><![CDATA[{corp}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[add_external_contact]]></ChangeType><UserID><![CDATA[zhangsan]]></UserID><ExternalUserID><![CDATA[{user}]]></ExternalUserID></xml>"

    told = {}
    query, echo = sealed("1616140317555161061")
    told["verify"] = call({**query, "echostr": echo})
    first, body = sealed(event("wmOne"))
    told["genuine"] = call(first, body)
    told["replayed"] = call(first, body)
    told["repeated"] = call(*sealed(event("wmOne")))
    told["second"] = call(*sealed(event("wmTwo")))
    told["tampered"] = call(first, body[:-8] + ("AAAA" if body[-8:-4] != "AAAA" else "BBBB") + body[-4:])
    told["resigned"] = call({**first, "nonce": "1"}, body)
    told["stale"] = call(*sealed(event("wmStale"), at=time.time() - 3600))
    told["foreign"] = call(*sealed(event("wmForeign"), corp="wwother"))
    return told


verb, *rest = sys.argv[1:]
print(json.dumps({"state": state, "callbacks": callbacks}[verb](*rest), ensure_ascii=False))
