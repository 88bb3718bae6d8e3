import * as v from "valibot";
import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { OWN_SCOPES } from "../../../core/principal.ts";
import { userOf } from "../../../http/access.ts";
import { pageBody, pageEntries, readPage } from "../../../http/pagination.ts";
import { Reply, type Route, route } from "../../../http/route.ts";
import { object, pageOf } from "../../../http/shapes.ts";
import type { ReadDb } from "../../../store/database.ts";
import { countOf, newestFirst } from "../../../store/sqlite/list-queries.ts";
import { accountError } from "../authenticate/caller.ts";
import type { UsersContext } from "./admin-routes.ts";
import { createServiceToken, revokeServiceToken } from "./create-user.ts";
import { findUser } from "./queries.ts";
import { TokenBody, TokenView } from "./schema.ts";

/** Service tokens of one's own: for programs that act for a person, with no more than that person may do. Only a login makes them. */
export function tokenRoutes({ db, clock, audit }: UsersContext): Route[] {
  const tag = "Users";
  return [
    route({
      method: "GET",
      path: "/api/v1/users/me/tokens",
      summary: "The caller's service tokens that have not been revoked",
      tag,
      access: {},
      query: object(pageEntries()),
      response: pageOf(TokenView),
      errors: ["INVALID_CURSOR"],
      async handle(exchange, { query }) {
        const { userId } = userOf(exchange);
        const request = readPage(query, ["string"]);
        const tokens = tokensOf(db.read, userId);
        const rows = await newestFirst(tokens.selectAll(), request).execute();
        const total = request.wantsTotal ? await countOf(tokens) : undefined;
        return pageBody(request, rows, tokenView, ({ id }) => [id], total);
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/users/me/tokens",
      summary: "Make a service token; it is shown this once",
      tag,
      access: {},
      body: TokenBody,
      status: 201,
      response: v.object({ id: v.string(), token: v.string() }),
      errors: ["SCOPE_MISSING"],
      async handle(exchange, { body: { name, scopes, expiresInMs } }) {
        const { userId, permissions } = userOf(exchange);
        const held = new Set<string>([...permissions, ...OWN_SCOPES]);
        const lacking = scopes.find((scope) => !held.has(scope));
        if (lacking !== undefined) throw new PrismError("SCOPE_MISSING", `You lack ${lacking} yourself`);
        const expiresAt = expiresInMs === undefined ? undefined : clock.now() + expiresInMs;
        const wanted = { userId, name, scopes: [...new Set(scopes)], expiresAt };
        const made = await db.write(async (trx) => {
          // The account may have been closed meanwhile: what is revoked with it must be all there is.
          const { status } = await findUser(trx, userId);
          if (status !== "active") throw accountError(status);
          return createServiceToken({ audit, clock }, wanted, trx);
        });
        return new Reply(201, made);
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/users/me/tokens/:id",
      summary: "Revoke a service token; it is refused from the next request on",
      tag,
      access: {},
      params: v.object({ id: v.string() }),
      status: 204,
      errors: ["TOKEN_NOT_FOUND"],
      async handle(exchange, { params: { id } }) {
        const { userId } = userOf(exchange);
        await db.write(async (trx) => {
          const token = isUuid(id)
            ? await trx.selectFrom("service_tokens").select("userId").where("id", "=", id).executeTakeFirst()
            : undefined;
          if (token?.userId !== userId) throw new PrismError("TOKEN_NOT_FOUND", "No such service token");
          await revokeServiceToken({ audit, clock }, id, trx);
        });
        return new Reply(204);
      },
    }),
  ];
}

function tokensOf(db: ReadDb, userId: string) {
  return db.selectFrom("service_tokens").where("userId", "=", userId).where("revokedAt", "is", null);
}

interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: string;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly createdAt: number;
}

function tokenView(row: TokenRow) {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    scopes: JSON.parse(row.scopes) as string[],
    expiresAt: row.expiresAt === null ? null : toRfc3339(row.expiresAt),
    lastUsedAt: row.lastUsedAt === null ? null : toRfc3339(row.lastUsedAt),
    createdAt: toRfc3339(row.createdAt),
  };
}
