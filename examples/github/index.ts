import { createHmac, timingSafeEqual } from "node:crypto";
import type { AppModule, EventInput, Json, ModuleRequest } from "prism/module";

const MIN_SECRET_LENGTH = 16;
/** Maximum payload of GitHub. */
const MAX_BYTES = 25 * 1024 * 1024;
const MAX_TEXT = 500;

/**
 * Turns GitHub's webhooks into events: `github.<event>` or `github.<event>.<action>`, each delivery
 * once.
 */
const github: AppModule = {
  name: "github",
  version: "1.0.0",
  requires: { prism: ">=0.1" },
  register(server, services) {
    const secret = process.env["GITHUB_WEBHOOK_SECRET"] ?? "";
    if (secret.length < MIN_SECRET_LENGTH)
      throw new Error(`GITHUB_WEBHOOK_SECRET must have at least ${MIN_SECRET_LENGTH} characters`);
    server.post(
      "/hooks/github",
      {
        public: true,
        summary: "Webhooks of GitHub, signed with GITHUB_WEBHOOK_SECRET",
        rawBody: true,
        bodyTypes: ["application/json", "application/x-www-form-urlencoded"],
        maxBytes: MAX_BYTES,
        rateLimit: { max: 3000, windowMs: 60_000 },
      },
      async (req) => {
        if (!isSigned(req, secret)) return req.reply(401, { error: "wrong or missing signature" });
        const { id, seq } = await services.events.ingest(eventOf(req));
        return req.reply(202, { id, seq });
      },
    );
  },
};

/**
 * The signature covers the raw bytes, so it is verified before they are parsed, in constant time.
 */
function isSigned(req: ModuleRequest, secret: string): boolean {
  const expected = `sha256=${createHmac("sha256", secret).update(req.rawBody).digest("hex")}`;
  const given = req.headers["x-hub-signature-256"] ?? "";
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
}

function eventOf(req: ModuleRequest): EventInput {
  const payload = payloadOf(req.body);
  const name = req.headers["x-github-event"] ?? "unknown";
  const delivery = req.headers["x-github-delivery"];
  const action = textAt(payload, "action");
  return {
    type: ["github", name, ...(action === null ? [] : [action])].join(".").replace(/[^\w.-]/g, "_"),
    source: "github",
    ...(delivery === undefined ? {} : { dedupeKey: `github:${delivery}` }),
    payload: {
      event: name,
      action,
      repository: textAt(payload, "repository", "full_name"),
      sender: textAt(payload, "sender", "login"),
      ref: textAt(payload, "ref"),
      title: textAt(payload, "issue", "title") ?? textAt(payload, "pull_request", "title"),
      url: textAt(payload, "issue", "html_url") ?? textAt(payload, "pull_request", "html_url"),
    },
  };
}

/** A form contains the JSON in its field `payload`. */
function payloadOf(body: unknown): unknown {
  const { payload } = Object(body) as { payload?: unknown };
  return typeof payload === "string" ? (JSON.parse(payload) as Json) : body;
}

/** A text of the payload, truncated to a length that fits an event. */
function textAt(value: unknown, ...path: readonly string[]): string | null {
  let at = value;
  for (const name of path) at = (Object(at) as Record<string, unknown>)[name];
  return typeof at === "string" ? [...at].slice(0, MAX_TEXT).join("") : null;
}

export default github;
