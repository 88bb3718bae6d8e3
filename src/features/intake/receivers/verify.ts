import { createHash, createPublicKey, timingSafeEqual, verify as verifySignature } from "node:crypto";
import { hmac } from "../../../core/crypto/hmac.ts";
import { boundedId, secretsEqual, sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { membersAtMost } from "../../../core/text/json-text.ts";
import { readBasic } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { NewForward } from "../forward/index.ts";
import type { VerifyRow } from "./preset.ts";
import type { RawRequest } from "./read-request.ts";
import { type FetchText, snsReplayId } from "./sns.ts";

type RowOf<Scheme extends VerifyRow["scheme"]> = Extract<VerifyRow, { readonly scheme: Scheme }>;
type SignedRow = RowOf<"hmac"> | RowOf<"ed25519">;

const DEFAULT_TOLERANCE_S = 300;
/** Numbers above are milliseconds. */
const FIRST_MS = 1e11;
/** Signatures of one header that are compared. */
const MAX_SIGNATURES = 16;

interface VerifyContext {
  readonly rows: readonly VerifyRow[];
  readonly secrets: readonly string[];
  /** epoch ms */
  readonly now: number;
  readonly fetchText: FetchText;
}

/**
 * Checks that the sender knows the secret. The first row decides that has its headers in the request
 * and its form of secret.
 * @returns an id of the request that refuses its repetition; null where repetitions are allowed
 * @throws SIGNATURE_INVALID
 */
export async function verifyRequest(request: RawRequest, context: VerifyContext): Promise<string | null> {
  const { rows, secrets } = context;
  if (secrets.length === 0) return null;
  const row = rows.find((each) => isPresent(each, request) && secrets.some((secret) => isKeyOf(each, secret)));
  if (!row) throw invalid(`the request has no ${expectedOf(rows, request)}`);
  switch (row.scheme) {
    case "hmac":
    case "ed25519":
      return checkSigned(row, request, context);
    case "sns":
      return snsReplayId(request, secrets, context);
    case "twilio":
      if (!secrets.some((secret) => isTwilio(request, secret))) throw invalid("the signature does not fit");
      return null;
    default: {
      const given = credentialsOf(row, request);
      const isKnown = secrets.some((secret) => given.filter((each) => secretsEqual(each, secret)).length > 0);
      if (!isKnown) throw invalid("the credential is not the receiver's secret");
      return null;
    }
  }
}

function invalid(why: string): PrismError {
  return new PrismError("SIGNATURE_INVALID", `The request is refused: ${why}`);
}

function expectedOf(rows: readonly VerifyRow[], request: RawRequest): string {
  const names = rows.map((row) => {
    if (!("header" in row)) return "name" in row ? row.name : row.scheme;
    const lacksTime = "timestampHeader" in row && isSignaturePresent({ ...row, timestampHeader: undefined }, request);
    return `header ${lacksTime ? row.timestampHeader : row.header}`;
  });
  return names.length === 0 ? "credential" : names.join(" or ");
}

function isPresent(row: VerifyRow, request: RawRequest): boolean {
  switch (row.scheme) {
    case "hmac":
    case "ed25519":
      return isSignaturePresent(row, request);
    case "sns":
      return (request.headers["x-amz-sns-message-type"] ?? "") !== "";
    case "twilio":
      return (request.headers["x-twilio-signature"] ?? "") !== "";
    default:
      return credentialsOf(row, request).length > 0;
  }
}

function isSignaturePresent(row: SignedRow, { headers }: RawRequest): boolean {
  const { header, timestampHeader, prefix = "" } = row;
  if (timestampHeader !== undefined && (headers[timestampHeader] ?? "") === "") return false;
  const signatures = headers[header] ?? "";
  return signatures !== "" && elementsOf(row, signatures).some((element) => element.startsWith(prefix));
}

/** Public and shared keys are never taken for each other: anyone may know a public one. */
function isKeyOf(row: VerifyRow, secret: string): boolean {
  if (row.scheme === "ed25519") return row.keyForm === "hex" || secret.startsWith("whpk_");
  return row.scheme !== "hmac" || row.keyForm === "text" || !secret.startsWith("whpk_");
}

type CredentialRow = Exclude<VerifyRow, SignedRow | RowOf<"sns"> | RowOf<"twilio">>;

/** The secrets that a request presents. */
function credentialsOf(row: CredentialRow, { headers, query, bytes }: RawRequest): string[] {
  const present = (texts: readonly (string | undefined)[]) => texts.filter((text) => text !== undefined && text !== "");
  switch (row.scheme) {
    case "header": {
      const value = headers[row.header] ?? "";
      const { prefix = "" } = row;
      return value.startsWith(prefix) ? (present([value.slice(prefix.length)]) as string[]) : [];
    }
    case "query":
      return present([query[row.name]]) as string[];
    case "form":
      return present([formMember(headers, bytes, row.name)]) as string[];
    case "credential":
      return present([
        ...authorizationOf(headers["authorization"] ?? ""),
        headers["x-api-key"],
        headers["x-token"],
        query["token"],
        query["access_token"],
      ]) as string[];
  }
}

/** The password of Basic, the token of any other scheme. */
function authorizationOf(value: string): (string | undefined)[] {
  const [, scheme = "", rest = ""] = /^(\S+) +(.+)$/.exec(value) ?? [];
  if (scheme.toLowerCase() !== "basic") return [rest.trim()];
  const basic = readBasic(rest);
  return basic ? [basic.password] : [];
}

const MAX_PARSED_BYTES = 65_536;
const MAX_PARSED_MEMBERS = 2000;

/** A body that is parsed before its sender is known is small. @throws PAYLOAD_TOO_LARGE */
function requireSmall(bytes: Buffer): void {
  if (bytes.length > MAX_PARSED_BYTES || membersAtMost(bytes, MAX_PARSED_MEMBERS) > MAX_PARSED_MEMBERS)
    throw new PrismError(
      "PAYLOAD_TOO_LARGE",
      `A body that contains its own signature or secret has at most ${MAX_PARSED_BYTES} bytes and ${MAX_PARSED_MEMBERS} members`,
    );
}

function formMember(headers: RawRequest["headers"], bytes: Buffer, name: string): string | undefined {
  requireSmall(bytes);
  const text = bytes.toString("utf8");
  if (!(headers["content-type"] ?? "").includes("json")) return new URLSearchParams(text).get(name) ?? undefined;
  try {
    const value = (JSON.parse(text) as Record<string, unknown>)[name];
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @throws SIGNATURE_INVALID */
function checkSigned(row: SignedRow, request: RawRequest, context: VerifyContext): string | null {
  const elements = elementsOf(row, request.headers[row.header] ?? "");
  const { prefix = "", encoding } = row;
  const signatures = elements
    .filter((element) => element.startsWith(prefix))
    .map((element) => decodeSignature(element.slice(prefix.length), encoding));
  const timestamp = timestampOf(row, request, elements);
  const id = row.idHeader === undefined ? "" : (request.headers[row.idHeader] ?? "");
  const signed = signedBytes(row, { timestamp, id, body: request.bytes });
  const keys = context.secrets.filter((secret) => isKeyOf(row, secret));
  const isSigned = keys.some((secret) => {
    const fits = signerOf(row, secret, signed);
    // All are compared, so that the time does not tell which one fits.
    return signatures.filter((signature) => signature !== null && fits(signature)).length > 0;
  });
  if (!isSigned) throw invalid("the signature does not fit the body");
  const covers = (part: string) => row.signed.includes(part);
  if (covers("{ts}")) requireRecent(row, timestamp, context.now);
  if (row.allowRepeats) return null;
  if (covers("{id}") && id !== "") return `id:${boundedId(id)}`;
  return `sha256:${createHash("sha256").update(signed).digest("hex")}`;
}

function elementsOf({ separator = "\0" }: SignedRow, signatures: string): string[] {
  return signatures.split(separator, MAX_SIGNATURES).map((element) => element.trim());
}

function decodeSignature(text: string, encoding: "hex" | "base64"): Buffer | null {
  if (encoding === "hex") return /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, "hex") : null;
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : null;
}

function timestampOf(row: SignedRow, { headers }: RawRequest, elements: readonly string[]): string {
  if (row.timestampHeader !== undefined) return headers[row.timestampHeader] ?? "";
  const { timestampPrefix } = row;
  if (timestampPrefix === undefined) return "";
  return elements.find((element) => element.startsWith(timestampPrefix))?.slice(timestampPrefix.length) ?? "";
}

function signedBytes(
  row: SignedRow,
  { timestamp, id, body }: { readonly timestamp: string; readonly id: string; readonly body: Buffer },
): Buffer {
  const values: Readonly<Record<string, Buffer>> = {
    "{ts}": Buffer.from(timestamp),
    "{id}": Buffer.from(id),
    "{body}": body,
  };
  return Buffer.concat(row.signed.map((part) => values[part] ?? Buffer.from(part)));
}

function signerOf(row: SignedRow, secret: string, signed: Buffer): (signature: Buffer) => boolean {
  if (row.scheme === "ed25519") {
    const key = ed25519Key(row.keyForm, secret);
    return (signature) => key !== null && signature.length === 64 && verifySignature(null, signed, key, signature);
  }
  const key = row.keyForm === "whsec" ? whsecKey(secret) : secret;
  if (key === null || key.length === 0) return () => false;
  const expected = hmac(row.algorithm, key).update(signed).digest();
  return (signature) => signature.length === expected.length && timingSafeEqual(signature, expected);
}

const LEAST_KEY_BYTES = 16;

/** @returns null for a text that is no key: every sender could sign with an empty one */
function whsecKey(secret: string): Buffer | null {
  const text = secret.replace(/^whsec_/, "");
  const key = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : null;
  return key !== null && key.length >= LEAST_KEY_BYTES ? key : null;
}

/** Whether one of the rows can use the secret. */
export function isUsableSecret(rows: readonly VerifyRow[], secret: string): boolean {
  const needsKey = (row: VerifyRow) => row.scheme === "hmac" && row.keyForm === "whsec";
  if (!rows.some(needsKey) || whsecKey(secret) !== null) return true;
  return !secret.startsWith("whsec_") && rows.some((row) => !needsKey(row) && isKeyOf(row, secret));
}

/** DER of an Ed25519 public key without its 32 bytes (RFC 8410). */
const ED25519_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

function ed25519Key(form: "hex" | "whpk", secret: string) {
  const raw = form === "hex" ? Buffer.from(secret, "hex") : Buffer.from(secret.replace(/^whpk_/, ""), "base64");
  if (raw.length !== 32) return null;
  return createPublicKey({ key: Buffer.concat([ED25519_PREFIX, raw]), format: "der", type: "spki" });
}

/** @throws SIGNATURE_INVALID */
function requireRecent({ toleranceS = DEFAULT_TOLERANCE_S }: SignedRow, timestamp: string, now: number): void {
  const given = /^\d{9,14}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  const ms = given < FIRST_MS ? given * 1000 : given;
  if (!(Math.abs(now - ms) <= toleranceS * 1000)) throw invalid("its timestamp is too far from the server's clock");
}

/** HMAC-SHA1 of the URL and the sorted parameters of the form, or of the URL with the body's hash. */
function isTwilio({ headers, url, bytes, query }: RawRequest, secret: string): boolean {
  const bodyHash = query["bodySHA256"];
  if (bodyHash !== undefined && bodyHash.toLowerCase() !== sha256Hex(bytes)) return false;
  if (bodyHash === undefined) requireSmall(bytes);
  const pairs = bodyHash === undefined ? [...new URLSearchParams(bytes.toString("utf8"))] : [];
  const parameters = pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).flat();
  const expected = hmac("sha1", secret)
    .update(`${url}${parameters.join("")}`)
    .digest();
  const given = Buffer.from(headers["x-twilio-signature"] ?? "", "base64");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Where senders put a secret in the query. */
const QUERY_CREDENTIALS = ["token", "access_token"];

/** Of senders that sign in a way of their own. */
const SIGNATURE_HEADERS = [
  ...["x-twilio-signature", "x-amz-sns-message-type", "x-amz-sns-message-id", "x-amz-sns-topic-arn"],
  "x-amz-sns-subscription-arn",
];

/** The request as a mirror passes it on: without the token of this receiver's URL, or its secret. */
export function forwardOf(
  exchange: Exchange,
  rows: readonly VerifyRow[],
  { method, headers, bytes }: RawRequest,
): NewForward {
  const query = new URLSearchParams(exchange.queryText);
  const secrets = rows.flatMap((row) =>
    row.scheme === "query" ? [row.name] : row.scheme === "credential" ? QUERY_CREDENTIALS : [],
  );
  const hidden = secrets.filter((name) => query.has(name));
  for (const name of hidden) query.delete(name);
  const { shape } = exchange.params;
  return {
    ...{ method, headers, bytes, path: shape === undefined ? "" : `/${shape}` },
    query: hidden.length === 0 ? exchange.queryText : query.toString(),
    signatures: [...rows.flatMap(signatureHeaders), ...SIGNATURE_HEADERS.filter((name) => name in headers)],
  };
}

function signatureHeaders(row: VerifyRow): string[] {
  if (row.scheme !== "hmac" && row.scheme !== "ed25519") return [];
  return [row.header, row.timestampHeader, row.idHeader].filter((name) => name !== undefined);
}
