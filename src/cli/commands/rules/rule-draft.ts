import { PrismError } from "../../../core/errors.ts";
import { type Context, isOnline } from "../../context.ts";
import { requireDatabase } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { readInput, readTextFile } from "../../read-input.ts";
import { serverOf } from "../../server-client.ts";

/** What is tried: a condition, and what a notification would say. */
export interface RuleDraft {
  readonly condition: string;
  readonly templates?: { readonly title: string; readonly message: string };
}

interface Sources {
  readonly condition?: string;
  readonly rule?: string;
  readonly file?: string;
}

interface StoredRule {
  readonly condition: string;
  readonly titleTemplate: string;
  readonly messageTemplate: string;
}

/** @throws CommandError 2 when nothing is named, RULE_NOT_FOUND */
export async function findRuleDraft(context: Context, { condition, rule, file }: Sources): Promise<RuleDraft> {
  if (condition !== undefined) return { condition };
  if (file !== undefined)
    return draftOfText(file === "-" ? await readInput("-", "--file") : readTextFile(file, "--file"));
  if (rule === undefined) throw new CommandError(EXIT.usage, "give --condition, --rule or --file");
  const path = `/api/v1/rules/${encodeURIComponent(rule)}`;
  return draftOf(
    isOnline(context) ? await (await serverOf(context)).get<StoredRule>(path) : await readStoredRule(context, rule),
  );
}

/** A rule as `export rules` writes it, else the text itself is the condition. */
function draftOfText(text: string): RuleDraft {
  const source = text.trim();
  try {
    const value = JSON.parse(source) as Partial<StoredRule> | null;
    if (typeof value?.condition === "string") {
      const { condition, titleTemplate, messageTemplate } = value;
      const hasTemplates = typeof titleTemplate === "string" && typeof messageTemplate === "string";
      return hasTemplates ? draftOf({ condition, titleTemplate, messageTemplate }) : { condition };
    }
  } catch {
    // Most conditions are no JSON.
  }
  return { condition: source };
}

function draftOf({ condition, titleTemplate, messageTemplate }: StoredRule): RuleDraft {
  return { condition, templates: { title: titleTemplate, message: messageTemplate } };
}

async function readStoredRule(context: Context, id: string): Promise<StoredRule> {
  const { config } = context.loadConfig("none");
  requireDatabase(config);
  const [{ openReadStore }, { findRule }] = await Promise.all([
    import("../../read-store.ts"),
    import("../../../features/rules/queries.ts"),
  ]);
  const store = openReadStore(config.databaseFile);
  try {
    const rule = await findRule(store.db, id);
    if (!rule) throw new PrismError("RULE_NOT_FOUND", `There is no rule ${id}`);
    return rule;
  } finally {
    store.close();
  }
}
