"""Check the pages that were built: links and images always, in a browser too if there is one.

    python docs/check_pages.py docs/_build [--screenshots DIR]

Without a browser: every link within the pages leads to a file, and to a place in it if it names one; every image is there, and
says in words what it shows. In headless Chromium, at the widths of a desk and of a phone, light and dark: no page writes an error
to the console, asks the network for anything or has a broken image. Nothing is wider than its box (on a phone, code, formulas and
tables of many columns may scroll), and no title breaks in a word. All text has 9 pixels and a contrast of 4.5, that of pictures
too: they are SVG files, drawn without a background. Exits with 1 if anything is wrong.
"""

import argparse
import re
import shutil
import sys
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit
from xml.etree import ElementTree

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
IGNORED = {"genindex.html", "search.html"}  # have nothing of ours to look at
LEAST_TEXT, LEAST_CONTRAST = 9.0, 4.5  # pixels; ratio of WCAG
LOOK = (Path(__file__).parent / "check_pages.js").read_text(encoding="utf-8")


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
        if tag == "source":
            self.links.append(attrs.get("srcset", ""))


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


@cache
def texts_of(picture):
    """Of an SVG file: its width, its (size, colour, words) of text, and whether it has a background."""
    root = ElementTree.parse(picture).getroot()
    texts = []
    for element in root.iter():
        if element.tag.rpartition("}")[2] in ("text", "tspan") and (element.text or "").strip():
            style = element.get("style", "")
            size = re.search(r"font(?:-size)?:[^;]*?([\d.]+)px", style)
            colour = re.search(r"fill: (#[0-9a-f]{6})", style)
            if size:
                texts.append((float(size[1]), colour[1] if colour else "#000000", element.text.strip()))
    ground = root.find(".//*[@id='patch_1']/{*}path")
    return float(root.get("viewBox").split()[2]), texts, ground is not None and "fill: none" not in ground.get("style", "")


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def unreadable(picture):
    """What is wrong with the text of a picture, as it is shown."""
    file = Path(unquote(urlsplit(picture["source"]).path))
    if not file.is_file():
        return  # said already
    if file.suffix != ".svg":
        yield f"the size of the text of {file.name} is not known: draw it as SVG"
        return
    width, texts, has_background = texts_of(file)
    if has_background:
        yield f"{file.name} has a background"
    small = {words: size for size, _, words in texts if size * picture["width"] / width < LEAST_TEXT - 0.05}
    if small:
        words, size = min(small.items(), key=lambda item: item[1])
        yield f"{file.name} shows {words!r} and {len(small) - 1} more in {size * picture['width'] / width:.1f} pixels"
    for colour in {colour for _, colour, _ in texts}:
        seen = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        ratio = contrast([255 - value for value in seen] if picture["inverted"] else seen, picture["background"])
        if ratio < LEAST_CONTRAST:
            yield f"{file.name} has text of a contrast of {ratio:.1f}"


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
            looks = {}  # what is wrong: in which themes
            for theme in THEMES:
                tab.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
                look = tab.evaluate(LOOK, device == "phone")
                for what in (*look["wrong"], *(what for picture in look["pictures"] for what in unreadable(picture))):
                    looks.setdefault(what, []).append(theme)
                if screenshots:
                    name = f"{'-'.join(file.relative_to(folder).with_suffix('').parts)}.{device}.{theme}.png"
                    tab.screenshot(path=Path(screenshots) / name, full_page=True)
            yield from (f"{where}: {what}" for what in said)
            yield from (f"{where}, {' and '.join(dict.fromkeys(themes))}: {what}" for what, themes in looks.items())
            tab.close()
        context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pages are")
    parser.add_argument("--screenshots", metavar="DIR", help="write one of each page, width and theme there")
    parser.add_argument("--only", metavar="WORD", help="look only at pages whose name contains this")
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

        shown = [file for file in pages if file.name not in IGNORED and (options.only or "") in str(file)]
        if options.screenshots:
            Path(options.screenshots).mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
            wrong += ugly(folder, shown, browser, options.screenshots)
            browser.close()
        print(f"{len(shown)} pages seen in a browser, {len(WIDTHS)} widths and {len(THEMES)} themes each")
    else:
        print("no browser: Chromium on the path and the package playwright are needed to look at the pages")

    print("\n".join(wrong) or "nothing wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
