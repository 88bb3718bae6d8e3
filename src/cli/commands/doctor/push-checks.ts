import { statSync } from "node:fs";
import type { Config } from "../../../config/load.ts";
import { systemClock } from "../../../core/clock.ts";
import { ApnsClient, apnsOptionsOf } from "../../../features/delivery/channels/push/apns-client.ts";
import { readApnsKey } from "../../../features/delivery/channels/push/apns-tokens.ts";
import { FcmClient, fcmOptionsOf } from "../../../features/delivery/channels/push/fcm-client.ts";
import { readFcmCredentials } from "../../../features/delivery/channels/push/fcm-credentials.ts";
import type { PushClient } from "../../../features/delivery/channels/push/push-client.ts";
import { type Check, fail, pass, warn } from "./check.ts";

/** Whether push could be sent: nothing is said of a provider that is not configured. Nobody is told anything. */
export async function checkPush(config: Config, isDeep: boolean): Promise<Check[]> {
  const [fcm, apns] = [fcmOptionsOf(config), apnsOptionsOf(config)];
  const checks = await Promise.all([
    fcm && checkProvider("fcm", fcm.credentials, readFcmCredentials, isDeep && new FcmClient(fcm, systemClock)),
    apns && checkProvider("apns", apns.keyFile, readApnsKey, isDeep && new ApnsClient(apns, systemClock)),
  ]);
  return checks.flatMap((check) => check ?? []);
}

/** @param client reaches the provider; false where nobody asked for it. */
async function checkProvider(
  name: "fcm" | "apns",
  file: string,
  read: (file: string) => Promise<unknown>,
  client: PushClient | false,
): Promise<Check[]> {
  try {
    await read(file);
    if (client) await client.check();
  } catch (error) {
    return [fail(name, error instanceof Error ? error.message : String(error))];
  } finally {
    if (client) client.close();
  }
  const mode = statSync(file).mode & 0o777;
  // On Windows modes say nothing.
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    return [warn(name, `${file} has mode 0${mode.toString(8)}: others can read the key`, `chmod 600 ${file}`)];
  return [pass(name, client ? "the provider takes our key" : `${file} holds a key; --deep shows it to the provider`)];
}
