import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { ProviderDown } from "../../sender.ts";

const DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token";

/** What Google's file of a service account holds, as far as it is used. */
const ServiceAccount = v.object({
  type: v.literal("service_account"),
  project_id: v.pipe(v.string(), v.regex(/^[\w.:-]{1,100}$/)),
  private_key_id: v.optional(v.string()),
  private_key: v.string(),
  client_email: v.pipe(v.string(), v.minLength(3)),
  token_uri: v.optional(v.pipe(v.string(), v.startsWith("https://"), v.url())),
});

export interface FcmCredentials {
  readonly projectId: string;
  readonly clientEmail: string;
  readonly key: KeyObject;
  readonly keyId: string | undefined;
  readonly tokenUri: string;
}

/** Reads a service account's file. @throws ProviderDown, saying what is wrong with it and nothing of what it holds */
export async function readFcmCredentials(path: string): Promise<FcmCredentials> {
  const wrong = (what: string, cause?: unknown): ProviderDown =>
    new ProviderDown(`fcm.credentials (${path}) ${what}`, { cause });
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw wrong(`cannot be read: ${error instanceof Error && "code" in error ? String(error.code) : "error"}`, error);
  }
  const { success, output, issues } = v.safeParse(ServiceAccount, parseJson(text));
  if (!success)
    throw wrong(`is no service account's key: ${v.getDotPath(issues[0]) ?? "JSON"} is missing or not as it must be`);
  const key = rsaKey(output.private_key);
  if (!key) throw wrong("is no service account's key: private_key is not an RSA key in PEM");
  return {
    projectId: output.project_id,
    clientEmail: output.client_email,
    key,
    keyId: output.private_key_id,
    tokenUri: output.token_uri ?? DEFAULT_TOKEN_URI,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function rsaKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === "rsa" ? key : undefined;
  } catch {
    return undefined;
  }
}
