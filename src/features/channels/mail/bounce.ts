import type { Config } from "../../../config/load.ts";
import { signing } from "../../../core/crypto/hmac.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import type { BounceResult } from "../../delivery/pages/page.ts";
import type { PageSender } from "../../delivery/pages/sender.ts";
import { addressOf, smtpOptionsOf } from "./client.ts";

type BounceConfig = Pick<Config, "secrets">;

/** Proves that a bounce returns a mail of this server: ids alone are known to those who see the incident. */
export const BOUNCE_HEADER = "X-Prism-Bounce";

/** @param id of the delivery */
export function bounceToken({ secrets }: BounceConfig, id: string): string {
  return signing(secrets, "prism bounces").update(id).digest("base64url");
}

/** The report of a bounce about one mail. */
export interface Bounce {
  /** The part before the @ of the mail's Message-ID. */
  readonly id: string;
  /** Its {@link BOUNCE_HEADER}. */
  readonly token: string;
  /** Why it was not delivered, for people. */
  readonly words: string;
}

/** Takes the bounces of mails of incidents. */
export interface MailBounces {
  /** The envelope sender of mails, where bounces go; null without a mail server. */
  address(): string | null;
  note(bounce: Bounce): Promise<BounceResult>;
}

export function mailBounces(pages: Pick<PageSender, "bounced">, current: () => Config): MailBounces {
  return {
    address() {
      const options = smtpOptionsOf(current());
      return options && (options.returnPath ?? addressOf(options.from)).toLowerCase();
    },
    async note({ id, token, words }) {
      if (!secretsEqual(token, bounceToken(current(), id))) return "unknown";
      return pages.bounced(id, words);
    },
  };
}
