import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { replaceDevices } from "../../../../src/features/channels/push/devices.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { ApnsServer } from "./apns-server.ts";
import { FCM_REFUSALS, FcmServer, fcmError } from "./fcm-server.ts";
import type { Fault } from "./push-faults.ts";
import type { Answer, Peer, SenderContract } from "./sender-contract.ts";

/** What a provider says instead of taking a message. */
type Refusals = Readonly<Record<Exclude<Answer, "accept" | "slow">, Fault>>;

const FCM: Refusals = {
  later: { status: 503 },
  refuse: fcmError(400, "INVALID_ARGUMENT", "Invalid value", "INVALID_ARGUMENT", "message.data"),
  gone: FCM_REFUSALS.unregistered,
  deny: fcmError(403, "PERMISSION_DENIED", "The API is not enabled"),
  drop: "reset",
};

const APNS: Refusals = {
  later: { status: 503, json: { reason: "ServiceUnavailable" } },
  refuse: { status: 413, json: { reason: "PayloadTooLarge" } },
  gone: { status: 400, json: { reason: "BadDeviceToken" } },
  deny: { status: 403, json: { reason: "InvalidProviderToken" } },
  drop: "reset",
};

/** Answers as configured; records received and accepted messages. */
class Told {
  readonly seen: string[] = [];
  readonly accepted: string[] = [];
  readonly #answers: Answer[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #refusals: Refusals;

  constructor(refusals: Refusals) {
    this.#refusals = refusals;
  }

  async answerTo(id: string, text: string, taken: Fault): Promise<Fault> {
    this.seen.push(id);
    const answer = this.#answers.shift() ?? "accept";
    if (answer === "slow") await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else if (answer !== "accept") return this.#refusals[answer];
    this.accepted.push(text);
    return taken;
  }

  readonly peer = {
    answer: (...next: readonly Answer[]): void => {
      this.#answers.push(...next);
    },
    goOn: (): void => {
      for (const goOn of this.#waiting.splice(0)) goOn();
    },
  };
}

const ANSWERS = ["later", "refuse", "gone", "deny", "drop", "slow"] as const;

/** FCM carries no id of an attempt: what stays the same is the notification's. */
export function fcmContract(): SenderContract {
  let prism: TestPrism | null = null;
  const deliveryOf = (notificationId: string): string => {
    assert.ok(prism);
    const find = "select id from deliveries where notificationId = ? and channel = 'fcm'";
    return rowsOf<{ id: string }>(prism, find, notificationId)[0]?.id ?? "";
  };
  return {
    channel: "fcm",
    answers: ANSWERS,
    wireId: (id) => id,
    async peer(t) {
      const [fcm, told] = [await FcmServer.start(t), new Told(FCM)];
      fcm.answer = ({ android, notification }) =>
        told.answerTo(deliveryOf(android?.notification["tag"] ?? ""), notification.body, {
          status: 200,
          json: { name: "projects/prism-test/messages/7" },
        });
      const { credentials, endpoint = "", tokenEndpoint = "" } = fcm.options;
      const settings = {
        "fcm.credentials": credentials,
        "fcm.endpoint": endpoint,
        "fcm.tokenEndpoint": tokenEndpoint,
      };
      return { ...told.peer, seen: told.seen, accepted: told.accepted, settings };
    },
    async place(running, userId) {
      prism = running;
      await register(running, userId, { fcm: "registration:token" });
    },
    isUsable: (running, userId) => isUsable(running, userId, "fcm"),
  };
}

/** Without TLS: a server within this process cannot be given trusted certificates. */
export function apnsContract(): SenderContract {
  return {
    channel: "apns",
    answers: ANSWERS,
    wireId: (id) => id,
    peer: apnsPeer,
    place: (prism, userId) => register(prism, userId, { apns: "ab".repeat(32) }),
    isUsable: (prism, userId) => isUsable(prism, userId, "apns"),
  };
}

async function apnsPeer(t: TestContext): Promise<Peer> {
  const [apns, told] = [await ApnsServer.start(t, { isPlain: true }), new Told(APNS)];
  apns.answer = ({ headers, payload }) =>
    told.answerTo(String(headers["apns-id"]), payload.aps.alert.body, { status: 200 });
  const { keyFile, keyId, teamId, bundleId, endpoint } = apns.options;
  const settings = {
    "apns.keyFile": keyFile,
    "apns.keyId": keyId,
    "apns.teamId": teamId,
    "apns.bundleId": bundleId,
    "apns.endpoint": endpoint,
  };
  return { ...told.peer, seen: told.seen, accepted: told.accepted, settings };
}

async function register(prism: TestPrism, userId: string, tokens: { fcm: string } | { apns: string }): Promise<void> {
  const { database: db, clock, box } = prism.parts.base;
  await replaceDevices({ db, clock, box }, { userId, sessionId: null }, tokens);
}

function isUsable(prism: TestPrism, userId: string, kind: string): boolean {
  const find = "select 1 from push_devices where userId = ? and kind = ? and disabledAt is null";
  return rowsOf(prism, find, userId, kind).length > 0;
}
