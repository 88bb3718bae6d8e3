import test from "node:test";
import { stepsOf } from "../helpers/steps.ts";
import { countClicks } from "./clicks.ts";
import { type ConsoleTest, startConsole } from "./helpers.ts";

/* What a person does at night, by the number of clicks that it takes. */

const WIDTHS = [390, 1440];

async function fire(console: ConsoleTest, alertname: string, severity: string) {
  const labels = { alertname, severity, instance: "db-7" };
  const annotations = { summary: `${alertname} on db-7` };
  const reply = await console.prism.post("/api/v1/alerts", { alerts: [{ labels, annotations }] });
  if (reply.status !== 200) throw new Error(reply.text);
}

test("what must I do now: an incident is taken from the overview in at most 2 clicks", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const step = stepsOf(t);
  for (const width of WIDTHS)
    await step(`at ${width} px`, async () => {
      await fire(console, `DiskFull${width}`, "critical");
      const page = await console.open("/", { width });
      const clicks = await countClicks(t, page);
      const attention = page.getByRole("region", { name: "Needs attention" });
      await attention.getByRole("link", { name: new RegExp(`DiskFull${width}`) }).waitFor();
      await attention.getByRole("button", { name: "Acknowledge" }).first().click();
      await attention.getByRole("link", { name: new RegExp(`DiskFull${width}`) }).waitFor({ state: "detached" });
      await clicks.atMost(2, "what must I do now");
    });
  console.assertClean();
});
