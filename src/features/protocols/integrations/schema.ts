import * as v from "valibot";
import { once } from "../../../core/once.ts";
import { doc, example, integer, named, object, pageEntries, text, uuid } from "../../../http/api/shapes.ts";
import { forwardUrl } from "../../intake/forward/index.ts";
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
      forwardUrl,
    }),
    { kind: "pagerduty", name: "Alertmanager of the cluster", labels: { team: "platform" } },
  );
export type CreateIntegration = v.InferOutput<ReturnType<typeof CreateIntegration>>;

export const UpdateIntegration = () =>
  example(object({ ...Integration.forUpdate, forwardUrl }), {
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

const MAX_WINDOW_MS = 604_800_000;

export const SetClaimWindow = () =>
  example(object({ durationMs: doc(integer(0, MAX_WINDOW_MS), "How long it is open from now; 0 closes it") }), {
    durationMs: 86_400_000,
  });

const openUntil = doc(v.nullable(v.string()), "Until when requests with unknown keys are kept; null: they are refused");

export const ClaimWindow = once(() =>
  named("ClaimWindow", "When requests with unknown keys are kept", v.object({ openUntil })),
);

export const ClaimParams = object({ id: doc(uuid, "Id of the claim") });

const ClaimRequest = () =>
  v.object({
    at: v.string(),
    action: doc(v.string(), "`create`, `close`, `acknowledge`, …"),
    alias: v.nullable(v.string()),
    message: v.nullable(v.string()),
    outcome: doc(
      v.nullable(v.picklist(["replayed", "listed", "closed"])),
      "Null: the key waits; `replayed`: it opened its alert; `listed`: nothing was done with it; `closed`: a close came that had no room",
    ),
  });

const IntegrationClaim = once(() =>
  named(
    "IntegrationClaim",
    "An unknown key of Opsgenie's, with its kept requests",
    v.object({
      id: v.string(),
      prefix: doc(v.string(), "First characters of the key"),
      addresses: doc(v.array(v.string()), "Whence they came; of IPv6 the network"),
      requests: v.array(ClaimRequest()),
      integrationId: doc(v.nullable(v.string()), "The integration that has the key now; null: it waits"),
      assignedAt: v.nullable(v.string()),
    }),
  ),
);

export const ClaimList = once(() =>
  named("IntegrationClaims", "Unknown keys that were kept", v.object({ openUntil, data: v.array(IntegrationClaim()) })),
);

export const AssignClaim = () =>
  example(
    object({
      projectId,
      name: v.optional(doc(text(100, 1), "Of the new integration, unique in its project")),
      integrationId: v.optional(
        doc(uuid, "An Opsgenie integration that takes the key, in place of a new one; its former key works for a week"),
      ),
    }),
    { name: "Zabbix" },
  );
export type AssignClaim = v.InferOutput<ReturnType<typeof AssignClaim>>;

export const AssignedClaim = once(() =>
  named(
    "AssignedClaim",
    "The integration that has the key now, and what was done with the kept requests",
    v.object({ integration: Integration.View, replayed: v.number(), listed: v.number() }),
  ),
);
