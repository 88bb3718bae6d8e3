/** How severe an event is, least first. */
export const LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;

export type Level = (typeof LEVELS)[number];

/**
 * The outside channels that a worker elsewhere can send by (D35). What goes to an app at Pusher
 * goes from the server.
 */
export const WORKER_CHANNELS = ["email", "webhook", "fcm", "apns"] as const;
export type WorkerChannel = (typeof WORKER_CHANNELS)[number];

export function isWorkerChannel(name: string): name is WorkerChannel {
  return WORKER_CHANNELS.some((channel) => channel === name);
}

/**
 * How tokens of another issuer may be signed when its public keys are known, and which keys each
 * may be checked with (RFC 7518 section 3.1, RFC 8037). HS256 is none of them: a public key must
 * not count as a secret.
 */
export const KEY_KIND_OF = {
  RS256: "RSA",
  RS384: "RSA",
  RS512: "RSA",
  PS256: "RSA",
  ES256: "EC P-256",
  ES384: "EC P-384",
  EdDSA: "OKP Ed25519",
} as const;

export type IssuerAlgorithm = keyof typeof KEY_KIND_OF;
export const ISSUER_ALGORITHMS = Object.keys(KEY_KIND_OF) as IssuerAlgorithm[];

/** Stands for any namespace of Socket.IO. */
export const ANY_NAMESPACE = "*";
/** What URLs have without escapes. */
const NAME = /^\/[\w.~:@/-]{1,64}$/;

/** Whether clients of Socket.IO may call a namespace so. */
export function isNamespaceName(name: string): boolean {
  return NAME.test(name);
}
