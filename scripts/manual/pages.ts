import { posix } from "node:path";
import { fileOf, IMAGE_NAME, IMAGES, linkedTopic, readPage, topics } from "../../src/features/health/status/manual.ts";

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

/** The name of an image of docs/images that a page shows. @param from the topic of the page */
export function imageNamed(href: string, from: string): string | undefined {
  const { dir, base } = posix.parse(posix.join(posix.dirname(fileOf(from)), href));
  return dir === IMAGES && IMAGE_NAME.test(base) ? base : undefined;
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
