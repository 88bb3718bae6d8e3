import type { TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { MailServer } from "../../access/sessions/support/mail-server.ts";

export const MINUTE = 60_000;

export interface AlertWorld {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly server: MailServer;
  readonly projectId: string;
  readonly apiKey: string;
}

export async function alertWorld(
  t: TestContext,
  settings: Record<string, string> = {},
  /** null: the server is not configured to send mail. */
  mail: Parameters<typeof MailServer.start>[1] | null = {},
  name = "shop",
): Promise<AlertWorld> {
  const server = await MailServer.start(t, mail ?? {});
  const clock = new FakeClock();
  const prism = await startPrism(t, {
    clock,
    settings: { "rateLimit.enabled": "false", "auth.accessExpires": "1d", ...(mail && server.settings), ...settings },
  });
  const { id: projectId, apiKey } = await makeProject(prism, name);
  return { prism, clock, server, projectId, apiKey };
}

/** A member of the project. */
export async function join({ prism, projectId }: AlertWorld, name: string, email: string | null, prefs: object = {}) {
  const { db } = prism.services;
  const { clock } = prism.parts.base;
  const { id, token } = await makeUser(prism, name);
  await db.write(async (trx) => {
    await trx
      .updateTable("users")
      .set({ email, prefs: JSON.stringify(prefs) })
      .where("id", "=", id)
      .execute();
    const member = { projectId, userId: id, role: "viewer", createdAt: clock.now() } as const;
    await trx.insertInto("project_members").values(member).execute();
  });
  prism.rightsChanged();
  return { id, token };
}

export async function send({ prism, apiKey }: AlertWorld, ...events: readonly object[]): Promise<void> {
  await answered(202, prism.post("/api/v1/events", events, { apiKey }));
}

/** This many events with level error. */
export const errors = (count: number): object[] => Array.from({ length: count }, () => ({ type: "a", level: "error" }));

export interface AlertRow {
  readonly id: string;
  readonly title: string;
  readonly message: string;
  readonly data: string;
  readonly projectId: string;
  readonly priority: number;
}

export function alertsOf({ prism }: AlertWorld): AlertRow[] {
  return rowsOf<AlertRow>(prism, "select * from notifications where kind = 'alert' order by createdAt, id");
}

/** The nth alert, when it has come and all its mails have gone. */
export async function alert(world: AlertWorld, nth = 1): Promise<AlertRow> {
  const row = await eventually(`alert ${nth}`, () => alertsOf(world)[nth - 1]);
  // What is scheduled waits for the end of a silence.
  const open =
    "select count(*) from jobs where queue in ('alert', 'notification-delivery') and finishedAt is null and state <> 'scheduled'";
  await eventually("its jobs are done", () => scalarOf<number>(world.prism, open) === 0);
  return row;
}

export function toldBy({ prism }: AlertWorld, { id }: AlertRow): string[] {
  return rowsOf<{ userId: string }>(
    prism,
    "select userId from notification_recipients where notificationId = ? order by userId",
    id,
  ).map(({ userId }) => userId);
}
