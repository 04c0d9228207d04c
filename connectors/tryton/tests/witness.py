"""The witness of the rig test: looks at and changes a Tryton server through proteus, Tryton's own
client, and never through the connector.

    witness.py URL PASSWORD state
    witness.py URL PASSWORD edit-address PARTY STREET
    witness.py URL PASSWORD new-party NAME
    witness.py URL PASSWORD delete-party PARTY
    witness.py URL PASSWORD identify PARTY NAME CODE
    witness.py URL PASSWORD new-sale PARTY
    witness.py URL PASSWORD pay INVOICE
    witness.py DATABASE_FILE - end-sessions

Prints one JSON object.
"""

import datetime
import json
import sqlite3
import sys

from proteus import Model, Wizard, config


def amount(value):
    return str(value.quantize(type(value)("0.01")))


def pages(name, domain, fields):
    """All rows of a model over XML-RPC, 500 at a time, in the order of their ids."""
    context = dict(config.get_config().context, active_test=False)
    proxy = Model.get(name)._proxy
    last = 0
    while True:
        where = domain + [("id", ">", last)]
        rows = proxy.search_read(where, 0, 500, [("id", "ASC")], fields, context)
        yield from rows
        if len(rows) < 500:
            return
        last = rows[-1]["id"]


def active(rows, column):
    return sorted(r[column] or "" for r in rows if r["active"])


def state():
    parties = {
        str(p["id"]): {
            "name": p["name"],
            "active": bool(p["active"]),
            "receivable": amount(p["receivable"]),
            "streets": active(p["addresses."], "street"),
            "contacts": active(p["contact_mechanisms."], "value"),
            "codes": active(p["identifiers."], "code"),
        }
        for p in pages(
            "party.party",
            [],
            ["name", "active", "receivable"]
            + ["addresses.street", "addresses.active"]
            + ["contact_mechanisms.value", "contact_mechanisms.active"]
            + ["identifiers.code", "identifiers.active"],
        )
    }
    sales = {
        str(s["id"]): {
            "party": s["party"],
            "state": s["state"],
            "total": amount(s["total_amount"]),
            "lines": len([line for line in s["lines."] if line["type"] == "line"]),
        }
        for s in pages("sale.sale", [], ["party", "state", "total_amount", "lines.type"])
    }
    invoices, paid = {}, {}
    for i in pages(
        "account.invoice",
        [("type", "=", "out")],
        ["party", "state", "total_amount"]
        + ["payment_lines.party", "payment_lines.credit", "payment_lines.debit"],
    ):
        invoices[str(i["id"])] = {
            "party": i["party"],
            "state": i["state"],
            "total": amount(i["total_amount"]),
        }
        for line in i["payment_lines."]:
            paid[str(line["id"])] = {
                "party": line["party"],
                "amount": amount(line["credit"] - line["debit"]),
            }
    return {"parties": parties, "sales": sales, "invoices": invoices, "payments": paid}


def edit_address(party, street):
    """Changes only the address, as its own form does: the party's row stays as it was."""
    party = Model.get("party.party")(int(party))
    before = str(party.write_date or party.create_date)
    address = Model.get("party.address")(party.addresses[0].id)
    address.street_unstructured = street
    address.save()
    party.reload()
    return {"party_untouched": before == str(party.write_date or party.create_date)}


def new_party(name):
    party = Model.get("party.party")(name=name)
    party.contact_mechanisms.new(type="mobile", value="13900001111", name="赵敏")
    party.save()
    return {"id": party.id}


def delete_party(party):
    Model.get("party.party")(int(party)).delete()
    return {}


def identify(party, name, code):
    party = Model.get("party.party")(int(party))
    party.name = name
    party.identifiers[0].code = code
    party.save()
    return {}


def new_sale(party):
    product = Model.get("product.product").find([("salable", "=", True)], limit=1)[0]
    term = Model.get("account.invoice.payment_term").find([], limit=1)[0]
    sale = Model.get("sale.sale")()
    sale.party = Model.get("party.party")(int(party))
    sale.sale_date = datetime.date.today()
    sale.payment_term = term
    sale.invoice_method = "order"
    line = sale.lines.new()
    line.product = product
    line.quantity = 3.0
    sale.save()
    for button in ("quote", "confirm"):
        sale.click(button)
    if sale.state == "confirmed":
        sale.click("process")
    sale.reload()
    invoice = sale.invoices[0]
    # A number is given in the order of dates, so it is today's.
    invoice.invoice_date = datetime.date.today()
    invoice.save()
    invoice.click("post")
    return {"sale": sale.id, "invoice": invoice.id, "total": amount(sale.total_amount)}


def pay(invoice):
    invoice = Model.get("account.invoice")(int(invoice))
    wizard = invoice.click("pay")
    wizard.form.payment_method = Model.get("account.invoice.payment.method").find([], limit=1)[0]
    wizard.form.date = datetime.date.today()
    wizard.execute("choice")
    invoice.reload()
    return {"state": invoice.state, "lines": [line.id for line in invoice.payment_lines]}


def end_sessions(path):
    with sqlite3.connect(path, timeout=30) as database:
        database.execute("DELETE FROM ir_session")
    return {}


def main():
    where, password, command, *rest = sys.argv[1:]
    if command == "end-sessions":
        print(json.dumps(end_sessions(where)))
        return
    with config.set_xmlrpc_session(where, "admin", password) as session:
        user = Model.get("res.user")(session.user)
        # The company gives what receivables are, and warnings about late dates are known.
        session._context = dict(
            type(user).get_preferences(True, session.context), _skip_warnings=True
        )
        session.skip_warning = True
        commands = {
            "state": state,
            "edit-address": edit_address,
            "new-party": new_party,
            "delete-party": delete_party,
            "identify": identify,
            "new-sale": new_sale,
            "pay": pay,
        }
        print(json.dumps(commands[command](*rest), ensure_ascii=False))


if __name__ == "__main__":
    main()
