import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import type { TestPrism } from "../helpers/prism.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-/;

async function makeRule(prism: TestPrism, rule: Record<string, unknown>): Promise<string> {
  const { body } = await prism.post<{ id: string }>("/api/v1/rules", { messageTemplate: "m", active: true, ...rule });
  return body.id;
}

async function sendEvent(prism: TestPrism, event: Record<string, unknown>): Promise<string> {
  const { body } = await prism.post<{ id: string }>("/api/v1/events", event);
  const isDecided = async () =>
    (await prism.get<{ processedAt: string | null }>(`/api/v1/events/${body.id}`)).body.processedAt !== null;
  await eventually("the event is decided", isDecided);
  return body.id;
}

test("the story of an event shows conditions with their values, people, and one answer", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await console.person("anna", ["Operator"]);
  await console.person("ben", ["User"]);
  await makeRule(prism, {
    name: "Host down <b>now</b>",
    condition: "event.type == 'host.down' and event.seconds > 20",
    titleTemplate: "{{event.host}} is down",
    targetRoles: ["Operator"],
  });
  await makeRule(prism, {
    name: "Large payment",
    condition: "event.amount > 1000",
    titleTemplate: "Payment",
    targetRoles: ["Operator"],
  });
  const id = await sendEvent(prism, { type: "host.down", level: "error", payload: { host: "db-2", seconds: 30 } });
  const step = stepsOf(t);

  await step("for everyone, with the rule that did not match", async () => {
    const page = await console.open(`/explain/event/${id}`);
    await page.getByRole("heading", { level: 1, name: "What happened to host.down?" }).waitFor();
    const story = page.getByRole("list", { name: "What happened" });
    await story.getByText("Rule “Host down <b>now</b>” matched and notified").waitFor();
    await story.getByText("Rule “Large payment” did not match").waitFor();
    const text = await story.innerText();
    assert.match(text, /event\.seconds\s+30/);
    assert.match(text, /event\.amount\s+(not in the event|null)/);
    assert.match(text, /anna has it in the inbox/);
    assert.match(text, /\+[\d.]+\sms/);
    assert.doesNotMatch(text, UUID);
    await page
      .getByText("The rule “Host down <b>now</b>” matched and notified 1 person, who has not seen it.")
      .waitFor();
    await assertAccessible(page, "explain an event");
  });

  await step("for one person, chosen on the page and kept in the address", async () => {
    const page = await console.open(`/explain/event/${id}`);
    await page
      .getByRole("button", { name: /Why was anna notified/ })
      .or(page.getByTitle("Why was anna notified?"))
      .click();
    await page.getByRole("heading", { level: 1, name: "Why was anna notified?" }).waitFor();
    assert.match(page.url(), /\?user=/);
    await page.getByText(/Anna was notified because|anna was notified because/).waitFor();
    const other = await console.open(`/explain/event/${id}?user=ben`);
    await other.getByRole("heading", { level: 1, name: "Why was ben not notified?" }).waitFor();
    await other
      .getByText(/^ben was not notified by the rule “Host down <b>now<\/b>”: ben holds none of its roles/)
      .waitFor();
  });

  await step("for the recipient, without conditions and other people", async () => {
    const page = await console.open("/inbox", { as: "anna", width: 360, theme: "dark" });
    await page.getByText("db-2 is down").click();
    await page.getByRole("heading", { name: "Why was it sent?" }).waitFor();
    await page
      .getByText(/You were notified because the rule|The rule “Host down/)
      .first()
      .waitFor();
    await assertAccessible(page, "a notification at 360 px");
  });

  await step("suppressed and deduped matches name the reason", async () => {
    await makeRule(prism, {
      name: "Logins",
      condition: "event.type == 'login.failed'",
      titleTemplate: "Logins",
      targetRoles: ["Operator"],
      suppression: { count: 1, windowMs: 60_000 },
    });
    await sendEvent(prism, { type: "login.failed", payload: {} });
    const held = await sendEvent(prism, { type: "login.failed", payload: {} });
    const page = await console.open(`/explain/event/${held}`);
    await page.getByText("Rule “Logins” matched, suppressed").waitFor();
    await page
      .getByText(/More than 1 match within 1.min/)
      .first()
      .waitFor();
    await page.getByText(/no user was notified again/).waitFor();
  });

  await step("an event that does not exist says so", async () => {
    console.expected.push(/404/);
    const page = await console.open("/explain/event/00000000-0000-7000-8000-000000000000");
    await page.getByText("No such event").waitFor();
  });
  console.assertClean();
});

test("the story of an incident's notification names route, step and people, and agrees with its acknowledgement", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const claire = await console.person("viewer", ["User"]);
  const { defaultProjectId } = prism.parts.offers;
  await prism.parts.base.database.write(async (trx) => {
    await trx.updateTable("users").set({ name: "Claire Martin" }).where("id", "=", claire.id).execute();
    const member = { projectId: defaultProjectId, userId: claire.id, role: "editor", createdAt: Date.now() } as const;
    await trx.insertInto("project_members").values(member).execute();
  });
  prism.rightsChanged();
  const alerts = [{ labels: { alertname: "DiskFull", instance: "db-1" }, annotations: { summary: "/var is full" } }];
  assert.ok((await prism.post("/api/v1/alerts", { alerts })).status < 300);
  interface Inbox {
    data: { id: string }[];
  }
  const inbox = () => prism.get<Inbox>("/api/v1/notifications", { token: claire.token });
  await eventually("she is notified", async () => (await inbox()).body.data.length === 1);
  const id = (await inbox()).body.data[0]?.id ?? "";
  const step = stepsOf(t);

  await step("beside the inbox; Back closes it and stays, and so does Esc", async () => {
    const page = await console.open("/incidents", { as: "viewer" });
    await console.visit(page, "/inbox");
    const row = page.getByRole("row", { name: /DiskFull \(db-1\)/ });
    const open = async () => {
      await row.getByRole("button", { name: /More actions/ }).click();
      await page.getByRole("menuitem", { name: "Explain" }).click();
      return page.getByRole("dialog");
    };
    const drawer = await open();
    await drawer.getByText("The root route led it to the policy default (built in).").waitFor();
    await drawer
      .getByText(/Step 1 notified with high urgency: Claire Martin \(is a member of the project\)/)
      .first()
      .waitFor();
    await drawer.getByText(/A client of the native API sent it\. Labels: .*DiskFull/).waitFor();
    await drawer.getByRole("link", { name: "Show incident 1" }).waitFor();
    await page.goBack();
    await drawer.waitFor({ state: "detached" });
    assert.match(page.url(), /\/inbox$/);
    await open();
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    // The drawer takes its entry out of the history after it is gone.
    await page.waitForFunction(() => !(history.state as { overlay?: number } | null)?.overlay);
    await page.evaluate(() => history.back());
    await page.waitForURL(/\/incidents$/);
  });

  await step("for the chosen person, by the name that people see", async () => {
    const page = await console.open(`/explain/notification/${id}?user=${claire.id}`);
    await page.getByRole("heading", { level: 1, name: "Why was Claire Martin notified?" }).waitFor();
    await page
      .getByText(/^Claire Martin was notified of incident 1, and .* Step 1 notified with high urgency/)
      .waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /viewer/);
    await assertAccessible(page, "explain a notification of an incident");
  });

  await step("acknowledged on the incident's page: story, inbox and number agree", async () => {
    const page = await console.open("/inbox", { as: "viewer" });
    await page.getByText("1 notification is unread.").waitFor();
    const { body } = await prism.get<Inbox>("/api/v1/incidents");
    await console.visit(page, `/incidents/${body.data[0]?.id}`);
    const actions = page.locator(".page-actions");
    await actions.getByRole("button", { name: /^Acknowledge/ }).click();
    await actions.getByRole("button", { name: /^Unacknowledge/ }).waitFor();
    await console.visit(page, "/inbox?show=all");
    await page.getByText("You have seen everything.").waitFor();
    const row = page.getByRole("row", { name: /DiskFull \(db-1\)/ });
    await row.getByText("incident acknowledged").waitFor();
    await row.getByText("acknowledged", { exact: true }).waitFor();
    await console.visit(page, `/explain/notification/${id}`);
    await page.getByText(/^You were notified of incident 1, and acknowledged it at /).waitFor();
    await page.getByText("Claire Martin acknowledged the incident.").waitFor();
  });

  await step("others read who has it", async () => {
    const page = await console.open(`/explain/notification/${id}`);
    await page.getByText(/^It is of incident 1\. .*Claire Martin acknowledged the incident at /).waitFor();
  });
  console.assertClean();
});
