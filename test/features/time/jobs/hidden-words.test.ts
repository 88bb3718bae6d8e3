import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";

const HOUR = 3_600_000;

test("what timers and scheduled notifications of other people say is shown only to those who may read all notifications", async (t) => {
  const prism = await startPrism(t);
  const uma = { token: (await makeUser(prism, "uma", ["User"])).token };
  const notify = {
    type: "notify",
    payload: { userId: "me", title: "secret-title", body: "secret-body", data: { d: "secret-data" } },
  };
  const timer = { label: "l", delayMs: HOUR, action: notify };
  const made = await answered(201, prism.post<{ jobId: string }>("/api/v1/time/trigger", timer, uma));
  await prism.post("/api/v1/notifications", {
    userId: "uma",
    title: "secret-title",
    message: "secret-body",
    delayMs: HOUR,
  });
  await prism.post("/api/v1/roles", { name: "AnyTimer", permissions: ["timers:any", "jobs:read"] });
  const viewer = { token: (await makeUser(prism, "viewer", ["Viewer"])).token };
  const anyTimer = { token: (await makeUser(prism, "any", ["AnyTimer"])).token };
  const auditor = { token: (await makeUser(prism, "auditor", ["Auditor"])).token };
  const paths = ["/api/v1/jobs", `/api/v1/jobs/${made.body.jobId}`, "/api/v1/notifications/scheduled"];
  for (const path of paths) {
    const hidden = await answered(200, prism.get(path, viewer));
    assert.ok(!hidden.text.includes("secret") && hidden.text.includes(made.body.jobId), hidden.text);
    assert.ok((await prism.get(path, auditor)).text.includes("secret-title"), path);
  }
  const timers = await prism.get("/api/v1/timers", anyTimer);
  assert.ok(!timers.text.includes("secret") && timers.text.includes(made.body.jobId), timers.text);
  for (const path of ["/api/v1/timers", "/api/v1/notifications/scheduled"])
    assert.ok((await prism.get(path, uma)).text.includes("secret-title"), "one's own are shown");
});

test("S12: labels of other people's timers are hidden in lists, filters and search, and one's own are shown", async (t) => {
  const prism = await startPrism(t);
  const make = async (name: string, roles: string[]) => ({ token: (await makeUser(prism, name, roles)).token });
  const [uma, viewer] = [await make("uma", ["User", "Viewer"]), await make("viewer", ["Viewer"])];
  const action = { type: "notify", payload: { userId: "me", title: "t", body: "b" } };
  const timer = { label: "oncology-2pm", delayMs: HOUR, action };
  const made = await answered(201, prism.post<{ jobId: string }>("/api/v1/time/trigger", timer, uma));
  const { jobId } = made.body;
  for (const path of ["/api/v1/jobs?queue=timers", `/api/v1/jobs/${jobId}`, "/api/v1/notifications/scheduled"]) {
    const hidden = await prism.get(path, viewer);
    assert.ok(hidden.text.includes(jobId) && !hidden.text.includes("oncology"), `${path}: ${hidden.text}`);
    assert.ok((await prism.get(path, uma)).text.includes("oncology-2pm"), path);
  }
  for (const query of ["label=oncology-2pm", "q=oncology"]) {
    const found = async (as: { token: string }) =>
      (await prism.get<{ data: unknown[] }>(`/api/v1/jobs?${query}`, as)).body.data.length;
    assert.deepEqual([await found(viewer), await found(uma)], [0, 1], query);
  }
});
