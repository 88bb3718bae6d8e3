import assert from "node:assert/strict";
import test from "node:test";
import { planOf } from "../../scripts/surface/lib/plans.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowsOf } from "../helpers/tables.ts";
import { whyNotTheSame } from "./support/applied-sql.ts";
import { recordSql } from "./support/recorded-sql.ts";
import { useBuckets } from "./support/use-buckets.ts";
import { useChannels } from "./support/use-channels.ts";
import { useHeartbeats } from "./support/use-heartbeats.ts";
import { useJobs } from "./support/use-jobs.ts";
import { useReceivers } from "./support/use-receivers.ts";
import { useReports } from "./support/use-reports.ts";
import { useSchedules } from "./support/use-schedules.ts";
import { useSilences } from "./support/use-silences.ts";
import { useSounds } from "./support/use-sounds.ts";
import { useStatusPage } from "./support/use-status-page.ts";
import { useTimers } from "./support/use-timers.ts";
import { useWebhooks } from "./support/use-webhooks.ts";

interface Made {
  id: string;
  keyId: string;
  data: { id: string }[];
}

/** The test's own. */
const UNFINISHED = "select 1 from jobs where finishedAt is null limit 1";

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
  const rule = await post("/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
    targetRoles: ["Auditor"],
  });
  const event = await post("/events", { type: "x", dedupeKey: "k", payload: { n: 1 } });
  await post("/events", [{ type: "x" }, { type: "y", projectId: project.id }]);
  const note = await post("/notifications", { recipients: ["me", "uma"], title: "t", message: "m", dedupeKey: "d" });
  const message = await post("/messages", { recipientId: "me", content: "c", delayMs: 0 });
  await post("/time/trigger", {
    label: "l",
    delayMs: 1,
    action: { type: "event", event: "x", persist: true },
    dedupeKey: "k",
  });

  const alert = await post("/alerts", { alerts: [{ labels: { alertname: "A" } }] });
  for (const path of [
    `/alerts/${alert.data[0]?.id}`,
    "/alerts",
    `/alerts?state=resolved&from=${new Date(0).toISOString()}`,
  ])
    await get(path);
  const position = Buffer.from(JSON.stringify([1, "x"])).toString("base64url");
  await get(`/alerts?state=resolved&cursor=${position}`);
  await post(`/alerts/${alert.data[0]?.id}/resolve`);
  const task = await post("/tasks", { title: "t" });
  const taskCursor = Buffer.from(JSON.stringify([5, task.id])).toString("base64url");

  const now = encodeURIComponent(new Date().toISOString());
  const both = (path: string, filters: readonly string[]) =>
    filters.flatMap((filter) => [`${path}?${filter}`, `${path}?${filter}&page=1&limit=1`]);
  const pages = ["", "limit=1", "offset=1", `cursor=${Buffer.from("[5]").toString("base64url")}`];
  for (const path of [
    ...pages.map((page) => `/events?${page}`),
    ...both("/events", [
      "type=x",
      "type=x,y.*",
      "type=x.*",
      "level=error",
      "level=error,fatal",
      "level=info",
      "source=a",
      `from=${now}`,
      `to=${now}`,
      "afterSeq=1",
      "processed=false",
      "processed=true",
      `projectId=${project.id}`,
    ]),
    ...pages.slice(0, 3).map((page) => `/deliveries?${page}`),
    ...both("/deliveries", [
      "state=dead",
      "state=waiting",
      "state=waiting&channel=email&webhookId=w",
      "channel=email,webhook",
      "userId=u",
      `webhookId=${rule.id}`,
      `notificationId=${note.id}`,
      `from=${now}&to=${now}`,
    ]),
    `/deliveries?cursor=${Buffer.from('["x"]').toString("base64url")}`,
    "/deliveries/channels",
    "/channels",
    "/channels/presets",
    ...["", "q=a", "kind=rule", "minPriority=1", `from=${now}`, `to=${now}`].flatMap((filter) =>
      [filter, `${filter}&ruleId=${rule.id}`, `${filter}&projectId=${project.id}`].flatMap((path) => [
        `/notifications/all?${path}`,
        `/notifications/all?${path}&cursor=${Buffer.from('[5,"x"]').toString("base64url")}`,
      ]),
    ),
    ...["seen", "unseen", "acknowledged", "unacknowledged", "undelivered"].map(
      (state) => `/notifications/all?state=${state}`,
    ),
    `/notifications/${note.id}/recipients`,
    `/notifications/${note.id}/recipients?cursor=${Buffer.from('["x"]').toString("base64url")}`,
    "/webhooks?scope=all&include=result",
    "/users/search",
    "/users/search?q=a",
    "/events?q=a",
    `/events?projectId=*&q=a&type=x&cursor=${Buffer.from("[5]").toString("base64url")}`,
    "/events?include=outcome",
    "/events/paths",
    "/events/paths?type=x",
    "/events/paths?projectId=*",
    `/events/${event.id}`,
    "/events/export",
    `/events/export?from=${now}&type=x`,
    "/events/export?projectId=*",
    "/notifications/export",
    `/notifications/export?from=${now}&projectId=${project.id}`,
    ...pages.map((page) => `/notifications?${page}`),
    ...both("/notifications", [
      "status=unread",
      "status=read",
      "status=acknowledged",
      "status=undelivered",
      "status=all",
      `ruleId=${rule.id}`,
      `from=${now}`,
      `to=${now}`,
      "after=1",
      "userId=uma",
      "q=a",
      "q=a&status=unread",
      "kind=rule",
      "minPriority=1",
      `projectId=${project.id}`,
    ]),
    `/notifications/user/${uma.id}`,
    "/notifications/unread-count",
    "/notifications/missed",
    "/notifications/missed?since=1",
    `/notifications/missed?since=${now}&ack=true`,
    `/notifications/${note.id}`,
    ...["box=inbox", "box=sent", "box=all"].flatMap((box) =>
      both("/messages", [box, `${box}&with=uma`, `${box}&status=queued`, `${box}&status=read&with=uma`]),
    ),
    ...["box=inbox", "box=sent", "box=all&with=uma"].map(
      (box) => `/messages?${box}&cursor=${Buffer.from('[5,"x"]').toString("base64url")}`,
    ),
    "/messages?userId=uma",
    `/messages/${message.id}`,
    `/messages/${message.id}/status`,
    ...pages.map((page) => `/audit?${page}`),
    ...both("/audit", [
      "userId=u",
      "action=rule.create",
      "action=rule.*",
      "resourceType=rule",
      `resourceId=${rule.id}`,
      "requestId=q",
      `from=${now}`,
      `to=${now}`,
      "userId=u&action=rule.*",
    ]),
    "/audit/export",
    `/audit/export?from=${now}&userId=u`,
    "/audit/verify",
    `/audit/verify?from=${now}`,
    `/rules/${rule.id}/stats`,
    `/explain/event/${event.id}?userId=uma`,
    `/explain/notification/${note.id}?userId=uma`,
    `/rules/${rule.id}/stats?from=${now}&to=${now}`,
    `/projects/${project.id}`,
    ...pages.slice(0, 3).map((page) => `/tasks?${page}`),
    ...["createdAt", "updatedAt", "priority", "dueAt", "title"].flatMap((sort) =>
      [sort, `-${sort}`].flatMap((order) => [`/tasks?sort=${order}`, `/tasks?status=TODO&sort=${order}`]),
    ),
    ...["createdAt", "updatedAt"].map((sort) => `/tasks?sort=-${sort}&cursor=${taskCursor}`),
    `/tasks?status=TODO&sort=-priority&cursor=${taskCursor}`,
    ...both("/tasks", ["status=TODO,DONE", "priority=1", "q=a", "userId=uma"]),
    `/tasks/${task.id}`,
    "/status",
    "/stats",
    `/stats?projectId=${project.id}`,
    "/attention",
    "/attention?grouped=true",
    ...both("/incidents", [
      "order=attention",
      "order=attention&projectId=shop&severity=critical,none",
      "severity=info",
    ]),
    `/incidents?order=attention&cursor=${Buffer.from('[1,2,"x"]').toString("base64url")}`,
    ...(await useJobs(prism, post, both)),
  ])
    await get(path);
  await post("/deliveries/retry", { filter: { channel: ["email"] } });
  await post("/deliveries/retry", { filter: { state: ["waiting"] } });
  await post("/deliveries/channels/email/resume");
  await post("/deliveries/channels/webhook/resume", { target: "x" });
  await useTimers(prism);
  await useSchedules(prism);
  await useSilences(prism);
  await useBuckets(prism);
  await useReceivers(prism);
  await useReports(prism);
  await useHeartbeats(prism);
  await useStatusPage(prism);
  await useSounds(prism);
  await useWebhooks(prism);
  await useChannels(prism);
  await ok(prism.get<Made>("/metrics"));
  for (const action of ["read", "acknowledge"] as const)
    await ok(prism.request<Made>(action === "read" ? "PATCH" : "PUT", v1(`/notifications/${note.id}/${action}`), {}));
  await post(`/notifications/${note.id}/webview-action`, {});
  await eventually(
    "the message is delivered",
    async () => (await prism.patch(v1(`/messages/${message.id}/read`))).status === 200,
  );
  const later = await post("/messages", { recipientId: "uma", content: "c", delayMs: 3_600_000 });
  await ok(prism.delete<Made>(v1(`/messages/${later.id}`)));
  await ok(prism.put<Made>(v1(`/tasks/${task.id}`), { status: "DONE" }));
  await ok(prism.delete<Made>(v1(`/tasks/${task.id}`)));
  await post("/notifications/read-all", { ids: [note.id] });
  await post("/notifications/read-all");
  await post("/notifications/read-all", { before: decodeURIComponent(now) });
  await ok(prism.delete<Made>(v1(`/notifications/${note.id}`)));
  await post(`/events/${event.id}/reprocess`);
  await ok(prism.delete<Made>(v1(`/projects/${project.id}/events`)));
  await ok(prism.delete<Made>(v1(`/projects/${project.id}/events?before=${now}`)));
  await ok(prism.delete<Made>(v1(`/rules/${rule.id}`)));
  await ok(prism.delete<Made>(v1(`/projects/${project.id}`)));
  await eventually("the jobs are done", () => rowsOf(prism, UNFINISHED).length === 0);
}

/** Why a statement may read a whole table, or part of an index from end to end. */
const SCANS: readonly { readonly plan: RegExp; readonly why: string }[] = [
  {
    plan: /^SCAN incidents USING INDEX incidents_attention$/,
    why: "the unresolved incidents, at the start, and in their order as far as a page goes",
  },
  {
    plan: /^SCAN (sqlite_schema|sqlite_sequence|migrations|roles|projects|modules|ntfy_access)\b/,
    why: "as small as an installation is",
  },
  { plan: /^SCAN rules USING INDEX rules_active/, why: "the rules that are active, which are in memory too" },
  {
    plan: /VALUES CLAUSE|VIRTUAL TABLE|^SCAN (level|u|w|j|n|search|recent|known)$|^SCAN \(subquery|^SCAN \d+ CONSTANT/,
    why: "no table",
  },
  {
    plan: /^SCAN jobs USING (COVERING )?INDEX jobs_(ready|due|running|dead|timers|timers_of_all)$/,
    why: "holds what waits, runs or is dead",
  },
  { plan: /^SCAN jobs USING COVERING INDEX jobs_id$/, why: "a requested total" },
  { plan: /^SCAN incidents USING COVERING INDEX incidents_state$/, why: "a requested total" },
  { plan: /^SCAN incidents$/, why: "newest first, as far as a page goes, and a requested total: in the scan thread" },
  {
    plan: /^SCAN (schedules|oncall_schedules|transfer_buckets|rules|webhooks|channels|policies|integrations|receivers|status_pages)\b/,
    why: "as many as a user has created",
  },
  { plan: /^SCAN deliveries USING INDEX deliveries_open$/, why: "those that are not finished, up to a limit" },
  {
    plan: /^SCAN (deliveries( USING INDEX deliveries_updated)?|d|notifications)$/,
    why: "newest first, as far as a page goes",
  },
  { plan: /^SCAN (deliveries|d) USING COVERING INDEX deliveries_(updated|target)$/, why: "a requested total" },
  { plan: /^SCAN event_failures( USING INDEX event_failures_open)?$/, why: "as many as there are failures" },
  { plan: /^SCAN alerts USING (COVERING )?INDEX alerts_live$/, why: "the live alerts, at the start" },
  { plan: /^SCAN pages USING INDEX pages_waiting$/, why: "the pages that are not ended, at the start" },
  { plan: /^SCAN failed_ways USING INDEX failed_ways_since$/, why: "the oldest ones, up to the limit" },
  {
    plan: /^SCAN ntfy_messages USING COVERING INDEX ntfy_messages_due$/,
    why: "the scheduled messages, at the start",
  },
  { plan: /^SCAN project_(storage|texts)$/, why: "a number for each project, at the start" },
  { plan: /^SCAN silences$/, why: "the silences that have not ended, at the start" },
  {
    plan: /^SCAN managed_objects( USING INDEX sqlite_autoindex_managed_objects_1)?$/,
    why: "what files own, at most as much as they have",
  },
  { plan: /^SCAN runtime_entries$/, why: "entries that files made and that are not over, in an apply that makes some" },
  { plan: /^SCAN forwards USING INDEX forwards_source$/, why: "what waits, at most 64 MiB of a project, at the start" },
  { plan: /^SCAN integration_claims$/, why: "at most 1000 requests that wait, and those that a person assigned" },
  { plan: /^SCAN CONSTANT ROW$/, why: "no table" },
  { plan: /^SCAN alert_signals$/, why: "in the order of its key, as far as a batch goes" },
  {
    plan: /^SCAN (ntfy_topics|heartbeats|oncall_(schedules|shifts|calendars))\b/,
    why: "as many as users have created",
  },
  { plan: /^SCAN workers$/, why: "those whose lease ended less than an hour ago" },
  {
    plan: /^SCAN sounds USING (COVERING )?INDEX sounds_created$/,
    why: "newest first, as far as a page goes, and a requested total",
  },
  { plan: /^SCAN (audit_log|jobs)$/, why: "in the order of its numbers, as far as a page goes" },
  { plan: /^SCAN audit_log USING COVERING INDEX/, why: "a requested total" },
];

/** Why a statement may sort what it has found before it gives a page of it. */
const SORTS: readonly { readonly sql: RegExp; readonly why: string }[] = [
  {
    sql: /from "events" where "projectId" = \? and \("type" >= \? and "type" < \?\)/,
    why: "a prefix: in the scan thread",
  },
  { sql: /from "audit_log" where .*"action" >= \? and "action" < \?/, why: "a prefix: in the scan thread" },
  { sql: /"r"\."notificationId" = \? order by "r"\."seq" limit/, why: "the recipients of one notification" },
  { sql: /from json_each\(@users\)/, why: "the targets of one rule" },
  { sql: /union all select id, status, 3 from users/, why: "three rows at the most" },
  { sql: /select id from projects where deletedAt is null and \(id = @ref or slug = @ref\)/, why: "a few projects" },
  {
    sql: /from "tasks" where "userId" = \? and "deletedAt" is null and \(?"(status|priority|title)" /,
    why: "one user's: in the scan thread",
  },
  {
    sql: /from "tasks" where "userId" = \? and "deletedAt" is null order by ("title"|ifnull|"priority")/,
    why: "one user's: in the scan thread",
  },
  { sql: /from "jobs" where .* union all select .* from "schedules" where/, why: "one user's schedules" },
  {
    sql: /from "decisions" as "d" .* where "d"\."eventSeq" = \?/,
    why: "what was decided on one event: in the scan thread",
  },
  { sql: /from "rules" .* not exists \(select "d"\."ruleId"/, why: "a project's rules: in the scan thread" },
  {
    sql: /from "deliveries"( as "d")? where ("d"\.)?"notificationId" = \?/,
    why: "the deliveries of one notification: in the scan thread",
  },
  { sql: /from "users" as "u" inner join "project_members" as "m"/, why: "the members of one project" },
  { sql: /from "users" as "u" inner join "user_roles" as "r"/, why: "the users of one role" },
  {
    sql: /from "incidents" where state <> 'resolved' and .* order by "openedAt" limit/,
    why: "the unresolved incidents",
  },
  {
    sql: /from json_each\(\?\) p cross join incident_facts f/,
    why: "the facts of a report's time: in the scan thread",
  },
  { sql: /with recursive level \(priority\)/, why: "the priorities that are in use" },
];

test("S2-110 S2-111 S2-116 S3-34 S3-36 every statement of the routes and jobs finds its rows by an index, and pages come in the order of one", async (t) => {
  keepsPromise(t, ["S2-110", "S2-111", "S2-116", "S3-34", "S3-36"]);
  const seen = recordSql();
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  await useEveryRoute(prism);
  await prism.restart();
  seen.delete(UNFINISHED);
  const statements = [...seen].filter((sql) => /^\s*(select|update|delete|insert|with)\b/i.test(sql));
  assert.ok(statements.length > 150, `${statements.length} statements were seen`);
  const { reader } = prism.parts.base.store;
  for (const sql of statements) {
    assert.equal(whyNotTheSame(sql), null, sql);
    // SQLite begins at the first of two lower bounds, and reads up to the other.
    for (const bound of [/ "seq" >=? /g, / "seq" <=? /g, / "id" >=? /g, / "id" <=? /g])
      for (const part of sql.split(/\bselect\b/))
        assert.ok((part.match(bound) ?? []).length < 2, `two bounds of a key: ${sql}`);
    const text = sql.replaceAll(/\s+/g, " ").trim();
    // A condition on a member of JSON only narrows what an index, or a short list, has found.
    const readsJson = /json_extract|->>?/.test(
      text
        .split(/\bwhere\b/)
        .slice(1)
        .join(" "),
    );
    for (const line of planOf(reader, sql)) {
      if (readsJson) assert.doesNotMatch(line, /^SCAN (events|notifications|stream_log|audit_log|jobs|alerts)$/, text);
      if (line.startsWith("SCAN "))
        assert.ok(
          SCANS.some(({ plan }) => plan.test(line)),
          `${line}: ${text}`,
        );
      if (/^SCAN (audit_log|jobs)/.test(line) && !line.includes("INDEX"))
        assert.match(text, /order by "?seq"?( desc)? limit/);
      if (line === "SCAN incidents")
        assert.match(
          text,
          /order by "?id"? desc limit|^select count\(.* from "incidents" where coalesce\(severity, 'none'\) in/,
        );
      if (line === "USE TEMP B-TREE FOR ORDER BY" && / limit /.test(text))
        assert.ok(
          SORTS.some(({ sql }) => sql.test(text)),
          `sorts before it gives a page: ${text}`,
        );
    }
  }
});

test("unread and undelivered notifications are found by their own index, whatever else is asked", async (t) => {
  const seen = recordSql();
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  seen.clear();
  const statuses = ["unread", "undelivered"] as const;
  for (const path of [
    "/missed",
    `/missed?cursor=${Buffer.from("[5]").toString("base64url")}`,
    "/unread-count",
    ...statuses.flatMap((status) => [
      `?status=${status}`,
      `?status=${status}&cursor=${Buffer.from("[5]").toString("base64url")}`,
      `?status=${status}&q=disk`,
    ]),
  ]) {
    const { status, text } = await prism.get(`/api/v1/notifications${path}`);
    assert.equal(status, 200, text);
  }
  const open = [...seen].filter((sql) => /"?o"?\."(delivered|readAt)"? (=|is) (0|null)/.test(sql));
  assert.ok(open.length >= 4, `${open.length} statements were seen`);
  const { reader } = prism.parts.base.store;
  for (const sql of open) {
    const lines = planOf(reader, sql).filter((line) => /\bo\b/.test(line));
    assert.match(lines.join(), /SEARCH o USING (COVERING )?INDEX notification_recipients_un(read|delivered) /, sql);
  }
});

test("incidents are found by number and by every state but resolved without reading the resolved ones", async (t) => {
  const seen = recordSql();
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  const { reader } = prism.parts.base.store;
  for (const filter of ["number=5", "state=open", "state=acknowledged", "state=snoozed", "state=unresolved"]) {
    seen.clear();
    const { status, text } = await prism.get(`/api/v1/incidents?${filter}`);
    assert.equal(status, 200, text);
    const [sql, ...more] = [...seen].filter((each) => /from "incidents"/.test(each));
    assert.ok(sql !== undefined && more.length === 0, filter);
    const plan = planOf(reader, sql).join();
    assert.match(plan, /SEARCH incidents USING (INDEX incidents_number|PRIMARY KEY) /, filter);
    assert.doesNotMatch(plan, /SCAN (?!u USING INDEX incidents_open)/, filter);
  }
});

test("earlier occurrences of an incident are read by indexes, at most some thousand", async (t) => {
  const seen = recordSql();
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  const { reader } = prism.parts.base.store;
  const routes = [{ matchers: ['cluster="a"'], groupBy: ["cluster"] }];
  assert.equal(
    (await prism.put("/api/v1/routes", { route: { policy: "default", groupBy: ["alertname"], routes } })).status,
    200,
  );
  const alerts = [{ labels: { alertname: "A" } }, { labels: { alertname: "B", cluster: "a" } }];
  assert.equal((await prism.post("/api/v1/alerts", { alerts })).status, 200);
  assert.ok(![...seen].some((sql) => sql.includes("recent as materialized")), "not for an alert that arrives");
  const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/incidents");
  for (const { id } of body.data) {
    const { status, text } = await prism.get(`/api/v1/incidents/${id}/earlier`);
    assert.equal(status, 200, text);
  }
  const found = [...seen].filter(
    (sql) => sql.includes("recent as materialized") || sql.includes("count(*) as n from (select 1"),
  );
  assert.equal(found.length, 3, "by group labels, by the name of the alert too, and the number of those examined");
  for (const sql of found) {
    assert.match(sql, /limit 5000/);
    const plan = planOf(reader, sql).join();
    assert.match(
      plan,
      /SEARCH incidents USING (COVERING )?INDEX incidents_state \(projectId=\? AND state=\? AND openedAt>/,
      sql,
    );
    assert.doesNotMatch(plan, /SCAN (?!recent)(?!\(subquery)|TEMP B-TREE/, sql);
  }
});
