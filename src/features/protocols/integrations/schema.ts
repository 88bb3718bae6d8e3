import * as v from "valibot";
import { once } from "../../../core/once.ts";
import { doc, example, integer, named, object, pageEntries, uuid } from "../../../http/api/shapes.ts";
import { Integration } from "./integration.ts";

const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: the default project"),
);

export const ListIntegrations = object({ projectId, ...pageEntries() });
export type ListIntegrations = v.InferOutput<typeof ListIntegrations>;

export const IntegrationParams = object({ id: doc(uuid, "Id of the integration") });

export const CreateIntegration = () =>
  example(
    object({
      projectId,
      ...Integration.forCreate,
    }),
    { kind: "pagerduty", name: "Alertmanager of the cluster", labels: { team: "platform" } },
  );
export type CreateIntegration = v.InferOutput<ReturnType<typeof CreateIntegration>>;

export const UpdateIntegration = () =>
  example(object(Integration.forUpdate), {
    labels: { team: "database" },
  });
export type UpdateIntegration = v.InferOutput<ReturnType<typeof UpdateIntegration>>;

export const RotateIntegration = example(
  object({ graceMs: v.optional(doc(integer(0, 604_800_000), "Time for which the old key still works; default 0")) }),
  { graceMs: 3_600_000 },
);

export const IssuedIntegration = once(() =>
  named(
    "IssuedIntegration",
    "An integration with its new key",
    v.object({
      ...Integration.shown,
      key: doc(v.string(), "PagerDuty's routing key or Opsgenie's API key, returned only once"),
    }),
  ),
);
