import { createHmac } from "node:crypto";

/** Secrets of one's own choice or as the sender makes them. */
export const SECRET = "a secret of the sender";
export const WHSEC = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;

type Headers = Record<string, string>;
type Sign = (body: string, at: { readonly seconds: number; readonly id: string }) => Headers;

const hex = (text: string, key: string | Buffer = SECRET) => createHmac("sha256", key).update(text).digest("hex");
const standard = (text: string) => `v1,${createHmac("sha256", Buffer.alloc(24, 7)).update(text).digest("base64")}`;
const bearer: Sign = () => ({ authorization: `Bearer ${SECRET}` });

/** How each sender that signs, or has a token of its own, proves that it knows the secret. */
const SIGNERS: Readonly<Record<string, { readonly secret: string; readonly sign: Sign }>> = {
  grafana: { secret: SECRET, sign: (body) => ({ "x-grafana-alerting-signature": hex(body) }) },
  github: { secret: SECRET, sign: (body) => ({ "x-hub-signature-256": `sha256=${hex(body)}` }) },
  forgejo: { secret: SECRET, sign: (body) => ({ "x-gitea-signature": hex(body) }) },
  gitlab: {
    secret: WHSEC,
    sign: (body, { seconds, id }) => ({
      "webhook-id": id,
      "webhook-timestamp": String(seconds),
      "webhook-signature": standard(`${id}.${seconds}.${body}`),
    }),
  },
  sentry: { secret: SECRET, sign: (body) => ({ "sentry-hook-signature": hex(body) }) },
  pagerduty: { secret: SECRET, sign: (body) => ({ "x-pagerduty-signature": `v1=${"0".repeat(64)},v1=${hex(body)}` }) },
  stripe: {
    secret: WHSEC,
    sign: (body, { seconds }) => ({
      "stripe-signature": `t=${seconds},v1=${hex(`${seconds}.${body}`, WHSEC)},v0=${"0".repeat(64)}`,
    }),
  },
  standardwebhooks: {
    secret: WHSEC,
    sign: (body, { seconds, id }) => ({
      "svix-id": id,
      "svix-timestamp": String(seconds),
      "svix-signature": `v1,${Buffer.alloc(32).toString("base64")} ${standard(`${id}.${seconds}.${body}`)}`,
    }),
  },
  statuscake: { secret: "5f4dcc3b5aa765d61d8327deb882cf99", sign: () => ({}) },
};

/** The secret of a preset's receiver, and the headers of a request. */
export function signerOf(preset: string) {
  return SIGNERS[preset] ?? { secret: SECRET, sign: bearer };
}
