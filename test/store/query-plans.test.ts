import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { rowsOf } from "../helpers/tables.ts";
import { planOf, recordSql } from "./support/recorded-sql.ts";

interface Made {
  id: string;
  keyId: string;
  data: { id: string }[];
}

/** Asks every route that reads or writes, with each of its filters. */
async function useEveryRoute(prism: TestPrism): Promise<void> {
  const v1 = (path: string) => `/api/v1${path}`;
  const ok = async (reply: Promise<{ status: number; text: string; body: Made }>): Promise<Made> => {
    const { status, text, body } = await reply;
    assert.ok(status < 300, `${status} ${text}`);
    return body;
  };
  const get = (path: string) => ok(prism.get<Made>(v1(path)));
  const post = (path: string, body?: unknown) => ok(prism.post<Made>(v1(path), body));
  const uma = await makeUser(prism, "uma");
  const project = await post("/projects", { name: "shop" });
  const rule = await post("/rules", { name: "r", condition: "event.type == 'x'", targetUsers: ["me"], targetRoles: ["Auditor"] });
  const event = await post("/events", { type: "x", dedupeKey: "k", payload: { n: 1 } });
  await post("/events", [{ type: "x" }, { type: "y", projectId: project.id }]);
  const note = await post("/notifications", { recipients: ["me", "uma"], title: "t", message: "m", dedupeKey: "d" });
  await post("/time/trigger", { label: "l", delayMs: 1, action: { type: "event", event: "x", persist: true }, dedupeKey: "k" });

  const now = encodeURIComponent(new Date().toISOString());
  const both = (path: string, filters: readonly string[]) =>
    filters.flatMap((filter) => [`${path}?${filter}`, `${path}?${filter}&page=1&limit=1`]);
  const pages = ["", "limit=1", "offset=1", `cursor=${Buffer.from("[5]").toString("base64url")}`];
  for (const path of [
    ...pages.map((page) => `/events?${page}`),
    ...both("/events", ["type=x", "type=x,y.*", "type=x.*", "level=error", "level=error,fatal", "level=info", "source=a", `from=${now}`, `to=${now}`, "afterSeq=1", "processed=false", "processed=true", `projectId=${project.id}`]),
    `/events/${event.id}`,
    "/events/export",
    `/events/export?from=${now}&type=x`,
    ...pages.map((page) => `/notifications?${page}`),
    ...both("/notifications", ["status=unread", "status=read", "status=acknowledged", "status=undelivered", "status=all", `ruleId=${rule.id}`, `from=${now}`, `to=${now}`, "after=1", "userId=uma"]),
    `/notifications/user/${uma.id}`,
    "/notifications/unread-count",
    "/notifications/missed",
    "/notifications/missed?since=1",
    `/notifications/missed?since=${now}&ack=true`,
    `/notifications/${note.id}`,
    ...pages.map((page) => `/audit?${page}`),
    ...both("/audit", ["userId=u", "action=rule.create", "action=rule.*", "resourceType=rule", `resourceId=${rule.id}`, "requestId=q", `from=${now}`, `to=${now}`, "userId=u&action=rule.*"]),
    "/audit/export",
    `/audit/export?from=${now}&userId=u`,
    "/audit/verify",
    `/audit/verify?from=${now}`,
    `/rules/${rule.id}/stats`,
    `/rules/${rule.id}/stats?from=${now}&to=${now}`,
    `/projects/${project.id}`,
    "/status",
  ])
    await get(path);
  await ok(prism.get<Made>("/metrics"));
  for (const action of ["read", "acknowledge"] as const)
    await ok(prism.request<Made>(action === "read" ? "PATCH" : "PUT", v1(`/notifications/${note.id}/${action}`), {}));
  await post(`/notifications/${note.id}/webview-action`, {});
  await post("/notifications/read-all");
  await post("/notifications/read-all", { before: decodeURIComponent(now) });
  await ok(prism.delete<Made>(v1(`/notifications/${note.id}`)));
  await post(`/events/${event.id}/reprocess`);
  await ok(prism.delete<Made>(v1(`/projects/${project.id}/events`)));
  await ok(prism.delete<Made>(v1(`/projects/${project.id}/events?before=${now}`)));
  await ok(prism.delete<Made>(v1(`/rules/${rule.id}`)));
  await ok(prism.delete<Made>(v1(`/projects/${project.id}`)));
  await eventually("the jobs are done", () => rowsOf(prism, "select 1 from jobs where finishedAt is null").length === 0);
}

test("plans", async (t) => {
  const seen = recordSql();
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  await useEveryRoute(prism);
  await prism.restart();
  const { reader } = prism.services.system.store;
  for (const sql of seen) {
    if (!/^\s*(select|update|delete|insert|with)/i.test(sql)) continue;
    const plan = planOf(reader, sql);
    if (plan.some((l) => /SCAN|TEMP/.test(l))) console.log(sql.replaceAll(/\s+/g, " ").slice(0, 700), "\n     ", plan.join("\n      "));
  }
  console.log(seen.size);
});
