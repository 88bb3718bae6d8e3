import { Slots } from "../../../core/limits/slots.ts";
import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { ManagedObjects } from "./managed-objects.ts";
import type { ConfigurationContext } from "./reading.ts";
import * as s from "./schema.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    /** What configuration files own. */
    readonly managedObjects: ManagedObjects;
  }
}

const tag = "Configuration";
const PATH = "/api/v1/configuration";
/** What a caller may read and change is asked of each kind and project. */
const access = { anyToken: true } as const;

const service = () => import("./service.ts");
const managed = () => import("./managed.ts");

/** Configuration files: planned, applied and exported. */
export const configurationFeature = feature("configuration", {
  needs: ["projects", "users", "principals", "defaultProjectId", "configKinds"],
  open: (core) => ({ managedObjects: new ManagedObjects(core) }),
  load: ({ managedObjects }) => managedObjects.load(),
  effects: ({ managedObjects }) => ({ "managed-changed": (change) => managedObjects.changed(change) }),
  register: serve,
});

function serve(server: FeatureServer, context: ConfigurationContext): void {
  const running = new Slots({ total: 2, perOwner: 1, what: "plans and applies of configuration files" });
  server.route({
    method: "POST",
    path: PATH,
    id: "applyConfiguration",
    summary: "Plan or apply the objects of configuration files: all of them, or none",
    details: "A plan is an apply that is rolled back: it finds the same problems. See the page Configuration as code.",
    tag,
    access,
    maxBodyBytes: 8_388_608,
    maxMembers: 200_000,
    body: s.ConfigurationRequest,
    response: s.ConfigurationPlan,
    errors: ["CONFIGURATION_REFUSED", "NOT_CONFIGURED", "RATE_LIMITED", "OVERLOADED", ...IDEMPOTENCY_ERRORS],
    handle(exchange, { body }) {
      const caller = holderOf(exchange);
      // Of the answer of an apply it keeps what is shown only once, for a repetition.
      return context.idempotency.runPrepared<s.ConfigurationPlan>(exchange, caller, body, (keep) =>
        running.run(caller.key, async () => (await service()).configure(context, caller, body, keep)),
      );
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/export`,
    id: "exportConfiguration",
    summary: "Export what the caller may read as configuration files have it",
    tag,
    access,
    query: s.ExportQuery,
    response: s.ExportedConfiguration,
    errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN"],
    async handle(exchange, { query: { project, people = "false", secrets = "env" } }) {
      const { exportConfiguration } = await import("./export.ts");
      const projects = typeof project === "string" ? [project] : project;
      return exportConfiguration(context, holderOf(exchange), { projects, people: people === "true", secrets });
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/key`,
    id: "getSealKey",
    summary: "Get the public key for which `prism seal` seals secrets of files",
    tag,
    access,
    response: s.SealKey,
    handle: async () => ({ key: (await import("./sealed.ts")).sealKeysOf(context.box).publicKey }),
  });
  server.route({
    method: "GET",
    path: `${PATH}/managed`,
    id: "listManagedObjects",
    summary: "List what configuration files own, and whether it was changed by hand since",
    tag,
    access,
    response: s.ManagedList,
    handle: async (exchange) => (await managed()).listManaged(context, holderOf(exchange)),
  });
  server.route({
    method: "POST",
    path: `${PATH}/unlock`,
    id: "unlockManagedObject",
    summary: "Let a locked object be changed by hand for some hours",
    tag,
    access,
    body: s.UnlockRequest,
    status: 204,
    errors: ["NOT_FOUND"],
    handle: async (exchange, { body }) => (await managed()).unlock(context, holderOf(exchange), body),
  });
}
