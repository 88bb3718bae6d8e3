import { Readable } from "node:stream";
import { AwsV4Signer } from "aws4fetch";
import { PrismError } from "../../../core/errors.ts";
import type { ByteRange } from "../../../http/body/negotiation.ts";
import type { StoredFiles } from "../../../store/stored-files.ts";

/** Storage of sounds' bytes. Keys are generated; a file's own name is never one. */
export interface SoundFiles {
  readonly kind: "local" | "s3";
  /** Resolves when the bytes are durable. */
  put(key: string, bytes: Buffer, facts: { readonly mime: string; readonly sha256: string }): Promise<void>;
  /** @throws SOUND_NOT_FOUND, OVERLOADED when the storage cannot be reached */
  read(key: string, range: ByteRange): Promise<Readable>;
  /** Succeeds if it is already gone. */
  remove(key: string): Promise<void>;
}

/** Sounds in a folder of the data directory, by id. */
export class LocalSounds implements SoundFiles {
  readonly kind = "local";
  readonly files: StoredFiles;

  constructor(files: StoredFiles) {
    this.files = files;
  }

  put(key: string, bytes: Buffer): Promise<void> {
    return this.files.put(key, bytes);
  }

  async read(key: string, range: ByteRange): Promise<Readable> {
    const found = await this.files.read(key, range);
    if (found === null) throw new PrismError("SOUND_NOT_FOUND", "The file of this sound is gone");
    return found;
  }

  remove(key: string): Promise<void> {
    return this.files.remove(key);
  }
}

interface BucketAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** Calls the bucket, and only permitted hosts. */
export interface BucketFetch {
  request(
    url: string,
    request: {
      readonly method: "GET" | "PUT" | "DELETE";
      readonly headers: Readonly<Record<string, string>>;
      readonly body?: Buffer;
    },
  ): Promise<BucketAnswer>;
}

interface Bucket {
  readonly bucket: string;
  readonly region: string;
  /** Endpoint of a service other than AWS; the bucket is then part of the path. */
  readonly endpoint?: string | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const FOLDER = "sounds";
/** SHA-256 of nothing. */
const NO_CONTENT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/**
 * Sounds in a bucket of S3 or a compatible service: requests with Signature Version 4, which covers
 * the hash of the content.
 */
export class S3Sounds implements SoundFiles {
  readonly kind = "s3";
  readonly #bucket: Bucket;
  readonly #base: string;
  readonly #fetch: BucketFetch;

  constructor(bucket: Bucket, fetch: BucketFetch) {
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

  /** A sound is small: it is kept in memory while it is passed on. */
  async read(key: string, { first, last }: ByteRange): Promise<Readable> {
    const answer = await this.#call("GET", key, {
      range: `bytes=${first}-${last}`,
      "x-amz-content-sha256": NO_CONTENT,
    });
    if (answer.status === 404)
      throw new PrismError("SOUND_NOT_FOUND", "The file of this sound is gone from the bucket");
    requireOk(answer);
    // Services without ranges send everything.
    const body = answer.status === 206 ? answer.body : answer.body.subarray(first, last + 1);
    return Readable.from([body]);
  }

  async remove(key: string): Promise<void> {
    const answer = await this.#call("DELETE", key, { "x-amz-content-sha256": NO_CONTENT });
    if (answer.status !== 404) requireOk(answer);
  }

  async #call(
    method: "GET" | "PUT" | "DELETE",
    key: string,
    headers: Readonly<Record<string, string>>,
    body?: Buffer,
  ): Promise<BucketAnswer> {
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

/** The bucket's message goes to the log, not to the client. */
function requireOk({ status, body }: BucketAnswer): void {
  if (status >= 200 && status < 300) return;
  const said = /<Code>(\w{1,64})<\/Code>/.exec(body.toString("utf8"))?.[1] ?? "no code";
  throw unreachable("The bucket of the sounds refuses this server", new Error(`S3 answered ${status} (${said})`));
}

function unreachable(message: string, cause: unknown): PrismError {
  return new PrismError("OVERLOADED", message, { cause, retryAfterMs: 5000 });
}
