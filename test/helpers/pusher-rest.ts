import { createHash, createHmac } from "node:crypto";
import Pusher from "pusher";
import type { PusherApp } from "../../src/features/protocols/pusher/pusher-app.ts";
import type { TestPrism } from "./prism.ts";

export interface SignedOptions {
  readonly method?: string;
  /** JSON text. */
  readonly body?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Epoch ms. */
  readonly at?: number;
}

/**
 * Path and query of a request that the app's secret has signed; written down here once more, from
 * Pusher's documentation.
 */
export function signedTarget(
  { key, secret }: Omit<PusherApp, "appId">,
  path: string,
  { method = "GET", body, query = {}, at = Date.now() }: SignedOptions = {},
): string {
  const parameters: Record<string, string> = {
    ...query,
    auth_key: key,
    auth_timestamp: String(Math.floor(at / 1000)),
    auth_version: "1.0",
    ...(body === undefined ? {} : { body_md5: createHash("md5").update(body).digest("hex") }),
  };
  const names = Object.keys(parameters).sort();
  const text = `${method}\n${path}\n${names.map((name) => `${name}=${parameters[name]}`).join("&")}`;
  const signature = createHmac("sha256", secret).update(text).digest("hex");
  return `${path}?${new URLSearchParams({ ...parameters, auth_signature: signature })}`;
}

/** Pusher's own server library, which talks to this server. */
export function serverSdk(prism: TestPrism, app: PusherApp = prism.parts.offers.pusher): Pusher {
  return new Pusher({ ...app, host: "127.0.0.1", port: String(prism.app.port), useTLS: false });
}

/** The status and the code with which the library's call was refused. */
export async function refusalOf(call: Promise<unknown>): Promise<[number, string]> {
  try {
    await call;
  } catch (error) {
    const { status, body } = error as { status: number; body: string };
    return [status, (JSON.parse(body) as { error: { code: string } }).error.code];
  }
  throw new Error("it was not refused");
}
