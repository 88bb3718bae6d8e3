import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { scalarOf } from "../helpers/tables.ts";
import { startRecorder } from "../helpers/webhook-recorder.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

interface Posted {
  readonly data: { readonly action: { readonly url: string } | null };
}

const BASE = "http://localhost:4321";

test("a person starts a drill, taps its link, and the pages of the account and of on-call show the proof", async (t) => {
  const console = await startConsole(t, { settings: { publicUrl: BASE } });
  if (!console) return;
  const { prism } = console;
  const hook = await startRecorder<Posted>(t);
  const made = await prism.post<{ id: string }>("/api/v1/webhooks", { url: hook.url });
  assert.equal(made.status, 201, made.text);
  const own = scalarOf<string>(prism, "select id from users where username = 'admin'") ?? "";
  await prism.services.db.write((trx) => trx.updateTable("webhooks").set({ userId: own }).execute());
  const schedule = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Database", timezone: "UTC" });
  const shift = { start: new Date().toISOString().slice(0, 19), durationMs: 86_400_000, turns: [[own]] };
  assert.equal((await prism.post(`/api/v1/oncall/schedules/${schedule.body.id}/shifts`, shift)).status, 201);

  const page = await console.open("/account/notifications");
  const ways = page.getByRole("list", { name: "Your ways" });
  await ways.getByText("no proof").waitFor();
  await page.getByRole("button", { name: "Drill now" }).click();
  await page.getByText("A test page goes out by each way.").waitFor();
  await eventually("the webhook has the message", () => hook.posts.length === 1);
  const link = (hook.posts[0]?.body.data.action?.url ?? "").replace(BASE, prism.url);
  await page.goto(link);
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByText("Pages reach you this way.").waitFor();
  await eventually("it is stored", () => scalarOf(prism, "select confirmedAt from drill_ways") !== null);

  const account = await console.open("/account/notifications");
  await account
    .getByRole("list", { name: "Your ways" })
    .getByText(/^proven/)
    .waitFor();
  await account.getByLabel("Day", { exact: true }).selectOption("tuesday");
  await eventually("the day is stored", () => scalarOf(prism, "select day from drill_people") === 2);
  await assertAccessible(account, "the account");
  const oncall = await console.open("/oncall");
  const proofs = oncall.getByRole("list", { name: "Proofs" });
  await proofs.getByText("proven", { exact: true }).waitFor();
  await proofs.getByText(/webhook proven/).waitFor();
  await assertAccessible(oncall, "on-call");
});
