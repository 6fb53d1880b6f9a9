"""The control socket's interface as control/openapi.yaml describes it: checks each answer.

SPDX-License-Identifier: MIT
"""
import json
import re

import jsonschema
import yaml

from tunnel_process import ROOT

DOCUMENT = yaml.safe_load((ROOT / "src" / "control" / "openapi.yaml").read_text())
METHODS = ("get", "post", "delete")
OPERATIONS = {(method.upper(), path): operation for path, item in DOCUMENT["paths"].items()
              for method, operation in item.items() if method in METHODS}


def operation_of(method, path):
    """The operation of the document for this request, or None."""
    for (known, pattern), operation in OPERATIONS.items():
        shape = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(pattern))
        if known == method and re.fullmatch(shape, path.partition("?")[0]):
            return operation
    return None


def resolved(node):
    """What a $ref of the document leads to, or the node itself."""
    while "$ref" in node:
        reference, node = node["$ref"], DOCUMENT
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
    return node


def schema_of(operation, status):
    """The schema of an answer with this status, and its type."""
    answers = operation["responses"]
    content = resolved(answers.get(str(status)) or answers["default"])["content"]
    (kind, body), = content.items()
    return kind, {**body["schema"], "components": DOCUMENT["components"]}


def check(method, path, answer):
    """Asserts that the answer is as documented, and returns its JSON."""
    operation = operation_of(method, path)
    value = json.loads(answer.text)
    if operation is None:  # an error, whatever the path is
        schema = {"$ref": "#/components/schemas/Error", "components": DOCUMENT["components"]}
        assert answer.status in (400, 404, 405, 411, 413, 431), answer
    else:
        kind, schema = schema_of(operation, answer.status)
        assert answer.header("Content-Type") == kind
        assert str(answer.status) in operation["responses"] or answer.status >= 400, answer
    jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
    return value
