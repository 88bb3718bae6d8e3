import { execFileSync } from "node:child_process";

/** An entry of accepted.json: changed lines that are meant. */
export interface Accepted {
  /** A file of the recording, such as `commands/help.txt`, or a folder that ends with `/`. */
  readonly file: string;
  /** Regular expression for whole lines of the difference, with their `+` or `-`. */
  readonly lines: string;
  readonly reason: string;
}

/** A part of a unified difference: its head `@@ … @@` and its lines. */
interface Hunk {
  readonly head: string;
  readonly lines: readonly string[];
}

interface FileDifference {
  readonly file: string;
  readonly hunks: readonly Hunk[];
}

export interface Judged {
  /** What nothing accepts, as text to read; empty if there is none. */
  readonly open: string;
  /** Lines that each entry accepts, in the order of the entries. */
  readonly counts: readonly number[];
}

/** The unified difference of two folders below `cwd`. */
export function differenceOf(cwd: string, before: string, after: string): string {
  const args = ["diff", "--no-index", "--no-color", "--no-ext-diff", "--no-renames", "--no-prefix", "-U2"];
  try {
    return execFileSync("git", ["-c", "core.quotePath=off", ...args, before, after], {
      cwd,
      encoding: "utf8",
      maxBuffer: 2 ** 30,
      // Its own settings for one user must not change the text.
      env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null" },
    });
  } catch (error) {
    // Exit code 1 is a difference.
    const { status, stdout } = error as { status?: number; stdout?: string };
    if (status === 1 && stdout !== undefined) return stdout;
    throw error;
  }
}

/** Leaves out the parts of which every changed line is accepted. */
export function judge(difference: string, accepted: readonly Accepted[]): Judged {
  const entries = accepted.map(({ file, lines }) => ({ file, pattern: new RegExp(`^(?:${lines})$`), count: 0 }));
  const isAccepted = (file: string, line: string): boolean => {
    const found = entries.filter((entry) => isOf(file, entry.file) && entry.pattern.test(line));
    for (const entry of found) entry.count++;
    return found.length > 0;
  };
  const open = filesOf(difference).flatMap(({ file, hunks }) => {
    const left = hunks.filter(({ lines }) => {
      const changed = lines.filter((line) => line.startsWith("+") || line.startsWith("-"));
      // Every line is counted for its entry, also beside one that is open.
      return changed.map((line) => isAccepted(file, line)).includes(false);
    });
    return left.length === 0 ? [] : [`=== ${file}`, ...left.flatMap(({ head, lines }) => [head, ...lines]), ""];
  });
  return { open: open.join("\n"), counts: entries.map(({ count }) => count) };
}

function isOf(file: string, named: string): boolean {
  return named.endsWith("/") ? file.startsWith(named) : file === named;
}

/** Names of files are without the folders that were compared. */
function filesOf(difference: string): FileDifference[] {
  return difference
    .split(/^diff --git .*\n/m)
    .slice(1)
    .map((section) => {
      const [names = "", ...hunks] = section.split(/^(?=@@ )/m);
      const named = [...names.matchAll(/^(?:---|\+\+\+) (?!\/dev\/null)[^/]+\/(.+)$/gm)];
      return {
        file: named[0]?.[1]?.trimEnd() ?? "",
        hunks: hunks.map((hunk) => {
          const [head = "", ...lines] = hunk.trimEnd().split("\n");
          return { head, lines };
        }),
      };
    });
}
