import { PrismError } from "../../core/errors.ts";
import { versioned } from "../../http/api/route.ts";
import { pageOf } from "../../http/api/shapes.ts";
import { callerOf, holderOf, missingPermission } from "../../http/server/access.ts";
import { type FeatureServer, feature, type Uses } from "../../module/feature.ts";
import { addEffect } from "../../store/database.ts";
import { answerBacktest } from "./backtest.ts";
import { BacktestReply, BacktestRule } from "./backtest-schema.ts";
import { MAX_DIRECT_RECIPIENTS } from "./deciding/rule-book.ts";
import { PATH, rules, WRITE_ERRORS } from "./manage.ts";
import { openRules } from "./open.ts";
import { SUPPRESSION_SWEEPS } from "./retention.ts";
import { RuleVersion } from "./rule.ts";
import * as s from "./schema.ts";
import type { RulesContext } from "./service.ts";
import * as service from "./service.ts";
import { readableEvent, TestReply, TestRule, trialOf } from "./trial.ts";

const tag = "Rules";

/** The rules that decide who is notified of an event. */
export const rulesFeature = feature("rules", {
  needs: ["defaultProjectId", "projects", "channels"],
  uses: ["users", "sounds", "trialEvent", "notify", "alerts"],
  open: openRules,
  effects: ({ rules, absences, alertLink, throttle }) => ({
    "rights-changed"({ of }) {
      // Changes that affect the recipients of rules.
      if (of === "user" || of === "role" || of === "project" || of === "all") rules.forgetRecipients();
      if (of === "project") absences.ownersChanged();
    },
    "rules-changed"({ ruleIds }) {
      for (const id of ruleIds) rules.changed(id);
    },
    "absences-fired": ({ keys, at }) => absences.fired(keys, at),
    "signals-taken": ({ signals }) => alertLink.taken(signals),
    "storm-closed": ({ ruleId, key }) => throttle.closed(ruleId, key),
  }),
  register: serve,
  async onProjectDeleted(trx, projectId, now) {
    const rows = await trx
      .updateTable("rules")
      .set({ deletedAt: now, active: 0, updatedAt: now })
      .where("projectId", "=", projectId)
      .where("deletedAt", "is", null)
      .returning(["id", "version"])
      .execute();
    addEffect(trx, { type: "rules-changed", ruleIds: rows.map(({ id }) => id) });
    return { resourceType: "rule", rows };
  },
  dueWork: ({ absences }) => [absences.due],
  start: ({ absences, rules, notify }) =>
    absences.start({
      recipientsOf: (rule) => rules.recipientPage(rule, "", MAX_DIRECT_RECIPIENTS + 1),
      send: async (trx, notification, userIds, targets) => {
        await notify.store(notification, userIds, trx, { targets });
      },
    }),
  stop: ({ absences }) => absences.stop(),
  sweeps: () => SUPPRESSION_SWEEPS,
  async configKinds(context) {
    const { rulesKind } = await import("./config-kind.ts");
    return [rulesKind(context, "server"), rulesKind(context, "project")];
  },
});

function serve(server: FeatureServer, context: RulesContext & Uses<"backtests">): void {
  const { backtests } = context;
  const changes = service.ruleChanges(context);
  context.events.on("system:stopping", () => backtests.stop());
  const read = { permission: "rules:read", within: "project" } as const;
  const write = { permission: "rules:write", within: "project" } as const;

  for (const each of rules.routes(context)) server.route(each);
  server.route({
    method: "POST",
    path: `${PATH}/test`,
    id: "testRule",
    summary: "Test a condition against an event; nothing is stored",
    tag,
    access: read,
    body: TestRule,
    response: TestReply,
    errors: ["INVALID_CONDITION", "INVALID_TEMPLATE", "EVENT_NOT_FOUND"],
    async handle(exchange, { body: { event, eventId, ...draft } }) {
      if ((event === undefined) === (eventId === undefined))
        throw new PrismError("VALIDATION_FAILED", "Give event or eventId");
      const principal = callerOf(exchange);
      if (!context.projects.hasAnywhere(principal, "rules:read")) throw missingPermission("rules:read");
      const subject =
        eventId === undefined
          ? context.trialEvent(event ?? {}, context.projects.defaultId, context.clock.now())
          : await readableEvent(context, principal, eventId);
      return trialOf(context, principal, { ...draft, event: subject });
    },
  });
  server.route({
    method: "POST",
    path: `${PATH}/import`,
    id: "importRules",
    summary: "Create and update many rules, all or none; rules match by name within a project",
    tag,
    access: write,
    body: s.ImportRules,
    response: s.ImportView,
    errors: WRITE_ERRORS,
    handle: (exchange, { body }) => service.importAs(context, holderOf(exchange), body),
  });
  server.route({
    method: "POST",
    path: `${PATH}/backtest`,
    id: "backtestRule",
    details: "With `Accept: application/x-ndjson` the answer is NDJSON with progress before the result.",
    summary: "Evaluate a rule against stored events; nothing is stored",
    tag,
    access: read,
    body: BacktestRule,
    response: BacktestReply,
    errors: ["INVALID_CONDITION", "INVALID_TEMPLATE", "RULE_NOT_FOUND", "PROJECT_NOT_FOUND", "OVERLOADED"],
    handle: (exchange, { body }) => answerBacktest(context, backtests, exchange, body),
  });
  for (const method of ["PUT", "PATCH"] as const) {
    server.route({
      method,
      path: `${PATH}/:id`,
      id: method === "PUT" ? "updateRule" : "patchRule",
      summary: "Update a rule; absent members keep their values",
      details: "The change applies to every event that is stored after the answer.",
      tag,
      access: write,
      params: s.RuleParams,
      body: s.UpdateRule,
      response: s.RuleWithWarnings,
      errors: ["RULE_NOT_FOUND", "VERSION_CONFLICT", ...WRITE_ERRORS],
      async handle(exchange, { params, body }) {
        const updated = await service.updateRule(
          context,
          changes,
          holderOf(exchange),
          params.id,
          exchange.header("if-match"),
          body,
        );
        return versioned(updated.row.version, updated.body);
      },
    });
  }
  server.route({
    method: "GET",
    path: `${PATH}/:id/versions`,
    id: "listRuleVersions",
    summary: "List the versions of a rule, newest first",
    tag,
    access: read,
    params: s.RuleParams,
    query: s.VersionsQuery,
    response: () => pageOf(RuleVersion.View),
    errors: ["RULE_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) => service.listVersions(context, holderOf(exchange), params.id, query),
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/versions/:version/restore`,
    id: "restoreRuleVersion",
    summary: "Store the content of an earlier version as a new version",
    details: "The rule stays in its project, and enabled or disabled as it is.",
    tag,
    access: write,
    params: s.VersionParams,
    body: s.NoBody,
    response: s.RuleWithWarnings,
    errors: ["RULE_NOT_FOUND", "VERSION_CONFLICT", ...WRITE_ERRORS],
    async handle(exchange, { params }) {
      const restored = await service.restoreVersion(
        context,
        changes,
        holderOf(exchange),
        params,
        exchange.header("if-match"),
      );
      return versioned(restored.row.version, restored.body);
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id/stats`,
    id: "getRuleStats",
    summary: "Count how often a rule matched and fired, in total and per day",
    tag,
    access: read,
    params: s.RuleParams,
    query: s.StatsQuery,
    response: s.StatsView,
    errors: ["RULE_NOT_FOUND"],
    handle: (exchange, { params, query }) => service.ruleStats(context, holderOf(exchange), params.id, query),
  });
}
