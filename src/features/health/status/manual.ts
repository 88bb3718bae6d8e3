import { posix } from "node:path";
import { readAsset } from "../../../core/runtime.ts";

/** A page of docs/, by the name that `prism docs <name>` and `/docs/<name>` take. */
export interface Topic {
  readonly name: string;
  /** Title in the menu. */
  readonly title: string;
  readonly summary: string;
  /** Heading of the index under which it is listed. */
  readonly group: string;
}

/** The index: every page with one line about it. It is the menu, too. */
export const INDEX = "index";
const FILES: Readonly<Record<string, string>> = {
  [INDEX]: "docs/README.md",
  readme: "README.md",
  changelog: "CHANGELOG.md",
  contributing: "CONTRIBUTING.md",
  reporting: "SECURITY.md",
  decisions: "docs/decisions/README.md",
  integrations: "docs/integrations/README.md",
};
/** Names that pages had earlier. */
const MOVED: Readonly<Record<string, string>> = { "integrations/index": "integrations" };
const NAME = /^[a-z][a-z-]*(?:\/[a-z][a-z-]*)?$/;

/** The repository's file of a topic; the executable has it under the same name. */
function fileOf(topic: string): string {
  return FILES[topic] ?? `docs/${topic}.md`;
}

/** @returns the present name of a page that had another one; undefined for all other names */
export function movedTo(topic: string): string | undefined {
  return MOVED[topic];
}

/** The topics that the index lists, in its order. */
export function topics(): Topic[] {
  const found: Topic[] = [];
  let group = "";
  for (const line of readPage(INDEX)?.split("\n") ?? []) {
    if (line.startsWith("## ")) group = line.slice("## ".length);
    const [, title, href = "", summary] = /^- \[([^\]]+)\]\((\S+)\): (.+)$/.exec(line) ?? [];
    const name = linkedTopic(href, INDEX)?.topic;
    if (title && name && summary) found.push({ name, title, summary, group });
  }
  return found;
}

/** Every page in the order of reading: each topic, followed by the pages of its folder as it links to them. */
export function readingOrder(): string[] {
  return topics().flatMap(({ name }) => [name, ...pagesBelow(name)]);
}

function pagesBelow(topic: string): string[] {
  if (!fileOf(topic).endsWith(`/${topic}/README.md`)) return [];
  const links = (readPage(topic) ?? "").matchAll(/\]\(([^)\s]+)\)/g);
  const linked = [...links].map(([, href = ""]) => linkedTopic(href, topic)?.topic ?? "");
  return [...new Set(linked.filter((name) => name.startsWith(`${topic}/`)))];
}

/** The heading of a page. */
export function headingOf(topic: string, markdown = readPage(topic) ?? ""): string {
  return plainText(/^# (.+)$/m.exec(markdown)?.[1] ?? topic);
}

/** Markdown of lines as text: links by their words, no comments, no marks of code and emphasis. */
export function plainText(markdown: string): string {
  const words = markdown.replaceAll(/\[([^\]\n]*)\]\([^)\n]*\)/g, "$1").replaceAll(/ *<!--.*?-->/g, "");
  return words.replaceAll(/[`*]/g, "");
}

/** The address of a page in the browser. */
export function pathOf(topic: string, anchor = ""): string {
  const path = topic === INDEX ? "/docs" : `/docs/${topic}`;
  return anchor === "" ? path : `${path}#${anchor}`;
}

/** @returns the Markdown of a page; undefined for a topic that does not exist. */
export function readPage(topic: string): string | undefined {
  if (!NAME.test(topic)) return undefined;
  try {
    return readAsset(fileOf(topic), fileOf(topic)).toString("utf8");
  } catch {
    return undefined;
  }
}

/**
 * The topic that a link of a page leads to. @returns undefined for links to other sites and to
 * files that are not pages.
 * @param from the topic of the page that has the link
 */
export function linkedTopic(href: string, from: string): { topic: string; anchor: string } | undefined {
  if (/^[a-z]+:/.test(href)) return undefined;
  const [path = "", anchor = ""] = href.split("#");
  if (path === "") return { topic: from, anchor };
  const file = posix.join(posix.dirname(fileOf(from)), path);
  const special = Object.keys(FILES).find((topic) => FILES[topic] === file);
  const [, topic = special] = special ? [] : (/^docs\/(.+)\.md$/.exec(file) ?? []);
  return topic === undefined ? undefined : { topic, anchor };
}

const IMAGES = "docs/images";
const IMAGE_NAME = /^[a-z][a-z-]*\.(?:png|svg)$/;

/** The name of an image of docs/images that a page shows. @param from the topic of the page */
export function imageNamed(href: string, from: string): string | undefined {
  const { dir, base } = posix.parse(posix.join(posix.dirname(fileOf(from)), href));
  return dir === IMAGES && IMAGE_NAME.test(base) ? base : undefined;
}

/** @returns undefined for an image that does not exist */
export function readImage(name: string): Buffer | undefined {
  if (!IMAGE_NAME.test(name)) return undefined;
  try {
    return readAsset(`${IMAGES}/${name}`, `${IMAGES}/${name}`);
  } catch {
    return undefined;
  }
}

/**
 * Gives the headings of one page their anchors, as code hosts do: lower case, hyphens for spaces,
 * no punctuation, a number after a repeated one.
 */
export function anchors(): (heading: string) => string {
  const used = new Map<string, number>();
  return (heading) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replace(/\s/g, "-");
    const count = used.get(slug) ?? 0;
    used.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  };
}
