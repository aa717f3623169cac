#!/usr/bin/env python3
"""Does a browser show a page of `spfde report` whole, without errors and without the network?

  python3 tests/browser/page.py PAGE.html

Opens the page in headless Chromium, light, dark and as it is printed, and prints a line for each failure:
an error on the console, a request for anything but the page, a drawing without a size, a picture that is not one, a
page wider than its window. The exit code is 1 then, and 77 if Chromium does not start. Needs `chromium` and nothing
else; takes a few seconds, two minutes at most.
"""
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

LOOKS = {
    "light": {"features": [{"name": "prefers-color-scheme", "value": "light"}]},
    "dark": {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    "printed": {"media": "print"},
}

# What is wrong with what is shown; the number of drawings and pictures, so that nothing passes for want of any.
LOOK = """(() => {
  const wrong = [], root = document.documentElement;
  const drawings = [...document.querySelectorAll('.drawings > svg')], pictures = [...document.images];
  for (const drawing of drawings) {
    const box = drawing.getBoundingClientRect();
    if (!(box.width > 0 && box.height > 0)) wrong.push('a drawing has no size');
  }
  for (const picture of pictures) if (!picture.naturalWidth) wrong.push('no picture: ' + picture.alt);
  if (root.scrollWidth > root.clientWidth) wrong.push(`${root.scrollWidth} wide in ${root.clientWidth}`);
  const colours = new Set([...document.querySelectorAll('.drawings .line')].map(line => getComputedStyle(line).stroke));
  if (colours.has('none')) wrong.push('a line has no colour');
  return {wrong, drawings: drawings.length, pictures: pictures.length};
})()"""


class Browser:
    """Chromium, spoken to by the DevTools protocol: JSON that ends with a null byte, through two pipes."""

    def __init__(self, profile):
        # The browser reads from descriptor 3 and writes to 4: others have to make way.
        ends = [*os.pipe(), *os.pipe()]
        to_browser, self.commands, self.answers, from_browser = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in ends)

        def connect():
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        words += ["--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self.said = pathlib.Path(profile, "stderr")
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                ["chromium", *words, "about:blank"], pass_fds=(3, 4), preexec_fn=connect, stderr=said
            )
        # Only then, so that no other descriptor has the number 3 or 4 before; the browser's end shows as an end.
        for end in (*ends, to_browser, from_browser):
            os.close(end)
        self.asked, self.rest, self.events, self.session = 0, b"", [], None

    def ask(self, method, **parameters):
        """The result of a command; what happens meanwhile goes to the events."""
        self.asked += 1
        message = {"id": self.asked, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next()
            if answer.get("id") == self.asked:
                # While a page takes the place of another there is none to evaluate in.
                if "error" in answer and method != "Runtime.evaluate":
                    sys.exit(f"{method}: {answer['error']['message']}")
                return answer.get("result", {})
            self.events.append(answer)

    def next(self):
        """The next message."""
        while b"\0" not in self.rest:
            more = os.read(self.answers, 1 << 16)
            if not more:
                print(self.said.read_text(errors="replace")[-2000:], file=sys.stderr)
                print("chromium ended", file=sys.stderr)
                sys.exit(1 if self.session else 77)
            self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, page, look):
        """Shows a page in a tab of its own; what happens from then on is in the events."""
        self.session, self.events = None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setEmulatedMedia", **look)
        error = self.ask("Page.navigate", url=page).get("errorText")
        if error:
            sys.exit(f"{page}: {error}")
        while self.evaluate("document.readyState + ' ' + location") != f"complete {page}":
            time.sleep(0.05)

    def evaluate(self, expression):
        """The value of an expression in the page; None if it has none."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")


def told(event, page):
    """What an event tells of a page that it should not."""
    method, what = event.get("method"), event.get("params", {})
    if method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
        return f"console: {[argument.get('value') for argument in what['args']]}"
    if method == "Runtime.exceptionThrown":
        return f"exception: {what['exceptionDetails']['text']}"
    if method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
        return f"console: {what['entry']['text']} {what['entry'].get('url', '')}"
    if method == "Network.requestWillBeSent" and what["request"]["url"] != page:
        url = what["request"]["url"]
        return None if url.startswith("data:") else f"request: {url}"
    return None


def main():
    page = pathlib.Path(sys.argv[1]).resolve().as_uri()
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("chromium took longer than two minutes"))
    signal.alarm(120)
    failures = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        for name, look in LOOKS.items():
            browser.open(page, look)
            found = browser.evaluate(LOOK)
            wrong = found["wrong"] + [text for text in (told(event, page) for event in browser.events) if text]
            if not found["drawings"]:
                wrong.append("there is no drawing")
            failures += [f"{name}: {text}" for text in wrong]
            print(f"{name}: {found['drawings']} drawings, {found['pictures']} pictures, {len(wrong)} failures")
        browser.session = None
        browser.ask("Browser.close")
        browser.process.wait()
    print(*failures, sep="\n", file=sys.stderr, end="\n" if failures else "")
    sys.exit(bool(failures))


main()
