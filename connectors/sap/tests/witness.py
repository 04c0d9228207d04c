"""The witness of the rig test: reads the service through pyodata, an independent OData V2 client,
never through the connector.

    witness.py BASE USER PASSWORD

Prints one JSON object.
"""

import json
import sys

import pyodata
import requests


def client(base, service, user, password):
    session = requests.Session()
    session.auth = (user, password)
    return pyodata.Client(f"{base}/{service}/", session)


def every(entities, key, expand):
    """All rows of a set in the order of their keys, a few at a time."""
    out, after = [], ""
    while True:
        asked = entities.get_entities().filter(f"{key} gt '{after}'").order_by(key).top(50)
        page = list(asked.expand(expand).execute())
        if not page:
            return out
        out += page
        after = getattr(page[-1], key)


def main(base, user, password):
    partners = every(client(base, "API_BUSINESS_PARTNER", user, password).entity_sets.A_BusinessPartner,
                     "BusinessPartner", "to_BusinessPartnerTax,to_BusinessPartnerAddress")
    orders = every(client(base, "API_SALES_ORDER_SRV", user, password).entity_sets.A_SalesOrder,
                   "SalesOrder", "to_Item")
    print(json.dumps({
        "partners": {
            p.BusinessPartner: {
                "name": p.BusinessPartnerFullName,
                "changed": p.LastChangeDate.strftime("%Y-%m-%d"),
                "tax": [t.BPTaxNumber for t in p.to_BusinessPartnerTax],
                "streets": [a.StreetName for a in p.to_BusinessPartnerAddress],
            } for p in partners
        },
        "orders": {
            o.SalesOrder: {
                "sold_to": o.SoldToParty,
                "amount": str(o.TotalNetAmount),
                "changed": o.LastChangeDateTime.isoformat(),
                "items": [[i.Material, str(i.RequestedQuantity), str(i.NetAmount)] for i in o.to_Item],
            } for o in orders
        },
    }))


if __name__ == "__main__":
    main(*sys.argv[1:4])
