import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { listening } from "../../../../helpers/listening.ts";

const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const REGION = "eu-central-1";

export interface FakeS3 {
  readonly settings: Readonly<Record<string, string>>;
  /** Objects by path, `/bucket/key`. */
  readonly objects: ReadonlyMap<string, { readonly bytes: Buffer; readonly type: string }>;
  /** Requests that were signed right, as `METHOD path`. */
  readonly calls: readonly string[];
  /** Answers the next requests with these statuses. */
  fail(...statuses: readonly number[]): void;
}

/**
 * A service that speaks as much S3 as is used here, and checks each Signature Version 4 by the
 * words of its specification.
 */
export async function fakeS3(t: TestContext): Promise<FakeS3> {
  const objects = new Map<string, { bytes: Buffer; type: string }>();
  const calls: string[] = [];
  const failures: number[] = [];
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { method = "", url: path = "" } = request;
    const end = (status: number, code?: string): void =>
      void response.writeHead(status).end(code && `<Error><Code>${code}</Code></Error>`);
    const failure = failures.shift();
    if (failure !== undefined) return end(failure, "SlowDown");
    if (!isSigned(request, body)) return end(403, "SignatureDoesNotMatch");
    calls.push(`${method} ${path}`);
    const object = objects.get(path);
    if (method === "PUT") {
      objects.set(path, { bytes: body, type: request.headers["content-type"] ?? "" });
      return end(200);
    }
    if (method === "DELETE") {
      objects.delete(path);
      return end(204);
    }
    if (!object) return end(404, "NoSuchKey");
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    response.writeHead(206).end(object.bytes.subarray(Number(first), Number(last) + 1));
  };
  const server = createServer((request, response) => void receive(request, response));
  const port = await listening(t, server);
  return {
    objects,
    calls,
    fail: (...statuses) => failures.push(...statuses),
    settings: {
      "storage.kind": "s3",
      "storage.s3.bucket": "sounds-of-ours",
      "storage.s3.region": REGION,
      "storage.s3.endpoint": `http://127.0.0.1:${port}`,
      "storage.s3.accessKeyId": KEYS.accessKeyId,
      "storage.s3.secretAccessKey": KEYS.secretAccessKey,
      "webhooks.allowPrivateCidrs": "127.0.0.0/8",
    },
  };
}

/** docs.aws.amazon.com, "Signature Calculations for the Authorization Header". */
function isSigned({ method = "", url = "", headers }: IncomingMessage, body: Buffer): boolean {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=(\S+?)\/(\d{8})\/(\S+?)\/s3\/aws4_request, ?SignedHeaders=(\S+?), ?Signature=(\w{64})$/;
  const [, id, date = "", region = "", names = "", signature] = pattern.exec(headers.authorization ?? "") ?? [];
  if (id !== KEYS.accessKeyId || region !== REGION) return false;
  const contentHash = createHash("sha256").update(body).digest("hex");
  if (headers["x-amz-content-sha256"] !== contentHash) return false;
  const signedHeaders = names.split(";");
  if (!["host", "x-amz-date", "x-amz-content-sha256"].every((name) => signedHeaders.includes(name))) return false;
  const lines = signedHeaders.map((name) => `${name}:${String(headers[name]).trim()}\n`).join("");
  const canonical = `${method}\n${url}\n\n${lines}\n${names}\n${contentHash}`;
  const scope = `${date}/${region}/s3/aws4_request`;
  const hashed = createHash("sha256").update(canonical).digest("hex");
  const text = `AWS4-HMAC-SHA256\n${String(headers["x-amz-date"])}\n${scope}\n${hashed}`;
  const key = [date, region, "s3", "aws4_request"].reduce<string | Buffer>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    `AWS4${KEYS.secretAccessKey}`,
  );
  return signature === createHmac("sha256", key).update(text).digest("hex");
}
