import { verify } from "node:crypto";
import { boundedId } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { scanJson } from "../../../core/text/json-text.ts";
import type { RawRequest } from "./read-request.ts";

/** Gets a text from a checked address. @throws on any other status than 200 */
export type FetchText = (url: string) => Promise<string>;

const AMAZON = /^sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?$/;
/** SNS retries for an hour. */
const MAX_AGE_MS = 3_600_000;
const MAX_CERTIFICATES = 20;

const certificates = new Map<string, string>();

type SnsMessage = Readonly<Record<string, string | undefined>>;

const NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/**
 * Checks Amazon's signature, and that the topic is one of the receiver's (its secrets).
 * @returns the id against replays. @throws SIGNATURE_INVALID
 */
export async function snsReplayId(
  request: RawRequest,
  topics: readonly string[],
  { fetchText, now }: { readonly fetchText: FetchText; readonly now: number },
): Promise<string> {
  const message = messageOf(request);
  if (!topics.includes(message["TopicArn"] ?? "")) throw refused("the topic is not the receiver's");
  const age = now - Date.parse(message["Timestamp"] ?? "");
  if (!(Math.abs(age) <= MAX_AGE_MS)) throw refused("its timestamp is too far from the server's clock");
  const certificate = await certificateOf(message["SigningCertURL"] ?? "", fetchText);
  const names = message["Type"] === "Notification" ? NOTIFICATION : CONFIRMATION;
  const signed = names.flatMap((name) => (message[name] === undefined ? [] : [name, message[name]]));
  const algorithm = message["SignatureVersion"] === "2" ? "RSA-SHA256" : "RSA-SHA1";
  const signature = Buffer.from(message["Signature"] ?? "", "base64");
  if (!isSigned(algorithm, `${signed.join("\n")}\n`, certificate, signature))
    throw refused("the signature does not fit the message");
  return `sns:${boundedId(message["MessageId"] ?? "")}`;
}

/** Confirms a subscription of a verified request. @returns whether the request was one */
export async function confirmSubscription(request: RawRequest, fetchText: FetchText): Promise<boolean> {
  // The header is not signed, and neither is the URL in a message of another type.
  const { Type: type, SubscribeURL: url = "" } = messageOf(request);
  if (type !== "SubscriptionConfirmation") return type === "UnsubscribeConfirmation";
  requireAmazon(url);
  await fetchText(url);
  return true;
}

/** SNS sends up to 256 KiB: few members, one may be long. */
const MAX_BYTES = 300_000;
const MAX_MEMBERS = 100;

function messageOf({ bytes }: RawRequest): SnsMessage {
  const text = bytes.length > MAX_BYTES ? "" : bytes.toString("utf8");
  if (scanJson(text, 2, MAX_MEMBERS).members > MAX_MEMBERS) throw refused("the body is no message of SNS");
  try {
    const value: unknown = JSON.parse(text);
    const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
    return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
  } catch {
    throw refused("the body is not JSON");
  }
}

async function certificateOf(url: string, fetchText: FetchText): Promise<string> {
  const { pathname } = requireAmazon(url);
  if (!pathname.endsWith(".pem")) throw refused("the certificate's URL does not end in .pem");
  const known = certificates.get(url);
  if (known !== undefined) return known;
  const certificate = await fetchText(url);
  const [oldest] = certificates.keys();
  if (certificates.size >= MAX_CERTIFICATES && oldest !== undefined) certificates.delete(oldest);
  certificates.set(url, certificate);
  return certificate;
}

/** Any other host would be a way to make the server call it. @throws SIGNATURE_INVALID */
function requireAmazon(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "https:" || !AMAZON.test(url.hostname) || url.port !== "" || url.username !== "")
    throw refused("it names a URL that is not Amazon's");
  return url;
}

function isSigned(algorithm: string, text: string, certificate: string, signature: Buffer): boolean {
  try {
    return verify(algorithm, Buffer.from(text), certificate, signature);
  } catch {
    return false;
  }
}

function refused(why: string): PrismError {
  return new PrismError("SIGNATURE_INVALID", `The request is refused: ${why}`);
}
