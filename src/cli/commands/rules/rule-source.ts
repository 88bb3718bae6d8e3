import { sql } from "kysely";
import { PrismError } from "../../../core/errors.ts";
import type { ruleView } from "../../../features/rules/view.ts";
import type { ReadDb } from "../../../store/database.ts";
import { type Context, isOnline } from "../../context.ts";
import { requireDatabase } from "../../data-dir.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { readInput, readTextFile } from "../../read-input.ts";
import { type ServerClient, serverOf } from "../../server-client.ts";

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
    import("../../data-dir.ts"),
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

/** A rule as the API shows it. */
export type ShownRule = ReturnType<typeof ruleView>;

/** Rules, oldest first, and what the ids in them mean elsewhere. */
export interface RuleSet {
  readonly rules: readonly ShownRule[];
  /** Slug of a project; the id itself where it is not to be read. */
  readonly slugs: ReadonlyMap<string, string>;
  /** External id, username or mail address of a user; of those that may not be read there is none. */
  readonly users: ReadonlyMap<string, string>;
}

/** Rules of all projects, or of one: from a server as far as the token may read, else from the data directory. @throws CommandError, PrismError */
export async function readRules(
  context: Context,
  project: string | undefined,
  { withUsers }: { readonly withUsers: boolean },
): Promise<RuleSet> {
  if (isOnline(context)) return rulesOfServer(await serverOf(context), project, withUsers);
  const { config } = context.loadConfig("none");
  requireDatabase(config);
  const { openReadStore } = await import("../../data-dir.ts");
  const store = openReadStore(config.databaseFile);
  try {
    return await rulesOfStore(store.db, project, withUsers);
  } finally {
    store.close();
  }
}

async function rulesOfStore(db: ReadDb, project: string | undefined, withUsers: boolean): Promise<RuleSet> {
  const [{ findProjectRef }, { allRules, roleNames }, { ruleView }] = await Promise.all([
    import("../access/account-queries.ts"),
    import("../../../features/rules/queries.ts"),
    import("../../../features/rules/view.ts"),
  ]);
  const projectId = project === undefined ? undefined : (await findProjectRef(db, project)).id;
  const everything = { projectIds: null, withGlobal: true, active: undefined, q: undefined, createdBy: undefined };
  const filter = { ...everything, projectId, roleId: undefined };
  const roles = await roleNames(db);
  const rows = await allRules(db, filter, { field: "createdAt", descending: false });
  const projects = await db.selectFrom("projects").select(["id", "slug"]).execute();
  const rules = rows.map((row) => ruleView(row, roles, () => null));
  const ids = JSON.stringify([...new Set(withUsers ? rules.flatMap(({ targetUsers }) => targetUsers) : [])]);
  const users = await db
    .selectFrom("users")
    .select(["id", "externalId", "username", "email"])
    .where(sql<boolean>`id in (select value from json_each(${ids}))`)
    .execute();
  return {
    rules,
    slugs: new Map(projects.map(({ id, slug }) => [id, slug])),
    users: new Map(users.map((user) => [user.id, referenceOf(user)])),
  };
}

async function rulesOfServer(server: ServerClient, project: string | undefined, withUsers: boolean): Promise<RuleSet> {
  const query = { sort: "createdAt", projectId: project };
  const rules: ShownRule[] = [];
  for await (const rule of server.list<ShownRule>("/api/v1/rules", query)) rules.push(rule);
  const slugs = new Map<string, string>();
  for await (const { id, slug } of server.list<{ id: string; slug: string }>("/api/v1/projects")) slugs.set(id, slug);
  const users = new Map<string, string>();
  const ids = new Set(withUsers ? rules.flatMap(({ targetUsers }) => targetUsers) : []);
  for (const id of ids) {
    const reference = await referenceOnServer(server, id);
    if (reference !== undefined) users.set(id, reference);
  }
  return { rules, slugs, users };
}

interface Named {
  readonly id: string;
  readonly externalId: string | null;
  readonly username: string | null;
  readonly email: string | null;
}

async function referenceOnServer(server: ServerClient, id: string): Promise<string | undefined> {
  try {
    return referenceOf(await server.get<Named>(`/api/v1/users/${id}`));
  } catch (error) {
    // Whoever may read rules may not always read users.
    if (error instanceof ServerRefused && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}

/** What means the user on another Prism, too. */
function referenceOf({ id, externalId, username, email }: Named): string {
  return externalId ?? username ?? email ?? id;
}
