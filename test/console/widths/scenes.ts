import { randomUUID } from "node:crypto";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { allPages, type Filled } from "../fixtures.ts";
import type { ConsoleTest } from "../helpers.ts";

/** A page, or what is open over it. */
export interface Scene {
  /** Below /dashboard. */
  readonly path: string;
  /** Names of the buttons and menu entries that are pressed one after the other. */
  readonly press?: readonly string[];
  /** Keys that are pressed at the end. */
  readonly keys?: string;
}

/** A name as people write it, of more letters than fit anywhere, with a host name that has no space. */
export const LONG =
  "Replication of the reporting database in Frankfurt is more than five minutes late on replica-3.reporting.eu-central-1.example.org";

/** Pages of visitors. */
export const VISITOR_SCENES: readonly Scene[] = [
  "/sign-in",
  "/forgot-password",
  "/register",
  "/reset-password",
  "/verify-email",
  "/unsubscribe",
  "/invite",
  "/project-invitation",
  "/sign-in-link",
  "/setup",
].map((path) => ({ path }));

/** Lists of a server that has nothing yet, and what fills them. */
export const EMPTY_SCENES: readonly Scene[] = [
  ...[
    "/",
    "/incidents",
    "/alerts",
    "/oncall",
    "/oncall/mine",
    "/inbox",
    "/silences",
    "/heartbeats",
    "/status-page",
    "/reports",
  ],
  ...[
    "/connect",
    "/connect?kind=channels",
    "/rules",
    "/policies",
    "/policies/routes",
    "/events",
    "/jobs",
    "/schedules",
  ],
  ...[
    "/timers",
    "/deliveries",
    "/webhooks",
    "/tasks",
    "/messages",
    "/buckets",
    "/people/pending",
    "/projects",
    "/sounds",
  ],
  ...["/account/tokens", "/incidents?q=nothing", "/events?q=nothing", "/no/such/page"],
].map((path) => ({ path }));

/** Every page of {@link allPages}, and the menus, dialogs and drawers of most. */
export function filledScenes(ids: Filled): readonly Scene[] {
  const pages = [...allPages(ids), "/account/security", "/account/tokens", "/account/device", "/account/appearance"];
  return [
    ...[...pages, "/alerts", "/alerts?group=none", "/setup"].map((path) => ({ path })),
    { path: "/", keys: "Control+k" },
    { path: "/", keys: "?" },
    { path: "/", press: ["Your account"] },
    { path: "/incidents", press: ["Page someone"] },
    { path: `/incidents/${ids.incident}`, press: ["More"] },
    { path: `/incidents/${ids.incident}`, press: ["More", "Snooze…"] },
    { path: `/incidents/${ids.incident}`, press: ["More", "Escalate now…"] },
    { path: `/incidents/${ids.incident}`, press: ["More", "Add responders…"] },
    { path: `/incidents/${ids.incident}`, press: ["More", "Reassign…"] },
    { path: `/incidents/${ids.incident}`, press: ["Resolve"] },
    { path: "/events", press: ["Send test event"] },
    { path: "/events", press: ["Export"] },
    { path: "/heartbeats", press: ["New heartbeat"] },
    { path: "/reports?days=own" },
    { path: "/incidents?state=resolved&counted=all&key=Blip+team%3Ddb" },
    { path: "/status-page", press: ["New notice"] },
    { path: "/oncall", press: ["New schedule"] },
    { path: `/oncall/${ids.onCall}`, press: ["Add override"] },
    { path: `/oncall/${ids.onCall}?tab=rotations`, press: ["New rotation"] },
    { path: `/oncall/${ids.onCall}?tab=changes`, press: ["Ask for a swap"] },
    { path: "/policies/new", press: ["Add a step"] },
    { path: "/schedules", press: ["New schedule"] },
    { path: "/timers", press: ["New timer"] },
    { path: "/webhooks", press: ["New webhook"] },
    { path: "/tasks", press: ["New task"] },
    { path: "/messages", press: ["New message"] },
    { path: "/buckets", press: ["New bucket"] },
    { path: "/people", press: ["Invite"] },
    { path: "/people/pending", press: ["Approve"] },
    { path: "/people/roles", press: ["New role"] },
    { path: "/projects", press: ["New project"] },
    { path: `/projects/${ids.project}`, press: ["Add a member"] },
    { path: `/projects/${ids.project}?tab=keys`, press: ["New key"] },
    { path: "/account/tokens", press: ["New token"] },
    { path: "/account/security", press: ["Add an authenticator app"] },
    { path: "/account/security", press: ["Add a passkey"] },
    { path: "/account/security", press: ["Rename"] },
    { path: "/configuration", press: ["Export"] },
  ];
}

/**
 * Alerts of one name on several hosts, of which one was silenced and one has ended, in an incident
 * that someone has seen. @returns the id of the incident
 */
export async function fireNight({ prism }: ConsoleTest): Promise<string> {
  const { route, ...routing } = (await prism.get<{ route: object }>("/api/v1/routes")).body;
  const now = { ...routing, route: { ...route, groupWaitMs: 0, groupBy: ["alertname"] } };
  await answered(200, prism.put("/api/v1/routes", now));
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const alert = (instance: string, minutes: number, severity: string, status = "firing") => ({
    ...{ key: instance, status, startsAt: ago(minutes) },
    labels: { alertname: "ReplicationLag", cluster: "main", instance, severity },
    annotations: {
      summary: "The replicas are over 5 minutes late",
      runbook_url: "https://wiki.example.org/replication",
      dashboard: "https://grafana.example.org/d/replication",
    },
  });
  const fire = (alerts: readonly object[]) => answered(200, prism.post("/api/v1/alerts", { alerts }));
  await fire([
    alert("db-1.example.org", 20, "critical"),
    alert("db-2.example.org", 12, "warning"),
    alert("db-3", 4, "info"),
  ]);
  await fire([alert("db-3", 4, "info", "resolved")]);
  const id = await eventually("the incident is open", async () => {
    const { body } = await prism.get<{ data: readonly { id: string; title: string }[] }>("/api/v1/incidents?limit=50");
    return body.data.find(({ title }) => title.startsWith("ReplicationLag"))?.id;
  });
  await answered(
    200,
    prism.post(`/api/v1/incidents/${id}/notes`, { text: "The disk of db-1 is slow, it is replaced." }),
  );
  await answered(200, prism.post(`/api/v1/incidents/${id}/acknowledge`, {}));
  return id;
}

/** A passkey of the administrator, as if it had been added. */
export async function addPasskey({ prism }: ConsoleTest, name: string): Promise<void> {
  await prism.parts.base.database.write(async (trx) => {
    const admin = await trx.selectFrom("users").select("id").where("username", "=", "admin").executeTakeFirstOrThrow();
    const key = {
      credentialId: "AAAA",
      publicKey: new Uint8Array(77),
      counter: 0,
      transports: "[]",
      rpId: "localhost",
    };
    const flags = { isBackedUp: 1, isUserVerified: 1 } as const;
    const times = { createdAt: Date.now(), lastUsedAt: null };
    await trx
      .insertInto("passkeys")
      .values({ id: randomUUID(), userId: admin.id, name, ...key, ...flags, ...times })
      .execute();
  });
}
