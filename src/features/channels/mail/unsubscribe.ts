import * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { signing } from "../../../core/crypto/hmac.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { doc, example, object } from "../../../http/api/shapes.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect } from "../../../store/database.ts";
import type { NotificationKind } from "../../../store/schema.ts";
import { NOTIFICATION_KINDS, type Preferences, wantsMail, withoutMail } from "../../delivery/deliveries.ts";

type LinkConfig = Pick<Config, "publicUrl" | "secrets">;

/** The user and the kind of mails that a link ends. */
interface Unsubscription {
  readonly userId: string;
  readonly kind: NotificationKind;
}

/** GET leads to a page of the console, POST unsubscribes. */
const UNSUBSCRIBE_PATH = "/account/unsubscribe";

/**
 * Headers that let a mail program unsubscribe its user from this kind of mails without a login: RFC
 * 2369 section 3.2 and RFC 8058. None without a `publicUrl`; one click needs https (RFC 8058
 * section 3.1). The link never expires: it can only switch mails off.
 * @param mailto a further way, such as `<mailto:…>`
 */
export function unsubscribeHeaders(
  config: LinkConfig,
  of: Unsubscription,
  mailto?: string,
): Readonly<Record<string, string>> {
  const url =
    config.publicUrl && `${config.publicUrl.replace(/\/+$/, "")}${UNSUBSCRIBE_PATH}?token=${tokenOf(config, of)}`;
  const ways = [...(url ? [`<${url}>`] : []), ...(mailto ? [mailto] : [])];
  return {
    ...(ways.length > 0 ? { "List-Unsubscribe": ways.join(", ") } : {}),
    ...(url?.startsWith("https:") ? { "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" } : {}),
  };
}

/** @throws SIGNATURE_INVALID */
function readUnsubscribeToken(config: LinkConfig, token: string): Unsubscription {
  const [userId = "", kindText = "", signature = ""] = token.split(".");
  const kind = NOTIFICATION_KINDS.find((each) => each === kindText);
  const expected = sign(config, `${userId}.${kindText}`);
  if (!secretsEqual(signature, expected) || kind === undefined)
    throw new PrismError("SIGNATURE_INVALID", "The link was not signed by this server");
  return { userId, kind };
}

function tokenOf(config: LinkConfig, { userId, kind }: Unsubscription): string {
  return `${userId}.${kind}.${sign(config, `${userId}.${kind}`)}`;
}

/** The key has no other use. */
function sign({ secrets }: LinkConfig, text: string): string {
  return signing(secrets, "prism unsubscribe links").update(text).digest("base64url");
}

type UnsubscribeContext = Uses<"db" | "clock" | "config" | "audit">;

const MAX_BODY_BYTES = 4096;
const OneClick = example(v.object({ "List-Unsubscribe": doc(v.literal("One-Click"), "As RFC 8058 requires") }), {
  "List-Unsubscribe": "One-Click",
});

/**
 * The POST of a mail program for one-click unsubscription (RFC 8058), and of the button on the page
 * at the same address.
 */
export function unsubscribeRoute(context: UnsubscribeContext): Route {
  return route({
    method: "POST",
    path: UNSUBSCRIBE_PATH,
    id: "unsubscribe",
    summary: "Unsubscribe a user from one kind of email by the signed link of a mail (RFC 8058)",
    returns: "The kind of email that is off",
    tag: "Users",
    access: "public",
    query: object({ token: doc(v.pipe(v.string(), v.maxLength(200)), "Token of the link") }),
    body: OneClick,
    raw: { types: ["application/x-www-form-urlencoded", "multipart/form-data"], gzip: false },
    maxBodyBytes: MAX_BODY_BYTES,
    response: v.object({ kind: v.picklist(NOTIFICATION_KINDS), mail: v.literal(false) }),
    errors: ["SIGNATURE_INVALID"],
    async handle(exchange, { query, body }) {
      const of = readUnsubscribeToken(context.config, query.token);
      await requireOneClick(exchange, body as unknown as Uint8Array);
      await endMails(context, of);
      return { kind: of.kind, mail: false as const };
    },
  });
}

/** A program that only follows links does not send this body. @throws VALIDATION_FAILED */
async function requireOneClick(exchange: Exchange, body: Uint8Array): Promise<void> {
  const headers = { "Content-Type": exchange.header("content-type") ?? "" };
  const form = await new Response(body as Uint8Array<ArrayBuffer>, { headers }).formData().catch(() => null);
  if (form?.get("List-Unsubscribe") !== "One-Click")
    throw invalidField("body", "List-Unsubscribe", "must be One-Click", "REQUIRED");
}

/** Idempotent; has no effect for a deleted account. */
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
    // The link names the user; its holder is not authenticated.
    const entry = { action: "user.unsubscribe", resourceType: "user", resourceId: userId, metadata: { kind } } as const;
    await audit.record(entry, { trx });
    addEffect(trx, { type: "answers-changed", of: "profile", userId });
  });
}
