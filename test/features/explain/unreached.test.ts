import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { AlertExplanation, AlertTrial } from "../../../src/features/explain/alert-schema.ts";
import { answered } from "../../helpers/prism.ts";
import { startRecorder } from "../../helpers/webhook-recorder.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

const LABELS = { labels: { alertname: "Disk" } };
const AGAIN =
  "If no one is reached, the targets of the executed steps are notified again; " +
  "this repeats every 5 min until someone is reached or acknowledges it.";

/** A policy that names ann and ben, who have no way, twice. */
async function start(t: TestContext, between: readonly object[], settings: Record<string, string> = {}) {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8", ...settings });
  await world.member("ann");
  await world.member("ben");
  const people = { type: "notify", users: ["ann", "ben"] };
  const steps = [people, ...between, { type: "wait", ms: 15 * MINUTE }, people];
  const made = await answered(
    201,
    world.prism.post<{ warnings: { code: string; message: string }[] }>("/api/v1/policies", { name: "Night", steps }),
  );
  await answered(200, world.prism.put("/api/v1/routes", { route: { policy: "Night", groupWaitMs: 0 } }));
  /** The lines of a forecast, with minutes from now. */
  const lines = (next: readonly { at: string | null; text: string }[] = []) =>
    next.map(({ at, text }) => {
      const minutes = (Date.parse(at ?? "") - world.clock.now()) / MINUTE;
      return `${minutes}: ${text.replace(/^(Step \d \w+).*urgency.*/, "$1")}`;
    });
  return {
    world,
    warnings: made.body.warnings,
    trial: async () => {
      const { body } = await answered(200, world.prism.post<AlertTrial>("/api/v1/explain/alert", LABELS));
      return lines(body.routes[0]?.next);
    },
    story: async () => {
      await world.prism.parts.offers.pages.idle();
      const { id } = await world.only();
      const { body } = await answered(200, world.prism.get<AlertExplanation>(`/api/v1/explain/incident/${id}`));
      return lines(body.incidents[0]?.next);
    },
  };
}

test("a forecast expects that a webhook reaches someone, and says the same as the incident does then", async (t) => {
  const { url } = await startRecorder(t);
  const { world, trial, story } = await start(t, [{ type: "webhook", url: `${url}/hook` }]);
  const steps = [
    "15: Step 4 notifies",
    "16: All rounds of the policy are over, and no one acknowledged it.",
    "255: If no one acknowledges it, those notified before are notified again.",
    "255: The webhooks and channels of its steps get the repetition, too.",
  ];
  assert.deepEqual(await trial(), ["0: Step 1 notifies", "0: Step 2 calls its webhook.", ...steps]);
  await world.fire("Disk");
  assert.deepEqual(await story(), steps);
});

test("while no one is reached, repetitions of the steps are one line of a forecast", async (t) => {
  const { url } = await startRecorder(t);
  const { world, story } = await start(t, [{ type: "webhook", url: `${url}/hook`.replace("http:", "https:") }]);
  await world.fire("Disk");
  assert.deepEqual(await story(), [
    `5: ${AGAIN}`,
    "15: Step 4 notifies",
    "16: All rounds of the policy are over, and no one acknowledged it.",
  ]);
});

test("a policy that names people twice warns of each of them once", async (t) => {
  const { warnings } = await start(t, [], { "smtp.host": "127.0.0.1", "mail.from": "prism@example.com" });
  assert.deepEqual(
    warnings.map(({ code, message }) => `${code} ${message.split(" ")[0]}`),
    ["person-without-way ann", "person-without-way ben"],
  );
});
