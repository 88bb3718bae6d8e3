import type { Command } from "commander";
import type { EventFilter } from "../../../client/wire.ts";
import { toRfc3339 } from "../../../core/clock.ts";
import { LEVELS } from "../../../core/vocabulary.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { everyItem, online } from "../../on-server.ts";
import { integerFlag, listFlag, pastFlag } from "../../output/flag-values.ts";
import { cut, table } from "../../output/output.ts";
import { localTime } from "../../output/text.ts";
import { OF_PROJECT, subcommand } from "../alerts/things.ts";

interface ListFlags {
  readonly project?: string;
  readonly type?: string;
  readonly level?: NonNullable<EventFilter["level"]>;
  readonly action?: string;
  readonly user?: string;
  readonly search?: string;
  readonly from?: number;
  readonly limit: number;
}

interface ListedEvent {
  readonly seq: number;
  readonly receivedAt: string;
  readonly level: string;
  readonly type: string;
  readonly source: string | null;
  readonly payload: unknown;
}

interface AuditRow {
  readonly timestamp: string;
  readonly action: string;
  readonly userId: string | null;
  readonly actor: { readonly type?: string; readonly name?: string };
  readonly actorName?: string | null;
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly resourceName?: string | null;
}

/** Rows of one request. */
const PAGE_ROWS = 100;
const MOST_ROWS = 10_000;
const FROM_FLAG = ["--from <time>", "at or after: 2h, 1d, a day or an RFC 3339 time", pastFlag] as const;
const LIMIT_FLAG = ["--limit <n>", "list at most this many", integerFlag(1, MOST_ROWS), 50] as const;

/** Stored events and the audit trail, newest first; `export` has all of them. */
export function addStored(program: Command): void {
  const events = program
    .command("events")
    .description("list stored events")
    .addHelpText("after", "\nExample:\n  $ prism events list --type 'order.*'");
  subcommand(events, "list", "list events of a project, newest first", ["--type 'order.*' --from 2h", "--search db-2"])
    .option(...OF_PROJECT)
    .option("--type <type>", "only events of this type, or with this prefix: order.*")
    .option("--level <levels>", `only events of these levels, comma separated: ${LEVELS.join(", ")}`, listFlag(LEVELS))
    .option("--search <text>", "text in the type, source or payload")
    .option(...FROM_FLAG)
    .option(...LIMIT_FLAG)
    .action(({ project, type, level, search, from, limit }: ListFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const filter = { projectId: project, type, level: level?.join(","), q: search, ...since(from, limit) };
        const found = await everyItem<ListedEvent>(server, "/api/v1/events", filter, limit);
        out.result({ events: found }, () => (found.length === 0 ? "no events" : eventTable(found)));
      }),
    );
  const audit = program
    .command("audit")
    .description("list the audit trail")
    .addHelpText("after", "\nExample:\n  $ prism audit list --action rule");
  subcommand(audit, "list", "list who changed what, newest first", ["--action rule --from 1d", "--user ann"])
    .option("--action <action>", "only this action, or its beginning: rule, rule.update, user.*")
    .option("--user <user>", "only what this user did: id or username")
    .option(...FROM_FLAG)
    .option(...LIMIT_FLAG)
    .action(({ action, user, from, limit }: ListFlags, command: Command) =>
      online(command, async (server, { out }) => {
        const userId = user === undefined ? undefined : (await userOf(server, user)).id;
        const filter = { action, userId, ...since(from, limit) };
        const rows = await everyItem<AuditRow>(server, "/api/v1/audit", filter, limit);
        out.result({ rows }, () => (rows.length === 0 ? "no rows" : auditTable(rows)));
      }),
    );
}

function since(from: number | undefined, limit: number) {
  return { from: from === undefined ? undefined : toRfc3339(from), limit: Math.min(limit, PAGE_ROWS) };
}

function userOf(server: ServerClient, ref: string): Promise<{ readonly id: string }> {
  return server.get(`/api/v1/users/${encodeURIComponent(ref)}`);
}

function eventTable(events: readonly ListedEvent[]): string[] {
  return table(
    ["RECEIVED", "OFFSET", "LEVEL", "TYPE", "SOURCE", "PAYLOAD"],
    events.map(({ receivedAt, seq, level, type, source, payload }) => [
      ...[localTime(receivedAt), seq, level, type, source],
      cut(JSON.stringify(payload), 60),
    ]),
  );
}

function auditTable(rows: readonly AuditRow[]): string[] {
  return table(
    ["TIME", "WHO", "ACTION", "ON"],
    rows.map(({ timestamp, actor, actorName, userId, action, ...on }) => [
      localTime(timestamp),
      actorName ?? actor.name ?? userId ?? actor.type ?? null,
      action,
      on.resourceType && `${on.resourceType} ${on.resourceName ?? on.resourceId ?? ""}`.trimEnd(),
    ]),
  );
}
