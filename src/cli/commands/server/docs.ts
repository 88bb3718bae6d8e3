import type { Command } from "commander";
import { INDEX, linkedTopic, readPage, type Topic, topics } from "../../../features/status/manual.ts";
import { contextOf } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { type Output, table } from "../../output/output.ts";

const SEARCH = "search";
const DEFAULT_WIDTH = 80;
const MAX_WIDTH = 100;
const MIN_WIDTH = 40;

/** The pages of docs/, which are part of the program. */
export function addDocs(program: Command): void {
  program
    .command("docs")
    .description("print the list of documentation topics, or one topic")
    .argument("[topic]", `a topic of the list, or "${SEARCH}"`)
    .argument("[words...]", `the words to search for, after "${SEARCH}"`)
    .addHelpText(
      "after",
      `
A running server shows the same pages under /docs.

Examples:
  $ prism docs
  $ prism docs rules
  $ prism docs search dead letter`,
    )
    .action(async (topic: string | undefined, words: readonly string[], _options: object, command: Command) => {
      const { out } = contextOf(command);
      if (topic === undefined) listTopics(out);
      else if (topic === SEARCH) search(words.join(" "), out);
      else await printTopic(topic.replace(/\.md$/, ""), words, out);
    });
}

function listTopics(out: Output): void {
  const all = topics();
  const width = Math.max(...all.map(({ name }) => name.length));
  out.result(all, () =>
    all.flatMap(({ name, summary, group }, index) => [
      ...(all[index - 1]?.group === group ? [] : [...(index === 0 ? [] : [""]), out.bold(group)]),
      `  ${name.padEnd(width)}  ${summary.replaceAll("`", "")}`,
    ]),
  );
}

async function printTopic(name: string, words: readonly string[], out: Output): Promise<void> {
  if (words.length > 0) throw new CommandError(EXIT.usage, `prism docs takes one topic: prism docs ${name}`);
  const markdown = readPage(name);
  if (markdown === undefined || name === INDEX)
    throw new CommandError(EXIT.notFound, `there is no topic ${name}; "prism docs" lists them`);
  // Loaded late: no other command needs it.
  const { renderMarkdown } = await import("../../output/markdown.ts");
  const topic: Topic | undefined = topics().find((each) => each.name === name);
  out.result({ topic: name, summary: topic?.summary ?? null, markdown }, () =>
    renderMarkdown(markdown, {
      width: Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, process.stdout.columns ?? DEFAULT_WIDTH)),
      bold: (text) => out.bold(text),
      dim: (text) => out.dim(text),
      linkNote: (href) => linkNote(href, name),
    }),
  );
}

/** The address of another site, or the topic of another page. */
function linkNote(href: string, from: string): string {
  if (/^https?:/.test(href)) return href;
  const target = linkedTopic(href, from)?.topic;
  return target === undefined || target === from ? "" : target;
}

/** Lines of all pages that contain the words, ignoring case. */
function search(words: string, out: Output): void {
  if (words === "") throw new CommandError(EXIT.usage, "give the words to search for: prism docs search retry");
  const wanted = words.toLowerCase();
  const found = topics().flatMap(({ name }) => matches(name, wanted));
  if (found.length === 0) throw new CommandError(EXIT.notFound, `no page of the documentation has "${words}"`);
  out.result(found, () =>
    table(
      ["TOPIC", "SECTION", "LINE"],
      found.map(({ topic, section, line }) => [topic, section, line]),
    ),
  );
}

interface Found {
  readonly topic: string;
  readonly section: string;
  readonly line: string;
}

function matches(topic: string, wanted: string): Found[] {
  const found: Found[] = [];
  let section = "";
  let isCode = false;
  for (const text of readPage(topic)?.split("\n") ?? []) {
    if (text.startsWith("```")) isCode = !isCode;
    if (!isCode && /^#+ /.test(text)) section = text.replace(/^#+ /, "");
    const line = excerpt(text, wanted);
    if (line !== undefined) found.push({ topic, section, line });
  }
  return found;
}

const AROUND = 40;

/** The part of a line around the words; undefined if it does not contain them. */
function excerpt(text: string, wanted: string): string | undefined {
  const at = text.toLowerCase().indexOf(wanted);
  if (at === -1) return undefined;
  const from = Math.max(0, at - AROUND);
  const to = at + wanted.length + AROUND;
  return `${from > 0 ? "…" : ""}${text.slice(from, to).trim()}${to < text.length ? "…" : ""}`;
}
