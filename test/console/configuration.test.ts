import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import type { Page } from "playwright-core";
import { configure, type FileObject } from "../features/records/configuration/configuration.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, type ConsoleTest, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

const FILES: readonly FileObject[] = [
  ["projects", null, { slug: "duty", name: "Duty" }],
  ["members", "duty", { vera: "viewer", admin: "owner" }],
  ["heartbeats", "duty", { name: "Nightly", timeout: "1d" }],
  [
    "channels",
    "duty",
    {
      name: "Room",
      preset: "ntfy",
      fields: {
        url: "https://127.0.0.1:8443/",
        topic: { env: "PRISM_SECRET_TOPIC" },
        token: { env: "PRISM_SECRET_ROOM" },
      },
    },
  ],
  ["oncall", "duty", { name: "Duty", timezone: "Europe/Berlin", shifts: [] }],
  ["policies", "duty", { name: "Night", steps: [{ type: "notify", schedules: [{ name: "Duty" }] }] }],
  ["routes", "duty", { route: { policy: "Night" } }],
  ["rules", "duty", { name: "Big", condition: "event.type == 'payment.failed'", targetUsers: ["admin"] }],
  ["receivers", "duty", { name: "Grafana", preset: "grafana", token: { env: "PRISM_SECRET_GRAFANA" } }],
  ["statusPage", "duty", { enabled: true, title: "Duty status" }],
];
const SECRETS = {
  "env:PRISM_SECRET_TOPIC": "duty",
  "env:PRISM_SECRET_ROOM": "tk_secretofduty",
  "env:PRISM_SECRET_GRAFANA": "prr_".padEnd(32, "a"),
};

async function apply({ prism }: ConsoleTest, lock: boolean): Promise<void> {
  const { status, body } = await configure(prism, "apply", FILES, { secrets: SECRETS, source: "platform", lock });
  assert.equal(status, 200, JSON.stringify(body));
}

async function idsOf({ prism }: ConsoleTest): Promise<Readonly<Record<string, string>>> {
  const { body } = await prism.get<{ data: { kind: string; id: string }[] }>("/api/v1/configuration/managed");
  return Object.fromEntries(body.data.map(({ kind, id }) => [kind, id]));
}

test("what files own is marked, listed with its changes, and exported", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await console.person("vera", ["User"]);
  const page = await console.open("/configuration");
  const dialog = page.getByRole("dialog");
  const step = stepsOf(t);

  await step("without files the page says how to begin", async () => {
    await page.getByText("Nothing is in configuration files").waitFor();
    await page.getByText("prism export config --out oncall").waitFor();
    await assertAccessible(page, "no configuration files");
  });

  await apply(console, false);
  const ids = await idsOf(console);
  const beat = `/api/v1/heartbeats/${ids["heartbeats"]}`;

  await step("lists and pages name the file", async () => {
    await console.visit(page, "/heartbeats");
    await page
      .getByRole("row", { name: /Nightly/ })
      .getByText("from duty.yaml:3")
      .waitFor();
    for (const path of [
      "/policies?project=duty",
      `/policies/${ids["policies"]}`,
      "/policies/routes?project=duty",
      "/rules",
      `/rules/${ids["rules"]}`,
      "/connect?project=duty",
      "/connect?project=duty&kind=channels",
      `/connect/channels/${ids["channels"]}`,
      `/connect/receivers/${ids["receivers"]}`,
      "/oncall",
      `/oncall/${ids["oncall"]}?tab=rotations`,
      `/oncall/${ids["oncall"]}?tab=settings`,
      `/status-page?project=${ids["statusPage"]}`,
      "/projects",
      `/projects/${ids["projects"]}?tab=settings`,
      `/projects/${ids["projects"]}`,
    ]) {
      await console.visit(page, path);
      await page
        .getByText(/from duty\.yaml:\d+/)
        .first()
        .waitFor();
      await assertAccessible(page, path);
    }
  });

  await step("a change by hand is marked, with who made it and what differs", async () => {
    await console.visit(page, `/heartbeats/${ids["heartbeats"]}?tab=settings`);
    await page.getByText("It is in duty.yaml:3").waitFor();
    await page.getByLabel("Description").fill("Moved by hand");
    await press(page, "Save");
    await page.getByText("Saved.").waitFor();
    await prism.patch(beat, { timeoutMs: 3_600_000 });
    await page.reload();
    await page.getByText("changed since it was applied").first().waitFor();
    await press(page, "Show changes");
    await dialog
      .getByRole("row", { name: /timeout/ })
      .getByText("1h")
      .waitFor();
    await dialog
      .getByRole("row", { name: /description/ })
      .getByText("Moved by hand")
      .waitFor();
    await assertAccessible(page, "changes");
    await page.keyboard.press("Escape");
  });

  await step("the page lists all of it, by state, kind and project, with its sources", async () => {
    await console.visit(page, "/configuration");
    await page.getByText(`${FILES.length} objects in configuration files; 1 of them changed by hand since.`).waitFor();
    await page.getByRole("table", { name: "Sources" }).getByText("platform").waitFor();
    await assertAccessible(page, "configuration");
    await page.getByRole("radio", { name: "Changed" }).check();
    const table = page.getByRole("table", { name: "Objects in configuration files" });
    await table.getByRole("row", { name: /Night\b/ }).waitFor({ state: "detached" });
    await table.getByRole("row", { name: /Nightly/ }).waitFor();
    await press(table, "Show changes");
    await dialog.getByText(/Changed by /).waitFor();
    await page.keyboard.press("Escape");
    await console.visit(page, "/configuration?kind=policies");
    await table.getByRole("link", { name: "Night" }).click();
    await page.getByRole("heading", { level: 1, name: "Night" }).waitFor();
    await console.visit(page, `/configuration?project=${ids["projects"]}`);
    await page.getByRole("link", { name: "Who would be paged?" }).click();
    await page.getByText("What would happen?").waitFor();
    assert.match(page.url(), /project=duty/);
  });

  await step("the configuration is downloaded, and the variables of its secrets are named", async () => {
    await console.visit(page, "/configuration");
    for (const [format, begin] of [
      ["YAML", "version: 1\n"],
      ["JSON", '{\n  "version": 1,'],
    ] as const) {
      await press(page, "Export");
      await dialog.getByLabel("What").selectOption("duty");
      await dialog.getByRole("radio", { name: format }).check();
      const download = page.waitForEvent("download");
      await press(dialog, "Download");
      const file = await download;
      assert.equal(file.suggestedFilename(), `duty.${format.toLowerCase()}`);
      const text = readFileSync(await file.path(), "utf8");
      assert.ok(text.startsWith(begin), text.slice(0, 60));
      assert.ok(text.includes("Nightly") && !text.includes("tk_secretofduty"));
      await dialog.getByText("PRISM_SECRET_ROOM").waitFor();
      await page.keyboard.press("Escape");
    }
  });

  await step("a viewer sees the files on a phone, but neither values nor an unlock", async () => {
    await apply(console, true);
    await prism.post("/api/v1/configuration/unlock", {
      ...{ kind: "policies", project: "duty", name: "Night", forMs: 3_600_000, reason: "a test" },
    });
    assert.equal((await prism.patch(`/api/v1/policies/${ids["policies"]}`, { repeat: 4 })).status, 200);
    const phone = await console.open("/configuration", { as: "vera", width: 360, theme: "dark" });
    await console.shown(phone);
    await phone.getByText("from duty.yaml:3").waitFor();
    assert.equal(await phone.getByRole("button", { name: "Unlock" }).count(), 0);
    await assertAccessible(phone, "configuration of a viewer");
    await press(phone, "Show changes");
    await phone.getByText("The values are shown to those who may change it.").waitFor();
    await assertAccessible(phone, "changes for a viewer");
    await phone.close();
  });
  console.assertClean();
});

test("a locked form is read only until it is unlocked, and every refusal offers that", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const { prism } = console;
  await console.person("vera", ["User"]);
  await apply(console, true);
  const ids = await idsOf(console);
  const page = await console.open(`/heartbeats/${ids["heartbeats"]}?tab=settings`);
  const dialog = page.getByRole("dialog");
  const step = stepsOf(t);
  const unlock = async (reason: string) => {
    await dialog.getByLabel("Reason").fill(reason);
    await press(dialog, "Unlock for 8 h");
    await dialog.waitFor({ state: "detached" });
  };

  await step("it says why, and opens with a reason for eight hours", async () => {
    await page.getByText("Locked: only duty.yaml:3 changes it").waitFor();
    assert.ok(await page.getByLabel("Description").isDisabled());
    assert.ok(await page.getByRole("button", { name: "Save" }).isDisabled());
    await assertAccessible(page, "a locked form");
    await press(page, "Unlock for 8 h");
    assert.ok(await dialog.getByRole("button", { name: "Unlock for 8 h" }).isDisabled());
    await unlock("The job moves to another host");
    await page.getByText("Unlocked for a while").waitFor();
    await page.getByLabel("Description").fill("By hand");
    await press(page, "Save");
    await page.getByText("Saved.").waitFor();
    await page.getByText("changed since it was applied").first().waitFor();
    const { body } = await prism.get<{ data: { metadata: object }[] }>("/api/v1/audit?action=configuration.unlock");
    assert.deepEqual(body.data[0]?.metadata, {
      ...{ kind: "heartbeats", forMs: 28_800_000, reason: "The job moves to another host" },
    });
  });

  await step("policies, routes, rules, channels and shifts are read only, too", async () => {
    for (const path of [
      `/policies/${ids["policies"]}`,
      "/policies/routes?project=duty",
      `/rules/${ids["rules"]}`,
      `/connect/channels/${ids["channels"]}`,
      `/connect/receivers/${ids["receivers"]}`,
      `/oncall/${ids["oncall"]}?tab=rotations`,
      `/oncall/${ids["oncall"]}?tab=settings`,
      `/status-page?project=${ids["statusPage"]}`,
      `/projects/${ids["projects"]}?tab=settings`,
      `/projects/${ids["projects"]}`,
    ]) {
      await console.visit(page, path);
      await page.getByText(/^Locked: only duty\.yaml:\d+ changes it$/).waitFor();
      await assertAccessible(page, path);
    }
  });

  await step("an action that is refused offers to unlock, and works then", async () => {
    await console.visit(page, `/connect/channels/${ids["channels"]}`);
    console.expected.push(/status of 409 .*\/channels\//);
    await press(page, "More for Room");
    await page.getByRole("menuitem", { name: "Disable" }).click();
    const message = page.getByRole("alert").filter({ hasText: "configuration files of platform" });
    await press(message, "Unlock for 8 h");
    await unlock("Too loud tonight");
    await press(page, "More for Room");
    await page.getByRole("menuitem", { name: "Disable" }).click();
    await page.getByText("The channel is disabled: nothing is sent.").waitFor();
  });

  await step("a form that was opened before the lock keeps its edits", async () => {
    await apply(console, false);
    await console.visit(page, `/heartbeats/${ids["heartbeats"]}?tab=settings`);
    await page.getByText("It is in duty.yaml:3").waitFor();
    await page.getByLabel("Description").fill("Typed before the lock");
    await apply(console, true);
    console.expected.push(/status of 409 .*\/heartbeats\//);
    await press(page, "Save");
    const failure = page.locator(".form-failure");
    await failure.getByText(/configuration files of platform/).waitFor();
    await assertAccessible(page, "a refused form");
    await press(failure, "Unlock for 8 h");
    await unlock("It cannot wait");
    assert.equal(await page.getByLabel("Description").inputValue(), "Typed before the lock");
    await press(page, "Save");
    await page.getByText("Saved.").waitFor();
  });

  await step("a viewer sees the lock as a badge", async () => {
    const other = await console.open(`/policies/${ids["policies"]}`, { as: "vera", width: 360 });
    await other.getByText("from duty.yaml:6").waitFor();
    assert.equal(await other.getByRole("button", { name: "Unlock for 8 h" }).count(), 0);
    await assertAccessible(other, "a locked policy of a viewer");
    await other.close();
  });
  console.assertClean();
});
