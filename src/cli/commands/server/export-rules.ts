import { type Command, Option } from "commander";
import { contextOf } from "../../context.ts";
import { writeRows } from "../../write-rows.ts";
import { portableRule, textOfRules } from "../rules/rule-file.ts";
import { readRules } from "../rules/rule-source.ts";

interface Flags {
  readonly project?: string;
  readonly format: "json" | "ndjson";
  readonly out?: string;
}

export function addExportRules(rules: Command): void {
  rules
    .command("export")
    .description("write all that rules consist of, for rules import here or elsewhere")
    .option("--project <project>", "id or slug: rules of one project")
    .addOption(
      new Option("--format <format>", "one document, or a rule a line").choices(["json", "ndjson"]).default("json"),
    )
    .option("--out <file>", "where to; without it, or with -, to stdout")
    .addHelpText(
      "after",
      `
Roles stand by name, projects by slug, users by external id, username or mail address, so that the file means the same elsewhere.
From the data directory; from a server when --url or PRISM_URL names one. There users that the token may not read stand by id.

Examples:
  $ prism rules export --out rules.json
  $ prism rules export --project shop --format ndjson | wc -l`,
    )
    .action(async ({ project, format, out }: Flags, command: Command) => {
      const context = contextOf(command);
      const set = await readRules(context, project, { withUsers: true });
      const rules = set.rules.map((rule) => portableRule(rule, set));
      const file = out === "-" ? undefined : out;
      await writeRows(only(textOfRules(rules, format)), { file, gzip: false });
      const unnamed = new Set(set.rules.flatMap(({ targetUsers }) => targetUsers).filter((id) => !set.users.has(id)));
      if (file !== undefined) context.out.result({ format, rules: rules.length, file }, () => "");
      const count = `${rules.length} ${rules.length === 1 ? "rule" : "rules"}`;
      context.out.note(file === undefined ? count : `${count} in ${file}`);
      if (unnamed.size > 0)
        context.out.note(`${unnamed.size} of their users stand by id: the token may not read users, or they are gone.`);
    });
}

async function* only(text: string): AsyncIterable<string> {
  yield text;
}
