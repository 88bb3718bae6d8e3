import { isUuid } from "../../../core/ids.ts";
import { cleanText, withoutAddresses } from "../../../core/text/clean-text.ts";
import { BOUNCE_HEADER, type Bounce } from "../../delivery/index.ts";
import { LIMITS, startOf, withShortFields } from "./read-mail.ts";

const MAX_WORDS = 300;

/**
 * Reads a delivery status notification (RFC 3464).
 * @returns null if it reports no failure, or does not return the headers of a mail of this server
 */
export async function readBounce(raw: Uint8Array): Promise<Bounce | null> {
  // Loaded with the first mail.
  const { default: PostalMime } = await import("postal-mime");
  const { attachments } = await PostalMime.parse(withShortFields(startOf(raw)), LIMITS);
  const partOf = (types: RegExp): string | undefined => {
    const content = attachments.find(({ mimeType }) => types.test(mimeType))?.content;
    return typeof content === "string" || content === undefined ? content : new TextDecoder().decode(content);
  };
  const failed = recipientsOf(partOf(/^message\/(?:global-)?delivery-status$/i) ?? "").find(
    (fields) => fields.get("action")?.toLowerCase() === "failed",
  );
  const returned = partOf(/^(?:message\/(?:rfc822|global|global-headers)|text\/rfc822-headers)$/i);
  if (!failed || returned === undefined) return null;
  const headers = fieldsOf(returned.split(/\r?\n\r?\n/, 1)[0] ?? "");
  const [, id = ""] = /<([^<>@\s]{1,100})@/.exec(headers.get("message-id") ?? "") ?? [];
  const token = headers.get(BOUNCE_HEADER.toLowerCase()) ?? "";
  return isUuid(id) ? { id, token, words: wordsOf(failed) } : null;
}

/** The fields of the whole message, and of each recipient. */
function recipientsOf(status: string): ReadonlyMap<string, string>[] {
  return status.split(/\r?\n(?:[ \t]*\r?\n)+/).map(fieldsOf);
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.replaceAll(/\r?\n[ \t]+/g, " ").split(/\r?\n/)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (name !== "" && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** Without addresses: the timeline has more readers than the mailbox. */
function wordsOf(fields: ReadonlyMap<string, string>): string {
  const diagnosis = fields.get("diagnostic-code")?.replace(/^[\w-]+\s*;\s*/, "");
  const said = diagnosis ?? fields.get("status") ?? "";
  const shown = cleanText(withoutAddresses(said).replaceAll(/\s+/g, " ")).trim();
  return `the mail was returned${shown === "" ? "" : `: ${shown.slice(0, MAX_WORDS)}`}`;
}
