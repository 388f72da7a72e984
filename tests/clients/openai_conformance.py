#!/usr/bin/env python3
"""OpenAI's own package against the daemon: tests/clients/openai_conformance.py PROGRAM [MODEL]

The package comes from PyPI (pypi.py), unless this Python has it. Where it can be had from nowhere the last line says "not run", and
the exit code is 77."""
import argparse
import asyncio
import json
import os
import re
import sys
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from client import Daemon  # noqa: E402 - the folder has just been named
from pypi import NOT_RUN, want  # noqa: E402

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Once upon a time"}]


PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
                                           "age": {"type": "integer", "minimum": 0, "maximum": 130}},
          "required": ["name", "age"], "additionalProperties": False}


class Checks:
    """Each method is one check; the names of the client's own types are those of the package."""

    def __init__(self, openai, base_url):
        self.openai = openai
        self.base_url = base_url
        self.client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
        self.model = self.client.models.list().data[0].id

    def complete(self, **fields):
        return self.client.completions.create(**{"model": self.model, "prompt": "Once upon a time", "max_tokens": 8,
                                                 "temperature": 0, **fields})

    def chat(self, **fields):
        return self.client.chat.completions.create(**{"model": self.model, "messages": HELLO, "max_tokens": 8,
                                                      "temperature": 0, **fields})

    def refused(self, call, param, **fields):
        try:
            call(**fields)
        except self.openai.BadRequestError as error:
            assert error.param == param, error.param
            assert error.type == "invalid_request_error", error.type
            return
        raise AssertionError(f"{fields} was not refused")

    def models(self):
        model = self.client.models.retrieve(self.model)
        assert model.id == self.model and model.object == "model"
        try:
            self.client.models.retrieve("no-such-model")
        except self.openai.NotFoundError as error:
            assert error.code == "model_not_found", error.code
            return
        raise AssertionError("a model that there is not")

    def completion(self):
        answer = self.complete()
        assert answer.object == "text_completion" and answer.id.startswith("cmpl-")
        assert answer.choices[0].text and answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 8
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8

    def completion_stream(self):
        whole = self.complete().choices[0].text
        parts = list(self.complete(stream=True, stream_options={"include_usage": True}))
        assert "".join(part.choices[0].text for part in parts if part.choices) == whole
        assert parts[-1].usage.completion_tokens == 8 and not parts[-1].choices

    def completion_logprobs(self):
        choice = self.complete(echo=True, logprobs=2, max_tokens=2).choices[0]
        assert "".join(choice.logprobs.tokens).endswith(choice.text)  # a token that begins a text stands before it
        assert choice.logprobs.token_logprobs[0] is None and choice.logprobs.token_logprobs[1] <= 0
        assert len(choice.logprobs.tokens) == len(choice.logprobs.text_offset) == len(choice.logprobs.top_logprobs)

    def completion_choices(self):
        answer = self.complete(prompt=["a", "b"], n=2, temperature=1, seed=4)
        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
        again = self.complete(prompt="b", n=2, temperature=1, seed=4)
        assert [choice.text for choice in again.choices] == [choice.text for choice in answer.choices[2:]]
        assert len(self.complete(best_of=3, temperature=1).choices) == 1
        assert self.complete(prompt=[1, 2, 3]).usage.prompt_tokens == 3

    def completion_stop(self):
        whole = self.complete(max_tokens=20).choices[0].text
        stop = whole[5:7]
        choice = self.complete(max_tokens=20, stop=[stop, "@@"]).choices[0]
        assert choice.text == whole[:whole.index(stop)] and choice.finish_reason == "stop"

    def extra_fields(self):
        answer = self.complete(extra_body={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "prompt_logprobs": 1,
                                           "return_token_ids": True})
        choice = answer.choices[0]
        assert len(choice.token_ids) == 8 and len(choice.prompt_token_ids) == len(choice.prompt_logprobs)

    def embeddings(self):
        # The package asks for base64 and decodes it by itself, unless it is told otherwise.
        answer = self.client.embeddings.create(model=self.model, input=["Once upon a time", "The end."])
        assert answer.object == "list" and [one.index for one in answer.data] == [0, 1]
        for one in answer.data:
            assert one.object == "embedding" and abs(sum(value * value for value in one.embedding) - 1) < 1e-5
        assert answer.usage.total_tokens == answer.usage.prompt_tokens > 2
        plain = self.client.embeddings.create(model=self.model, input="The end.", encoding_format="float").data[0].embedding
        assert plain == answer.data[1].embedding or max(abs(a - b) for a, b in zip(plain, answer.data[1].embedding)) < 1e-7
        short = self.client.embeddings.create(model=self.model, input=[[1, 2, 3]], dimensions=4,
                                              extra_body={"pooling": "mean"}).data[0].embedding
        assert len(short) == 4 and abs(sum(value * value for value in short) - 1) < 1e-5
        self.refused(lambda **fields: self.client.embeddings.create(model=self.model, **fields), "input", input=[])

    def scores(self):
        answer = self.client.post("/score", body={"prompt": "Once upon a", "continuation": [" time", " king"]}, cast_to=dict[str, object])
        likely, unlikely = answer["data"]
        assert 0 > likely["score"] > unlikely["score"] and likely["is_greedy"]
        echoed = self.complete(prompt="Once upon a king", echo=True, logprobs=0, max_tokens=0).choices[0].logprobs
        assert unlikely["token_logprobs"] == echoed.token_logprobs[-1:]

    def refusals(self):
        self.refused(self.complete, "temperature", temperature=7)
        self.refused(self.complete, "guided_json", extra_body={"guided_json": {"type": "thing"}})
        self.refused(self.complete, "guided_regex", extra_body={"guided_regex": "a", "structured_outputs": {"choice": ["b"]}})
        self.refused(self.chat, "tools", tools=[{"type": "function", "function": {"name": "f"}}])
        self.refused(self.chat, "response_format", response_format={"type": "xml"})
        self.refused(self.chat, "messages",
                     messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
        self.refused(self.chat, "messages", messages=[])

    def structured_outputs(self):
        asked = {"structured_outputs": {"regex": "[0-9]{3}-[a-c]{2}"}}
        assert re.fullmatch("[0-9]{3}-[a-c]{2}", self.complete(max_tokens=20, extra_body=asked).choices[0].text)
        choice = self.complete(max_tokens=20, extra_body={"guided_choice": ["yes", "no"]}).choices[0]
        assert choice.text in ("yes", "no") and choice.finish_reason == "stop"
        choice = self.complete(max_tokens=20, extra_body={"guided_grammar": 'root ::= "<" [a-z] ">"'}).choices[0]
        assert re.fullmatch("<[a-z]>", choice.text)
        text = self.complete(max_tokens=400, extra_body={"guided_json": PERSON}).choices[0].text
        assert set(json.loads(text)) == {"name", "age"}

    def json_object(self):
        closing = self.client.post("/tokenize", body={"prompt": "}", "add_special_tokens": False}, cast_to=dict[str, object])["tokens"][-1]
        choice = self.chat(response_format={"type": "json_object"}, logit_bias={str(closing): 100}).choices[0]
        assert choice.message.content == "{}" and choice.finish_reason == "stop"

    def json_schema(self):
        asked = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        choice = self.chat(response_format=asked, max_tokens=400).choices[0]
        person = json.loads(choice.message.content)
        assert set(person) == {"name", "age"} and 0 <= person["age"] <= 130 and choice.finish_reason == "stop"
        parts = self.chat(response_format=asked, max_tokens=400, stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts) == choice.message.content

    def pydantic_models(self):
        import pydantic  # pylint: disable=import-outside-toplevel - openai brings it

        class Person(pydantic.BaseModel):
            name: str = pydantic.Field(max_length=12)
            age: int = pydantic.Field(ge=0, le=130)
            mood: typing.Literal["glad", "sad"]

        fields = {"model": self.model, "messages": HELLO, "max_tokens": 400, "temperature": 0, "response_format": Person}
        parsed = self.client.chat.completions.parse(**fields).choices[0].message.parsed
        assert isinstance(parsed, Person)
        with self.client.chat.completions.stream(**fields) as stream:
            for _ in stream:
                pass
            assert stream.get_final_completion().choices[0].message.parsed == parsed

    def request_id(self):
        raw = self.client.completions.with_raw_response.create(model=self.model, prompt="a", max_tokens=1,
                                                               extra_headers={"X-Request-Id": "mine"})
        assert raw.headers["x-request-id"] == "mine" and raw.parse().choices

    def chat_completion(self):
        answer = self.chat()
        message = answer.choices[0].message
        assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
        assert message.role == "assistant" and message.content and not message.tool_calls
        assert answer.choices[0].finish_reason == "length" and answer.choices[0].logprobs is None
        assert answer.usage.completion_tokens == 8

    def chat_is_what_its_prompt_is(self):
        prompt = self.client.post("/apply-template", body={"messages": HELLO}, cast_to=dict[str, object])["prompt"]
        assert prompt == "[system] Be brief.\n[user] Once upon a time\n[assistant]", prompt
        assert self.complete(prompt=prompt).choices[0].text == self.chat().choices[0].message.content

    def chat_stream(self):
        whole = self.chat().choices[0].message.content
        parts = list(self.chat(stream=True, stream_options={"include_usage": True}))
        assert parts[0].choices[0].delta.role == "assistant" and parts[0].object == "chat.completion.chunk"
        assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == whole
        assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == "length"
        assert parts[-1].usage.completion_tokens == 8

    def chat_stream_helper(self):
        if not hasattr(self.client.chat.completions, "stream"):
            return
        whole = self.chat(max_tokens=40).choices[0].message.content
        stop = whole[20:22]  # it takes an end by length for an error
        with self.client.chat.completions.stream(model=self.model, messages=HELLO, max_tokens=40, temperature=0,
                                                 stop=stop) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
        assert choice.message.content == whole[:whole.index(stop)] and choice.finish_reason == "stop"

    def chat_logprobs(self):
        choice = self.chat(logprobs=True, top_logprobs=3).choices[0]
        assert len(choice.logprobs.content) == 8
        for token in choice.logprobs.content:
            assert len(token.top_logprobs) == 3 and token.logprob <= 0
            assert token.top_logprobs[0].logprob == token.logprob  # the most likely one was taken
        said = bytes(byte for token in choice.logprobs.content for byte in token.bytes)
        assert said.decode(errors="replace") == choice.message.content

    def chat_choices(self):
        answer = self.chat(n=3, temperature=1, seed=7, max_tokens=None, max_completion_tokens=5,
                           presence_penalty=0.5, frequency_penalty=0.5, logit_bias={"5": -100}, user="somebody")
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        assert answer.usage.completion_tokens <= 15

    def chat_parts_and_continuation(self):
        parts = [{"type": "text", "text": "Once upon"}, {"type": "text", "text": "a time"}]
        assert self.chat(messages=[{"role": "user", "content": parts}]).choices[0].message.content
        open_end = HELLO + [{"role": "assistant", "content": "There was a"}]
        answer = self.chat(messages=open_end, extra_body={"continue_final_message": True,
                                                          "add_generation_prompt": False})
        assert answer.choices[0].message.content

    def many_at_once(self):
        async def run():
            async with self.openai.AsyncOpenAI(base_url=self.base_url, api_key="none", max_retries=0) as client:
                return await asyncio.gather(*[
                    client.chat.completions.create(model=self.model, messages=HELLO, max_tokens=8, temperature=0)
                    for _ in range(8)])
        texts = {answer.choices[0].message.content for answer in asyncio.run(run())}
        assert texts == {self.chat().choices[0].message.content}, texts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("model", nargs="?", default=os.path.join(ROOT, "deploy", "models", "tales"))
    options = parser.parse_args()
    if not want(["openai"]):
        print("not run: the package openai is not installed, and PyPI cannot be reached")
        return NOT_RUN
    import openai  # pylint: disable=import-outside-toplevel
    daemon = Daemon(options.program, options.model, "--chat-template", os.path.join(ROOT, "tests", "clients", "chat.jinja"))
    try:
        checks = Checks(openai, f"http://127.0.0.1:{daemon.port}/v1")
        names = [name for name in Checks.__dict__ if name[0] != "_" and name not in ("complete", "chat", "refused")]
        for name in names:
            getattr(checks, name)()
            print("passed ", name)
    finally:
        code = daemon.stop()
    assert code == 0, f"the daemon ended with {code}"
    print(f"{len(names)} checks with openai {openai.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
