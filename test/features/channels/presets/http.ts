import { type Reply, type Seen, type Service, type StandInRequest, textAt } from "../support/stand-in.ts";

const TOKEN = "an-own-secret-token/with+signs";

export function httpServer(): Service {
  return {
    preset: "http",
    fields: (base) => ({ url: `${base}/hooks/secret-path-of-the-hook`, token: TOKEN }),
    secrets: [TOKEN, "secret-path-of-the-hook"],
    isIdempotent: true,
    answer({ path, headers, json, text }: StandInRequest, seen: Seen[]): Reply {
      if (path !== "/hooks/secret-path-of-the-hook") return { status: 404 };
      if (headers.authorization !== `Bearer ${TOKEN}`) return { status: 401 };
      if (Buffer.byteLength(text) > 262_144) return { status: 413 };
      const id = String(headers["idempotency-key"]);
      if (!seen.some((message) => message.id === id) || id === "0190-id")
        seen.push({ id, text: `${textAt(json, "title")}\n${textAt(json, "message")}`, edits: 0, mentions: [] });
      return { status: 204 };
    },
  };
}
