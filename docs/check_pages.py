"""Check the pages that were built: links and images always, in a browser too if there is one.

    python docs/check_pages.py docs/_build [--screenshots DIR]

Without a browser: every link within the pages leads to a file, and to a place in it if it names one; every image is there, and
says in words what it shows. In headless Chromium, at the widths of a desk and of a phone: no page writes an error to the console,
asks the network for anything, has a broken image, or is wider than the window (code, tables and formulas scroll by themselves).
Exits with 1 if anything is wrong.
"""

import argparse
import shutil
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
IGNORED = {"genindex.html", "search.html"}  # have nothing of ours to look at


# only these may be wider than the page, because they scroll by themselves
SIDEWAYS = """
[...document.querySelectorAll("html, main *")]
  .filter(element => element.scrollWidth > element.clientWidth + 1)
  .filter(element => element.tagName == "HTML" || ["auto", "scroll"].includes(getComputedStyle(element).overflowX))
  .filter(element => !element.closest("pre, .highlight, .formula, .pst-scrollable-table-container"))
  .map(element => `${element.tagName} ${element.className} is ${element.scrollWidth - element.clientWidth} pixels too wide`)
"""


class Page(HTMLParser):
    """The links, images and named places of a page."""

    def __init__(self, file):
        super().__init__()
        self.links, self.images, self.names = [], [], {"", "top"}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag in ("a", "link") and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "script" and attrs.get("src"):
            self.links.append(attrs["src"])
        if tag == "img":
            self.images.append((attrs.get("src", ""), attrs.get("alt")))


def broken(folder, pages):
    """What is wrong without a look at it."""
    for file, page in pages.items():
        where = file.relative_to(folder)
        for address in [*page.links, *(source for source, _ in page.images)]:
            if urlsplit(address).scheme:
                if urlsplit(address).scheme not in ("http", "https", "mailto", "data"):
                    yield f"{where}: what is {address!r}?"
                continue
            path, place = urldefrag(address)
            target = (file.parent / unquote(path.split("?")[0])).resolve() if path else file
            if not target.is_file():
                yield f"{where}: {address!r} leads nowhere"
            elif target in pages and unquote(place) not in pages[target].names:
                yield f"{where}: {address!r}: the page has no such place"
        for source, words in page.images:
            if words is None:
                yield f"{where}: the image {source!r} has no alt text"


def ugly(folder, pages, browser, screenshots):
    """What is wrong in a browser."""
    for device, (width, height) in WIDTHS.items():
        context = browser.new_context(viewport={"width": width, "height": height}, is_mobile=device == "phone")
        for file in pages:
            where = f"{file.relative_to(folder)}, {device}"
            tab, said = context.new_page(), []
            tab.on("console", lambda message, said=said: message.type == "error" and said.append(message.text))
            tab.on("pageerror", lambda error, said=said: said.append(str(error)))
            tab.on(
                "request",
                lambda request, said=said: request.url.startswith("http") and said.append(f"asks the network for {request.url}"),
            )
            tab.goto(file.as_uri(), wait_until="load")
            # images that wait until they are scrolled to
            tab.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
            tab.wait_for_function("[...document.images].every(image => image.complete)")
            said += tab.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => 'broken: ' + image.src)")
            said += tab.evaluate(SIDEWAYS)
            yield from (f"{where}: {what}" for what in said)
            if screenshots:
                name = f"{'-'.join(file.relative_to(folder).with_suffix('').parts)}.{device}.png"
                tab.screenshot(path=Path(screenshots) / name, full_page=True)
            tab.close()
        context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pages are")
    parser.add_argument("--screenshots", metavar="DIR", help="write one of each page and width there")
    parser.add_argument("--browser", metavar="FILE", default=shutil.which("chromium"), help="Chromium, if it is not on the path")
    options = parser.parse_args()
    folder = options.folder.resolve()
    files = sorted(file for file in folder.rglob("*.html") if "_static" not in file.relative_to(folder).parts)
    pages = {file: Page(file) for file in files}
    if not pages:
        raise SystemExit(f"{folder} has no pages")
    wrong = [*broken(folder, pages)]
    print(f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links")

    if find_spec("playwright") and options.browser:
        from playwright.sync_api import sync_playwright

        shown = [file for file in pages if file.name not in IGNORED]
        if options.screenshots:
            Path(options.screenshots).mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
            wrong += ugly(folder, shown, browser, options.screenshots)
            browser.close()
        print(f"{len(shown)} pages seen in a browser, {len(WIDTHS)} widths each")
    else:
        print("no browser: Chromium on the path and the package playwright are needed to look at the pages")

    print("\n".join(wrong) or "nothing wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
