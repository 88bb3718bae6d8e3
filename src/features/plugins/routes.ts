import * as v from "valibot";
import { route } from "../../http/route.ts";
import { object } from "../../http/shapes.ts";
import type { Feature, FeatureServer } from "../../module/feature.ts";
import type { LoadedModules } from "./loaded-modules.ts";

/** What the feature needs besides the services of every module. */
interface ModulesOwn {
  readonly loaded: LoadedModules;
}

const tag = "Modules";
const PATH = "/api/v1/modules";

const Name = object({ name: v.string() });

const ModuleState = v.object({
  name: v.string(),
  version: v.pipe(v.nullable(v.string()), v.description("Null while its code could not be read")),
  state: v.picklist(["loading", "active", "failed", "disabled"]),
  enabled: v.boolean(),
  builtIn: v.pipe(v.boolean(), v.description("A part of Prism, which is always active")),
  folder: v.pipe(v.nullable(v.string()), v.description("Its folder in the modules directory")),
  error: v.pipe(
    v.nullable(v.string()),
    v.description("Why it is not active; of an active one, why its last reload changed nothing"),
  ),
  routes: v.pipe(
    v.array(v.string()),
    v.description("Method and path of each, aliases included; 503 while it is not active"),
  ),
  updatedAt: v.nullable(v.string()),
});

/** The modules of the modules directory, as operators see and turn them (contract 4.12, 9). */
export function modulesFeature(own: ModulesOwn): Feature {
  return { name: "modules", version: "1.0.0", register: (server) => serve(server, own) };
}

function serve(server: FeatureServer, context: ModulesOwn): void {
  const { loaded } = context;
  server.route(
    route({
      method: "GET",
      path: PATH,
      summary: "Modules by name, Prism's own included",
      tag,
      access: { permission: "system:status" },
      response: v.object({ data: v.array(ModuleState) }),
      handle: () => ({ data: loaded.list() }),
    }),
  );
  for (const [verb, summary] of [
    ["enable", "Load a disabled module, and load it at every start"],
    ["disable", "End a module; its routes answer 503 until it is enabled, also after a restart"],
    [
      "reload",
      "Load what the module's folder holds now; where that fails the former instance goes on, and `error` says why",
    ],
  ] as const) {
    server.route(
      route({
        method: "POST",
        path: `${PATH}/:name/${verb}`,
        summary,
        tag,
        access: { permission: "modules:manage" },
        params: Name,
        response: ModuleState,
        errors: ["MODULE_NOT_FOUND", "INVALID_STATE"],
        handle: (_exchange, { params }) => loaded[verb](params.name),
      }),
    );
  }
}
