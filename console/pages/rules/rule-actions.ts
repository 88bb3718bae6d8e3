import { api, ifMatch, type Page } from "../../app/api.ts";
import { navigate } from "../../app/navigate.ts";
import type { Project } from "../../app/projects.ts";
import { invalidate } from "../../app/query.ts";
import { saveFile } from "../../app/save-file.ts";
import { confirm, plural, toast } from "../../ui/index.ts";
import { changesOf, definitionOf } from "./draft.ts";
import type { Definition, Rule } from "./types.ts";

const PATH = "/rules";

export async function createRule(definition: Definition): Promise<Rule> {
  const rule = await api.post<Rule>(PATH, definition);
  invalidate(PATH);
  return rule;
}

/** Saves the changed members. @throws PrismError VERSION_CONFLICT when another version is stored */
export async function saveRule(base: Rule, definition: Definition): Promise<Rule> {
  const body = changesOf(base, definition);
  const rule = await api.patch<Rule>(`${PATH}/${base.id}`, body, ifMatch(base));
  invalidate(PATH);
  return rule;
}

/** Without a version: the last switch wins. */
export function setActive(id: string, active: boolean): Promise<Rule> {
  return api.patch<Rule>(`${PATH}/${id}`, { active });
}

/** Asks, then stores an earlier version as the newest. */
export async function restoreVersion(rule: Rule, version: number): Promise<void> {
  const isSure = await confirm({
    title: `Restore version ${version}?`,
    text:
      `The rule gets the content of version ${version} as a new version. The current one stays in the list. ` +
      `The rule stays in its project, and ${rule.active ? "enabled" : "disabled"}.`,
    action: "Restore",
  });
  if (!isSure) return;
  await api.post(`${PATH}/${rule.id}/versions/${version}/restore`, {}, {}, ifMatch(rule));
  invalidate(PATH);
  toast.ok(`Version ${version} is the current content again`);
}

/** Asks, then deletes. */
export async function deleteRule({ id, name, stats }: Rule): Promise<void> {
  const isSure = await confirm({
    title: `Delete the rule “${name}”?`,
    text:
      "It stops at once and cannot be restored. " +
      (stats.fired > 0
        ? `Its ${stats.fired} notifications and the explanation of past events stay.`
        : "The explanation of past events stays."),
    action: "Delete rule",
    danger: true,
  });
  if (!isSure) return;
  await api.del(`${PATH}/${id}`);
  navigate("/rules");
  // The lists only: the page of the rule is shown until the route has changed.
  invalidate(`${PATH} `);
  toast.ok(`“${name}” is deleted`);
}

/** The document that `prism rules import` and the import of this page read. */
export function exportFile(rules: readonly Rule[], projects: readonly Project[]): void {
  const slugs = new Map(projects.map(({ id, slug }) => [id, slug]));
  const list = rules.map((rule) => {
    const definition = definitionOf(rule);
    const { projectId } = definition;
    return { ...definition, projectId: projectId === null ? null : (slugs.get(projectId) ?? projectId) };
  });
  const text = `${JSON.stringify({ prism: "rules", version: 1, rules: list }, null, 2)}\n`;
  const name = rules.length === 1 ? `${rules[0]?.name ?? "rule"}.json` : "rules.json";
  saveFile(new Blob([text], { type: "application/json" }), name);
}

/** All rules that a filter finds, page by page. */
export async function allRules(query: Readonly<Record<string, string | undefined>>): Promise<readonly Rule[]> {
  const rules: Rule[] = [];
  let cursor: string | undefined;
  do {
    const page: Page<Rule> = await api.get<Page<Rule>>(PATH, { ...query, limit: 100, cursor });
    rules.push(...page.data);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return rules;
}

interface ImportReply {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
}

const READ_ONLY = ["id", "version", "createdBy", "createdAt", "updatedAt", "stats", "soundUrl", "broken", "warnings"];

/** Asks with the counts of a trial, then stores all rules of a file or none. */
export async function importFile(file: File): Promise<void> {
  const rules = rulesOf(await file.text());
  const body = { rules, update: true };
  const trial = await api.post<ImportReply>(`${PATH}/import`, { ...body, dryRun: true });
  const isSure = await confirm({
    title: `Import ${file.name}?`,
    text: `New: ${trial.created}, changed: ${trial.updated}, equal already: ${trial.unchanged}. All are stored, or none.`,
    action: "Import",
  });
  if (!isSure) return;
  const { created, updated } = await api.post<ImportReply>(`${PATH}/import`, body);
  invalidate(PATH);
  toast.ok(`${plural(created, "rule")} created, ${updated} changed`);
}

function rulesOf(text: string): readonly object[] {
  const value = JSON.parse(text) as { rules?: unknown };
  const list = Array.isArray(value) ? value : Array.isArray(value.rules) ? value.rules : [value];
  return (list as object[]).map((rule) =>
    Object.fromEntries(Object.entries(rule).filter(([member]) => !READ_ONLY.includes(member))),
  );
}
