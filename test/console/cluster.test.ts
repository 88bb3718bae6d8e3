import assert from "node:assert/strict";
import test from "node:test";
import { warnOnPages } from "../../src/core/runtime.ts";
import { DAY_MS } from "../../src/core/time/clock.ts";
import { storeTakeOverDrill } from "../../src/features/health/cluster/drill.ts";
import { leadWith } from "../cluster/support/lead.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

test("an administrator sees the nodes of a cluster, and lets another one lead", async (t) => {
  const { lead, clock, heard, steps, compared } = leadWith(
    [
      { node: "b", version: "0.1.9", skewMs: -120 },
      { node: "c", mayLead: false, behind: 7 },
    ],
    Date.now() - 3600_000,
  );
  clock.now += 7800;
  lead.serves();
  clock.now = Date.now();
  heard(clock.now);
  const console = await startConsole(t, { cluster: lead });
  if (!console) return;
  const page = await console.open("/cluster");
  const step = stepsOf(t);

  await step("nodes and the last take-over are shown", async () => {
    await page.getByText("a leads; 1 other node can take over.").waitFor();
    await page.getByText(/^machine lost \(b\): 7\.8\ss without a leader, /).waitFor();
    await page.getByRole("row", { name: /^b.*nothing.*−120\sms.*0\.1\.9/ }).waitFor();
    await page.getByRole("row", { name: /^c.*follows only.*7 in / }).waitFor();
    await assertAccessible(page, "cluster");
  });

  await step("the last drill of a lost machine is shown", async () => {
    await page.getByText("never tried: prism drill --takeover").waitFor();
    const startedAt = Date.now() - 12 * DAY_MS;
    const result = { to: "a", withoutLeaderMs: 7800 };
    await console.prism.parts.core.db.write((trx) =>
      storeTakeOverDrill(trx, { startedAt, from: "b", drills: [], result }, startedAt),
    );
    await page.reload();
    await page.getByText(/^machine lost \(b\): 7\.8\ss, 12\sdays ago$/).waitFor();
  });

  await step("another node leads after a confirmation", async () => {
    await page.getByRole("button", { name: "Let it lead" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Let b lead?").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.deepEqual(steps, []);
    await page.locator(".page-head").getByRole("button", { name: "Step down" }).click();
    await dialog.getByRole("button", { name: "Step down" }).click();
    await page.getByText("b leads next.").waitFor();
    assert.deepEqual(steps, ["b"]);
  });

  await step("the tables of the nodes are compared, and the last result stays", async () => {
    await page.getByText("never compared").waitFor();
    await page.getByText("none on the machine of a").waitFor();
    compared.push({ name: "b", result: "equal", tables: [] });
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText("The tables of all nodes are equal.").waitFor();
    await page.getByText(/: all nodes equal \(7\srows\)$/).waitFor();
    compared.splice(0, 1, { name: "b", result: "differs", tables: ["events", "jobs"] });
    compared.push({ name: "c", result: "no-answer", tables: [] });
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText(/: b differs in events, jobs\. c did not answer\.$/).waitFor();
    await page.getByText("The node b differs from a in events, jobs: prism cluster join there copies it").waitFor();
  });

  await step("a node that is gone has a warning, and what to do", async () => {
    clock.now += 60_000;
    await page.reload();
    await page.getByText("The node b is gone: if this machine is lost, nothing takes over").waitFor();
    await page.getByText("a leads; no other node can take over.").waitFor();
    await page.getByRole("heading", { name: "When a node is missing" }).waitFor();
    assert.equal(await page.locator(".page-head").getByRole("button", { name: "Step down" }).isDisabled(), true);
  });
  console.assertClean();
});

test("a node that pages without a leader says what to do", async (t) => {
  warnOnPages("The cluster has no leader: this may be repeated.");
  t.after(() => warnOnPages(""));
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/cluster");
  await page.getByText("No node leads: this one pages people from a copy of its database").waitFor();
  await assertAccessible(page, "cluster without a leader");
  console.assertClean();
});

test("a server alone says what a cluster is", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/cluster", { width: 390 });
  await page.getByText("A second machine can take over").waitFor();
  await assertAccessible(page, "cluster of a single server");
  const link = page.getByRole("link", { name: /How a cluster works/ });
  assert.match((await link.getAttribute("href")) ?? "", /\/docs\/cluster$/);
  console.assertClean();
});
