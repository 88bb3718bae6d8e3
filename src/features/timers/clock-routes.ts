import type { CoreServices } from "../../app/module.ts";
import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { type Route, route } from "../../http/route.ts";
import { userOf } from "../access/index.ts";
import * as s from "./schema.ts";
import { parseMoment } from "./time.ts";

const tag = "Time";

/** What time it is, here and on other clocks. */
export function clockRoutes({ time, users }: CoreServices): Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/time/now",
      aliases: ["/time/now"],
      summary: "What time it is, in UTC and in a zone",
      tag,
      access: { anyToken: true },
      query: s.NowQuery,
      response: s.NowView,
      errors: ["INVALID_TIMEZONE"],
      handle(exchange, { query }) {
        userOf(exchange);
        const local = time.now(query.zone);
        const epochMs = local.toMillis();
        const now = toRfc3339(epochMs);
        return {
          now,
          iso: now,
          epochMs,
          timezone: local.zoneName,
          local: local.toISO(),
          offsetMinutes: local.offset,
        };
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/time/convert",
      aliases: ["/time/convert"],
      summary: "A time on the clock of a user, or of a zone",
      tag,
      access: { anyToken: true },
      query: s.ConvertQuery,
      response: s.ConvertView,
      errors: ["USER_NOT_FOUND", "INVALID_TIMEZONE"],
      async handle(exchange, { query }) {
        const at = readDatetime(query.datetime);
        const userId = query.zone === undefined ? requireUser(userOf(exchange), query.userId ?? "me") : null;
        const local = userId === null ? time.convert(at, query.zone ?? "") : await time.forUser(at, userId);
        return {
          datetime: toRfc3339(local.toMillis()),
          userId,
          timezone: local.zoneName,
          converted: local.toISO(),
          offsetMinutes: local.offset,
          isDst: local.isInDST,
        };
      },
    }),
  ];

  /** @throws USER_NOT_FOUND, also for somebody else without the right to look at users */
  function requireUser(principal: UserPrincipal, ref: string): string {
    const userId = users.findAny(ref);
    const isAllowed = userId === principal.userId || principal.permissions.has("users:read");
    if (userId === undefined || !isAllowed) throw new PrismError("USER_NOT_FOUND", "No such user");
    return userId;
  }
}

/** @throws VALIDATION_FAILED */
function readDatetime(text: string): Date {
  const at = parseMoment(text);
  if (at !== undefined) return new Date(at);
  throw new PrismError("VALIDATION_FAILED", "The query is not valid", {
    details: [
      {
        path: "datetime",
        code: "VALUE",
        message: "must be an RFC 3339 date-time such as 2026-01-31T08:00:00Z; in a URL the + of an offset is %2B",
      },
    ],
  });
}
