"""What schemathesis cannot know of the shop.

How to be somebody, and to stay signed in while it tries every way of signing out; and what no schema can say of a
request that is good: which cursors, slugs and payment methods there are. `scripts/schemathesis` says in the
environment where the shop is and who asks.
"""

import json
import os
import random
import subprocess
import uuid

import requests
import schemathesis
from hypothesis import strategies

BASE = os.environ["SHOP"] + "/api/v1"
CALLER = os.environ["SHOP_CALLER"]
PASSWORD = "correct horse battery staple"


class AnotherAddress(requests.adapters.HTTPAdapter):
    """Another client address than schemathesis': what it gets wrong at signing in must not lock these out."""

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=("127.0.0.2", 0), **kwargs)


session = requests.Session()
session.mount("http://", AnotherAddress())


class Account:
    """Whoever is signed in at the moment: a new account once the old one is gone."""

    def __init__(self, caller):
        self.caller = caller
        self.email = None
        self.id = None
        self.token = None

    def bearer(self):
        if self.token is None:
            self.token = (self.email and self.sign_in()) or self.anew()
        return self.token

    def sign_in(self):
        answer = session.post(f"{BASE}/auth/login", json={"email": self.email, "password": PASSWORD})
        if answer.status_code != 200:
            return None
        self.id = answer.json()["user"]["id"]
        return answer.json()["access_token"]

    def anew(self):
        self.email = f"{self.caller}-{uuid.uuid4()}@example.com"
        if self.caller == "admin":
            command = [os.environ["SHOP_PROGRAM"], "admin", "create", "--email", self.email]
            subprocess.run(command, input=PASSWORD + "\n", text=True, check=True, capture_output=True)
        else:
            made = {"email": self.email, "password": PASSWORD, "full_name": "Ada Lovelace"}
            session.post(f"{BASE}/users", json=made).raise_for_status()
        return self.sign_in()


account = Account(CALLER)
staff = Account("admin")

if CALLER != "nobody":

    @schemathesis.auth(refresh_interval=None)
    class SignedIn:
        def get(self, case, context):
            return account.bearer()

        def set(self, case, data, context):
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


# JSON Schema means the addresses of RFC 5321, quotes and all; the shop those of HTML forms.
schemathesis.openapi.format("email", strategies.from_regex(r"\A[a-z0-9.+_-]{1,20}@([a-z0-9]{1,10}\.){1,3}[a-z]{2,5}\Z"))

# Things of the demo catalogue, of which there are enough.
CATEGORIES = [found["slug"] for found in session.get(f"{BASE}/categories?limit=100").json()["items"]]
PRODUCTS = [found["id"] for found in session.get(f"{BASE}/products?limit=20").json()["items"]]
METHODS = ["pm_card_visa", "pm_card_mastercard", "pm_card_chargeDeclined", "pm_card_authenticationRequired"]

# What the shop has given: cursors by operation, guests' tokens by the cart, order or payment that they open, and
# other things by the path under which they are.
cursors = {}
cart_tokens = {}
order_tokens = {}
known = {"/api/v1/categories": CATEGORIES, "/api/v1/products": PRODUCTS}
CATALOGUE = {*known, "/api/v1/variants"}
choice = random.Random(4).choice


def is_good(case):
    """Whether all of the request is as the schema has it."""
    return case.meta is None or case.meta.generation.mode.is_positive


@schemathesis.hook
def filter_case(context, case):
    """Space around a text is dropped before it is judged: what is too long with it may be right without. No schema
    can say that, so no request that is to be refused has such a text."""
    if is_good(case):
        return True
    # And a parameter without a value is one that is not there.
    return not has_space_around(case.body) and "" not in dict(case.query or {}).values()


def has_space_around(value):
    if isinstance(value, str):
        return value != value.strip()
    if isinstance(value, dict):
        return any(map(has_space_around, value.values()))
    return isinstance(value, list) and any(map(has_space_around, value))


def spare_the_account(case):
    """Has somebody else deleted, demoted or disabled: what was made before would be another's to whoever comes after."""
    label = case.operation.label
    signed_in = bool(account.token) and (case.headers or {}).get("Authorization") == f"Bearer {account.token}"
    if signed_in and label == "DELETE /api/v1/users/me":
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {Account('customer').bearer()}"}
    if signed_in and label == "PATCH /api/v1/users/{id}" and (case.path_parameters or {}).get("id") == account.id:
        other = Account("customer")
        other.bearer()
        case.path_parameters = {**case.path_parameters, "id": other.id}


@schemathesis.hook
def before_call(context, case, kwargs):
    spare_the_account(case)
    if is_good(case) and case.meta.phase.name != "stateful":
        name_something(case)
    send_guests_tokens(case)
    if not is_good(case):
        return
    if "Idempotency-Key" in (case.headers or {}):
        # A key that was used for another request is refused.
        case.headers = {**case.headers, "Idempotency-Key": str(uuid.uuid4())}
    if case.query:
        case.query = good_query(case.operation.label, dict(case.query))
    if isinstance(case.body, (dict, list)):
        case.body = good_body(case.operation.label, case.body)
    if case.operation.label == "POST /api/v1/carts/{id}/merge" and isinstance(case.body, dict):
        # A guest's, which is gone when it was merged: any other is not found.
        guest = session.post(f"{BASE}/carts", json={}).json()
        case.body = {"cart_id": guest["id"], "token": guest["token"]}
    if CALLER == "nobody" and case.operation.label == "POST /api/v1/orders" and isinstance(case.body, dict):
        # Required of guests.
        case.body["email"] = case.body.get("email") or "guest@example.com"


def name_something(case):
    """Asks for something that is there. Where calls follow one another they name it themselves."""
    label, names = case.operation.label, dict(case.path_parameters or {})
    method, path = label.split(" ")
    if path.startswith("/api/v1/carts/{id}") or label == "POST /api/v1/orders":
        cart = cart_with_a_line()
        if cart and path.startswith("/api/v1/carts"):
            names["id"] = cart["id"]
            if "item_id" in names:
                names["item_id"] = cart["items"][0]["id"]
        elif cart and isinstance(case.body, dict):
            case.body = {**case.body, "cart_id": cart["id"]}
    for place, things in known.items():
        name = "slug" if place.endswith("categories") else "id"
        # What the others need is not removed.
        if path.startswith(place + "/{") and things and (method == "GET" or place not in CATALOGUE):
            names[name] = choice(things)
    if names:
        case.path_parameters = names


def category():
    """One of those that are still there: an admin's requests remove some."""
    while len(CATEGORIES) > 1:
        slug = choice(CATEGORIES)
        if session.get(f"{BASE}/categories/{slug}").ok:
            return slug
        CATEGORIES.remove(slug)
    return CATEGORIES[0]


def for_sale():
    """A variant that can be bought: another one if an admin took it away."""
    variants = known.setdefault("/api/v1/variants", [])
    if not variants or session.get(f"{BASE}/variants/{variants[-1]}").status_code != 200:
        price = {"amount": 4900, "currency": "USD"}
        product = {"title": "Linen Shirt", "variants": [{"price": price, "on_hand": 1_000_000}]}
        made = session.post(f"{BASE}/products", json=product, headers={"Authorization": f"Bearer {staff.bearer()}"})
        if made.status_code == 401:
            staff.token = None
            return for_sale()
        variants.append(made.json()["variants"][0]["id"])
    return variants[-1]


def cart_with_a_line():
    headers = {"Authorization": f"Bearer {account.bearer()}"} if CALLER != "nobody" else {}
    made = session.post(f"{BASE}/carts", json={}, headers=headers)
    if made.status_code == 401 and CALLER != "nobody":
        # The session was ended by what was asked before.
        account.token = None
        return cart_with_a_line()
    if not made.ok:
        raise AssertionError(f"no cart: {made.status_code} {made.text}")
    cart = made.json()
    if "token" in cart:
        cart_tokens[cart["id"]] = headers["X-Cart-Token"] = cart["token"]
    line = {"variant_id": for_sale(), "quantity": 1}
    added = session.post(f"{BASE}/carts/{cart['id']}/items", json=line, headers=headers)
    return added.json() if added.ok else None


def send_guests_tokens(case):
    if CALLER != "nobody":
        return
    name = (case.path_parameters or {}).get("id")
    if case.operation.label == "POST /api/v1/orders" and isinstance(case.body, dict):
        name = case.body.get("cart_id")
    for header, tokens in (("X-Cart-Token", cart_tokens), ("X-Order-Token", order_tokens)):
        if isinstance(name, str) and name in tokens:
            case.headers = {**(case.headers or {}), header: tokens[name]}


def good_query(label, query):
    # Cursors come from an earlier page of the same list in the same order.
    if "cursor" in query:
        if label in cursors and "sort" not in query:
            query["cursor"] = choice(cursors[label])
        else:
            del query["cursor"]
    # The best matches of nothing are nothing.
    if query.get("sort") == "relevance" and not str(query.get("q") or "").strip():
        query["q"] = "shirt"
    return query


def good_body(label, value):
    if isinstance(value, list):
        return [good_body(label, each) for each in value]
    if isinstance(value, dict):
        return {name: good_member(label, name, each) for name, each in value.items()}
    # 1.0 is an integer to JSON Schema. The shop takes digits only, for money is never a float.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def good_member(label, name, value):
    if value is None:
        return None
    if name in ("category", "parent"):
        return category()
    if name == "variant_id" and label == "POST /api/v1/carts/{id}/items":
        return for_sale()
    if name == "payment_method":
        return choice(METHODS)
    # Of the shop; another one is refused.
    if name == "currency":
        return "USD"
    # The present one is known to its account only; and no new one may be of the commonest.
    if name == "current_password" or label == "PUT /api/v1/users/me/password":
        return PASSWORD
    if name in ("password", "new_password") and label != "POST /api/v1/auth/login":
        return (PASSWORD + value)[:128]
    # Money is paid, and given back; it is never less than nothing.
    if name == "amount" and isinstance(value, (int, float)):
        return min(abs(int(value)), 10_000_000_000)
    # Nothing is no change.
    if name == "delta" and value == 0:
        return 1
    # No handle or slug is like an id, or like one of the fixed paths.
    if name in ("handle", "slug"):
        # And Python's regular expressions know no `\p{Ll}`: what is made for it has capitals.
        return ("a" + "".join(letter for letter in value if letter in "abcdefghijklmnopqrstuvwxyz0123456789-_"))[:255]
    return good_body(label, value)


@schemathesis.hook
def after_call(context, case, response):
    """Notices what was given and what was lost."""
    label, status = case.operation.label, response.status_code
    sent = response.request.headers.get("Authorization", "")
    if account.token and sent == f"Bearer {account.token}":
        if status == 401 or (label == "POST /api/v1/auth/logout" and status == 204):
            account.token = None
    if status not in (200, 201) or "json" not in response.headers.get("Content-Type", [""])[0]:
        return
    given = json.loads(response.content)
    if isinstance(given, dict) and given.get("next_cursor") and "sort" not in (case.query or {}):
        cursors.setdefault(label, []).append(given["next_cursor"])
    if isinstance(given, dict) and status == 201 and label == "POST /api/v1/orders":
        known.setdefault("/api/v1/orders", []).append(given["id"])
        known.setdefault("/api/v1/payments", []).append(given["payment"]["id"])
    if isinstance(given, dict) and status == 201 and label == "POST /api/v1/users/me/addresses":
        known.setdefault("/api/v1/users/me/addresses", []).append(given["id"])
    if CALLER == "nobody" and status == 201 and "token" in given:
        if label == "POST /api/v1/carts":
            cart_tokens[given["id"]] = given["token"]
        if label == "POST /api/v1/orders":
            order_tokens[given["id"]] = order_tokens[given["payment"]["id"]] = given["token"]
