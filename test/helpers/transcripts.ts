import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Pages whose transcripts show what the reader gets; a test compares them. */
export const SAMPLED: readonly string[] = ["docs/troubleshooting.md", "docs/ways.md"];

/** A command of a page with the output that the page shows. */
export interface Sample {
  /** The page's last heading before it. */
  readonly section: string;
  /** Line of the page, from 1. */
  readonly line: number;
  readonly command: string;
  readonly output: string;
}

/**
 * The transcripts of a Markdown file: fenced blocks without a language, with lines `$ command`, each
 * followed by its output. A command that ends with a backslash goes on in the next line.
 */
export function samplesOf(file: string): Sample[] {
  const samples: { section: string; line: number; command: string; output: string }[] = [];
  let section = "";
  let fence: string | null = null;
  for (const [index, line] of readFileSync(join(root, file), "utf8").split("\n").entries()) {
    const last = samples.at(-1);
    if (line.startsWith("```")) fence = fence === null ? line : null;
    else if (fence === null) section = /^#+ (.+)$/.exec(line)?.[1] ?? section;
    else if (fence !== "```") continue;
    else if (line.startsWith("$ ")) samples.push({ section, line: index + 1, command: line.slice(2), output: "" });
    else if (last?.section === section && last.output === "" && last.command.endsWith("\\"))
      last.command += `\n${line}`;
    else if (last?.section === section) last.output += `${line}\n`;
  }
  return samples;
}

/** The fenced blocks of a Markdown text, with what stands after the opening marks. */
export function fencesOf(markdown: string): { readonly language: string; readonly text: string }[] {
  const found: { language: string; text: string }[] = [];
  let isOpen = false;
  for (const line of markdown.split("\n")) {
    const last = found.at(-1);
    if (line.startsWith("```")) {
      isOpen = !isOpen;
      if (isOpen) found.push({ language: line.slice(3), text: "" });
    } else if (isOpen && last) last.text += `${line}\n`;
  }
  return found;
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
/** What differs between two servers; the page's own value stands for any of the kind. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [new RegExp(UUID), UUID],
  [/[0-9a-f]{8}-[0-9a-f]{4}(?![\w-])/, "[0-9a-f]{8}-[0-9a-f]{4}"],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?/, "\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?Z?"],
  [/https?:\/\/[^\s,;()"]+/, 'https?://[^\\s,;()"]+'],
  [/\/(?:var|tmp|home)\/[\w./-]+/, "/[\\w./-]+"],
  [/\d+(\.\d+)?/, "\\d+(?:\\.\\d+)?"],
  [/…/, "[\\s\\S]*?"],
  [/\s+/, "\\s+"],
];

/** Whether an output is what a page shows: `…` stands for anything, numbers, ids, times and addresses for any other. */
export function isShown(shown: string, actual: string): boolean {
  const kinds = new RegExp(KINDS.map(([kind]) => `(${kind.source.replaceAll(/\((?!\?)/g, "(?:")})`).join("|"), "g");
  const text = shown.trim();
  let pattern = "";
  let from = 0;
  for (const match of text.matchAll(kinds)) {
    const kind = match.slice(1).findIndex((group) => group !== undefined);
    pattern += escaped(text.slice(from, match.index)) + (KINDS[kind]?.[1] ?? "");
    from = match.index + match[0].length;
  }
  pattern += escaped(text.slice(from));
  return new RegExp(`^\\s*${pattern}\\s*$`).test(actual);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
