// What is wrong with the page as it is shown now: a list of sentences. `phone` is true at the width of a phone.
(phone) => {
  const LEAST_TEXT = 9; // pixels
  const wrong = new Set();
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const called = (element) => {
    const classes = typeof element.className == "string" ? element.className.trim().split(/\s+/).slice(0, 2).join(".") : "";
    const words = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
    return `${element.tagName.toLowerCase()}${classes && "."}${classes} (${words})`;
  };
  const elements = [...document.querySelectorAll("html, main *")].filter(shown);

  // Nothing is wider than its box. On a phone code, formulas and tables of many columns may scroll.
  const columns = (table) => Math.max(0, ...[...table.rows].map((row) => row.cells.length));
  const mayScroll = (element) =>
    phone && (element.closest("pre, .formula") || [...element.querySelectorAll("table")].some((table) => columns(table) > 3));
  for (const element of elements) {
    const over = element.scrollWidth - element.clientWidth;
    const hides = getComputedStyle(element).overflowX != "visible";
    if (over > 1 && (element.tagName == "HTML" || hides) && element.clientWidth > 1 && !mayScroll(element))
      wrong.add(`${called(element)} is ${over} pixels too wide for its box`);
  }

  // No title breaks in a word.
  const texts = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) if (walker.currentNode.data.trim()) found.push(walker.currentNode);
    return found;
  };
  for (const title of elements.filter((element) => element.matches("h1, h2, h3")))
    for (const text of texts(title))
      for (const word of text.data.matchAll(/[\w.]+/g)) {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1)
          wrong.add(`the title ${called(title)} breaks in ${word[0]}`);
      }

  // Text is large enough, and differs enough from what is behind it (WCAG: 4.5, or 3 if it is large).
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * below[i]);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] == 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const luminance = (colour) =>
    colour
      .map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const seen = new Set();
  for (const text of elements.flatMap((element) => [...element.childNodes]).filter((node) => node.nodeType == 3 && node.data.trim())) {
    const element = text.parentElement, style = getComputedStyle(element), size = parseFloat(style.fontSize);
    if (element.clientWidth == 1 || style.opacity == 0 || !size) continue; // for screen readers
    if (size < LEAST_TEXT) wrong.add(`${called(element)} has text of ${size} pixels`);
    const background = behind(element), key = [style.color, background, size, style.fontWeight].join();
    if (seen.has(key)) continue;
    seen.add(key);
    const large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    const ratio = contrast(over(rgba(style.color), background), background);
    if (ratio < (large ? 3 : 4.5)) wrong.add(`${called(element)} has a contrast of ${ratio.toFixed(1)}`);
  }

  // Pictures: how they are shown.
  const pictures = elements
    .filter((element) => element.tagName == "IMG" && !element.closest(".sphx-glr-thumbcontainer"))
    .map((image) => ({
      source: image.currentSrc,
      width: image.getBoundingClientRect().width,
      background: behind(image),
      inverted: getComputedStyle(image).filter.includes("invert"),
    }));
  return { wrong: [...wrong], pictures };
}
