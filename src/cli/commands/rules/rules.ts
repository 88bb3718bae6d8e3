import { type Command, Option } from "commander";
import type { Rule } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { portableRule, type RuleSet, textOfRules } from "../../../features/rules/rule-file.ts";
import type { CommandContext } from "../../context.ts";
import { requireReplaceable, writeRows } from "../../files.ts";
import { resource, tableOf, type Values } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { BACKTEST_RULE } from "./backtest-rule.ts";
import { EDIT_RULE, findRule } from "./edit-rule.ts";
import { IMPORT_RULES } from "./import-rules.ts";
import { readRules } from "./rule-source.ts";
import { TEST_RULE } from "./test-rule.ts";

const OF_PROJECT = ["--project <project>", "rules of one project: id or slug"] as const;

function listed({ rules, slugs }: RuleSet): string[] {
  const columns = {
    ID: "id",
    PROJECT: ({ projectId }: Rule) => (projectId === null ? "(all)" : (slugs.get(projectId) ?? projectId)),
    ...{ ACTIVE: "active", PRIORITY: "priority", MATCHED: "stats.matched", FIRED: "stats.fired" },
    SUPPRESSED: ({ stats: { suppressed, deduped, cooled } }: Rule) => suppressed + deduped + cooled,
    ...{ ERRORS: "stats.errors", "LAST MATCHED": "stats.lastMatchedAt", NAME: "name" },
  };
  return tableOf(columns, rules);
}

async function exportRules(context: CommandContext, { project, format, out, force }: Values): Promise<void> {
  const file = out === "-" ? undefined : (out as string | undefined);
  const isForced = force === true;
  requireReplaceable(file, isForced);
  const set = await withServer(context, (server) => readRules(server, project, { withUsers: true }));
  const rules = set.rules.map((rule) => portableRule(rule, set));
  await writeRows([textOfRules(rules, format as "json" | "ndjson")], { file, gzip: false, force: isForced });
  const unnamed = new Set(set.rules.flatMap(({ targetUsers }) => targetUsers).filter((id) => !set.users.has(id)));
  if (file !== undefined) context.out.result({ format, rules: rules.length, file }, () => "");
  const count = countText(rules.length, "rule");
  context.out.note(file === undefined ? count : `${count} in ${file}`);
  if (unnamed.size > 0)
    context.out.note(
      `${unnamed.size} of their users are written by id: the token may not read users, or they are deleted.`,
    );
}

/** Rules, on a running server and in files. */
export function addRules(program: Command): void {
  const change = (action: "enable" | "disable") =>
    ({
      examples: ["'Disk full'", "'Disk full' --project ops"],
      one: true,
      of: "updateRule",
      values: () => ({ active: action === "enable" }),
      say: `{id}  {name}  ${action}d`,
    }) as const;
  resource(program, "rules", "rule", {
    text: "test, backtest, list, enable, disable, edit, delete, export and import rules",
    examples: [
      `rules test --condition "event.level == 'error'" --event '{"level":"error"}'`,
      "rules list --project shop",
      "rules disable 'Disk full'",
    ],
    ref: "id or name, or a prefix of one",
    scope: { projectId: ["--project <project>", "find the name among the rules of this project: id or slug"] },
    find: findRule,
    verbs: {
      test: TEST_RULE,
      backtest: BACKTEST_RULE,
      list: {
        text: "list rules with their totals, oldest first",
        about: "With a token it lists the rules that the token may read.",
        examples: ["", "--project shop --active --json"],
        global: true,
        flags: { project: OF_PROJECT, active: ["--active", "only active rules"] },
        async get({ server, given: { project, active } }) {
          const { rules, ...names } = await readRules(server, project, { withUsers: false });
          return { rules: active ? rules.filter((rule) => rule.active) : rules, ...names };
        },
        json: ({ rules }: RuleSet) => ({ rules }),
        lines: (found: RuleSet) => (found.rules.length === 0 ? "no rules" : listed(found)),
      },
      export: {
        text: "export rules for prism rules import",
        about: `Roles are written by name, projects by slug and users by external id, username or mail address, so that another
server can import the file.
Users that the token may not read are written by id.`,
        examples: ["--out rules.json", "--project shop --format ndjson | wc -l"],
        global: true,
        flags: {
          project: OF_PROJECT,
          format: new Option("--format <format>", "one JSON document, or one rule per line")
            .choices(["json", "ndjson"])
            .default("json"),
          out: ["--out <file>", "file to write (default, and with -: stdout)"],
          force: ["--force", "replace the file of --out if it exists"],
        },
        act: exportRules,
      },
      import: IMPORT_RULES,
      enable: { ...change("enable"), text: "evaluate a rule again, from the next event on" },
      disable: { ...change("disable"), text: "stop evaluating a rule, from the next event on; it is kept" },
      edit: EDIT_RULE,
      delete: {
        text: "delete a rule; its decisions and notifications are kept",
        examples: ["'Disk full' --project ops --yes"],
        one: true,
        of: "deleteRule",
        ask: "Delete the rule {name} ({id})?",
        json: ({ id, name }: Rule) => ({ id, name, deleted: true }),
        say: "{id}  {name}  deleted",
      },
    },
  });
}
