import { isDeepStrictEqual } from "node:util";
import { type Command, Option } from "commander";
import type { ConfigurationPlan } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { type ServerClient, SLICED_LIMIT_MS } from "../../../remote/server-client.ts";
import type { CommandContext } from "../../context.ts";
import { parseJson, readTextFile, requireReplaceable, writeRows } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag, durationFlag, integerFlag } from "../../output/flag-values.ts";
import { printable } from "../../output/output.ts";
import { single, type Verb } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { confirm } from "../access/prompt.ts";
import { type FileFlags, type GivenFiles, givenFiles, objectsOf, placed, refusalOf } from "./given-files.ts";
import type { PlacedTest } from "./local-check.ts";
import { countsOf, lackText, planLines, planMarkdown } from "./plan-text.ts";
import { testCounts, testLines } from "./test-text.ts";

interface PlanFlags extends FileFlags {
  readonly tests?: boolean;
  readonly prune?: boolean;
  readonly allowDeletes?: number;
  readonly format: "text" | "markdown" | "json";
  readonly out?: string;
  readonly exitCode?: boolean;
  readonly keepNow?: boolean;
  readonly history?: number;
}

/** A plan, with the tests of the files. */
type TestedPlan = ConfigurationPlan & { readonly tests?: readonly PlacedTest[] };

interface ApplyFlags extends PlanFlags {
  readonly runtime?: boolean;
  readonly plan?: string;
  readonly issued?: string;
  readonly invite?: boolean;
  readonly yes?: boolean;
  readonly yesPages?: boolean;
}

const FLAGS: NonNullable<Verb["flags"]> = {
  file: new Option("-f, --file <path>", "directory or file of the configuration; repeatable")
    .argParser(collectFlag)
    .makeOptionMandatory(),
  project: ["--project <slug>", "only the objects of this project"],
  secretsFile: ["--secrets-file <file>", "lines PRISM_SECRET_NAME=value, beside the environment"],
  secretsDir: ["--secrets-dir <dir>", "also read files of secrets below this directory"],
  prune: ["--prune", "delete what an earlier apply of this source made and the files no longer have"],
  allowDeletes: ["--allow-deletes <n>", "delete exactly so many objects", integerFlag(0, 2000)],
  format: new Option("--format <format>", "format of the plan").choices(["text", "markdown", "json"]).default("text"),
  out: ["--out <file>", "also write the plan as JSON to this file, for prism apply --plan"],
  exitCode: ["--exit-code", "end with 8 if anything would change"],
  keepNow: ["--keep-now", "whose turn it is now stays when turns change; the plan says the anchors to write"],
  history: ["--history <duration>", "compare the incidents and events of so long, such as 7d", durationFlag],
  tests: ["--no-tests", "do not run the tests of the files first"],
};

export function addPlan(program: Command): void {
  single(program, "plan", {
    text: "show what configuration files would change, and store nothing",
    about: `Files are YAML or JSON. Secrets are {env: PRISM_SECRET_NAME} or {file: name}, and are compared where they are given.
A file or an object that is not valid is reported with its line and column (exit code 7).`,
    examples: ["-f oncall", "-f oncall --format markdown"],
    flags: FLAGS,
    act: (context, flags) => plan(context, flags as unknown as PlanFlags),
  });
}

export function addApply(program: Command): void {
  single(program, "apply", {
    text: "store configuration files: all of them, or nothing",
    about: `It shows the plan and asks; without a terminal it needs --yes. With --plan it stores only what that plan showed
(exit code 7 if anything changed since). Without changes nothing is written.`,
    examples: ["-f oncall", "-f oncall --prune --yes", "-f oncall --plan plan.json --yes"],
    flags: {
      ...FLAGS,
      plan: ["--plan <file>", "store only what this plan of prism plan --out showed"],
      runtime: ["--runtime", "also make overrides, swaps, days off, silences and pauses of the files, each once"],
      invite: ["--invite", "send mails to people whose accounts are made"],
      issued: ["--issued <file>", "write new URLs and keys to this file; needed without a terminal"],
      yes: ["--yes", "do not ask"],
      yesPages: ["--yes-pages", "also if open incidents would begin to page"],
    },
    changes: true,
    act: (context, flags) => apply(context, flags as unknown as ApplyFlags),
  });
}

async function plan(context: CommandContext, flags: PlanFlags): Promise<void> {
  const files = await givenFiles(flags);
  const tests = await testsOf(context, files, flags);
  const found = await withServer(context, (server) => ask(server, files, flags, { mode: "plan" }));
  await report(context, files, { ...found, ...(tests.length > 0 && { tests }) }, flags);
  noteRuntime(context, files, flags);
  const isFailed = tests.some(({ ok }) => !ok);
  if (isFailed) process.exitCode = EXIT.checkFailed;
  const more = found.open?.some(({ pages }) => pages) ? " --yes-pages" : "";
  if (found.changes.length > 0) context.out.note(`Nothing is stored. prism apply ${givenFlags(flags)}${more}`);
  if (flags.exitCode && found.changes.length > 0) process.exitCode = EXIT.checkFailed;
}

/** Of a plan, without which an apply would do something else. */
function givenFlags({ file, project, secretsFile, secretsDir }: PlanFlags): string {
  const others = { project, "secrets-file": secretsFile, "secrets-dir": secretsDir };
  return [
    ...file.map((path) => `-f ${path}`),
    ...Object.entries(others).flatMap(([flag, value]) => (value === undefined ? [] : `--${flag} ${value}`)),
  ].join(" ");
}

async function apply(context: CommandContext, flags: ApplyFlags): Promise<void> {
  const { out } = context;
  const isAsked = process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (!flags.yes && !isAsked) throw new CommandError(EXIT.usage, "without a terminal prism apply needs --yes");
  requireReplaceable(flags.issued, false);
  const files = await givenFiles(flags);
  const tests = await testsOf(context, files, flags);
  if (tests.some(({ ok }) => !ok)) {
    const message = ["tests of the files failed; nothing is stored:", ...testLines(tests).map(printable)].join("\n");
    throw new CommandError(EXIT.checkFailed, message, { code: "TESTS_FAILED" });
  }
  const { runtime } = objectsOf(files, flags.project);
  const entries = flags.runtime && runtime.length > 0 ? { runtime } : {};
  const before = await withServer(context, (server) => ask(server, files, flags, { mode: "plan", ...entries }));
  if (flags.plan !== undefined) requireSame(flags.plan, before);
  if (before.mayNot.length > 0) throw mayNot(before);
  const made = before.runtime?.made ?? 0;
  const isEmpty = before.changes.length + made === 0;
  if (isEmpty || !out.json) await report(context, files, { ...before, ...(tests.length > 0 && { tests }) }, flags);
  noteRuntime(context, files, flags);
  if (isEmpty) return;
  const mayPage = await requirePages(before, flags, isAsked);
  if (!flags.yes && !(await confirm(`Store this: ${countsOf(before)}${made > 0 ? `, ${made} runtime` : ""}?`)))
    throw new CommandError(EXIT.usage, "nothing is stored; --yes stores without asking");
  const issued = isAsked || flags.issued !== undefined;
  const { invite = false } = flags;
  const more = { ...entries, mode: "apply", expect: before.state, issued, invite, mayPage };
  const done = await withServer(context, (server) => {
    server.bePatient();
    return ask(server, files, flags, more);
  });
  const lines = done.issued.map((each) => JSON.stringify(each));
  if (flags.issued !== undefined)
    await writeRows(
      lines.map((line) => `${line}\n`),
      { ...TO_FILE, file: flags.issued },
    );
  const isShown = flags.issued === undefined;
  out.result(isShown ? done : { ...done, issued: [] }, () => [...(isShown ? lines : []), "All is stored."]);
  const people = before.changes.filter(({ op, kind }) => op === "create" && kind === "people");
  if (people.length > 0 && !invite)
    out.note(
      `no mail was sent to ${people.map(({ name }) => printable(name)).join(", ")}: --invite does it when an account is made; later the link of "forgot password" on the sign-in page lets them choose a password`,
    );
  if (flags.exitCode) process.exitCode = EXIT.checkFailed;
}

/** Of the whole files, on an empty database of this process. @throws CommandError 7 for files that are not valid */
async function testsOf(
  context: CommandContext,
  files: GivenFiles,
  { tests = true }: PlanFlags,
): Promise<readonly PlacedTest[]> {
  if (!tests || files.tests.length === 0) return [];
  const { checkLocally } = await import("./local-check.ts");
  const found = await checkLocally(context, files);
  if (found.problems.length > 0) throw refusalOf(found.problems);
  return found.tests;
}

const TO_FILE = { gzip: false, force: false } as const;

/** @throws CommandError 7 with the problems at their places in the files */
async function ask(
  server: ServerClient,
  files: GivenFiles,
  flags: PlanFlags,
  more: object,
): Promise<ConfigurationPlan> {
  const { source, lock, secrets } = files;
  const { prune, allowDeletes, keepNow, history: historyMs } = flags;
  const { objects } = objectsOf(files, flags.project);
  const body = { source, lock, objects, secrets, prune, allowDeletes, keepNow, historyMs };
  const found = await server.post<ConfigurationPlan>("/api/v1/configuration", { ...body, ...more }, SLICED_LIMIT_MS);
  if (found.problems.length > 0) throw refusalOf(placed(files, found.problems));
  return found;
}

async function report({ out }: CommandContext, files: GivenFiles, found: TestedPlan, flags: PlanFlags): Promise<void> {
  const { tests = [] } = found;
  if (flags.out !== undefined)
    await writeRows([`${JSON.stringify(found)}\n`], { ...TO_FILE, file: flags.out, force: true });
  if (out.json || flags.format === "json") out.line(JSON.stringify(found));
  else if (flags.format === "markdown")
    out.line(
      [
        planMarkdown(found, testLines(tests.filter(({ ok }) => !ok)).slice(0, -1)),
        ...(tests.length > 0 ? ["", testCounts(tests)] : []),
      ].join("\n"),
    );
  else out.line([...planLines(found), ...testLines(tests).map(printable)].join("\n"));
  if (found.changes.length === 0) return;
  if (flags.history !== undefined && found.history === null && found.mayNot.length > 0)
    out.note("no history: it needs the right to apply what is new in this plan");
  for (const name of files.unused) out.note(`--secrets-file: the files do not name ${printable(name)}`);
  if (files.missing.length > 0) out.note(missingText(files.missing));
}

const MAX_NAMED = 3;

function missingText(places: readonly string[]): string {
  const named = places.slice(0, MAX_NAMED).map(printable).join(", ");
  const left = places.length - MAX_NAMED;
  const more = left > 0 ? ` and ${countText(left, "more secret")}` : "";
  return `not given, so not compared, and kept as it is stored: ${named}${more}; give them by --secrets-file or the environment`;
}

/** What apply alone makes, and only if it is asked to. */
function noteRuntime({ out }: CommandContext, files: GivenFiles, { project, runtime }: Partial<ApplyFlags>): void {
  const { length } = objectsOf(files, project).runtime;
  if (length > 0 && !runtime)
    out.note(
      `not part of this: ${countText(length, "runtime entry", "runtime entries")}; prism apply --runtime makes those that it has not made before`,
    );
}

/** @returns whether the caller agrees to page people now @throws CommandError 2: they would be paged, and the caller has not agreed */
async function requirePages(
  { open = [] }: ConfigurationPlan,
  { yesPages }: ApplyFlags,
  isAsked: boolean,
): Promise<boolean> {
  const count = open.filter(({ pages }) => pages).length;
  if (count === 0 || yesPages) return yesPages === true;
  const what = `${countText(count, "open incident")} would begin to page`;
  if (isAsked && (await confirm(`${what}. Go on?`))) return true;
  throw new CommandError(EXIT.usage, `${what}; nothing is stored: --yes-pages stores it`);
}

/** @throws CommandError 7 */
function requireSame(file: string, now: ConfigurationPlan): void {
  const shown = parseJson(readTextFile(file, "--plan"), "--plan", EXIT.conflict) as Partial<ConfigurationPlan> | null;
  // The answer as the file has it, without members that are not there.
  const { state, changes } = JSON.parse(JSON.stringify(now)) as ConfigurationPlan;
  if (shown?.state === state && isDeepStrictEqual(shown.changes, changes)) return;
  throw new CommandError(EXIT.conflict, `the plan is no longer that of ${file}; nothing is stored: plan again`);
}

function mayNot({ mayNot }: ConfigurationPlan): CommandError {
  const lines = mayNot.map((each) => `  ${printable(lackText(each))}`);
  return new CommandError(EXIT.unauthorised, ["rights are missing; nothing is stored:", ...lines].join("\n"));
}
