import { uuidv7 } from "../../../../src/core/ids.ts";
import { openSession as openLogin } from "../../../../src/features/access/sessions/sessions.ts";
import { createServiceToken } from "../../../../src/features/access/users/create-user.ts";
import { Task } from "../../../../src/features/time/tasks/schema.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import type { Membership } from "./known.ts";

let roles = 0;

/** A role without users. */
export function makeRole(prism: TestPrism): Promise<string> {
  roles += 1;
  return idOf(prism.post("/api/v1/roles", { name: `Spare ${roles}`, permissions: ["events:read"] }));
}

export function makeRule(prism: TestPrism, projectId: string): Promise<string> {
  const rule = { name: uuidv7(), condition: "event.type == 'never'", targetRoles: ["Admin"], projectId };
  return idOf(prism.post("/api/v1/rules", rule));
}

export async function makeAlert(prism: TestPrism, projectId: string): Promise<string> {
  const { body } = await prism.post<{ data: { id: string }[] }>("/api/v1/alerts", {
    projectId,
    alerts: [{ key: uuidv7(), labels: { alertname: "A" } }],
  });
  return body.data[0]?.id ?? "";
}

export async function makeKey(
  prism: TestPrism,
  projectId: string,
  body: object = {},
): Promise<{ id: string; key: string }> {
  return (await prism.post<{ id: string; key: string }>(`/api/v1/projects/${projectId}/keys`, body)).body;
}

/** Without going through the route, which makes tasks of the caller's alone. */
export async function makeTask({ parts }: TestPrism, userId: string): Promise<string> {
  const id = uuidv7();
  const at = parts.base.clock.now();
  const task = Task.newRow({ title: "t" }, { id, userId, createdAt: at, updatedAt: at });
  await parts.base.database.write((trx) => trx.insertInto("tasks").values(task).execute());
  return id;
}

/** Without going through the route, which serves the token's owner alone. */
export function makeServiceToken(
  { parts }: TestPrism,
  userId: string,
  options: Omit<Parameters<typeof createServiceToken>[1], "userId" | "name"> = {},
): Promise<{ id: string; token: string }> {
  return parts.base.database.write((trx) => createServiceToken(parts.base, { userId, name: "t", ...options }, trx));
}

/** @returns the id of a login of the user's. */
export async function openSession({ parts }: TestPrism, userId: string): Promise<string> {
  const client = { ip: "127.0.0.1", userAgent: "test" };
  return (await parts.base.database.write((trx) => openLogin(parts.offers.accounts, userId, client, trx))).id;
}

export async function join(prism: TestPrism, projectId: string, userId: string, role: Membership): Promise<void> {
  const { database: db, clock } = prism.parts.base;
  const { rightsChanged } = prism;
  await db.write((trx) =>
    trx
      .insertInto("project_members")
      .values({ projectId, userId, role, createdAt: clock.now() })
      .onConflict((conflict) => conflict.columns(["projectId", "userId"]).doUpdateSet({ role }))
      .execute(),
  );
  rightsChanged();
}

export async function leave(prism: TestPrism, projectId: string, userId: string): Promise<void> {
  const { database: db } = prism.parts.base;
  const { rightsChanged } = prism;
  await db.write((trx) =>
    trx.deleteFrom("project_members").where("projectId", "=", projectId).where("userId", "=", userId).execute(),
  );
  rightsChanged();
}

/** A job of a kind without a handler, due in a year. @returns its id. */
export async function makeJob({ parts }: TestPrism, state: "scheduled" | "cancelled"): Promise<string> {
  const { jobs, jobControl } = parts.offers;
  const { jobId } = await jobs.enqueue({
    queue: "retention",
    kind: "test",
    payload: {},
    runAt: parts.base.clock.now() + 31_536_000_000,
  });
  if (state === "cancelled") await jobControl.cancel(jobId);
  return jobId;
}

/** A timer of the user that notifies a user, due in a year. @returns its id. */
export async function makeTimer({ parts }: TestPrism, userId: string): Promise<string> {
  const action = { type: "notify", payload: { recipients: [userId], title: "t", message: "m" } };
  const { jobId } = await parts.offers.jobs.enqueue({
    queue: "timers",
    kind: "timer",
    payload: { action },
    runAt: parts.base.clock.now() + 31_536_000_000,
    label: "l",
    createdBy: userId,
  });
  return jobId;
}

/** @returns the id of what a request has made. @throws Error when it was refused. */
export async function idOf(reply: Promise<{ body: Record<string, unknown> }>): Promise<string> {
  const { body } = await reply;
  if (typeof body["id"] !== "string") throw new Error(`nothing was made: ${JSON.stringify(body)}`);
  return body["id"];
}
