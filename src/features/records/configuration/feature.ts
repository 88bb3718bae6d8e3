import { Slots } from "../../../core/limits/slots.ts";
import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { ConfigurationDirectory } from "./directory/directory.ts";
import { directoryFindings } from "./findings.ts";
import { ManagedObjects } from "./managed-objects.ts";
import type { ConfigurationContext } from "./reading.ts";
import * as s from "./schema.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    /** What configuration files own. */
    readonly managedObjects: ManagedObjects;
    /** Null: this server reads none. */
    readonly configurationDirectory: ConfigurationDirectory | null;
  }
}

const tag = "Configuration";
const PATH = "/api/v1/configuration";
/** What a caller may read and change is asked of each kind and project. */
const access = { anyToken: true } as const;

const BUSY = ["RATE_LIMITED", "OVERLOADED"] as const;

const service = () => import("./service.ts");
const managed = () => import("./managed.ts");

/** Configuration files: planned, applied and exported. */
export const configurationFeature = feature("configuration", {
  needs: ["projects", "users", "principals", "defaultProjectId", "configKinds", "runtimeKinds", "cluster", "notify"],
  uses: ["steadyClock", "alerts", "policies", "withholding", "silences", "incidents", "reachable", "backtests"],
  async open(core, later) {
    const managedObjects = new ManagedObjects(core);
    const { dir, watch } = core.config.configuration;
    if (dir === undefined || core.isForCommand) return { managedObjects, configurationDirectory: null };
    const { ConfigurationDirectory: Directory } = await import("./directory/directory.ts");
    const context = () => ({ ...later(), managedObjects, configurationDirectory });
    const configurationDirectory: ConfigurationDirectory | null = new Directory(context, watch);
    return { managedObjects, configurationDirectory };
  },
  findings: directoryFindings,
  load: ({ managedObjects }) => managedObjects.load(),
  prepare: ({ configurationDirectory }) => configurationDirectory?.prepare(),
  start: ({ configurationDirectory }) => configurationDirectory?.start(),
  reload: ({ configurationDirectory }) => configurationDirectory?.reload(),
  stop: ({ configurationDirectory }) => configurationDirectory?.stop(),
  effects: ({ managedObjects }) => ({ "managed-changed": (change) => managedObjects.changed(change) }),
  register: serve,
});

function serve(server: FeatureServer, context: ConfigurationContext): void {
  const running = new Slots({ total: 2, perOwner: 1, what: "plans and applies of configuration files" });
  // A page of the console asks for several at once.
  const reading = new Slots({ total: 8, perOwner: 4, what: "exports and lists of configuration files" });
  let schema: Promise<s.FileSchema> | undefined;
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
        running.run(caller.key, async () => (await service()).configure(context, caller, body, { alongside: keep })),
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
    errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN", ...BUSY],
    async handle(exchange, { query: { project, people = "false", runtime = "false", secrets = "env", format } }) {
      const { exportConfiguration } = await import("./export.ts");
      const projects = typeof project === "string" ? [project] : project;
      const wish = { projects, people: people === "true", runtime: runtime === "true", secrets };
      const caller = holderOf(exchange);
      const exported = await reading.run(caller.key, () => exportConfiguration(context, caller, wish));
      if (format !== "yaml") return exported;
      const { yamlText } = await import("../../../config/files/yaml-text.ts");
      return { ...exported, text: yamlText(exported.document) };
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
    path: `${PATH}/schema`,
    id: "getConfigurationSchema",
    summary: "The JSON schema of configuration files, for editors",
    tag,
    access: "public",
    response: s.FileSchema,
    async handle() {
      schema ??= (await import("./file-schema.ts")).configurationSchema(context);
      return schema;
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/managed`,
    id: "listManagedObjects",
    summary: "List what configuration files own, and whether it was changed by hand since",
    tag,
    access,
    query: s.ManagedQuery,
    response: s.ManagedList,
    errors: ["PROJECT_NOT_FOUND", ...BUSY],
    handle(exchange, { query }) {
      const caller = holderOf(exchange);
      return reading.run(caller.key, async () => (await managed()).listManaged(context, caller, query));
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/managed/drift`,
    id: "getManagedDrift",
    summary: "Get what was changed by hand of an object since it was applied",
    tag,
    access,
    query: s.DriftQuery,
    response: s.ManagedDrift,
    errors: ["NOT_FOUND", "PROJECT_NOT_FOUND", ...BUSY],
    handle(exchange, { query }) {
      const caller = holderOf(exchange);
      return reading.run(caller.key, async () => (await managed()).driftOf(context, caller, query));
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/sources`,
    id: "listConfigurationSources",
    summary: "List who owns objects in configuration files, and the state of the directory that the server reads",
    tag,
    access,
    response: s.SourceList,
    handle: async (exchange) => (await import("./directory/sources.ts")).listSources(context, holderOf(exchange)),
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
