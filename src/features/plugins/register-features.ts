import type { AppModule, CoreServices, ModuleServer } from "../../app/module.ts";
import { moduleServer } from "./module-routes.ts";
import type { ModulesServices } from "./open-modules.ts";

/** Registers the program's own features, in the order of their names. One that cannot be registered is a defect, so it stops the start. */
export async function registerFeatures(
  features: readonly AppModule[],
  services: CoreServices,
  own: ModulesServices["own"],
): Promise<void> {
  for (const feature of features)
    await feature.register(featureServer(feature.name, services), { ...services, ...own(feature.name) });
}

function featureServer(name: string, { system, clock }: CoreServices): ModuleServer {
  const { router } = system;
  const server = moduleServer({
    module: name,
    clock,
    hold: (exchange, bytes) => system.bodies.hold(exchange, bytes),
    add: (route) => router.add(route),
    enter: (work) => work(),
    call: (code) => code(),
  });
  return { ...server, route: (definition) => router.add(definition) };
}
