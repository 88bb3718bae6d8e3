import type { Exchange } from "../../../http/server/exchange.ts";
import type { NewForward } from "../forward/index.ts";
import type { VerifyRow } from "./preset.ts";
import type { RawRequest } from "./read-request.ts";
import type { Receiver } from "./receivers.ts";

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
  { verify }: Receiver,
  { method, headers, bytes }: RawRequest,
): NewForward {
  const query = new URLSearchParams(exchange.queryText);
  const secrets = verify.flatMap((row) =>
    row.scheme === "query" ? [row.name] : row.scheme === "credential" ? QUERY_CREDENTIALS : [],
  );
  const hidden = secrets.filter((name) => query.has(name));
  for (const name of hidden) query.delete(name);
  const { shape } = exchange.params;
  return {
    ...{ method, headers, bytes, path: shape === undefined ? "" : `/${shape}` },
    query: hidden.length === 0 ? exchange.queryText : query.toString(),
    signatures: [...verify.flatMap(signatureHeaders), ...SIGNATURE_HEADERS.filter((name) => name in headers)],
  };
}

function signatureHeaders(row: VerifyRow): string[] {
  if (row.scheme !== "hmac" && row.scheme !== "ed25519") return [];
  return [row.header, row.timestampHeader, row.idHeader].filter((name) => name !== undefined);
}
