#!/usr/bin/env python3
"""Libraries that speak OpenAI's protocol, against the daemon: tests/clients/other_clients.py PROGRAM

Each is asked for a text, a conversation and a stream of both, as far as it has them, and the texts must be those of the plain
answer; and for an object of a schema, in its own way. What is not installed (pypi.py --all installs all) is named, and not run;
without any, the exit code is 77."""
import importlib.metadata
import json
import os
import re
import sys
import urllib.request
from typing import Literal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from client import Daemon  # noqa: E402 - the folder has just been named
from pypi import NOT_RUN, has, use_kept  # noqa: E402

PROMPT = "Once upon a time"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
TOKENS = 12
LONG_TOKENS = 400  # an object ends before
PERSON = {"title": "person", "description": "Somebody.", "type": "object",
          "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 130}},
          "required": ["name", "age"], "additionalProperties": False}
SCHEMA_FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}


def person_model():
    from pydantic import BaseModel, Field

    class Person(BaseModel):
        name: str = Field(max_length=12)
        age: int = Field(ge=0, le=130)
    return Person


class Clients:
    """A method is a client. Its name is the module's; the package is that of pip."""

    def __init__(self, base):
        self.base = base
        self.text = self.ask("/completions", {"prompt": PROMPT})["choices"][0]["text"]
        self.closing = self.ask("/tokenize", {"prompt": "}", "add_special_tokens": False})["tokens"][-1]
        self.reply = self.ask("/chat/completions", {"messages": MESSAGES})["choices"][0]["message"]["content"]

    def ask(self, path, fields):
        body = json.dumps({"max_tokens": TOKENS, "temperature": 0, **fields}).encode()
        request = urllib.request.Request(self.base + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def langchain_openai(self):
        from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
        settings = {"base_url": self.base, "api_key": "none", "model": "tales", "max_tokens": TOKENS, "temperature": 0,
                    "max_retries": 0}
        llm, chat = OpenAI(**settings), ChatOpenAI(**settings)
        assert llm.invoke(PROMPT) == self.text
        assert llm.batch([PROMPT, PROMPT]) == [self.text] * 2
        assert "".join(llm.stream(PROMPT)) == self.text
        assert chat.invoke(MESSAGES).content == self.reply
        assert "".join(chunk.text for chunk in chat.stream(MESSAGES)) == self.reply
        answer = chat.bind(logprobs=True, top_logprobs=2).invoke(MESSAGES)
        assert len(answer.response_metadata["logprobs"]["content"]) == TOKENS
        assert answer.usage_metadata["output_tokens"] == TOKENS
        embeddings = OpenAIEmbeddings(base_url=self.base, api_key="none", model="tales", max_retries=0,
                                      check_embedding_ctx_length=False)
        vector = self.ask("/embeddings", {"input": PROMPT})["data"][0]["embedding"]
        assert max(abs(a - b) for a, b in zip(embeddings.embed_query(PROMPT), vector, strict=True)) < 1e-6
        chat = ChatOpenAI(**{**settings, "max_tokens": LONG_TOKENS})
        person = chat.with_structured_output(PERSON, method="json_schema").invoke(MESSAGES)
        assert set(person) == {"name", "age"}, person
        strict = chat.with_structured_output(PERSON, method="json_schema", strict=True)
        assert strict.invoke(MESSAGES) == person and list(strict.stream(MESSAGES))[-1] == person
        closed = ChatOpenAI(**settings, logit_bias={self.closing: 100})
        assert closed.with_structured_output(PERSON, method="json_mode").invoke(MESSAGES) == {}
        return "langchain-openai"

    def litellm(self):
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the internet for prices
        import litellm
        settings = {"api_base": self.base, "api_key": "none", "max_tokens": TOKENS, "temperature": 0, "num_retries": 0}
        for model in ("openai/tales", "hosted_vllm/tales"):
            answer = litellm.completion(model=model, messages=MESSAGES, **settings)
            assert answer.choices[0].message.content == self.reply and answer.usage.completion_tokens == TOKENS
            answer = litellm.completion(model=model, messages=MESSAGES, **{**settings, "max_tokens": LONG_TOKENS},
                                        response_format=SCHEMA_FORMAT)
            assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}
            parts = litellm.completion(model=model, messages=MESSAGES, stream=True, **settings)
            assert "".join(part.choices[0].delta.content or "" for part in parts) == self.reply
        answer = litellm.text_completion(model="text-completion-openai/tales", prompt=PROMPT, **settings)
        assert answer.choices[0].text == self.text
        return "litellm"

    def outlines(self):
        import openai
        import outlines
        model = outlines.from_openai(openai.OpenAI(base_url=self.base, api_key="none", max_retries=0), "tales")
        settings = {"max_tokens": TOKENS, "temperature": 0}
        chat = outlines.inputs.Chat(MESSAGES)
        assert model(chat, **settings) == self.reply
        assert "".join(model.stream(chat, **settings)) == self.reply
        settings["max_tokens"] = LONG_TOKENS
        schema = outlines.json_schema(PERSON)
        person = model(chat, schema, **settings)
        assert set(json.loads(person)) == {"name", "age"}
        model = outlines.from_vllm(openai.OpenAI(base_url=self.base, api_key="none", max_retries=0), "tales")
        assert model(chat, schema, **settings) == person and "".join(model.stream(chat, schema, **settings)) == person
        assert model(chat, Literal["yes", "no"], **settings) in ("yes", "no")
        assert re.fullmatch("[0-9]{3}-[a-c]{2}", model(chat, outlines.regex("[0-9]{3}-[a-c]{2}"), **settings))
        assert re.fullmatch("<[a-z]>", model(chat, outlines.cfg('root ::= "<" [a-z] ">"'), **settings))
        return "outlines"

    def llama_index(self):
        from llama_index.core.llms import ChatMessage
        from llama_index.llms.openai_like import OpenAILike
        settings = {"api_base": self.base, "api_key": "none", "model": "tales", "max_tokens": TOKENS, "temperature": 0,
                    "max_retries": 0}
        text, chat = OpenAILike(**settings), OpenAILike(is_chat_model=True, **settings)
        messages = [ChatMessage(role=message["role"], content=message["content"]) for message in MESSAGES]
        assert text.complete(PROMPT).text == self.text
        assert "".join(part.delta for part in text.stream_complete(PROMPT)) == self.text
        assert chat.chat(messages).message.content == self.reply
        assert "".join(part.delta for part in chat.stream_chat(messages)) == self.reply
        bound = OpenAILike(**{**settings, "max_tokens": LONG_TOKENS}, is_chat_model=True, should_use_structured_outputs=True)
        assert 0 <= bound.as_structured_llm(person_model()).chat(messages).raw.age <= 130
        return "llama-index-llms-openai-like"

    def instructor(self):
        import instructor
        import openai
        person, ask = person_model(), {"model": "tales", "messages": MESSAGES, "max_retries": 0, "temperature": 0}
        client = openai.OpenAI(base_url=self.base, api_key="none", max_retries=0)
        tools = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
        try:
            tools.chat.completions.create(response_model=person, **ask)
        except Exception as error:  # pylint: disable=broad-exception-caught - its kind depends on the version
            assert "400" in str(error) and "'tool" in str(error), error
        else:
            raise AssertionError("tools were not refused")
        schema = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        assert 0 <= schema.chat.completions.create(response_model=person, max_tokens=LONG_TOKENS, **ask).age <= 130
        plain = instructor.from_openai(client, mode=instructor.Mode.MD_JSON)
        answer = plain.chat.completions.create(model="tales", messages=MESSAGES, response_model=None, max_tokens=TOKENS,
                                               temperature=0)
        assert answer.choices[0].message.content == self.reply
        return "instructor"

    def guidance(self):
        import guidance
        model = guidance.models.OpenAI("tales", base_url=self.base, api_key="none", echo=False)
        with guidance.user():
            model += PROMPT
        with guidance.assistant():
            model += guidance.json("person", schema=PERSON, max_tokens=LONG_TOKENS)
        assert set(json.loads(model["person"])) == {"name", "age"}
        return "guidance"

    def pydantic_ai(self):
        import pydantic_ai
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider
        model = OpenAIChatModel("tales", provider=OpenAIProvider(base_url=self.base, api_key="none"))
        settings = {"max_tokens": TOKENS, "temperature": 0}
        plain = pydantic_ai.Agent(model, system_prompt=MESSAGES[0]["content"])
        assert plain.run_sync(MESSAGES[1]["content"], model_settings=settings).output == self.reply
        person = pydantic_ai.Agent(model, output_type=pydantic_ai.NativeOutput(person_model()))
        answer = person.run_sync(PROMPT, model_settings={**settings, "max_tokens": LONG_TOKENS})
        assert 0 <= answer.output.age <= 130
        return "pydantic-ai-slim"

    def haystack(self):
        from haystack.components.generators.chat import OpenAIChatGenerator
        from haystack.dataclasses import ChatMessage
        from haystack.utils import Secret
        parts = []
        model = OpenAIChatGenerator(api_key=Secret.from_token("none"), model="tales", api_base_url=self.base, max_retries=0,
                                    generation_kwargs={"max_tokens": TOKENS, "temperature": 0})
        messages = [ChatMessage.from_system(MESSAGES[0]["content"]), ChatMessage.from_user(MESSAGES[1]["content"])]
        assert model.run(messages)["replies"][0].text == self.reply
        model.run(messages, streaming_callback=lambda part: parts.append(part.content))
        assert "".join(parts) == self.reply
        return "haystack-ai"

    def llm(self):
        from llm.default_plugins.openai_models import Chat, Completion
        text = Completion("text", model_name="tales", api_base=self.base)
        chat = Chat("chat", model_name="tales", api_base=self.base)
        options = {"max_tokens": TOKENS, "temperature": 0}
        assert text.prompt(PROMPT, key="none", **options).text() == self.text
        assert chat.prompt(MESSAGES[1]["content"], system=MESSAGES[0]["content"], key="none", **options).text() == self.reply
        return "llm"


def main():
    use_kept()
    names = [name for name in Clients.__dict__ if name[0] != "_" and name != "ask"]
    modules = {"llama_index": "llama_index.llms.openai_like"}
    here = [name for name in names if has([modules.get(name, name).partition(".")[0]])]
    for name in sorted(set(names) - set(here)):
        print(f"NOT RUN {name}: it is not installed (tests/clients/pypi.py --all does it)")
    if not here:
        print("not run: none of the clients is installed")
        return NOT_RUN
    daemon = Daemon(sys.argv[1], os.path.join(ROOT, "deploy", "models", "tales"), "--chat-template",
                    os.path.join(ROOT, "tests", "clients", "chat.jinja"))
    try:
        clients = Clients(f"http://127.0.0.1:{daemon.port}/v1")
        for name in here:
            package = getattr(clients, name)()
            print(f"passed  {package} {importlib.metadata.version(package)}", flush=True)
    finally:
        code = daemon.stop()
    assert code == 0, f"the daemon ended with {code}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
