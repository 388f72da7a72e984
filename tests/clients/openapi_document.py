#!/usr/bin/env python3
"""The description of the API against a validator and against real answers: tests/clients/openapi_document.py PROGRAM [MODEL]

openapi-spec-validator and jsonschema come from PyPI (pypi.py), unless this Python has them. Where they can be had from nowhere the
last line says "not run", and the exit code is 77."""
import argparse
import json
import os
import sys
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from client import Daemon  # noqa: E402 - the folder has just been named
from pypi import NOT_RUN, want  # noqa: E402

HELLO = [{"role": "user", "content": "Once upon a time"}]
# Each route once, and what changes the shape of an answer.
BODIES = [
    ("post", "/v1/completions", {"prompt": "Once", "max_tokens": 4}),
    ("post", "/v1/completions", {"prompt": ["Once", "Twice"], "max_tokens": 4, "n": 2, "logprobs": 3, "echo": True,
                                 "prompt_logprobs": 2, "return_token_ids": True, "stop": "e"}),
    ("post", "/v1/completions", {"prompt": "Once", "max_tokens": 4, "stream": True, "logprobs": 2,
                                 "stream_options": {"include_usage": True}}),
    ("post", "/v1/chat/completions", {"messages": HELLO, "max_tokens": 4, "logprobs": True, "top_logprobs": 2}),
    ("post", "/v1/chat/completions", {"messages": HELLO, "max_tokens": 4, "stream": True}),
    ("post", "/v1/completions", {"prompt": "Once", "max_tokens": 4, "timings": True,
                                 "prediction": {"type": "content", "content": " upon a time"}}),
    ("post", "/v1/embeddings", {"input": ["Once", [1, 2]], "pooling": "mean", "dimensions": 3, "timings": True}),
    ("post", "/v1/embeddings", {"input": "Once", "encoding_format": "base64"}),
    ("post", "/score", {"prompt": "Once", "continuation": [" upon", " more"], "timings": True}),
    ("post", "/apply-template", {"messages": HELLO}),
    ("post", "/tokenize", {"prompt": "Once"}),
    ("post", "/detokenize", {"tokens": [1, 2]}),
    ("get", "/v1/models", None), ("get", "/v1/models/{id}", None), ("get", "/tokenizer_info", None), ("get", "/health", None),
    ("get", "/ready", None), ("get", "/version", None), ("get", "/metrics", None), ("get", "/openapi.json", None),
    ("get", "/", None),
]
REFUSED = [("/v1/completions", {"prompt": "a", "temperature": 3}), ("/v1/completions", {"prompt": "a", "grammar": "x"}),
           ("/infill", {"input_prefix": "a"}), ("/nowhere", {})]


def ask(base, path, body):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read().decode()


class Description:
    def __init__(self, document):
        import jsonschema
        self.document = document
        self.validator = jsonschema.Draft202012Validator

    def check(self, schema, value):
        """Fields that no schema names would be a gap in the description, so none may be there."""
        whole = {"components": self.document["components"], **schema}
        self.validator(whole).validate(value)

    def schema_of(self, method, path, media):
        return self.document["paths"][path][method]["responses"]["200"]["content"][media]["schema"]

    def closed(self):
        """The same description, with objects that have the properties they name and no others."""
        def close(node):
            if isinstance(node, dict):
                for member in node.values():
                    close(member)
                if "properties" in node and node.get("type") == "object":
                    node.setdefault("additionalProperties", False)
            elif isinstance(node, list):
                for member in node:
                    close(member)
        copy = json.loads(json.dumps(self.document))
        close(copy["components"]["schemas"])
        return Description(copy)


def check_answers(base, description):
    used = set()
    for method, path, body in BODIES:
        if body is not None:
            reference = description.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
            description.check(reference, body)
        model = json.loads(ask(base, "/v1/models", None)[2])["data"][0]["id"]
        status, media, text = ask(base, path.replace("{id}", model), body)
        assert status == 200, (path, status, text)
        used.add((method, path))
        schema = description.schema_of(method, path, media)
        if media == "text/event-stream":
            for line in text.splitlines():
                if line.startswith("data: {"):
                    description.check(schema, json.loads(line[6:]))
        elif media == "application/json":
            description.check(schema, json.loads(text))
    missing = {(method, path) for path, methods in description.document["paths"].items() for method in methods} - used
    assert missing == {("post", "/infill")}, missing  # the bundled model has no tokens for it
    for path, body in REFUSED:
        status, _, text = ask(base, path, body)
        assert 400 <= status < 500, (path, status)
        description.check(description.document["components"]["responses"]["Error"]["content"]["application/json"]["schema"],
                          json.loads(text))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("model", nargs="?", default=os.path.join(ROOT, "deploy", "models", "tales"))
    options = parser.parse_args()
    if not want(["openapi_spec_validator", "jsonschema"]):
        print("not run: openapi-spec-validator and jsonschema are not installed, and PyPI cannot be reached")
        return NOT_RUN
    import openapi_spec_validator
    template = os.path.join(ROOT, "tests", "clients", "chat.jinja")
    daemon = Daemon(options.program, options.model, "--chat-template", template)
    base = f"http://127.0.0.1:{daemon.port}"
    try:
        document = json.loads(ask(base, "/openapi.json", None)[2])
        openapi_spec_validator.validate(document)
        check_answers(base, Description(document).closed())
    finally:
        assert daemon.stop() == 0
    print(f"{len(document['paths'])} paths, {len(document['components']['schemas'])} schemas: valid, and answers agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
