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
export function fileOf(topic: string): string {
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

/** The address of a page in the browser. */
export function pathOf(topic: string, anchor = ""): string {
  const path = topic === INDEX ? "/docs" : `/docs/${topic}`;
  return anchor === "" ? path : `${path}#${anchor}`;
}

/** @returns the Markdown of a page; undefined for a topic that does not exist. */
export function readPage(topic: string): string | undefined {
  return NAME.test(topic) ? readIfThere(fileOf(topic))?.toString("utf8") : undefined;
}

/** A page as the build made it. @returns undefined for a topic that does not exist. */
export function readManualPage(topic: string): Buffer | undefined {
  return NAME.test(topic) ? readIfThere(`manual/${topic}.html`, "dist/") : undefined;
}

function readIfThere(name: string, folder = ""): Buffer | undefined {
  try {
    return readAsset(name, folder + name);
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

export const IMAGES = "docs/images";
export const IMAGE_NAME = /^[a-z][a-z-]*\.(?:png|svg)$/;

/** @returns undefined for an image that does not exist */
export function readImage(name: string): Buffer | undefined {
  return IMAGE_NAME.test(name) ? readIfThere(`${IMAGES}/${name}`) : undefined;
}
