import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CoreServices } from "../../../../src/module/module-api.ts";
import { makeUser } from "../../../helpers/people.ts";
import { TestPrism } from "../../../helpers/prism.ts";
import { moduleText } from "./module-dir.ts";

/** A server with one module, `probe`, which shares what it is given with the tests. */
export interface Probe {
  readonly prism: TestPrism;
  /** The services that the module was given. */
  readonly given: CoreServices;
  readonly uma: { readonly id: string; readonly token: string };
  /** The jobs that it has handled. */
  readonly jobs: unknown[];
  stop(): Promise<void>;
}

/** By the folder of the server: test files that share a process start their servers at the same time. */
const probes: Record<string, { services: CoreServices; jobs: unknown[] }> = {};
Object.assign(globalThis, { probes });

export async function startProbe(): Promise<Probe> {
  const root = mkdtempSync(join(tmpdir(), "prism-services-"));
  mkdirSync(join(root, "modules/probe"), { recursive: true });
  const text = moduleText(
    "probe",
    `
    const jobs = [];
    globalThis.probes[${JSON.stringify(root)}] = { services, jobs };
    services.scheduler.handle("note", async (job) => {
      jobs.push(job);
      job.progress({ at: 1 });
      if (job.payload.fail === "permanent") throw Object.assign(new Error("never again"), { permanent: true });
      if (job.payload.fail === "later") throw Object.assign(new Error("not now"), { retryAfterMs: 3_600_000 });
      return { did: job.payload };
    });
    server.post("/probe/audit", async (req) => { await services.audit.record({ action: "probe.done", resourceType: "thing", resourceId: "7", metadata: { n: 1 } }); });
  `,
  );
  writeFileSync(join(root, "modules/probe/index.mjs"), text);
  const prism = await TestPrism.start({
    settings: { modulesDir: join(root, "modules"), "modules.hotReload": "false" },
  });
  const probe = probes[root];
  if (!probe) throw new Error("the module was not loaded");
  const uma = await makeUser(prism, "uma", ["User"]);
  await prism.post("/api/v1/projects/default/members", { userId: uma.id, role: "viewer" });
  const stop = async (): Promise<void> => {
    await prism.stop();
    rmSync(prism.dir, { recursive: true, force: true });
    rmSync(root, { recursive: true, force: true });
  };
  return { prism, given: probe.services, uma, jobs: probe.jobs, stop };
}
