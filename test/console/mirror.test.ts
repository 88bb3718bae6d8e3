import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import type { Page } from "playwright-core";
import type { IssuedReceiver, Project } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { listening } from "../helpers/listening.ts";
import { stepsOf } from "../helpers/steps.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

const press = (scope: Pick<Page, "getByRole">, name: string) =>
  scope.getByRole("button", { name, exact: true }).click();

test("a project becomes a mirror, says everywhere that it sends nothing, is compared, and ends after a question", async (t) => {
  const console = await startConsole(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  if (!console) return;
  const { prism } = console;
  let got = 0;
  const port = await listening(
    t,
    createServer((_request, response) => {
      got += 1;
      response.end();
    }),
  );
  const { body: project } = await prism.post<Project>("/api/v1/projects", { name: "Shop" });
  const page = await console.open(`/projects/${project.id}?tab=settings`);
  const dialog = page.getByRole("dialog");
  const go = (path: string) => console.visit(page, path);
  const step = stepsOf(t);
  const badge = page.locator(".badge", { hasText: /^mirror$/ });
  const mirrorOf = async () => (await prism.get<Project>(`/api/v1/projects/${project.id}`)).body.settings.mirror;

  await step("the settings name who notifies people", async () => {
    await page.getByLabel("Who notifies people").selectOption("Grafana OnCall");
    await page.getByLabel("Its web page").fill("https://oncall.example.com");
    await press(page, "Save");
    await page.getByText("The project is saved.").waitFor();
    assert.deepEqual(await mirrorOf(), { from: "oncall", url: "https://oncall.example.com" });
    await badge.first().waitFor();
    await assertAccessible(page, "the settings of a project");
  });

  const alerts = [{ key: "disk", labels: { alertname: "DiskFull" } }];
  const posted = await prism.post("/api/v1/alerts", { projectId: project.id, alerts });
  assert.equal(posted.status, 200, posted.text);
  const incident = await eventually("the incident is there", async () => {
    const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents");
    return body.data[0]?.id;
  });

  await step("its incidents are marked, in the list and on their page", async () => {
    await go("/incidents");
    await page.getByRole("row", { name: /DiskFull.*mirror/ }).waitFor();
    await go(`/incidents/${incident}`);
    await page.getByText("Mirror: nothing is sent").waitFor();
    await page.getByText(/^Grafana OnCall notifies people\./).waitFor();
    await badge.first().waitFor();
    await assertAccessible(page, "an incident of a mirror");
  });

  await step("a receiver passes its requests on, and says so", async () => {
    const made = await prism.post<IssuedReceiver>("/api/v1/receivers", {
      ...{ name: "Grafana", preset: "generic", projectId: project.id },
    });
    assert.equal(made.status, 201, made.text);
    await go(`/connect/receivers/${made.body.id}`);
    await press(page, "More for Grafana");
    await page.getByRole("menuitem", { name: "Pass requests on" }).click();
    await dialog.getByLabel("Address in the other system").fill(`http://127.0.0.1:${port}/in/abc`);
    await press(dialog, "Save");
    await page.getByText("Accepted requests are passed on.").waitFor();
    await page.locator(".badge", { hasText: /^passed on$/ }).waitFor();
    const url = `${prism.url}${new URL(made.body.url).pathname}`;
    const sent = await fetch(url, { method: "POST", body: '{"title":"a"}' });
    assert.equal(sent.status, 200);
    await eventually("it is passed on", () => got === 1);
    await page.getByText(/passed on in \d+ ms/).waitFor();
  });

  await step("the report is empty, then compares both systems by days", async () => {
    await go(`/projects/${project.id}?tab=mirror`);
    await page.getByText("Nothing to compare yet").waitFor();
    const keys = `/api/v1/projects/${project.id}/keys`;
    const { body } = await prism.post<{ key: string }>(keys, { name: "observes", scopes: ["mirror:observe"] });
    const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    const observed = [
      { ref: "1", kind: "notified", at: at(10), title: "Latency of checkout", person: "ann", way: "sms" },
      { ref: "2", kind: "notified", at: at(5 * 24 * 60), title: "Older", person: "ann", way: "sms" },
    ];
    const stored = await prism.post("/api/v1/mirror/observed", observed, { apiKey: body.key, token: null });
    assert.equal(stored.status, 200, stored.text);
    await go("/projects");
    await badge.first().waitFor();
    await go(`/projects/${project.id}?tab=mirror`);
    await page.getByRole("row", { name: /missing in Prism.*Latency of checkout.*ann/ }).waitFor();
    await page.getByRole("row", { name: /missing in Prism.*Older/ }).waitFor();
    await page.locator(".stat", { hasText: "Missing in Prism" }).getByText("2", { exact: true }).waitFor();
    await page.getByLabel("Days").selectOption("The last day");
    await page.locator(".stat", { hasText: "Missing in Prism" }).getByText("1", { exact: true }).waitFor();
    assert.match(page.url(), /days=P1D/);
    await assertAccessible(page, "the report of a mirror");
  });

  await step("it ends after a question that says what will page", async () => {
    await go(`/projects/${project.id}?tab=settings`);
    await page.getByLabel("Who notifies people").selectOption("Prism");
    await press(page, "Save");
    await dialog
      .getByText(/^1 incident is open \(#\d+ DiskFull\): from their next step on they page people\./)
      .waitFor();
    await press(dialog, "Cancel");
    assert.notEqual((await mirrorOf()) ?? null, null);
    await press(page, "Save");
    await press(dialog, "End and page people");
    await page.getByText("The project is saved.").last().waitFor();
    await eventually("the mirror has ended", async () => ((await mirrorOf()) ?? null) === null);
    await eventually("no page is marked", async () => (await badge.count()) === 0);
  });

  await step("with an open incident it becomes one again after a question only", async () => {
    await page.getByLabel("Who notifies people").selectOption("Opsgenie");
    await press(page, "Save");
    await dialog
      .getByText(/^1 incident is open \(#\d+ DiskFull\): from now on Prism sends neither further steps/)
      .waitFor();
    await press(dialog, "Cancel");
    assert.equal((await mirrorOf()) ?? null, null);
    await press(page, "Save");
    await press(dialog, "Send nothing more");
    await eventually("it is a mirror", async () => (await mirrorOf())?.from === "opsgenie");
  });
});
