import type { Config } from "../../../config/load.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { sha256Hex } from "../../../core/tokens.ts";
import { OutsideHosts, outsideRulesOf } from "../../../features/delivery/channels/webhook/outside-hosts.ts";
import { SafeFetch } from "../../../features/delivery/channels/webhook/safe-fetch.ts";
import { PusherClient } from "../../../features/pusher/pusher-client.ts";
import { bucketOf } from "../../../features/sounds/open-sounds.ts";
import { type Check, fail, pass } from "./check.ts";

/** Whether the bucket of the sounds and the app at Pusher can be used: nothing is said of what is not configured, and nobody is told anything. */
export async function checkProviders(config: Config, isDeep: boolean): Promise<Check[]> {
  return [...(await checkBucket(config, isDeep)), ...(await checkPusher(config, isDeep))];
}

/** Puts a few bytes there and takes them away: what this server may do with the bucket is known by doing it. */
async function checkBucket(config: Config, isDeep: boolean): Promise<Check[]> {
  const bucketFetch = (maxBodyBytes: number) =>
    new SafeFetch(new OutsideHosts(outsideRulesOf(config)), { maxBodyBytes });
  const bucket = config.storage.kind === "s3" ? bucketOf(config, bucketFetch) : undefined;
  const name = config.storage.s3.bucket;
  if (!bucket) return [];
  if (!isDeep) return [pass("s3", `sounds go to the bucket ${name}; --deep puts something there and removes it`)];
  const key = uuidv7();
  const bytes = Buffer.from("prism doctor");
  try {
    await bucket.put(key, bytes, { mime: "text/plain", sha256: sha256Hex(bytes) });
    await bucket.remove(key);
    return [pass("s3", `the bucket ${name} takes and removes sounds`)];
  } catch (error) {
    return [fail("s3", `the bucket ${name}: ${reasonOf(error)}`, "check the settings storage.s3.*")];
  }
}

async function checkPusher(config: Config, isDeep: boolean): Promise<Check[]> {
  const { mode, appId, key, secret } = config.pusher;
  if (mode !== "remote" || appId === undefined || key === undefined || secret === undefined) return [];
  if (!isDeep) return [pass("pusher", `notifications go to the app ${appId}; --deep asks it for its channels`)];
  const client = new PusherClient({
    config,
    app: { appId, key, secret },
    hosts: new OutsideHosts(outsideRulesOf(config)),
  });
  try {
    await client.check();
    return [pass("pusher", `the app ${appId} takes our signature`)];
  } catch (error) {
    return [fail("pusher", reasonOf(error), "check the settings pusher.*")];
  }
}

/** With what is behind it: an operator asks, not a client. */
function reasonOf(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
