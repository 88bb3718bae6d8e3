import * as v from "valibot";
import type { Config } from "../../../../config/load.ts";
import type { Clock } from "../../../../core/clock.ts";
import { PrismError } from "../../../../core/errors.ts";
import type { Exchange } from "../../../../http/exchange.ts";
import { type Route, route } from "../../../../http/route.ts";
import { object } from "../../../../http/shapes.ts";
import { addEffect, type Database } from "../../../../store/database.ts";
import type { AuditTrail } from "../../../audit/index.ts";
import { NOTIFICATION_KINDS, type Preferences, wantsMail, withoutMail } from "../../preferences.ts";
import { readUnsubscribeToken, UNSUBSCRIBE_PATH, type Unsubscription } from "./unsubscribe.ts";

interface UnsubscribeContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly audit: AuditTrail;
}

const MAX_BODY_BYTES = 4096;
const OneClick = v.object({ "List-Unsubscribe": v.literal("One-Click") });

/** What a mail program sends when its user ends mails of a kind by one click (RFC 8058), and the button of the page at the same address. */
export function unsubscribeRoute(context: UnsubscribeContext): Route {
  return route({
    method: "POST",
    path: UNSUBSCRIBE_PATH,
    summary: "End mails of one kind to one user, by the signed link of a mail (RFC 8058)",
    tag: "Users",
    access: "public",
    query: object({ token: v.pipe(v.string(), v.maxLength(200)) }),
    body: OneClick,
    raw: { types: ["application/x-www-form-urlencoded", "multipart/form-data"], gzip: false },
    maxBodyBytes: MAX_BODY_BYTES,
    response: v.object({ kind: v.picklist(NOTIFICATION_KINDS), mail: v.literal(false) }),
    errors: ["SIGNATURE_INVALID"],
    async handle(exchange, { query, body }) {
      const of = readUnsubscribeToken(context.config, query.token);
      await requireOneClick(exchange, body as unknown as Uint8Array);
      await endMails(context, of);
      return { kind: of.kind, mail: false };
    },
  });
}

/** A program that only follows or fetches links does not send this body. @throws VALIDATION_FAILED */
async function requireOneClick(exchange: Exchange, body: Uint8Array): Promise<void> {
  const headers = { "Content-Type": exchange.header("content-type") ?? "" };
  const form = await new Response(body, { headers }).formData().catch(() => null);
  if (form?.get("List-Unsubscribe") !== "One-Click")
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
      details: [{ path: "List-Unsubscribe", code: "REQUIRED", message: "must be One-Click" }],
    });
}

/** A second time changes nothing; nor does it for an account that was removed. */
async function endMails({ db, clock, audit }: UnsubscribeContext, { userId, kind }: Unsubscription): Promise<void> {
  await db.write(async (trx) => {
    const user = await trx
      .selectFrom("users")
      .select("prefs")
      .where("id", "=", userId)
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    const prefs = JSON.parse(user?.prefs ?? "{}") as Preferences;
    if (!user || !wantsMail(prefs, kind)) return;
    const changed = JSON.stringify(withoutMail(prefs, kind));
    await trx.updateTable("users").set({ prefs: changed, updatedAt: clock.now() }).where("id", "=", userId).execute();
    // The link names the user; who holds it is not known.
    const entry = { action: "user.unsubscribe", resourceType: "user", resourceId: userId, metadata: { kind } } as const;
    await audit.record(entry, { trx });
    addEffect(trx, { type: "answers-changed", of: "profile", userId });
  });
}
