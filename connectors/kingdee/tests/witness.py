"""The witness of the SDK test: the vendor's own library as a client of the simulator, never
through the connector.

    witness.py URL ACCOUNT USER APP_ID APP_SECRET read
    witness.py URL ACCOUNT USER APP_ID APP_SECRET write

Prints one JSON object.
"""

import json
import sys

from k3cloud_webapi_sdk.main import K3CloudApiSdk


def api(url, account, user, app_id, secret):
    sdk = K3CloudApiSdk(url)
    sdk.InitConfig(account, user, app_id, secret, url)
    return sdk


def rows(sdk, form, fields, order):
    """All rows of a form, 2,000 at a time."""
    out = []
    while True:
        asked = {
            "FormId": form, "FieldKeys": fields, "FilterString": "", "OrderString": order,
            "TopRowCount": 0, "StartRow": len(out), "Limit": 2000, "SubSystemId": "",
        }
        page = json.loads(sdk.ExecuteBillQuery(asked))
        out += page
        if len(page) < 2000:
            return out


def read(sdk):
    info = json.loads(sdk.QueryBusinessInfo({"FormId": "SAL_SaleOrder"}))
    refused = json.loads(sdk.ExecuteBillQuery({"FormId": "BD_Customer", "FieldKeys": "FNoSuchField"}))
    return {
        "customers": rows(sdk, "BD_Customer", "FCUSTID,FName,FNumber", "FCUSTID"),
        "orders": rows(sdk, "SAL_SaleOrder", "FID,FBillNo,FCustId,FAllAmount,FDocumentStatus",
                       "FID,FSaleOrderEntry_FEntryID"),
        "receivables": rows(sdk, "AR_receivable", "FID,FCUSTOMERID,FALLAMOUNTFOR", "FID"),
        "objects": json.loads(sdk.BillQuery({"FormId": "BD_Customer", "FieldKeys": "FNumber", "Limit": 2})),
        "lists": [entry["Key"] for entry in info["Result"]["NeedReturnData"]["Entrys"]],
        "refused": refused[0][0]["Result"]["ResponseStatus"]["MsgCode"],
    }


def write(sdk):
    line = {"FMaterialId": {"FNumber": "P001"}, "FQty": 4, "FTaxPrice": 25}
    saved = json.loads(sdk.Save("SAL_SaleOrder", {"Model": {
        "FID": 0, "FBillTypeID": {"FNumber": "XSDD01_SYS"}, "FDate": "2026-11-20",
        "FCustId": {"FNumber": "CUST00001"}, "FSaleOrderEntry": [line],
    }}))
    status = saved["Result"]["ResponseStatus"]
    assert status["IsSuccess"], status
    bill = {"Ids": str(status["SuccessEntitys"][0]["Id"])}
    early = json.loads(sdk.Audit("SAL_SaleOrder", bill))["Result"]["ResponseStatus"]["IsSuccess"]
    for step in (sdk.Submit, sdk.Audit):
        told = json.loads(step("SAL_SaleOrder", bill))["Result"]["ResponseStatus"]
        assert told["IsSuccess"], told
    again = json.loads(sdk.Save("SAL_SaleOrder", {"Model": {"FID": int(bill["Ids"]), "FNote": "x"}}))
    return {
        "id": int(bill["Ids"]),
        "reviewed_too_early": early,
        "saved_after_review": again["Result"]["ResponseStatus"]["IsSuccess"],
    }


if __name__ == "__main__":
    client = api(*sys.argv[1:6])
    print(json.dumps({"read": read, "write": write}[sys.argv[6]](client)))
