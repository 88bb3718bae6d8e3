import { SMTPServer } from "smtp-server";
import { ApnsServer, apnsError } from "../../features/delivery/support/apns-server.ts";
import { FCM_REFUSALS, FcmServer, fcmError } from "../../features/delivery/support/fcm-server.ts";
import type { Fault as PushFault } from "../../features/delivery/support/push-faults.ts";
import type { Scope } from "../../helpers/scope.ts";
import { PushService, TestBrowser } from "../../helpers/web-push.ts";
import { httpReceiver, type Ledger, type Now, Receiver, type Refusal } from "./receiver.ts";

/* Stand-ins for each kind of target, with a ledger and a gate in front. */

/** Settings of the server by dotted name. */
export type Settings = Readonly<Record<string, string>>;

/** Any webhook: of a policy or a person. */
export function webhookReceiver(scope: Scope, now: Now): Promise<Receiver> {
  return httpReceiver(scope, now, ({ headers, body }) => [{ id: String(headers["webhook-id"] ?? ""), text: body }]);
}

/** The service of a channel with the preset `http`. */
export function serviceReceiver(scope: Scope, now: Now): Promise<Receiver> {
  return httpReceiver(scope, now, ({ body }) => [{ id: (JSON.parse(body) as { id: string }).id, text: body }]);
}

/** A Mattermost server as the preset `mattermost-api` uses it: posts, and their changes. */
export function chatReceiver(scope: Scope, now: Now): Promise<Receiver> {
  let posts = 0;
  return httpReceiver(
    scope,
    now,
    ({ method, body }) => [
      { id: method === "POST" ? (JSON.parse(body) as { pending_post_id: string }).pending_post_id : "", text: body },
    ],
    {
      accept: (response, { method }) => {
        const id = String(method === "POST" ? ++posts : posts).padStart(26, "p");
        response.writeHead(method === "POST" ? 201 : 200, { "Content-Type": "application/json" });
        response.end(JSON.stringify({ id }));
      },
    },
  );
}

/** Pusher's REST API; its data has the id of the delivery. An app that is gone is answered 403. */
export async function pusherReceiver(scope: Scope, now: Now): Promise<{ receiver: Receiver; settings: Settings }> {
  const receiver = await httpReceiver(
    scope,
    now,
    ({ path, body }) => {
      if (!path.includes("/batch_events")) return [];
      const { batch } = JSON.parse(body) as { batch: { data: string }[] };
      return batch.map(({ data }) => ({ id: (JSON.parse(data) as { deliveryId: string }).deliveryId, text: data }));
    },
    { statusOf: ({ status }) => (status === 410 ? 403 : status) },
  );
  const settings = {
    "pusher.mode": "remote",
    "pusher.appId": "42",
    "pusher.key": "278d425bdf160c739803",
    "pusher.secret": "7ad3773142a6692b25b8",
    "pusher.endpoint": receiver.url,
  };
  return { receiver, settings };
}

/** The ids of the others are those of deliveries; FCM's and Web Push's that of the notification. */
export async function fcmReceiver(scope: Scope, now: Now): Promise<{ receiver: Receiver; settings: Settings }> {
  const fcm = await FcmServer.start(scope);
  const receiver = await Receiver.start(scope, now, (ledger) => {
    fcm.answer = ({ android, notification }) => {
      const refusal = ledger.take([{ id: android?.notification["tag"] ?? "", text: JSON.stringify(notification) }]);
      return refusal ? fcmFault(refusal) : { status: 200, json: { name: "projects/prism-test/messages/7" } };
    };
    return Promise.resolve(portOf(fcm.options.endpoint));
  });
  const settings = {
    "fcm.credentials": fcm.options.credentials,
    "fcm.endpoint": receiver.url,
    "fcm.tokenEndpoint": `${receiver.url}/token`,
  };
  return { receiver, settings };
}

function fcmFault({ status, headers }: Refusal): PushFault {
  if (status === 410) return FCM_REFUSALS.unregistered;
  const error =
    status === 429
      ? fcmError(429, "RESOURCE_EXHAUSTED", "Quota exceeded", "QUOTA_EXCEEDED")
      : fcmError(500, "INTERNAL", "Internal error encountered.", "INTERNAL");
  return { ...(error as Exclude<PushFault, string>), headers };
}

export async function apnsReceiver(scope: Scope, now: Now): Promise<{ receiver: Receiver; settings: Settings }> {
  const apns = await ApnsServer.start(scope, { isPlain: true });
  const reasons = { 410: "Unregistered", 429: "TooManyRequests", 500: "InternalServerError" } as const;
  const receiver = await Receiver.start(scope, now, (ledger) => {
    apns.answer = ({ headers, payload }) => {
      const refusal = ledger.take([{ id: String(headers["apns-id"]), text: JSON.stringify(payload.aps) }]);
      if (!refusal) return { status: 200 };
      const fault = apnsError(refusal.status, reasons[refusal.status], refusal.status === 410 ? now() : undefined);
      return { ...(fault as Exclude<PushFault, string>), headers: refusal.headers };
    };
    return Promise.resolve(portOf(apns.options.endpoint));
  });
  const { keyFile, keyId, teamId, bundleId } = apns.options;
  const settings = {
    "apns.keyFile": keyFile,
    "apns.keyId": keyId,
    "apns.teamId": teamId,
    "apns.bundleId": bundleId,
    "apns.endpoint": receiver.url,
  };
  return { receiver, settings };
}

/** A push service of browsers, and the browser that can read its messages. */
export async function browserReceiver(scope: Scope, now: Now): Promise<{ receiver: Receiver; subscription(): object }> {
  const [service, browser] = [await PushService.start(scope), new TestBrowser()];
  const receiver = await Receiver.start(scope, now, (ledger) => {
    service.answer = (response, _request, { body }) => {
      const text = browser.decrypt(body);
      const refusal = ledger.take([{ id: (JSON.parse(text) as { id: string }).id, text }]);
      response.writeHead(refusal?.status ?? 201, refusal?.headers).end();
    };
    return Promise.resolve(portOf(service.origin));
  });
  const subscription = () => ({ endpoint: `${receiver.url}/send/1`, expirationTime: null, keys: browser.keys });
  return { receiver, subscription };
}

/** A mail server. 500 is an answer of 421 to the connection, 429 one of 451, and 410 one of 550 to the address. */
export async function mailReceiver(scope: Scope, now: Now): Promise<{ receiver: Receiver; settings: Settings }> {
  const receiver = await Receiver.start(scope, now, (ledger) => listeningMail(scope, ledger));
  const settings = {
    "smtp.host": "127.0.0.1",
    "smtp.port": String(receiver.port),
    "smtp.from": "prism@example.org",
  };
  return { receiver, settings };
}

function listeningMail(scope: Scope, ledger: Ledger): Promise<number> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    logger: false,
    closeTimeout: 1,
    onConnect(_session, callback) {
      if (ledger.fault?.status !== 500) return callback();
      ledger.take([]);
      callback(smtpError(421, "Service not available"));
    },
    onRcptTo({ address }, _session, callback) {
      const status = ledger.fault?.status;
      if (status !== 429 && status !== 410) return callback();
      ledger.take([{ id: "", text: address }]);
      callback(status === 429 ? smtpError(451, "Try again later") : smtpError(550, "5.1.1 No such user"));
    },
    onData(stream, _session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const text = Buffer.concat(chunks).toString().replaceAll("=\r\n", "");
        const id = /^message-id: <([^@]+)@/im.exec(text)?.[1] ?? "";
        // The server may have failed since the address was accepted.
        if (ledger.fault) return callback(smtpError(451, "Try again later"));
        ledger.take([{ id, text }]);
        setTimeout(callback, ledger.delayMs);
      });
    },
  });
  server.on("error", () => undefined);
  scope.after(() => new Promise<void>((resolve) => server.close(resolve)));
  return new Promise((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => resolve((listening.address() as { port: number }).port));
  });
}

function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

function portOf(url = ""): number {
  return Number(new URL(url).port);
}
