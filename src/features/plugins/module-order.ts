import type { AppModule } from "../../module/module-api.ts";
import { requiredModules } from "./check-module.ts";
import { ModuleFailure } from "./module-failure.ts";

/**
 * The order in which modules are registered: by name, each behind what it requires.
 * @returns those that can be, and why each of the others cannot: it requires itself through others, or one that is not there.
 */
export function registrationOrder(
  modules: readonly AppModule[],
  isKnown: (name: string) => boolean,
): { order: AppModule[]; failed: Map<AppModule, ModuleFailure> } {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const order: AppModule[] = [];
  const failed = new Map<AppModule, ModuleFailure>();
  const visit = (module: AppModule, above: readonly string[]): void => {
    if (order.includes(module) || failed.has(module)) return;
    const way = [...above, module.name];
    for (const name of requiredModules(module)) {
      const required = byName.get(name);
      if (way.includes(name)) {
        const circle = [...way.slice(way.indexOf(name)), name].join(" -> ");
        failed.set(module, new ModuleFailure(`modules require each other: ${circle}`));
        return;
      }
      if (required) visit(required, way);
      const isMissing = !required && !isKnown(name);
      if (isMissing)
        failed.set(module, new ModuleFailure(`${module.name} requires the module ${name}, which is not there`));
      else if (required && failed.has(required))
        failed.set(module, new ModuleFailure(`${module.name} requires the module ${name}, which has failed`));
      if (failed.has(module)) return;
    }
    order.push(module);
  };
  for (const name of [...byName.keys()].sort()) visit(byName.get(name) as AppModule, []);
  return { order, failed };
}
