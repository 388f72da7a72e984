#!/usr/bin/env python3
"""Libraries that speak OpenAI's protocol, against the daemon: tests/clients/other_clients.py PROGRAM

Each is asked for a text, a conversation and a stream of both, as far as it has them, and the texts must be those of the plain
answer. What is not installed (pypi.py --all installs all) is named, and not run; without any, the exit code is 77."""
import importlib.metadata
import json
import os
import sys
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from client import Daemon  # noqa: E402 - the folder has just been named
from pypi import NOT_RUN, has, use_kept  # noqa: E402

PROMPT = "Once upon a time"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
TOKENS = 12


class Clients:
    """A method is a client. Its name is the module's; the package is that of pip."""

    def __init__(self, base):
        self.base = base
        self.text = self.ask("/completions", {"prompt": PROMPT})["choices"][0]["text"]
        self.reply = self.ask("/chat/completions", {"messages": MESSAGES})["choices"][0]["message"]["content"]

    def ask(self, path, fields):
        body = json.dumps({"max_tokens": TOKENS, "temperature": 0, **fields}).encode()
        request = urllib.request.Request(self.base + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def langchain_openai(self):
        from langchain_openai import ChatOpenAI, OpenAI
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
        return "langchain-openai"

    def litellm(self):
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the internet for prices
        import litellm
        settings = {"api_base": self.base, "api_key": "none", "max_tokens": TOKENS, "temperature": 0, "num_retries": 0}
        for model in ("openai/tales", "hosted_vllm/tales"):
            answer = litellm.completion(model=model, messages=MESSAGES, **settings)
            assert answer.choices[0].message.content == self.reply and answer.usage.completion_tokens == TOKENS
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
        return "llama-index-llms-openai-like"

    def instructor(self):
        import instructor
        import openai
        from pydantic import BaseModel

        class Name(BaseModel):
            name: str

        client = openai.OpenAI(base_url=self.base, api_key="none", max_retries=0)
        tools = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
        try:
            tools.chat.completions.create(model="tales", messages=MESSAGES, response_model=Name, max_retries=0)
        except Exception as error:  # pylint: disable=broad-exception-caught - its kind depends on the version
            assert "400" in str(error) and "'tool" in str(error), error
        else:
            raise AssertionError("tools were not refused")
        plain = instructor.from_openai(client, mode=instructor.Mode.MD_JSON)
        answer = plain.chat.completions.create(model="tales", messages=MESSAGES, response_model=None, max_tokens=TOKENS,
                                               temperature=0)
        assert answer.choices[0].message.content == self.reply
        return "instructor"


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
