#!/usr/bin/env python3
"""The page at / in a real browser, driven by chromedriver: what a person would do with it.

    tests/page/test_page.py PRENORMD [--pictures FOLDER]

Exit code 77 where there is no chromium or no chromedriver (Debian: chromium, chromium-driver). --pictures writes the
screenshots that the README shows.
"""
import argparse
import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "deploy/models/tales"
TEMPLATE = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
LONG_SECONDS = 120  # for things that happen at once, on a machine that is busy
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of the WebDriver specification
OPTIONS = None


class Daemon:
    def __init__(self, *options):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        command = [OPTIONS.prenormd, "serve", "--model", str(MODEL), "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=self.log)
        self.url = self.wait_for(r"listening on (\S+)")
        self.wait_for(r"ready")

    def wait_for(self, pattern):
        end = time.monotonic() + LONG_SECONDS
        while time.monotonic() < end:
            found = re.search(pattern, pathlib.Path(self.log.name).read_text())
            if found:
                return found[found.re.groups]
            time.sleep(0.05)
        raise AssertionError(f"the daemon's log has no '{pattern}'")

    def metric(self, name):
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer.read().decode(), re.M)
        return float(found[1])

    def close(self):
        self.process.terminate()
        assert self.process.wait(LONG_SECONDS) == 0


class Browser:
    """A session of chromedriver; its commands are those of https://www.w3.org/TR/webdriver."""

    def __init__(self, *arguments):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        self.base = None
        for line in self.driver.stdout:
            found = re.search(r"on port (\d+)\.", line)
            if found:
                self.base = f"http://127.0.0.1:{found[1]}"
                break
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        capabilities = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
                        "goog:chromeOptions": {"args": flags + list(arguments)}}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LONG_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:400]}") from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments):
        end = time.monotonic() + LONG_SECONDS
        while time.monotonic() < end:
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"never came true: {script}")

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def set(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/clear")
        if text:
            self.type(selector, text)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def complaints(self):
        log = self.call("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in log if line["level"] in ("SEVERE", "WARNING")]

    def size(self, width, height):
        self.call("POST", "/window/rect", {"width": width, "height": height})

    def picture(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        self.call("DELETE", "")
        self.driver.terminate()
        self.driver.wait()
        self.driver.stdout.close()


class Page(unittest.TestCase):
    daemon_options = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(*cls.daemon_options)
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.daemon.close()

    def setUp(self):
        self.browser.complaints()  # those of the test before are gone then
        self.browser.open(self.daemon.url + "/")

    def answers(self):
        return int(self.browser.run("return document.body.dataset.answers || 0"))

    def send_and_wait(self):
        before = self.answers()
        self.browser.click("#send")
        self.browser.wait("return Number(document.body.dataset.answers || 0) > arguments[0]", before)


class WithoutKey(Page):
    def test_it_says_what_runs_and_complains_of_nothing(self):
        self.browser.wait("return document.getElementById('model').textContent.includes('tales')")
        self.browser.wait("return document.getElementById('load').textContent.includes('0 running')")
        self.assertEqual(self.browser.complaints(), [])

    def test_a_completion_streams_in_tokens(self):
        self.browser.set("#max_tokens", "24")
        self.browser.set("#temperature", "0")
        self.send_and_wait()
        self.assertEqual(self.browser.run("return document.querySelectorAll('#output .token').length"), 24)
        self.assertRegex(self.browser.text("#output"), r"^Once upon a time.{30}")
        self.assertRegex(self.browser.text("#rate"), r"^24 tokens, [\d.]+ tokens/s, ended by length$")
        self.assertFalse(self.browser.run("return document.getElementById('send').disabled"))
        self.assertEqual(self.browser.complaints(), [])

    def test_alternatives_of_a_token_by_mouse_and_keyboard(self):
        self.browser.set("#max_tokens", "8")
        self.send_and_wait()
        self.browser.click("#output .token:nth-of-type(4)")
        rows = "return document.querySelectorAll('#alternatives tr').length"
        self.assertGreaterEqual(self.browser.run(rows), 5)
        shares = [float(s) for s in re.findall(r"([\d.]+) %", self.browser.text("#alternatives"))]
        self.assertEqual(shares, sorted(shares, reverse=True))
        self.browser.type("#output", "\ue014")  # the right arrow
        self.assertTrue(self.browser.run(
            "return document.querySelector('#output .token:nth-of-type(5)').classList.contains('chosen')"))

    def test_stopping_cancels_the_sequence(self):
        self.browser.set("#max_tokens", "400")
        self.browser.run("document.getElementById('input').value = 'Once'")
        self.browser.click("#send")
        self.browser.wait("return document.querySelectorAll('#output .token').length > 2")
        self.browser.click("#stop")
        self.browser.wait("return document.getElementById('rate').textContent.includes('stopped')"
                          " || Number(document.body.dataset.answers || 0) > 0")
        end = time.monotonic() + LONG_SECONDS
        while self.daemon.metric("prenorm_sequences_running") and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.daemon.metric("prenorm_sequences_running"), 0)

    def test_an_error_is_said_to_people(self):
        self.browser.set("#max_tokens", "0.5")
        self.browser.run("document.getElementById('form').noValidate = true")
        self.send_and_wait()
        self.assertIn("max_tokens", self.browser.text("#error"))
        self.assertFalse(self.browser.run("return document.getElementById('error').classList.contains('hidden')"))

    def test_the_curl_line_does_the_same(self):
        self.browser.set("#max_tokens", "12")
        self.browser.set("#temperature", "0")
        self.browser.set("#input", "It's a")
        self.send_and_wait()
        text = self.browser.text("#output")
        answer = subprocess.run(["bash", "-c", self.browser.text("#curl")], capture_output=True, check=True)
        self.assertEqual(text, "It's a" + json.loads(answer.stdout)["choices"][0]["text"])

    def test_a_phone_has_room_for_it(self):
        self.browser.size(390, 844)
        width = self.browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        self.assertLessEqual(width[0], width[1])
        self.browser.size(1280, 900)


class Chat(Page):
    @classmethod
    def setUpClass(cls):
        cls.template = tempfile.NamedTemporaryFile("w", suffix=".jinja")
        cls.template.write(TEMPLATE)
        cls.template.flush()
        cls.daemon_options = ("--chat-template", cls.template.name)
        super().setUpClass()

    def test_a_conversation_goes_on(self):
        self.browser.click("#tab-chat")
        self.browser.set("#max_tokens", "8")
        self.browser.set("#temperature", "0")
        self.browser.set("#input", "Once upon a time")
        self.send_and_wait()
        self.browser.set("#input", "Then he")
        self.send_and_wait()
        self.assertEqual(self.browser.run("return messages.map((m) => m.role)"),
                         ["user", "assistant", "user", "assistant"])
        self.assertEqual(self.browser.run("return document.querySelectorAll('#output .token').length"), 16)
        self.assertEqual(self.browser.complaints(), [])


class WithKey(Page):
    @classmethod
    def setUpClass(cls):
        cls.keys = tempfile.NamedTemporaryFile("w")
        cls.keys.write("secret-of-the-test\n")
        cls.keys.flush()
        cls.daemon_options = ("--api-key-file", cls.keys.name)
        super().setUpClass()

    def test_it_asks_for_the_key_and_forgets_it(self):
        self.browser.wait("return document.getElementById('key-dialog').open")
        self.browser.type("#key", "secret-of-the-test")
        self.browser.click("#key-dialog button")
        self.browser.wait("return document.getElementById('model').textContent.includes('tales')")
        self.browser.set("#max_tokens", "4")
        self.send_and_wait()
        self.assertEqual(self.browser.run("return document.querySelectorAll('#output .token').length"), 4)
        self.assertEqual(self.browser.run("return [localStorage.length, sessionStorage.length, document.cookie]"),
                         [0, 0, ""])
        self.assertNotIn("secret-of-the-test", self.browser.text("#curl"))
        self.browser.open(self.daemon.url + "/")
        self.browser.wait("return document.getElementById('key-dialog').open")


class Off(unittest.TestCase):
    def test_the_page_can_be_switched_off(self):
        daemon = Daemon("--page", "off")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(daemon.url + "/")
        self.assertEqual(refused.exception.code, 404)
        refused.exception.close()
        daemon.close()


def take_pictures(folder):
    daemon = Daemon()
    for name, flags in (("page-light", ()), ("page-dark", ("--force-dark-mode", "--blink-settings=preferredColorScheme=0"))):
        browser = Browser("--force-device-scale-factor=1", *flags)
        browser.size(1100, 820)
        browser.open(daemon.url + "/")
        browser.wait("return document.getElementById('load').textContent.includes('running')")
        browser.set("#max_tokens", "120")
        browser.set("#seed", "11")
        browser.click("#send")
        browser.wait("return Number(document.body.dataset.answers || 0) > 0")
        browser.click("#output .token:nth-of-type(21)")
        browser.picture(pathlib.Path(folder) / f"{name}.png")
        browser.close()
    daemon.close()


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prenormd")
    parser.add_argument("--pictures")
    OPTIONS, rest = parser.parse_known_args()
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            print(f"not run: there is no {program}")
            return 77
    if OPTIONS.pictures:
        take_pictures(OPTIONS.pictures)
        return 0
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
