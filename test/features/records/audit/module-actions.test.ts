import test, { type TestContext } from "node:test";
import { ModuleDir, moduleText, startWith } from "../../plugins/support/module-dir.ts";
import { type Change, change, eachLeavesItsRecord } from "./support/recorded-changes.ts";

async function world(t: TestContext) {
  const modules = new ModuleDir(t);
  modules.put("shop", moduleText("shop", `server.get("/shop", () => 1);`));
  return { prism: await startWith(t, modules) };
}

type World = Awaited<ReturnType<typeof world>>;

const turn = ({ prism }: World, verb: string) => prism.post(`/api/v1/modules/shop/${verb}`);

const CHANGES: readonly Change<World>[] = [
  { action: "module.reload", resourceType: "module", run: (world: World) => turn(world, "reload") },
  change({
    action: "module.disable",
    resourceType: "module",
    prepare: (world: World) => turn(world, "enable"),
    run: (world: World) => turn(world, "disable"),
  }),
  change({
    action: "module.enable",
    resourceType: "module",
    prepare: (world: World) => turn(world, "disable"),
    run: (world: World) => turn(world, "enable"),
  }),
];

test("12.10 each thing that an operator does to a module leaves its record, in the transaction of the change", async (t) =>
  eachLeavesItsRecord(t, await world(t), CHANGES));
