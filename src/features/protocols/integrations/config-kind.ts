import { invalidField } from "../../../core/errors.ts";
import { givenToken } from "../../../http/api/shapes.ts";
import { changedMembers, configKind } from "../../../module/config-kind.ts";
import { resourceKind } from "../../../module/resource-kind.ts";
import type { Trx } from "../../../store/database.ts";
import { forwardUrl, openedForward } from "../../intake/forward/index.ts";
import { Integration, type IntegrationRow } from "./integration.ts";
import { integrations, type ManageContext } from "./manage.ts";
import type { CreateIntegration } from "./schema.ts";

type IntegrationSpec = Omit<CreateIntegration, "projectId"> & { readonly key?: string };

const of = resourceKind<IntegrationRow>(Integration);
const PAGERDUTY_KEY = 32;

export function integrationKinds(context: ManageContext) {
  const forwardOf = (row: IntegrationRow) => openedForward(context.box, "integrations", row);
  const found = (trx: Trx, id: string) => Integration.require(trx, id, "INTEGRATION_NOT_FOUND", "integration");
  const integration = configKind<IntegrationSpec>({
    ...{ kind: "integrations", noun: "integration", resourceType: "integration", scope: "project", after: [] },
    rights: { read: "events:read", write: "policies:write" },
    secrets: ["key", "forwardUrl"],
    atCreation: ["key"],
    isHeldOutside: true,
    issues: "a key",
    entries: () => ({ ...of.entries(), forwardUrl, key: givenToken("Its key; PagerDuty's have 32 characters") }),
    defaults: of.defaults,
    versions: of.versions,
    async list(db, projectId, ids) {
      const rows = await of.rows(db, projectId, ids);
      return rows.map((row) => ({
        ...{ id: row.id, name: row.name, version: row.version, spec: of.specOf(row) },
        secrets: row.forwardUrl === null ? {} : { forwardUrl: forwardOf(row) },
      }));
    },
    secretExamples: async () => ({ forwardUrl: "https://api.opsgenie.com" }),
    async prepare({ hasStandIns }, { kind, key, forwardUrl: url }, stored) {
      if (url && !hasStandIns) await context.forwarding.check(url);
      if (stored || hasStandIns || kind !== "pagerduty" || key === undefined || key.length === PAGERDUTY_KEY) return;
      throw invalidField("integration", "key", `must have ${PAGERDUTY_KEY} characters: PagerDuty's clients require it`);
    },
    async create(trx, { caller, projectId }, id, spec) {
      const { issued } = await integrations.insert(context, trx, caller, { ...spec, id, projectId: projectId ?? "" });
      return spec.key === undefined && issued ? { key: issued.key } : undefined;
    },
    async update(trx, { caller }, { id }, { key: _key, forwardUrl: url, ...spec }) {
      const row = await found(trx, id);
      const { kind, ...changes } = changedMembers(spec, { spec: of.specOf(row) });
      if (kind !== undefined) throw invalidField("integration", "kind", "cannot change; give the new one another name");
      const target = url !== undefined && url !== forwardOf(row) && { forwardUrl: url };
      await integrations.change(context, trx, row, { ...changes, ...target }, caller);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await integrations.remove(context, trx, await found(trx, id), caller, undefined);
    },
  });
  return [integration];
}
