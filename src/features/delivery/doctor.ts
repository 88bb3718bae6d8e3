import { statSync } from "node:fs";
import type { Config } from "../../config/load.ts";
import { sha256Hex } from "../../core/crypto/tokens.ts";
import { type Finding, fail, pass, warn } from "../../core/finding.ts";
import { uuidv7 } from "../../core/ids.ts";
import { systemClock } from "../../core/time/clock.ts";
import type { StoredFindings } from "../../module/findings.ts";
import type { ReadDb } from "../../store/database.ts";
import { readOrNull } from "../../store/doctor.ts";
import { addressOf, MailClient, smtpOptionsOf } from "../channels/mail/client.ts";
import { ApnsClient, apnsOptionsOf, readApnsKey } from "../channels/push/apns-client.ts";
import { FcmClient, fcmOptionsOf, readFcmCredentials } from "../channels/push/fcm-client.ts";
import { PusherClient } from "../channels/pusher/client.ts";
import { OutsideHosts, outsideRulesOf, safeFetchOf } from "../channels/webhook/safe-fetch.ts";
import { contactOf } from "../channels/webpush/sender.ts";
import { bucketOf } from "../notifications/sounds/index.ts";

/**
 * Whether the bucket of the sounds and the app at Pusher can be used; nothing for unconfigured
 * ones. Sends no notification.
 */
export async function checkProviders(config: Config, isDeep: boolean): Promise<Finding[]> {
  return [...(await checkBucket(config, isDeep)), ...(await checkPusher(config, isDeep))];
}

/** Writes and removes a small object, which is the only way to test the permissions. */
async function checkBucket(config: Config, isDeep: boolean): Promise<Finding[]> {
  const bucketFetch = (maxBodyBytes: number) => safeFetchOf(config, { maxBodyBytes });
  const bucket = config.storage.kind === "s3" ? bucketOf(config, bucketFetch) : undefined;
  const name = config.storage.s3.bucket;
  if (!bucket) return [];
  if (!isDeep) return [pass("s3", `sounds go to the bucket ${name}; --deep writes and removes a test object`)];
  const key = uuidv7();
  const bytes = Buffer.from("prism doctor");
  try {
    await bucket.put(key, bytes, { mime: "text/plain", sha256: sha256Hex(bytes) });
    await bucket.remove(key);
    return [pass("s3", `the bucket ${name} accepts and removes sounds`)];
  } catch (error) {
    return [fail("s3", `the bucket ${name}: ${reasonOf(error)}`, "check the settings storage.s3.*")];
  }
}

async function checkPusher(config: Config, isDeep: boolean): Promise<Finding[]> {
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
    return [pass("pusher", `the app ${appId} accepts the signature`)];
  } catch (error) {
    return [fail("pusher", reasonOf(error), "check the settings pusher.*")];
  }
}

/** Includes the cause, because an operator reads it, not a client. */
function reasonOf(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

/** Whether push could be sent; nothing for unconfigured providers. Sends no notification. */
export async function checkPush(config: Config, isDeep: boolean): Promise<Finding[]> {
  const [fcm, apns] = [fcmOptionsOf(config), apnsOptionsOf(config)];
  const checks = await Promise.all([
    fcm && checkProvider("fcm", fcm.credentials, readFcmCredentials, isDeep && new FcmClient(fcm, systemClock)),
    apns && checkProvider("apns", apns.keyFile, readApnsKey, isDeep && new ApnsClient(apns, systemClock)),
  ]);
  return checks.flatMap((check) => check ?? []);
}

/** Whether push services of browsers know whom to contact; nothing without a subscribed browser. */
export function checkWebPush(config: Config): Finding[] {
  const count = "select count(*) from push_devices where kind = 'webpush'";
  const browsers = readOrNull(config.databaseFile, (connection) => connection.prepare<[], number>(count).pluck().get());
  if (!browsers) return [];
  const subscribed = browsers === 1 ? "1 browser is subscribed" : `${browsers} browsers are subscribed`;
  const contact = contactOf(config);
  if (contact === undefined) {
    const why = `${subscribed}, and push services have no contact: Apple's refuses messages`;
    return [warn("webpush", why, "set publicUrl to the https address of this server, or smtp.from")];
  }
  return [pass("webpush", `${subscribed}; push services see the contact ${contact}`)];
}

/** @param client reaches the provider; false unless requested. */
async function checkProvider(
  name: "fcm" | "apns",
  file: string,
  read: (file: string) => Promise<unknown>,
  client: FcmClient | ApnsClient | false,
): Promise<Finding[]> {
  try {
    await read(file);
    if (client) await client.check();
  } catch (error) {
    return [fail(name, error instanceof Error ? error.message : String(error))];
  } finally {
    if (client) client.close();
  }
  const mode = statSync(file).mode & 0o777;
  // Modes mean nothing on Windows.
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    return [warn(name, `${file} has mode 0${mode.toString(8)}: others can read the key`, `chmod 600 ${file}`)];
  return [
    pass(name, client ? "the provider accepts the key" : `${file} holds a key; --deep checks it with the provider`),
  ];
}

/**
 * Whether mail could be sent: the server is reachable, uses TLS where required, and accepts the
 * credentials.
 * @param sends also sends a mail from the sender's address to itself, whose arrival only its reader
 * can confirm
 */
export async function checkSmtp(config: Config, sends: boolean): Promise<Finding[]> {
  const options = smtpOptionsOf(config);
  if (!options) return [checkUnsentMail(config)];
  const mailer = new MailClient(() => options);
  const server = `${options.host}:${options.port}`;
  try {
    await mailer.check();
    if (!sends) return [pass("smtp", `${server} accepts mail`)];
    await mailer.send({ to: addressOf(options.from), ...TEST_MAIL });
    return [pass("smtp", `${server} accepted a test message to ${addressOf(options.from)}; check that it arrives`)];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [fail("smtp", `${server} does not accept mail: ${reason}`)];
  } finally {
    mailer.close();
  }
}

const TEST_MAIL = {
  subject: "Prism: test message",
  text: "Sent by prism doctor --deep to test mail delivery. No action is needed.",
};

/** Without rules that send mail no mail server is needed. */
function checkUnsentMail(config: Config): Finding {
  const { auth, delivery, digest } = config;
  const remedy = "set SMTP_HOST";
  if (auth.requireEmailVerification && auth.registration === "open")
    return fail(
      "smtp",
      "no mail server: users who register cannot confirm their address",
      `${remedy}, or auth.requireEmailVerification to false`,
    );
  if (digest.enabled === true)
    return warn("smtp", "no mail server: digests are enabled and not sent", `${remedy}, or digest.enabled to false`);
  const rules = delivery.workers.includes("email") ? 0 : countMailRules(config);
  if (rules > 0)
    return warn(
      "smtp",
      `no mail server: ${rules} active ${rules === 1 ? "rule has" : "rules have"} the channel email`,
      remedy,
    );
  return pass("smtp", "no mail server is configured, and nothing needs one; passwords cannot be reset by mail");
}

/** Rules whose mails cannot be sent; 0 for an unreadable database, which another check reports. */
function countMailRules({ databaseFile }: Config): number {
  const count = `select count(*) from rules where active = 1
    and exists (select 1 from json_each(channels) where value = 'email')`;
  return readOrNull(databaseFile, (connection) => connection.prepare<[], number>(count).pluck().get()) ?? 0;
}

/** Whether messages to services can have links that acknowledge. In production the configuration is warned of. */
export async function checkLinks(db: ReadDb, { env, publicUrl }: Config): Promise<Finding[]> {
  if (env === "production" || publicUrl !== undefined) return [];
  const used = await db.selectFrom("channels").select("id").where("active", "=", 1).limit(1).executeTakeFirst();
  if (!used) return [];
  const what = "publicUrl is not set: messages of incidents have no link that acknowledges";
  return [warn("channels", what, "set it to the address that the phones reach")];
}

export const STORED: StoredFindings = {
  database: { channels: ({ db, config }) => checkLinks(db, config) },
  services: {
    smtp: ({ config, isDeep }) => checkSmtp(config, isDeep),
    push: ({ config, isDeep }) => checkPush(config, isDeep),
    webpush: ({ config }) => checkWebPush(config),
    providers: ({ config, isDeep }) => checkProviders(config, isDeep),
  },
};
