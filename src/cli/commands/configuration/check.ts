import { type Command, Option } from "commander";
import { countText } from "../../../core/text/clean-text.ts";
import type { CommandContext } from "../../context.ts";
import { EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable } from "../../output/output.ts";
import { single } from "../../resource.ts";
import { type FileFlags, problemLine, readFiles } from "./given-files.ts";
import { checkLocally, fileSchema, type LocalCheck } from "./local-check.ts";
import { testLines } from "./test-text.ts";

interface CheckFlags extends Partial<FileFlags> {
  readonly strict?: boolean;
  readonly only?: "tests";
  readonly schema?: boolean;
  readonly runtime?: boolean;
}

/** `prism check`. */
export function addCheck(program: Command): void {
  single(program, "check", {
    text: "check configuration files and run their tests, without a server or a network",
    about: `What the files name and do not define is a warning, with --strict a problem. Secrets need no values.
Exit code 7: the files are not valid. Exit code 8: a test failed.`,
    examples: ["-f oncall", "-f oncall --strict", "--schema"],
    flags: {
      file: new Option(
        "-f, --file <path>",
        "directory or file of the configuration; repeatable (default: this directory)",
      ).argParser(collectFlag),
      strict: ["--strict", "end with 7 also if the files name what they do not define"],
      only: new Option("--only <what>", "print only the tests").choices(["tests"]),
      runtime: ["--runtime", "overrides, silences and the like of the files count for their tests"],
      schema: ["--schema", "print the JSON schema of the files, for editors"],
    },
    act: (context, flags) => check(context, flags as CheckFlags),
  });
}

async function check(context: CommandContext, flags: CheckFlags): Promise<void> {
  const { out } = context;
  if (flags.schema) return out.line(JSON.stringify(await fileSchema(context), null, 2));
  const files = await readFiles(flags.file ?? ["."]);
  const found: LocalCheck =
    files.problems.length > 0
      ? { problems: files.problems, warnings: [], tests: [] }
      : await checkLocally(context, files, flags.runtime);
  const { problems, warnings, tests } = found;
  const failed = tests.filter(({ ok }) => !ok).length;
  const isInvalid = problems.length > 0 || (flags.strict === true && warnings.length > 0);
  const counts = { objects: files.objects.length, tests: tests.length, failed };
  out.result({ problems, warnings, tests, counts }, () =>
    [
      ...(flags.only ? [] : [...problems.map(problemLine), ...warnings.map((each) => `warning: ${problemLine(each)}`)]),
      ...testLines(tests),
      ...(flags.only ? [] : [summaryOf(found, counts.objects)]),
    ].map(printable),
  );
  process.exitCode = isInvalid ? EXIT.conflict : failed > 0 ? EXIT.checkFailed : EXIT.done;
}

function summaryOf({ problems, warnings }: LocalCheck, objects: number): string {
  const found = [countText(problems.length, "problem"), countText(warnings.length, "warning")].join(", ");
  return `${countText(objects, "object")}: ${problems.length + warnings.length === 0 ? "all valid" : found}`;
}
