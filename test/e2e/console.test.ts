import assert from "node:assert/strict";
import test from "node:test";
import { openContext, startBrowser } from "../helpers/browser.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

test("the printed sign-in link opens the console of the executable: an event, a rule, a live notification, its explanation, an acknowledgement in two windows", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = new PrismBinary(t);
  await prism.start();
  const [link = ""] = await eventually("the link is printed", () =>
    /http\S+\/dashboard\/sign-in-link#token=[\w-]{43}/.exec(prism.output),
  );
  const context = await openContext(browser);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith("http") && host !== new URL(link).host) problems.push(request.url());
  });
  const { origin } = new URL(link);
  await page.goto(link);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.getByText("Live", { exact: true }).waitFor();

  const event = { type: "host.down", level: "error", source: "probe", payload: { host: "db-2", seconds: 40 } };
  const headers = { Authorization: `Bearer ${prism.token}`, "Content-Type": "application/json" };
  const post = (path: string, body: object) =>
    fetch(prism.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  await post("/api/v1/events", event);
  await page.getByRole("button", { name: "Operate" }).click();
  await page.getByRole("link", { name: "Events", exact: true }).first().click();
  await page.getByRole("table", { name: "Events", exact: true }).getByText("host.down").first().click();
  await page.getByRole("heading", { level: 1, name: "host.down" }).waitFor();
  await page.getByRole("link", { name: /Create a rule/ }).click();
  await page.getByRole("heading", { level: 1, name: /rule/i }).waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Host down");
  await page.getByRole("button", { name: "Run backtest" }).click();
  await page.getByRole("button", { name: "Review and create" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Create rule" }).click();
  await page.getByRole("heading", { level: 1, name: "Host down" }).waitFor();

  const second = await context.newPage();
  await second.goto(`${origin}/dashboard/inbox`);
  await second.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
  await second.getByText("Live", { exact: true }).waitFor();
  await post("/api/v1/events", event);
  await second.getByRole("button", { name: "Acknowledge" }).first().waitFor();
  await second.keyboard.press("j");
  await second.keyboard.press("e");
  await second.getByRole("dialog").getByText("Host down").first().waitFor();
  await second.keyboard.press("Escape");
  await page.goto(`${origin}/dashboard/inbox`);
  await page.getByRole("button", { name: "Acknowledge" }).first().click();
  await second.getByRole("button", { name: "Acknowledge" }).first().waitFor({ state: "hidden" });
  assert.deepEqual(problems, []);
});
