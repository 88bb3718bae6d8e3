import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, integer, named, object, stringRecord, text, uuid } from "../../http/shapes.ts";

const KINDS = ["pagerduty", "opsgenie"] as const;
const name = doc(text(100, 1), "Unique in the project");
const labels = doc(stringRecord(8192), "Labels of each of its alerts, such as `team`; routes match them");
const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: the default project"),
);

export const ListIntegrations = object({ projectId, ...pageEntries() });
export type ListIntegrations = v.InferOutput<typeof ListIntegrations>;

export const IntegrationParams = object({ id: doc(uuid, "Id of the integration") });

export const CreateIntegration = example(
  object({
    projectId,
    kind: doc(v.picklist(KINDS), "The protocol that the program sends"),
    name,
    labels: v.optional(labels),
  }),
  { kind: "pagerduty", name: "Alertmanager of the cluster", labels: { team: "platform" } },
);
export type CreateIntegration = v.InferOutput<typeof CreateIntegration>;

export const UpdateIntegration = example(object({ name: v.optional(name), labels: v.optional(labels) }), {
  labels: { team: "database" },
});
export type UpdateIntegration = v.InferOutput<typeof UpdateIntegration>;

export const RotateIntegration = example(
  object({ graceMs: v.optional(doc(integer(0, 604_800_000), "Time for which the old key still works; default 0")) }),
  { graceMs: 3_600_000 },
);

const entries = {
  id: v.string(),
  projectId: v.string(),
  kind: v.picklist(KINDS),
  name: v.string(),
  labels: v.record(v.string(), v.string()),
  prefix: doc(v.string(), "First characters of the key"),
  previousUntil: doc(v.nullable(v.string()), "Until when a replaced key works"),
  lastUsedAt: v.nullable(v.string()),
  createdBy: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  version: v.number(),
};

export const IntegrationView = named(
  "Integration",
  "A program that sends alerts in another service's protocol",
  v.object(entries),
);
export type IntegrationView = v.InferOutput<typeof IntegrationView>;

export const IssuedIntegration = named(
  "IssuedIntegration",
  "An integration with its new key",
  v.object({ ...entries, key: doc(v.string(), "PagerDuty's routing key or Opsgenie's API key, returned only once") }),
);
