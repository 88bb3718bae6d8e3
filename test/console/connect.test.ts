import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import type { Locator, Page } from "playwright-core";
import { eventually } from "../helpers/eventually.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

const SECRET = "It's a Secret to Everybody";

/** A service that keeps what it was sent. */
async function startService(t: TestContext) {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      bodies.push(body);
      response.end("taken");
    });
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return { bodies, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify` };
}

test("a receiver is set up, gets a signed request, and its mapping is edited with it", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const page = await console.open("/connect");
  const dialog = page.getByRole("dialog");
  const deliver = (url: string, key = SECRET) => {
    const body = JSON.stringify({ zen: "Design for failure.", hook_id: 1, repository: { full_name: "octo/demo" } });
    const signature = `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;
    const headers = {
      "Content-Type": "application/json",
      "X-GitHub-Event": "ping",
      "X-GitHub-Delivery": `${key.length}-${signature.slice(-8)}`,
      "X-Hub-Signature-256": signature,
    };
    return fetch(prism.url + new URL(url).pathname, { method: "POST", headers, body });
  };

  let url = "";
  const step = stepsOf(t);
  await step("three steps: name and secret, the URL with its lines, the first request", async () => {
    await page.getByText("No receiver is set up").waitFor();
    await page.getByLabel("Search programs and services").fill("githu");
    await page.getByRole("link", { name: /^GitHub(?! Actions)/ }).click();
    await page.getByLabel("Name").fill("Code");
    await page.locator("input[type=password]").fill(SECRET);
    await press(page, "Create");
    const shown = page.getByRole("region", { name: "URL" }).locator("code");
    url = (await shown.textContent()) ?? "";
    assert.match(url, /\/in\/\S+$/);
    await page.getByText(`Payload URL ${url}`).waitFor();
    assert.match(
      (await page.getByRole("link", { name: "Manual" }).first().getAttribute("href")) ?? "",
      /\/docs\/integrations\/github$/,
    );
    await assertAccessible(page, "URL of a receiver");
    await press(page, "Wait for the first request");
    await page.getByText("Waiting for the first request").waitFor();
    assert.equal((await deliver(url)).status, 200);
    await page.getByText("The first request was stored").waitFor();
    // A ping has the level info.
    await page.getByText("No one is notified of it").waitFor();
    const rule = page.getByRole("link", { name: "Create a rule" });
    assert.match((await rule.getAttribute("href")) ?? "", /\/rules\/new\?from=[0-9a-f-]{36}$/);
    await page.getByRole("link", { name: "Open the receiver" }).click();
    await page.getByRole("heading", { level: 1, name: "Code" }).waitFor();
  });

  await step("its last requests show what became of each, with the body", async () => {
    assert.equal((await deliver(url, "another secret")).status, 401);
    const rows = page.getByRole("table", { name: "Last requests" }).getByRole("row");
    await rows.filter({ hasText: "refused" }).waitFor();
    await rows.filter({ hasText: "stored" }).click();
    await dialog.getByText("Design for failure.").waitFor();
    await assertAccessible(page, "request of a receiver");
    await press(dialog, "Try with the mapping");
    await page.getByText("It would be stored").waitFor();
  });

  await step("an error of the mapping is at it; a good one is tested and saved", async () => {
    const mapping = page.getByLabel("Mapping as JSON");
    await mapping.fill("{");
    await press(page, "Test");
    await page.locator(".field", { has: mapping }).getByText(/JSON/).last().waitFor();
    console.expected.push(/status of 4(00|22) .*\/receivers\//);
    await mapping.fill('{"cases": [], "title": "= body.("}');
    await press(page, "Test");
    await page.locator("[aria-invalid=true]").waitFor();
    await mapping.fill('{"cases": [], "title": "Zen: {{ body.zen }}", "type": "code.zen"}');
    await press(page, "Test");
    await page.getByText("Zen: Design for failure.").waitFor();
    await press(page, "Save");
    await page.getByText("The mapping is saved.").waitFor();
    await page.getByRole("table", { name: "Last requests" }).getByRole("row").filter({ hasText: "stored" }).click();
    await press(dialog, "Replay");
    await press(page.getByRole("dialog", { name: "Replay this request?" }), "Replay");
    await page.getByText("It is stored again.").waitFor();
    const { body } = await prism.get<{ data: { payload: { title: string } }[] }>("/api/v1/events?type=code.zen");
    assert.deepEqual(
      body.data.map(({ payload }) => payload.title),
      ["Zen: Design for failure."],
    );
    await page.keyboard.press("Escape");
  });

  await step("it is paused, its URL is replaced after a question, and it is deleted", async () => {
    await press(page, "Pause");
    await page.getByText("Requests are refused until it is resumed.").waitFor();
    assert.equal((await deliver(url)).status, 403);
    await press(page, "Resume");
    await page.getByText("Requests are accepted again.").waitFor();
    await press(page, "More for Code");
    await page.getByRole("menuitem", { name: "Replace the URL" }).click();
    await press(dialog, "Replace");
    const next = (await page.getByRole("region", { name: "URL" }).locator("code").textContent()) ?? "";
    await press(page, "I have stored it");
    assert.equal((await deliver(url)).status, 404);
    assert.equal((await deliver(next)).status, 200);
    await press(page, "More for Code");
    // The page asks for requests until it is left.
    console.expected.push(/status of 404 .*\/requests/);
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await press(dialog, "Delete");
    await page.getByText("No receiver is set up").waitFor();
    assert.equal((await deliver(next)).status, 404);
  });
  console.assertClean();
});

test("the wizard ends with who was notified, or with the choice when no one was", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/connect/receivers/new/generic");
  await press(page, "Create");
  const url = (await page.getByRole("region", { name: "URL" }).locator("code").textContent()) ?? "";
  const deliver = () => fetch(console.prism.url + new URL(url).pathname, { method: "POST", body: "Backup failed" });
  await press(page, "Wait for the first request");
  await deliver();
  await page.getByText("It arrived, and Developer and admin were notified").waitFor();
  await assertAccessible(page, "first request of a receiver");

  await console.open("/connect/receivers/new/generic").then(async (next) => {
    await next.getByLabel("Name").fill("Stores only");
    await next.getByLabel("Who is notified").selectOption("none");
    await press(next, "Create");
    const address = (await next.getByRole("region", { name: "URL" }).locator("code").textContent()) ?? "";
    await press(next, "Wait for the first request");
    await fetch(console.prism.url + new URL(address).pathname, { method: "POST", body: "Backup failed" });
    await next.getByText("the receiver only stores").waitFor();
    await press(next, "Notify the members");
    await next.getByText("The project's members are notified.").waitFor();
    await next.getByRole("link", { name: "Open the receiver" }).click();
    const who = next.getByLabel("Who is notified");
    await eventually("the choice is shown", async () => (await who.inputValue()) === "members");
  });
});

test("tiles have logos, and say what is set up and when it last worked; all groups have the same widths", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const make = async (path: string, body: object) => {
    const made = await prism.post<{ url: string; key: string }>(`/api/v1${path}`, body);
    assert.equal(made.status, 201, made.text);
    return made.body;
  };
  const { url } = await make("/receivers", { name: "Anything", preset: "generic" });
  await make("/receivers", { name: "Boards", preset: "grafana" });
  await make("/integrations", { kind: "opsgenie", name: "Zabbix" });
  await make("/channels", {
    projectId: "default",
    name: "Ops",
    preset: "http",
    fields: { url: "http://127.0.0.1:9/" },
  });
  const headers = { "Content-Type": "application/json" };
  assert.ok((await fetch(prism.url + new URL(url).pathname, { method: "POST", headers, body: '{"title":"A"}' })).ok);

  for (const theme of ["light", "dark"] as const)
    for (const width of [360, 1280]) {
      const page: Page = await console.open("/connect", { theme, width });
      await console.shown(page);
      const tile = (name: RegExp): Locator => page.getByRole("link", { name });
      await tile(/^Generic 1 set up, last request (just now|\d)/).waitFor();
      await tile(/^Grafana 1 set up, no request yet/).waitFor();
      await tile(/^Opsgenie API.*1 set up, no request yet/).waitFor();
      await tile(/^Grafana/)
        .locator("svg path")
        .waitFor();
      assert.equal(
        await tile(/^UptimeRobot/)
          .locator("[data-letter=U]")
          .count(),
        1,
      );
      assert.equal(
        await tile(/^UptimeRobot/)
          .locator("svg")
          .count(),
        0,
      );
      const tiles = page.locator(".connect-tile");
      const widths = await tiles.evaluateAll((all) =>
        all.map((each) => Math.round(each.getBoundingClientRect().width)),
      );
      assert.ok(Math.max(...widths) - Math.min(...widths) <= 1, `one width: ${[...new Set(widths)]}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      if (width === 1280) await page.getByRole("row", { name: /Anything.*any program/ }).waitFor();
      await assertAccessible(page, `tiles, ${theme}, ${width}`);
    }

  await prism.parts.base.database.write((trx) => trx.updateTable("channels").set({ failures: 3 }).execute());
  const page = await console.open("/connect?kind=channels");
  await page.getByRole("link", { name: /^HTTP request.*1 set up, nothing accepted yet fails/ }).waitFor();
  await page.getByRole("row", { name: /Ops.*any URL/ }).waitFor();
  console.assertClean();
});

test("U19: services begin with those that most people know, each with a word of what it is", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/connect?kind=channels");
  const known = page.getByRole("region", { name: "Most used" });
  await known.waitFor();
  const tiles = await known.locator(".connect-tile").allInnerTexts();
  assert.deepEqual(
    tiles.map((text) => text.split("\n")[0]),
    [
      "Slack (incoming webhook)",
      "Telegram",
      "Discord",
      "ntfy",
      "Microsoft Teams",
      "PagerDuty",
      "SMS (Twilio)",
      "HTTP request",
      "Mail",
    ],
  );
  assert.ok(tiles.every((text) => text.includes("\n")));
  const [first] = await page.locator("section.section h2").allInnerTexts();
  assert.equal(first, "Most used");
});

test("a channel is set up, tried without sending, tested, changed, used by a policy and deleted", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const service = await startService(t);
  const page = await console.open("/connect?kind=channels");
  const dialog = page.getByRole("dialog");
  const row = async () =>
    (await prism.get<{ data: { id: string; name: string }[] }>("/api/v1/channels?projectId=default")).body.data[0];
  const step = stepsOf(t);

  await step("three steps: name and owner, fields with errors at them, a test", async () => {
    await page.getByText("No channel is set up").waitFor();
    await page.getByRole("link", { name: /^HTTP request/ }).click();
    await page.getByLabel("Name").fill("Room");
    await page.getByRole("radio", { name: "A project's notifications" }).check();
    await press(page, "Continue");
    console.expected.push(/status of 4(00|22) .*\/channels/);
    await page.getByLabel("URL", { exact: true }).fill("no url");
    await press(page, "Create");
    await page.locator("[aria-invalid=true]").waitFor();
    await page.getByLabel("URL", { exact: true }).fill(service.url);
    await page.getByLabel("Token, sent as").fill("very-secret-token");
    await press(page, "Create");
    await press(page, "Dry run");
    await page.getByText("Nothing was sent: this is the request").waitFor();
    assert.equal(await page.getByText("very-secret-token").count(), 0);
    assert.deepEqual(service.bodies, []);
    await assertAccessible(page, "dry run of a channel");
    await press(page, "Send a test");
    await page.getByText("The service has accepted the message").waitFor();
    assert.match(service.bodies[0] ?? "", /Prism can reach this channel/);
    await page.getByRole("link", { name: "Open the channel" }).click();
  });

  await step("its fields are changed; secrets that are left empty are kept", async () => {
    await page.getByRole("heading", { level: 1, name: "Room" }).waitFor();
    await page.getByLabel("Another secret").fill("another-secret");
    await press(page, "Save");
    await page.getByText("Saved.").waitFor();
    const stored = async () =>
      (await prism.get<{ fields: object; template: object }>(`/api/v1/channels/${(await row())?.id}`)).body;
    assert.deepEqual(Object.keys((await stored()).fields).sort(), ["secret", "token", "url"]);
    // Until the page has the saved version, its other form would be refused.
    await page
      .getByText(/^Stored: .* Empty keeps it\.$/)
      .nth(2)
      .waitFor();
    const own = page.getByLabel("Own texts as JSON");
    await own.fill('{"heading": "x"}');
    await press(page, "Save messages");
    await page.getByText(/Heading is not a member of a template/).waitFor();
    await own.fill('{"title": "[prod] {{ n.title }}"}');
    await press(page, "Save messages");
    await eventually("the stored texts", async () => (await stored()).template !== null);
    await press(page, "Dry run");
    await page
      .getByText(/\[prod\] Test/)
      .first()
      .waitFor();
    assert.deepEqual((await stored()).template, { title: "[prod] {{ n.title }}" });
  });

  await step("a policy sends to it, so it is not deleted", async () => {
    const address = page.url();
    await console.visit(page, "/policies/new");
    await page.getByLabel("Name").fill("To the room");
    await press(page, "Add a step");
    await page.getByRole("menuitem", { name: /^Send to a channel/ }).click();
    await page.getByText("Step 2 needs a channel of the project", { exact: true }).waitFor();
    await page.getByLabel("Channel", { exact: true }).selectOption({ label: "Room" });
    await press(page, "Create");
    await page.getByRole("heading", { level: 1, name: "To the room" }).waitFor();
    await page.goto(address);
    await press(page, "More for Room");
    await page.getByRole("menuitem", { name: "Delete" }).click();
    console.expected.push(/status of 409/);
    await press(dialog, "Delete");
    await page.getByText(/Policies send to this channel: To the room/).waitFor();
    const policies = await prism.get<{ data: { id: string; name: string }[] }>("/api/v1/policies");
    const made = policies.body.data.find(({ name }) => name === "To the room");
    await prism.request("DELETE", `/api/v1/policies/${made?.id}`);
  });

  await step("it is disabled, enabled and deleted", async () => {
    await page.reload();
    await press(page, "More for Room");
    await page.getByRole("menuitem", { name: "Disable" }).click();
    await page.getByText("The channel is disabled: nothing is sent.").waitFor();
    await press(page, "More for Room");
    await page.getByRole("menuitem", { name: "Enable" }).click();
    await page.getByText("The channel is on.").waitFor();
    await press(page, "More for Room");
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await press(dialog, "Delete");
    await page.getByText("No channel is set up").waitFor();
  });
  console.assertClean();
});

/** A request of a program that speaks the API of another service. */
const PROGRAMS = {
  "PagerDuty API": (url: string, key: string, text: string) =>
    fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        routing_key: key,
        event_action: "trigger",
        dedup_key: text,
        payload: { summary: text, source: "web-1", severity: "critical" },
      }),
    }),
  "Opsgenie API": (url: string, key: string, text: string) =>
    fetch(`${url}v2/alerts`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `GenieKey ${key}` },
      body: JSON.stringify({ message: text, alias: text, priority: "P1" }),
    }),
};

for (const [title, send] of Object.entries(PROGRAMS))
  test(`${title}: a key is made, fires an alert, is replaced and revoked`, async (t) => {
    const console = await startConsole(t);
    if (!console) return;
    const page = await console.open("/connect");
    const dialog = page.getByRole("dialog");
    const step = stepsOf(t);
    let key = "";
    let url = "";

    await step("the key is shown once, with the URL in place of the service's", async () => {
      await page.getByLabel("Search programs and services").fill("api");
      await page.getByRole("link", { name: title }).click();
      await page.getByLabel("Name").fill("Zabbix");
      await page.getByLabel("Labels of its alerts").fill("team");
      await page.getByText("Write labels such as team=web").waitFor();
      await page.getByLabel("Labels of its alerts").fill("team=web");
      await press(page, "Create key");
      const secret = page.getByRole("region", { name: title === "Opsgenie API" ? "API key" : "Integration key" });
      key = (await secret.locator("code").textContent()) ?? "";
      assert.match(key, /^[0-9a-f]{32}$/);
      await secret.getByRole("button", { name: "Copy" }).waitFor();
      url = await page.locator(".facts dd .mono").first().innerText();
      assert.ok(url.startsWith(`${console.prism.url}/`), url);
      await page
        .getByText(/in place of https:\/\/(events\.pagerduty|api\.opsgenie)\.com/)
        .first()
        .waitFor();
      await assertAccessible(page, `key of the ${title}`);
    });

    await step("the first request is seen, and its alert has the labels", async () => {
      await press(page, "Wait for the first request");
      await page.getByText("Waiting for the first request").waitFor();
      assert.equal((await send(url, key, "Disk is full on web-1")).status, 202);
      await page.getByText("The first request has arrived").waitFor();
      await page.getByRole("link", { name: "Show the alerts" }).click();
      await page.getByLabel("Group by").selectOption({ label: "Not grouped" });
      await page.getByRole("row", { name: /Disk is full on web-1.*team=web/ }).waitFor();
    });

    await step("it is listed without the key, replaced and revoked", async () => {
      await console.visit(page, "/connect");
      const table = page.getByRole("table", { name: "Integration keys" });
      const own = table.getByRole("row").filter({ hasText: "Zabbix" });
      await own.getByText(`${key.slice(0, 6)}…`).waitFor();
      assert.equal((await page.content()).includes(key), false, "the key is not on the page");
      await assertAccessible(page, "integration keys");
      await press(own, "Replace");
      await press(dialog, "Replace");
      const fresh = (await dialog.locator(".secret code").textContent()) ?? "";
      assert.notEqual(fresh, key);
      await press(dialog, "I have stored it");
      for (const each of [key, fresh]) assert.equal((await send(url, each, "Disk is full on web-2")).status, 202);
      await press(own, "Revoke");
      await press(dialog, "Revoke");
      await page.getByText("The key is revoked.").waitFor();
      await table.waitFor({ state: "detached" });
      for (const each of [key, fresh]) assert.ok((await send(url, each, "Disk is full on web-3")).status >= 400);
    });
    console.assertClean();
  });

test("who may not change policies sees integration keys, and makes, replaces and revokes none", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  await console.person("vera", ["Viewer"]);
  const made = await console.prism.post("/api/v1/integrations", { kind: "opsgenie", name: "Zabbix" });
  assert.equal(made.status, 201);
  const page = await console.open("/connect", { as: "vera" });
  const table = page.getByRole("table", { name: "Integration keys" });
  await table.getByText("Zabbix").waitFor();
  assert.equal(await table.getByRole("button").count(), 0);
  assert.equal(await page.getByRole("link", { name: "Opsgenie API" }).count(), 0);
  await page.getByText("Opsgenie API").first().waitFor();
  await console.visit(page, "/connect/integrations/new/opsgenie");
  await page.getByRole("heading", { name: "Not allowed" }).waitFor();
  console.assertClean();
});

test("an unknown Opsgenie key is assigned; administrators alone see the window", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  const window = (durationMs: number) => prism.post("/api/v1/integrations/claims/window", { durationMs });
  const page = await console.open("/connect");
  await page.getByText("No receiver is set up").waitFor();
  assert.equal(await page.getByText("Unknown Opsgenie keys").count(), 0);
  await window(3_600_000);
  const headers = { Authorization: "GenieKey 4f1c0a52-0000-4000-8000-000000000000" };
  const sent = await prism.post("/v2/alerts", { message: "Disk full" }, { token: null, headers });
  assert.equal(sent.status, 202);
  await page.reload();
  await console.shown(page);
  const table = page.getByRole("table", { name: "Unknown Opsgenie keys" });
  const own = table.getByRole("row").filter({ hasText: "Disk full" });
  await own.getByText("4f1c0a…").waitFor();
  await assertAccessible(page, "unknown keys");
  await press(own, "Assign");
  await page.getByRole("dialog").getByLabel("Name").fill("Zabbix");
  await press(page.getByRole("dialog"), "Assign");
  await page.getByText("The key is assigned; alerts opened: 1.").waitFor();
  await page.getByRole("table", { name: "Integration keys" }).getByText("Zabbix").waitFor();
  const stranger = { Authorization: "GenieKey 5f1c0a52-0000-4000-8000-000000000000" };
  await prism.post("/v2/alerts", { message: "Stranger" }, { token: null, headers: stranger });
  await page.reload();
  await press(table.getByRole("row").filter({ hasText: "Stranger" }), "Discard");
  await press(page.getByRole("dialog"), "Discard");
  await page.getByText("The key is discarded.").waitFor();
  await press(page, "Close the window");
  await page.getByText("Unknown Opsgenie keys").first().waitFor({ state: "detached" });
  await window(3_600_000);
  await console.person("vera", ["Viewer"]);
  const other = await console.open("/connect", { as: "vera" });
  await other.getByText("Opsgenie API").first().waitFor();
  assert.equal(await other.getByText("Unknown Opsgenie keys").count(), 0);
  console.assertClean();
});
