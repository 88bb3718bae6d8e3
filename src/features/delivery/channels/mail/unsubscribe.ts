import { createHmac, hkdfSync } from "node:crypto";
import type { Config } from "../../../../config/load.ts";
import { PrismError } from "../../../../core/errors.ts";
import { secretsEqual } from "../../../../core/tokens.ts";
import type { NotificationKind } from "../../../../store/schema.ts";
import { NOTIFICATION_KINDS } from "../../preferences.ts";

type LinkConfig = Pick<Config, "publicUrl" | "secrets">;

/** The user and the kind of mails that a link ends. */
export interface Unsubscription {
  readonly userId: string;
  readonly kind: NotificationKind;
}

/** GET shows a page, POST ends the mails. */
export const UNSUBSCRIBE_PATH = "/account/unsubscribe";

/**
 * Headers that let a mail program end mails of this kind to this user without a login: RFC 2369 section 3.2 and RFC 8058. None without a
 * `publicUrl`; one click needs https (RFC 8058 section 3.1). The link has no end: all that it can do is to switch mails off.
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
export function readUnsubscribeToken(config: LinkConfig, token: string): Unsubscription {
  const [userId = "", kindText = "", signature = ""] = token.split(".");
  const kind = NOTIFICATION_KINDS.find((each) => each === kindText);
  const expected = sign(config, `${userId}.${kindText}`);
  if (!secretsEqual(signature, expected) || kind === undefined)
    throw new PrismError("SIGNATURE_INVALID", "The link is not one of this server");
  return { userId, kind };
}

function tokenOf(config: LinkConfig, { userId, kind }: Unsubscription): string {
  return `${userId}.${kind}.${sign(config, `${userId}.${kind}`)}`;
}

/** The key serves this purpose alone. */
function sign({ secrets }: LinkConfig, text: string): string {
  const key = Buffer.from(hkdfSync("sha256", secrets.access, "", "prism unsubscribe links", 32));
  return createHmac("sha256", key).update(text).digest("base64url");
}
