import { currentCaller } from "../../core/caller.ts";
import {
  type ConfigKind,
  changedMembers,
  configKind,
  type ObjectVersion,
  stateWith,
} from "../../module/config-kind.ts";
import type { Trx } from "../../store/database.ts";
import { readCondition } from "./language/language.ts";
import { rules } from "./manage.ts";
import * as queries from "./queries.ts";
import { Rule, type RuleRow } from "./rule.ts";
import { projectOf } from "./rule-access.ts";
import { checkingSteps, patternSizeOf, requirePatternRoom } from "./rule-store.ts";
import type { CreateRule } from "./schema.ts";
import type { RulesContext } from "./service.ts";

type RuleSpec = Omit<CreateRule, "projectId">;

/** Rules in configuration files: of a project, or those of the server for the events of all projects. */
export function rulesKind(context: RulesContext, scope: ConfigKind["scope"]): ConfigKind {
  const inOneCommit = patternRoom(context);
  const { projectId: _, ...defaults } = Rule.defaults;
  return configKind<RuleSpec>({
    ...{ kind: "rules", noun: "rule", resourceType: "rule", scope, defaults },
    after: ["roles", "people", "members"],
    // Who may write those of all projects is asked in `create` and `change`, too.
    rights: { read: "rules:read", write: scope === "server" ? "projects:all" : "rules:write" },
    entries() {
      const { projectId: _, ...entries } = Rule.forCreate;
      return entries;
    },
    async list(db, projectId, ids) {
      if ((projectId === null) !== (scope === "server")) return [];
      const rows = await queries.rulesOf(db, projectId, ids);
      const roles = await queries.roleNames(db);
      return rows.map((row) => {
        const { projectId: _, ...spec } = Rule.settable(row);
        const targetRoles = (JSON.parse(row.targetRoles) as string[]).map((role) => roles.get(role) ?? role);
        return { ...versionOf(row, roles), name: row.name, spec: { ...spec, targetRoles } };
      });
    },
    async versions(db, projectId) {
      if ((projectId === null) !== (scope === "server")) return [];
      const roles = await queries.roleNames(db);
      return (await queries.ruleVersionsOf(db, projectId)).map((row) => versionOf(row, roles));
    },
    rows: async (trx, ids) => (await queries.rulesToChange(trx, ids)).rules,
    /** Reads the condition before the transaction, which holds up everything else. */
    async prepare(_owner, spec, stored) {
      const input = stored ? changedMembers(spec, stored) : spec;
      currentCaller().charge?.({ steps: checkingSteps(input) });
      if (input.condition !== undefined) readCondition(input.condition);
      return undefined;
    },
    async create(trx, { caller, projectId }, id, input) {
      if (projectId === null) projectOf(context.projects, context.projects.current(caller), null);
      const { row } = await rules.insert(context, trx, caller, { input, projectId, id });
      inOneCommit(trx, row);
      return undefined;
    },
    async update(trx, { caller, row: known }, stored, spec) {
      const old = (known as RuleRow | undefined) ?? (await storedRow(trx, stored.id));
      const { row } = await rules.change(context, trx, old, changedMembers(spec, stored), caller);
      inOneCommit(trx, row);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await rules.remove(context, trx, await storedRow(trx, id), caller, undefined);
    },
  });
}

type Versioned = Pick<RuleRow, "id" | "version" | "targetRoles">;

/** A rule with roles is another when a role has another name. */
function versionOf({ id, version, targetRoles }: Versioned, roles: ReadonlyMap<string, string>): ObjectVersion {
  return { id, version, ...(targetRoles !== "[]" && { state: stateWith(version, roles) }) };
}

async function storedRow(trx: Trx, id: string): Promise<RuleRow> {
  const row = await Rule.find(trx, id);
  if (!row) throw new TypeError("a rule that is listed is stored");
  return row;
}

/** Limits of patterns are counted in memory, which changes after the commit: rules of one are counted together. */
function patternRoom(context: RulesContext) {
  const written = new WeakMap<Trx, { readonly row: RuleRow; readonly patternSize: number }[]>();
  return (trx: Trx, row: RuleRow): void => {
    const all = written.get(trx) ?? [];
    written.set(trx, all);
    all.push({ row, patternSize: patternSizeOf(row) });
    requirePatternRoom(context, all);
  };
}
