/* What the older database was made with, for the fixture only. */

/** Secrets of the server, as in the environment. */
export const MADE_WITH = {
  JWT_SECRET: "mPq7Zr1xVb4Nc9Td2Wf6Ys8Gh3Jk5Lu0",
  PRISM_ENCRYPTION_KEY: Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64"),
} as const;

/** Of all people in it. */
export const PASSWORD = "correct horse battery 9";

export const PUSHER = { appId: "42", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" } as const;

/** The keys of ann's browser. */
export const BROWSER = {
  privateKey: Buffer.alloc(32, 7).toString("base64"),
  auth: Buffer.alloc(16, 5).toString("base64url"),
} as const;

/** Where the targets are; no such host exists. */
export function hostOf(way: string): string {
  return `${way}.ways.example`;
}
