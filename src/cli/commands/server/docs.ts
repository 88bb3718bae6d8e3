import type { Command } from "commander";
import { VERSION } from "../../../core/runtime.ts";
import { INDEX, linkedTopic, movedTo, readPage, type Topic, topics } from "../../../features/health/status/manual.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { type Output, table } from "../../output/output.ts";
import { single } from "../../resource.ts";

const SEARCH = "search";
const DEFAULT_WIDTH = 80;
const MAX_WIDTH = 100;
const MIN_WIDTH = 40;
/** Results for people; JSON has all. */
const MAX_ROWS = 40;

/** The pages of docs/, which are part of the program. */
export function addDocs(program: Command): void {
  single(program, "docs", {
    text: "print the list of documentation topics, or one topic",
    about: "A running server shows the same pages under /docs.",
    examples: ["", "rules", "search dead letter"],
    args: {
      topic: ["[topic]", `a topic of the list, or "${SEARCH}"`],
      words: ["[words...]", `the words to search for, after "${SEARCH}"`],
    },
    async act({ out }, given) {
      const words = given["words"] as readonly string[];
      const topic = given["topic"] as string | undefined;
      if (topic === undefined) listTopics(out);
      else if (topic === SEARCH) await search(words.join(" "), out);
      else await printTopic(topic.replace(/\.md$/, ""), words, out);
    },
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

async function printTopic(asked: string, words: readonly string[], out: Output): Promise<void> {
  if (words.length > 0) throw new CommandError(EXIT.usage, `prism docs takes one topic: prism docs ${asked}`);
  const name = movedTo(asked) ?? asked;
  const markdown = readPage(name);
  if (markdown === undefined || name === INDEX) {
    const next = `"prism docs" lists them, "prism docs search ${asked}" searches all pages`;
    throw new CommandError(EXIT.notFound, `there is no topic ${asked}; ${next}`);
  }
  // Loaded late: no other command needs it.
  const { renderMarkdown } = await import("../../../features/health/status/manual-text.ts");
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

/** Sections of all pages that contain the words, ignoring case, the best first. */
async function search(words: string, out: Output): Promise<void> {
  if (words === "") throw new CommandError(EXIT.usage, "give the words to search for: prism docs search retry");
  const { searchManual } = await import("../../../features/health/status/manual-search.ts");
  const all = searchManual(words);
  if (all.length === 0) throw new CommandError(EXIT.notFound, `no page of the documentation has "${words}"`);
  const found = all.map(({ topic, heading, line }) => ({ topic, section: heading, line }));
  out.result(found, () =>
    table(
      ["TOPIC", "SECTION", "LINE"],
      found.slice(0, MAX_ROWS).map(({ topic, section, line }) => [topic, section, excerpt(line, words)]),
    ),
  );
}

const AROUND = 40;

/** The part of a line around the first of the words; its start if it has none of them. */
function excerpt(line: string, words: string): string {
  const lower = line.toLowerCase();
  const places = words
    .toLowerCase()
    .split(/\s+/)
    .map((word) => lower.indexOf(word));
  const at = Math.max(0, Math.min(...places.filter((place) => place >= 0), line.length));
  const from = Math.max(0, at - AROUND);
  const to = from + 2 * AROUND;
  return `${from > 0 ? "…" : ""}${line.slice(from, to).trim()}${to < line.length ? "…" : ""}`;
}

/** Prints the manual page prism(1), for packages. */
export function addMan(program: Command): void {
  single(program, "man", {
    text: "print the manual page prism(1), with every command",
    examples: ["| man -l -", "> /usr/local/share/man/man1/prism.1"],
    act: () => void process.stdout.write(manPage(program)),
  });
}

/** The page in the macros of man(7). @param program with all commands */
export function manPage(program: Command): string {
  const lines = [
    `.TH PRISM 1 "" "Prism ${VERSION}" "User Commands"`,
    ...[".SH NAME", `prism \\- ${escaped(lowered(program.description()))}`],
    ...[".SH SYNOPSIS", ".B prism", '.RI [ options ] " command " [ arguments ]'],
    ".SH OPTIONS",
    ...optionsOf(program),
    ".SH COMMANDS",
    ...commandsOf(program, "prism"),
    ...[".SH EXIT STATUS", "0 done, 1 failure, 2 usage, 3 configuration or schema refused, 4 server or database not"],
    "reachable, 5 not authorised, 6 not found, 7 conflict or invalid input, 8 check failed, 130 interrupted.",
    ...[".SH FILES", ".TP", ".I /etc/prism/prism.config.json", "configuration of the service"],
    ...[".TP", ".I /etc/prism/secrets.env", "its secrets; a database does not open without its encryption key"],
    ...[".TP", ".I /var/lib/prism", "data directory of the service"],
    ...[".SH SEE ALSO", "The documentation is in the program: \\fBprism docs\\fR, and /docs of a running server."],
  ];
  return `${lines.join("\n")}\n`;
}

function commandsOf(command: Command, path: string): string[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .flatMap((each) => {
      const name = `${path} ${each.name()}`;
      const usage = each.usage().replace(/^\[options\] ?/, "");
      const isGroup = each.commands.length > 0 && each.registeredArguments.length === 0;
      const own = isGroup
        ? []
        : [".SS", `\\fB${escaped(name)}\\fR ${escaped(usage)}`.trim(), escaped(each.description()), ...optionsOf(each)];
      return [...own, ...commandsOf(each, name)];
    });
}

function optionsOf(command: Command): string[] {
  return command.options
    .filter(({ hidden }) => !hidden)
    .flatMap(({ flags, description }) => [".TP", `\\fB${escaped(flags)}\\fR`, escaped(description)]);
}

/** A line that starts with a point or an apostrophe is a request of roff. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^[.']/gm, "\\&$&")
    .replaceAll(/\n+/g, "\n.br\n");
}

function lowered(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
