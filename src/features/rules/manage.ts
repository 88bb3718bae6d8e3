import { currentCaller, type PermissionHolder } from "../../core/caller.ts";
import { DAY_MS, toRfc3339OrNull } from "../../core/time/clock.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { missingPermission } from "../../http/server/access.ts";
import { addEffect } from "../../store/database.ts";
import { managed, type WithIssued } from "../access/index.ts";
import * as queries from "./queries.ts";
import { ofVisible, Rule, type RuleRow, ruleList } from "./rule.ts";
import { projectOf, requirePriority, ruleAccess, visibleProjects } from "./rule-access.ts";
import {
  checkingSteps,
  insertRule,
  newRow,
  patternSizeOf,
  requirePatternRoom,
  requireRoom,
  roleId,
} from "./rule-store.ts";
import * as s from "./schema.ts";
import { changeIn, type RulesContext, ruleAnswer } from "./service.ts";
import { ruleView } from "./view.ts";

export const PATH = "/api/v1/rules";
export const WRITE_ERRORS = [
  ...["INVALID_CONDITION", "INVALID_TEMPLATE", "ROLE_NOT_FOUND", "SOUND_NOT_FOUND", "PROJECT_NOT_FOUND"],
  ...["RECIPIENT_NOT_FOUND", "NOT_CONFIGURED", "LIMIT_REACHED", "NAME_TAKEN"],
] as const;

/** A rule to store, of a project that was found. */
interface NewRule {
  readonly input: s.CreateRule;
  readonly projectId: string | null;
  /** Default: one is drawn. */
  readonly id?: string;
}

/** Rules, but for their change: most wait in a queue, see `updateRule`. */
export const rules = managed({
  ...{ path: PATH, names: ["Rule", "Rules"], tag: "Rules", params: s.RuleParams },
  access: ruleAccess,
  answer: s.RuleWithWarnings,
  list: {
    summary: "List rules, newest first",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListRules,
    answer: () => pageOf(Rule.View),
    page: listPage,
  },
  get: { summary: "Get a rule with its counters" },
  create: {
    summary: "Create a rule",
    errors: WRITE_ERRORS,
    body: s.CreateRule,
    prepare({ projects }: RulesContext, caller, input): NewRule {
      const projectId = projectOf(projects, caller, input.projectId);
      currentCaller().charge?.({ steps: checkingSteps(input) });
      return { input, projectId };
    },
    admit: ({ projects }, _trx, caller, { input, ...spec }) => ({
      ...spec,
      input,
      projectId: projectOf(projects, projects.current(caller), input.projectId),
    }),
  },
  remove: { summary: "Delete a rule; its decisions and notifications stay" },
  view: async (context, _caller, row) => ruleAnswer(context, row, await queries.roleNames(context.db.read)),
  /** Totals, which no version counts, and a link that is another from time to time. */
  state({ stats, soundUrl, broken }) {
    const isUnmet = stats.lastMatchedAt === null && stats.errors === 0;
    return isUnmet && soundUrl === null && broken === null ? null : { stats, soundUrl, broken };
  },
  in: {
    /** Rule, version and audit row are one transaction. */
    async insert(context, trx, caller, { input, projectId, id }): Promise<WithIssued<RuleRow>> {
      const row = await newRow(context, trx, projectId, input, caller.userId, id);
      requirePatternRoom(context, [{ row, patternSize: patternSizeOf(row) }]);
      requirePriority(context.projects.current(caller), row);
      await insertRule(context, trx, row, caller.userId);
      await requireRoom(context, trx, [row]);
      return { row };
    },
    change: async (context, trx, old, input: s.UpdateRule, caller) => ({
      row: await changeIn(context, trx, old, input, caller),
    }),
    async remove({ clock, audit }, trx, { id, version }) {
      await trx.updateTable("rules").set({ deletedAt: clock.now(), active: 0 }).where("id", "=", id).execute();
      const metadata = { version };
      await audit.record({ action: "rule.delete", resourceType: "rule", resourceId: id, metadata }, { trx });
      addEffect(trx, { type: "rules-changed", ruleIds: [id] });
    },
  },
});

async function listPage(context: RulesContext, caller: PermissionHolder, query: s.ListRules) {
  const { db, projects, sounds, rules: book, clock } = context;
  const { include, projectId, targetRole } = query;
  const roles = await queries.roleNames(db.read);
  const visible = visibleProjects(projects, caller);
  const filters = {
    ...query,
    projectId: projectId === undefined ? undefined : projects.require(caller, projectId, "rules:read"),
    targetRole: targetRole === undefined ? undefined : (roleId(roles, targetRole) ?? targetRole),
  };
  if (visible.projectIds?.length === 0 && !visible.withGlobal) throw missingPermission("rules:read");
  return ruleList.page(db, { visible: ofVisible(visible), state: undefined }, filters, async (rows) => {
    const ids = rows.map(({ id }) => id);
    const stats = await queries.statsOf(db.scan, ids);
    const found = include && (await queries.activityOf(db.scan, ids, clock.now() - DAY_MS));
    return (row) => {
      const view = ruleView(row, stats.get(row.id), roles, sounds.urlOf, book.brokenOf(row.id));
      return found ? { ...view, activity: activityView(found.get(row.id)) } : view;
    };
  });
}

/** Figures of a rule in the last 24 hours. */
function activityView({ matched, fired, lastFiredAt } = queries.NO_ACTIVITY) {
  const isCut = matched === queries.ACTIVITY_DECISIONS;
  return { matched, fired, lastFiredAt: toRfc3339OrNull(lastFiredAt), isCut };
}
