import type { AlertSetting } from "../../../features/rules/over-time/schema.ts";
import type { RuleSet } from "../../../features/rules/rule-file.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { readFileOrStdin } from "../../files.ts";
import { unlessHidden } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { callOf, listOf } from "../../resource.ts";
import { slugsOf } from "../access/projects.ts";

/** The tested part of a rule: condition, texts and alert. */
export interface RuleDraft {
  readonly condition: string;
  readonly templates?: { readonly title: string | null; readonly message: string | null };
  readonly alert?: AlertSetting | null;
  readonly name?: string;
}

interface Sources {
  readonly condition?: string;
  readonly rule?: string;
  readonly file?: string;
}

interface StoredRule {
  readonly condition: string;
  readonly titleTemplate: string | null;
  readonly messageTemplate: string | null;
  readonly alert?: AlertSetting | null;
  readonly name?: string;
}

/**
 * The draft of the flags; for `--rule` only its id. @throws CommandError 2 without a source, or for
 * an unreadable file
 */
export async function readRuleDraft({ condition, rule, file }: Sources): Promise<RuleDraft | { readonly id: string }> {
  if (condition !== undefined) return { condition };
  if (file !== undefined) return draftOfText(await readFileOrStdin(file, "--file"));
  if (rule === undefined) throw new CommandError(EXIT.usage, "give --condition, --rule or --file");
  return { id: rule };
}

/** @throws RULE_NOT_FOUND */
export async function storedDraft(server: ServerClient, id: string): Promise<RuleDraft> {
  return draftOf(await server.get<StoredRule>(`/api/v1/rules/${encodeURIComponent(id)}`));
}

/** A rule as `export rules` writes it; any other text is a condition. */
function draftOfText(text: string): RuleDraft {
  const source = text.trim();
  try {
    const value = JSON.parse(source) as Partial<StoredRule> | null;
    if (typeof value?.condition === "string") {
      const { condition, titleTemplate = null, messageTemplate = null, ...rest } = value;
      return draftOf({ condition, titleTemplate, messageTemplate, ...rest });
    }
  } catch {
    // Most conditions are not JSON.
  }
  return { condition: source };
}

function draftOf({ condition, titleTemplate, messageTemplate, ...rest }: StoredRule): RuleDraft {
  return { condition, templates: { title: titleTemplate, message: messageTemplate }, ...alertOf(rest) };
}

/** The name is a label of the alert. */
function alertOf({ alert, name }: Pick<StoredRule, "alert" | "name">): Pick<RuleDraft, "alert" | "name"> {
  return alert ? { alert, ...(name === undefined ? {} : { name }) } : {};
}

/** The readable rules of all projects, or of one. @throws ServerRefused */
export async function readRules(
  server: ServerClient,
  project: unknown,
  { withUsers }: { readonly withUsers: boolean },
): Promise<RuleSet> {
  const query = { sort: "createdAt", projectId: project };
  const rules = await listOf(server, "listRules", query);
  const slugs = await slugsOf(server);
  const users = new Map<string, string>();
  const ids = new Set(withUsers ? rules.flatMap(({ targetUsers }) => targetUsers) : []);
  for (const id of ids) {
    const reference = await referenceOf(server, id);
    if (reference !== undefined) users.set(id, reference);
  }
  return { rules, slugs, users };
}

/** A reference that is valid on another server; undefined if the caller may not read users. */
export async function referenceOf(server: ServerClient, userId: string): Promise<string | undefined> {
  const user = await unlessHidden(callOf(server, "getUser", { id: userId }));
  return user && (user.externalId ?? user.username ?? user.email ?? user.id);
}
