import { Readable } from "node:stream";
import { AwsV4Signer } from "aws4fetch";
import { PrismError } from "../../core/errors.ts";
import type { ByteRange } from "../../http/range.ts";
import type { SafeAnswer, SafeFetch, SafeRequest } from "../delivery/index.ts";
import type { SoundFiles } from "./sound-files.ts";

export interface Bucket {
  readonly bucket: string;
  readonly region: string;
  /** Of another service than AWS; the bucket then stands in the path. */
  readonly endpoint?: string | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const FOLDER = "sounds";
/** SHA-256 of nothing. */
const NO_CONTENT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Sounds in a bucket of S3, or of a service that speaks it: requests with Signature Version 4, the hash of the content among what is signed. */
export class S3Sounds implements SoundFiles {
  readonly kind = "s3";
  readonly #bucket: Bucket;
  readonly #base: string;
  readonly #fetch: SafeFetch;

  /** @param fetch must take answers of the size of a sound */
  constructor(bucket: Bucket, fetch: SafeFetch) {
    this.#bucket = bucket;
    this.#base = bucket.endpoint
      ? `${bucket.endpoint}/${bucket.bucket}`
      : `https://${bucket.bucket}.s3.${bucket.region}.amazonaws.com`;
    this.#fetch = fetch;
  }

  async put(
    key: string,
    body: Buffer,
    { mime, sha256 }: { readonly mime: string; readonly sha256: string },
  ): Promise<void> {
    requireOk(await this.#call("PUT", key, { "content-type": mime, "x-amz-content-sha256": sha256 }, body));
  }

  /** A sound is small: it is held whole while it is passed on. */
  async read(key: string, { first, last }: ByteRange): Promise<Readable> {
    const answer = await this.#call("GET", key, {
      range: `bytes=${first}-${last}`,
      "x-amz-content-sha256": NO_CONTENT,
    });
    if (answer.status === 404)
      throw new PrismError("SOUND_NOT_FOUND", "The file of this sound is gone from the bucket");
    requireOk(answer);
    // Services that know no ranges send everything.
    const body = answer.status === 206 ? answer.body : answer.body.subarray(first, last + 1);
    return Readable.from([body]);
  }

  async remove(key: string): Promise<void> {
    const answer = await this.#call("DELETE", key, { "x-amz-content-sha256": NO_CONTENT });
    if (answer.status !== 404) requireOk(answer);
  }

  async #call(
    method: SafeRequest["method"],
    key: string,
    headers: Readonly<Record<string, string>>,
    body?: Buffer,
  ): Promise<SafeAnswer> {
    const { accessKeyId, secretAccessKey, region } = this.#bucket;
    const url = `${this.#base}/${FOLDER}/${key}`;
    const signer = new AwsV4Signer({ method, url, headers, accessKeyId, secretAccessKey, region, service: "s3" });
    const signed = Object.fromEntries((await signer.sign()).headers);
    try {
      return await this.#fetch.request(url, { method, headers: signed, ...(body ? { body } : {}) });
    } catch (cause) {
      throw unreachable("The bucket of the sounds cannot be reached", cause);
    }
  }
}

/** What the bucket says goes into the log, not to whoever asked. */
function requireOk({ status, body }: SafeAnswer): void {
  if (status >= 200 && status < 300) return;
  const said = /<Code>(\w{1,64})<\/Code>/.exec(body.toString("utf8"))?.[1] ?? "no code";
  throw unreachable("The bucket of the sounds refuses this server", new Error(`S3 answered ${status} (${said})`));
}

function unreachable(message: string, cause: unknown): PrismError {
  return new PrismError("OVERLOADED", message, { cause, retryAfterMs: 5000 });
}
