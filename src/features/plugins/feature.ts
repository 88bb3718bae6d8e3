import * as v from "valibot";
import { route } from "../../http/api/route.ts";
import { doc, object } from "../../http/api/shapes.ts";
import { type Context, type FeatureServer, feature } from "../../module/feature.ts";
import { moduleFindings } from "./findings.ts";
import { ModuleView } from "./loaded-modules.ts";
import { type ModulesServices, openModules } from "./open-modules.ts";

type ModulesContext = Context<"loaded">;

const tag = "Modules";
const PATH = "/api/v1/modules";

const Name = object({ name: doc(v.string(), "Name of the module") });

declare module "../../module/feature.ts" {
  interface Offers extends Pick<ModulesServices, "loaded" | "consumers"> {
    readonly modules: ModulesServices;
  }
}

/** The modules of the modules directory, as operators see and turn them. */
export const modulesFeature = feature("modules", {
  needs: [
    "projects",
    "users",
    "jobs",
    "runner",
    "jobControl",
    "schedules",
    "ingest",
    "announcer",
    "notify",
    "time",
    "timer",
    "realtime",
    "serviceChannels",
    "bus",
    "builtIn",
  ],
  open(context) {
    const modules = openModules(context);
    return { modules, loaded: modules.loaded, consumers: modules.consumers };
  },
  findings: moduleFindings,
  register: serve,
  prepare: ({ loaded }) => loaded.start(),
  start: ({ modules }) => modules.moduleWatch.start(),
  stop: ({ modules }) => modules.moduleWatch.stop(),
  async close({ loaded, consumers }) {
    await Promise.all([loaded.stop(), consumers.stop()]);
  },
});

function serve(server: FeatureServer, context: ModulesContext): void {
  const { loaded } = context;
  server.route({
    method: "GET",
    path: PATH,
    id: "listModules",
    summary: "List modules by name, built-in ones included",
    returns: "All modules",
    tag,
    access: { permission: "system:status" },
    response: v.object({ data: v.array(ModuleView) }),
    handle: () => ({ data: loaded.list() }),
  });
  for (const [verb, summary] of [
    ["enable", "Load a disabled module, now and at every start"],
    ["disable", "Unload a module; its routes answer 503 until it is enabled, also across restarts"],
    ["reload", "Load the current files of a module; on failure the running instance stays and `error` has the reason"],
  ] as const) {
    server.route(
      route({
        method: "POST",
        path: `${PATH}/:name/${verb}`,
        id: `${verb}Module`,
        summary,
        tag,
        access: { permission: "modules:manage" },
        params: Name,
        response: ModuleView,
        errors: ["MODULE_NOT_FOUND", "INVALID_STATE"],
        handle: (_exchange, { params }) => loaded[verb](params.name),
      }),
    );
  }
}
