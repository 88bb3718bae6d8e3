import type { Command } from "commander";
import type { AuditRow } from "../../../client/api-types.gen.ts";
import { isUuid } from "../../../core/ids.ts";
import { LEVELS } from "../../../core/text/vocabulary.ts";
import { pick } from "../../on-server.ts";
import { integerFlag, listFlag, pastFlag, timeOf } from "../../output/flag-values.ts";
import { cut } from "../../output/output.ts";
import { localTime } from "../../output/text.ts";
import { type Call, callOf, listOf, resource, type Values } from "../../resource.ts";
import { OF_PROJECT } from "../alerts/shared.ts";

/** Rows of one request. */
const PAGE_ROWS = 100;
const RANGE = {
  from: ["--from <time>", "at or after: 2h, 1d, a day or an RFC 3339 time", pastFlag],
  limit: ["--limit <n>", "list at most this many", integerFlag(1, 10_000), 50],
} as const;

async function userId({ server }: Call, ref: string): Promise<string> {
  const users = isUuid(ref)
    ? [await callOf(server, "getUser", { id: ref })]
    : await listOf(server, "listUsers", { q: ref });
  return pick(users, ref, { one: "user", namesOf: ({ username }) => [username], lineOf: ({ id }) => id }).id;
}

function rowsOf({ server, given }: Call, of: string, filter: Values): Promise<Values[]> {
  const limit = Number(given["limit"]);
  return listOf(server, of, { ...filter, from: timeOf(given["from"]), limit: Math.min(limit, PAGE_ROWS) }, limit);
}

function who({ actor, actorName, userId }: AuditRow): string | null {
  const { name, type } = actor as { readonly name?: string; readonly type?: string };
  return actorName ?? name ?? userId ?? type ?? null;
}

/** Stored events and the audit trail, newest first; `export` has all of them. */
export function addStored(program: Command): void {
  resource(program, "events", "event", {
    text: "list stored events",
    examples: ["events list --type 'order.*'"],
    scope: { projectId: OF_PROJECT },
    verbs: {
      list: {
        text: "list events of a project, newest first",
        examples: ["--type 'order.*' --from 2h", "--search db-2"],
        flags: {
          type: ["--type <type>", "only events of this type, or with this prefix: order.*"],
          level: [
            "--level <levels>",
            `only events of these levels, comma separated: ${LEVELS.join(", ")}`,
            listFlag(LEVELS),
          ],
          q: ["--search <text>", "text in the type, source or payload"],
          ...RANGE,
        },
        get: (call) => {
          const { projectId, type, level, q } = call.given;
          return rowsOf(call, "listEvents", { projectId, type, level: level === undefined ? level : String(level), q });
        },
        columns: {
          RECEIVED: ({ receivedAt }: { readonly receivedAt: string }) => localTime(receivedAt),
          // A whole id: prism explain takes it.
          ...{ ID: "id", OFFSET: "seq", LEVEL: "level", TYPE: "type", SOURCE: "source" },
          PAYLOAD: ({ payload }: { readonly payload: unknown }) => cut(JSON.stringify(payload), 60),
        },
      },
    },
  });
  resource(program, "audit", "row", {
    text: "list the audit trail",
    examples: ["audit list --action rule"],
    verbs: {
      list: {
        text: "list who changed what, newest first",
        examples: ["--action rule --from 1d", "--user ann"],
        flags: {
          action: ["--action <action>", "only this action, or its beginning: rule, rule.update, user.*"],
          user: ["--user <user>", "only what this user did: id or username"],
          ...RANGE,
        },
        async get(call) {
          const { action, user } = call.given;
          return rowsOf(call, "listAuditRows", { action, userId: user && (await userId(call, String(user))) });
        },
        as: "rows",
        none: "no rows",
        columns: {
          TIME: ({ timestamp }: AuditRow) => localTime(timestamp),
          WHO: who,
          ACTION: "action",
          ON: ({ resourceType, resourceName, resourceId }: AuditRow) =>
            resourceType && `${resourceType} ${resourceName ?? resourceId ?? ""}`.trimEnd(),
        },
      },
    },
  });
}
