// Runs in the browser: widths.test.ts bundles it and calls `faultsOnPage`.

export type FaultKind =
  | "cut"
  | "narrow"
  | "over"
  | "off screen"
  | "sideways"
  | "small"
  | "moves"
  | "axe"
  | "not opened";

/** One thing that a person would see as broken. */
export interface Fault {
  readonly kind: FaultKind;
  /** What is broken, in few words, the same at each width. */
  readonly what: string;
  /** By how much. */
  readonly detail: string;
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const TITLES = "h1, h2, h3, h4, legend, caption, .title-link, .empty > .strong, .banner-t > .strong";
const STATES = ".badge, .status";
const LABELS =
  "label, th, dt, .field-top, .affix, .stat-k, .chip, nav a, .menu-head, .step-t, .segmented span, .link.nowrap, .life-name";
const ACTIONS =
  "button, a.btn, summary, [role=button], [role=tab], [role=menuitem], [role=menuitemradio], .tabs > a, .tabbar a, .control, .toggle, .segmented label";
const CONTROLS = `${ACTIONS}, a[href], input, select, textarea`;
/** Parts that are read by scrolling them sideways: code, the segments of a phone, roles by permissions. */
const SCROLLS = ".code-scroll, pre, code, .cm-scroller, .toolbar-end, .matrix";
/** Not looked at: what only screen readers and keys reach, and editors of a library. */
const UNSEEN = ".sr-only, .skip, .cm-editor, [inert], option";
/** What stands in the middle of a text is as high as its line. */
const IN_TEXT = ".row-open, .json-open, .json-more, p button, .story-t button, .chip button";
/** A text of more lines than these has this width at least. */
const LINES_OF_NARROW = 3;
const LEAST_EM = 8;
const LETTERS_OF_WORD = 20;
const PHONE_PX = 640;
const THUMB_PX = 40;
const POINTER_PX = 24;
/** Boxes are rounded to pixels of the screen, and letters are higher than the box around them. */
const SLACK = { x: 1.5, y: 4 };

/** @returns the faults of the page as it is, or of what is open over it */
function faultsOnPage(): readonly Fault[] {
  const root = topmost();
  return [
    ...[...sideways(), ...cutTexts(root), ...cutChoices(root), ...cutDates(root)],
    ...[...narrowTexts(root), ...brokenWords(root), ...overlaps(root), ...offScreen(root), ...small(root)],
  ];
}

/** The open menu, the last dialog, or the page. */
function topmost(): Element {
  const menu = document.querySelector(".menu:popover-open");
  return menu ?? [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
}

function shown(root: Element, selector: string): readonly Element[] {
  return [...root.querySelectorAll(selector)].filter(isSeen);
}

function isSeen(element: Element): boolean {
  if (element.closest(UNSEEN) !== null) return false;
  const { width, height } = element.getBoundingClientRect();
  return width > 1 && height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
}

function nameOf(element: Element): string {
  const tag = element.tagName.toLowerCase();
  const look = [...element.classList].slice(0, 2).map((each) => `.${each}`);
  const place = element.closest("[id], .page-head, .table, .card, dialog, .toolbar, form")?.classList[0] ?? "page";
  const text = (element.getAttribute("aria-label") ?? element.textContent ?? "").trim().replace(/\s+/g, " ");
  return `${tag}${look.join("")} in ${place}: ${text.slice(0, 50)}`;
}

function fault(kind: FaultKind, element: Element, detail: string): Fault {
  return { kind, what: nameOf(element), detail };
}

function sideways(): readonly Fault[] {
  const parts = [document.documentElement, ...document.querySelectorAll(".sheet-body, .table-scroll, .tabs, .menu")];
  return parts.flatMap((part) => {
    const excess = part.scrollWidth - part.clientWidth;
    return excess > 1 && part.clientWidth > 0
      ? [{ ...fault("sideways", part, `${excess} px`), what: partName(part) }]
      : [];
  });
}

function partName(part: Element): string {
  return part === document.documentElement
    ? "the page"
    : `.${part.classList[0]} ${part.firstElementChild?.ariaLabel ?? ""}`;
}

/** Texts of an element, each with the boxes of its lines. */
function textsOf(element: Element): readonly { readonly node: Text; readonly boxes: readonly Box[] }[] {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode() as Text | null; node !== null; node = walker.nextNode() as Text | null) {
    const parent = node.parentElement;
    if (node.data.trim() === "" || parent === null || !isSeen(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    found.push({ node, boxes: [...range.getClientRects()].filter(({ width }) => width > 0) });
  }
  return found;
}

/** What a part shows of its content: boxes by axis, of parts that clip and of parts that scroll. */
interface Limit {
  readonly part: Element;
  readonly axis: "x" | "y";
  readonly scrolls: boolean;
  readonly box: Box;
}

const limitsOfParent = new Map<Element, readonly Limit[]>();

function limitsOf(element: Element | null): readonly Limit[] {
  if (element === null) return [];
  const known = limitsOfParent.get(element);
  if (known !== undefined) return known;
  const style = getComputedStyle(element);
  const own: Limit[] = [];
  const isBox = style.display !== "inline" && style.display !== "contents" && element !== document.documentElement;
  for (const axis of isBox ? (["x", "y"] as const) : []) {
    const overflow = axis === "x" ? style.overflowX : style.overflowY;
    if (overflow === "visible") continue;
    own.push({ part: element, axis, scrolls: overflow === "auto" || overflow === "scroll", box: innerBox(element) });
  }
  // What is fixed is not clipped by what it stands in.
  const outer = style.position === "fixed" ? [] : limitsOf(element.parentElement);
  const all = [...own, ...outer];
  limitsOfParent.set(element, all);
  return all;
}

function innerBox(element: Element): Box {
  const { left, top } = element.getBoundingClientRect();
  const [x, y] = [left + element.clientLeft, top + element.clientTop];
  return { left: x, top: y, right: x + element.clientWidth, bottom: y + element.clientHeight };
}

function isBeyond(box: Box, { axis, box: limit }: Limit): boolean {
  return axis === "x"
    ? box.left < limit.left - SLACK.x || box.right > limit.right + SLACK.x
    : box.top < limit.top - SLACK.y || box.bottom > limit.bottom + SLACK.y;
}

/** The part that cuts a box: what scrolls can be read, and nothing around it cuts in that direction. */
function cutBy(boxes: readonly Box[], limits: readonly Limit[]): Element | undefined {
  const scrolled = new Set<string>();
  for (const limit of limits) {
    if (scrolled.has(limit.axis)) continue;
    if (limit.scrolls) scrolled.add(limit.axis);
    else if (boxes.some((box) => isBeyond(box, limit))) return limit.part;
  }
  return undefined;
}

/** Where the text ends in "…", which leaves its boxes as they are in some browsers. */
function endsInDots(element: Element | null): boolean {
  for (let each = element; each !== null && !each.matches("td, section, main"); each = each.parentElement) {
    const { textOverflow, overflowX, webkitLineClamp } = getComputedStyle(each);
    if (overflowX === "visible") continue;
    if (textOverflow === "ellipsis" && each.scrollWidth > each.clientWidth + 1) return true;
    if (webkitLineClamp !== "none" && each.scrollHeight > each.clientHeight + SLACK.y) return true;
  }
  return false;
}

/** Whether a text may be cut where there is no room: a value of a row or a list, which says all on hover and focus. */
function isWholeElsewhere(node: Text): boolean {
  const text = node.data.trim().replace(/\s+/g, " ");
  const given = ["title", "data-tip", "aria-label"].map((name) =>
    node.parentElement?.closest(`[${name}]`)?.getAttribute(name),
  );
  return given.some((each) => each?.replace(/\s+/g, " ").includes(text) === true);
}

function cutTexts(root: Element): readonly Fault[] {
  const kinds = `${TITLES}, ${STATES}, ${LABELS}, ${ACTIONS}`;
  return textsOf(root).flatMap(({ node, boxes }) => {
    const parent = node.parentElement;
    if (parent === null || (cutBy(boxes, limitsOf(parent)) === undefined && !endsInDots(parent))) return [];
    const kind = parent.closest(kinds);
    const isValue = kind === null || kind.matches(".row-open, .item[role=option], .oc-bar, .life-mark");
    if (isValue && isWholeElsewhere(node)) return [];
    return [fault("cut", kind ?? parent, isValue ? "a value without its whole text in the title" : "cut")];
  });
}

/** A list shows its choice in one line and cuts it silently. */
function cutChoices(root: Element): readonly Fault[] {
  const brush = document.createElement("canvas").getContext("2d");
  return shown(root, "select").flatMap((each) => {
    const select = each as HTMLSelectElement;
    const text = select.selectedOptions[0]?.text ?? "";
    const style = getComputedStyle(select);
    if (brush === null) return [];
    brush.font = style.font;
    const room = select.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight);
    const excess = Math.round(brush.measureText(text).width - room);
    return excess > 1 && select.closest("[title]") === null ? [fault("cut", select, `"${text}" by ${excess} px`)] : [];
  });
}

/** A date of which the end is scrolled out of its field. */
function cutDates(root: Element): readonly Fault[] {
  return shown(root, ".date-in input[type=text]").flatMap((each) => {
    const excess = each.scrollWidth - each.clientWidth;
    return excess > 1 ? [fault("cut", each, `${excess} px of a date`)] : [];
  });
}

/** A text that something beside it leaves a few letters a line. */
function narrowTexts(root: Element): readonly Fault[] {
  return shown(root, "h1, h2, h3, p").flatMap((each) => {
    const { fontSize, lineHeight } = getComputedStyle(each);
    const { width, height } = each.getBoundingClientRect();
    const lines = Math.round(height / Number.parseFloat(lineHeight));
    const isNarrow = width < LEAST_EM * Number.parseFloat(fontSize) && lines > LINES_OF_NARROW;
    return isNarrow ? [fault("narrow", each, `${Math.round(width)} px, ${lines} lines`)] : [];
  });
}

/** Words of buttons go to the next line as a whole. */
function brokenWords(root: Element): readonly Fault[] {
  return shown(root, ".btn").flatMap((each) => {
    const broken = textsOf(each).flatMap(({ node }) => wordsOf(node).filter((word) => isBroken(node, word)));
    return broken.length === 0 ? [] : [fault("cut", each, `the word ${broken[0]?.[0]} has two lines`)];
  });
}

/** Without those that fit nowhere. */
function wordsOf({ data }: Text): readonly RegExpExecArray[] {
  return [...data.matchAll(/[^\s-]+/g)].filter(([word]) => word.length <= LETTERS_OF_WORD);
}

function isBroken(node: Text, { 0: word, index }: RegExpExecArray): boolean {
  const range = document.createRange();
  range.setStart(node, index);
  range.setEnd(node, index + word.length);
  const tops = [...range.getClientRects()].map(({ top }) => top);
  return Math.max(...tops) - Math.min(...tops) > SLACK.y;
}

interface Item {
  readonly element: Element;
  readonly boxes: readonly Box[];
  /** What stands still while the page scrolls, and covers it. */
  readonly layer: Element | null;
}

function layerOf(element: Element): Element | null {
  for (let each: Element | null = element; each !== null; each = each.parentElement) {
    const { position } = getComputedStyle(each);
    if (position === "fixed" || position === "sticky") return each;
  }
  return null;
}

/** The part of a box that can be seen. */
function visible(box: Box, limits: readonly Limit[]): Box {
  let { left, top, right, bottom } = box;
  for (const { axis, box: limit } of limits) {
    if (axis === "x") [left, right] = [Math.max(left, limit.left), Math.min(right, limit.right)];
    else [top, bottom] = [Math.max(top, limit.top), Math.min(bottom, limit.bottom)];
  }
  return { left, top, right, bottom };
}

function itemsOf(root: Element): readonly Item[] {
  const controls = shown(root, CONTROLS).filter((each) => each.parentElement?.closest(CONTROLS) === null);
  const texts = shown(root, `${TITLES}, ${STATES}, ${LABELS}`).filter((each) => each.closest(CONTROLS) === null);
  const all = [
    ...controls.map((element) => ({ element, boxes: [...element.getClientRects()] as Box[] })),
    ...texts.map((element) => ({ element, boxes: textsOf(element).flatMap(({ boxes }) => boxes) })),
  ];
  return all.map(({ element, boxes }) => ({
    element,
    boxes: boxes.map((box) => visible(box, limitsOf(element.parentElement))).filter(isArea),
    layer: layerOf(element),
  }));
}

function isArea({ left, top, right, bottom }: Box): boolean {
  return right - left > 2 && bottom - top > 2;
}

function shared(one: Box, other: Box): Box {
  return visible(one, [
    { part: document.body, axis: "x", scrolls: false, box: other },
    { part: document.body, axis: "y", scrolls: false, box: other },
  ]);
}

/** Letters of neighbouring lines and the areas of small targets touch by a few pixels. */
function isCovered(one: Box, other: Box): boolean {
  const { left, top, right, bottom } = shared(one, other);
  return right - left > 3 && bottom - top > 5;
}

function overlaps(root: Element): readonly Fault[] {
  const items = itemsOf(root);
  return items.flatMap((one, at) =>
    items.slice(at + 1).flatMap((other) => {
      if (one.layer !== other.layer || one.element.contains(other.element) || other.element.contains(one.element))
        return [];
      const isOver = one.boxes.some((box) => other.boxes.some((each) => isCovered(box, each)));
      return isOver ? [fault("over", one.element, `and ${nameOf(other.element)}`)] : [];
    }),
  );
}

/** Bars at the bottom of the window: the page must end above them. */
function barsTop(): number {
  const bars = shown(document.body, ".tabbar, .incident-bar").filter(
    (each) => getComputedStyle(each).position === "fixed",
  );
  return Math.min(innerHeight, ...bars.map((each) => each.getBoundingClientRect().top));
}

function offScreen(root: Element): readonly Fault[] {
  const { scrollHeight } = document.documentElement;
  const hidden = innerHeight - barsTop();
  return shown(root, `${CONTROLS}, ${TITLES}, ${STATES}`).flatMap((element) => {
    const box = element.getBoundingClientRect();
    const limits = limitsOf(element.parentElement);
    const scroller = limits.find(({ axis, scrolls }) => axis === "x" && scrolls);
    if (scroller?.part.matches(SCROLLS) === true && !isChosen(element)) return [];
    if (scroller !== undefined && isBeyond(box, scroller))
      return [fault("off screen", element, "to be scrolled to sideways")];
    if (scroller === undefined && (box.left < -1 || box.right > innerWidth + 1))
      return [fault("off screen", element, `${Math.round(box.left)} to ${Math.round(box.right)} px`)];
    const layer = layerOf(element);
    const isInFlow = layer === null && root === document.body;
    if (isInFlow && hidden > 0 && box.bottom + scrollY > scrollHeight - hidden + 1)
      return [fault("off screen", element, "below the bar at the end of the page")];
    const scrollsDown = limits.some(({ axis, scrolls }) => axis === "y" && scrolls);
    if (layer !== null && getComputedStyle(layer).position === "fixed" && !scrollsDown)
      if (box.top < -1 || box.bottom > innerHeight + 1)
        return [fault("off screen", element, `ends at ${Math.round(box.bottom)} px`)];
    return [];
  });
}

function isChosen(element: Element): boolean {
  return element.matches("[aria-current], [aria-selected=true]") || element.querySelector("input:checked") !== null;
}

function small(root: Element): readonly Fault[] {
  const least = innerWidth < PHONE_PX ? THUMB_PX : POINTER_PX;
  return shown(root, ACTIONS).flatMap((element) => {
    if (element.matches(IN_TEXT) || element.matches(":disabled")) return [];
    const { width, height } = element.getBoundingClientRect();
    if (Math.min(width, height) >= least - 0.5) return [];
    return [fault("small", element, `${Math.round(width)} × ${Math.round(height)} px`)];
  });
}

Object.assign(window, {
  faultsOnPage: () => {
    limitsOfParent.clear();
    return faultsOnPage();
  },
});
