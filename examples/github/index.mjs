// index.ts
import { createHmac, timingSafeEqual } from "node:crypto";
var MIN_SECRET_LENGTH = 16;
var MAX_BYTES = 25 * 1024 * 1024;
var MAX_TEXT = 500;
var github = {
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
        rateLimit: { max: 3e3, windowMs: 6e4 }
      },
      async (req) => {
        if (!isSigned(req, secret)) return req.reply(401, { error: "wrong or missing signature" });
        const { id, seq } = await services.events.ingest(eventOf(req));
        return req.reply(202, { id, seq });
      }
    );
  }
};
function isSigned(req, secret) {
  const expected = `sha256=${createHmac("sha256", secret).update(req.rawBody).digest("hex")}`;
  const given = req.headers["x-hub-signature-256"] ?? "";
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
}
function eventOf(req) {
  const payload = payloadOf(req.body);
  const name = req.headers["x-github-event"] ?? "unknown";
  const delivery = req.headers["x-github-delivery"];
  const action = textAt(payload, "action");
  return {
    type: ["github", name, ...action === null ? [] : [action]].join(".").replace(/[^\w.-]/g, "_"),
    source: "github",
    ...delivery === void 0 ? {} : { dedupeKey: `github:${delivery}` },
    payload: {
      event: name,
      action,
      repository: textAt(payload, "repository", "full_name"),
      sender: textAt(payload, "sender", "login"),
      ref: textAt(payload, "ref"),
      title: textAt(payload, "issue", "title") ?? textAt(payload, "pull_request", "title"),
      url: textAt(payload, "issue", "html_url") ?? textAt(payload, "pull_request", "html_url")
    }
  };
}
function payloadOf(body) {
  const { payload } = Object(body);
  return typeof payload === "string" ? JSON.parse(payload) : body;
}
function textAt(value, ...path) {
  let at = value;
  for (const name of path) at = Object(at)[name];
  return typeof at === "string" ? [...at].slice(0, MAX_TEXT).join("") : null;
}
var index_default = github;
export {
  index_default as default
};
