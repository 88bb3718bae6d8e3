import { createHash, timingSafeEqual } from "node:crypto";
import type { AppModule, CoreServices, EventInput, ModuleRequest } from "prism/module";
import { readPayload, UnknownPayload } from "./alerts.ts";

/** Path to configure in Prometheus' Alertmanager and Grafana. */
const PATH = "/hooks/alertmanager";
/**
 * Separate token of the module, for senders without an API key. Without it the route does not
 * exist.
 */
const TOKEN = process.env["ALERTMANAGER_TOKEN"];
const MIN_TOKEN_LENGTH = 16;

/**
 * Turns the webhooks of Alertmanager and Grafana into events: `alert.firing` and `alert.resolved`,
 * each alert once.
 */
const alertmanager: AppModule = {
  name: "alertmanager",
  version: "1.0.0",
  requires: { prism: ">=0.1" },
  register(server, services) {
    server.post(
      PATH,
      { permission: "events:write", summary: "Alerts of Alertmanager or Grafana, into the project of the API key" },
      (req) => receive(req, services, req.user?.kind === "apiKey" ? { projectId: req.user.projectId } : {}),
    );
    if (TOKEN === undefined || TOKEN === "") return;
    if (TOKEN.length < MIN_TOKEN_LENGTH) throw new Error(`ALERTMANAGER_TOKEN must have ${MIN_TOKEN_LENGTH} characters`);
    server.post(
      `${PATH}/token`,
      {
        public: true,
        summary: "The same with the token in ALERTMANAGER_TOKEN, into the default project",
        rateLimit: { max: 600, windowMs: 60_000 },
      },
      (req) => {
        if (isToken(req.headers["authorization"], TOKEN)) return receive(req, services, {});
        return req.reply(
          401,
          { error: "wrong or missing token" },
          { "WWW-Authenticate": 'Bearer realm="alertmanager"' },
        );
      },
    );
  },
};

async function receive(req: ModuleRequest, services: CoreServices, project: Pick<EventInput, "projectId">) {
  try {
    const stored = [];
    for (const event of await eventsOf(req.body, services)) {
      const { id, seq } = await services.events.ingest({ ...event, ...project });
      stored.push({ id, seq, type: event.type });
    }
    services.log.debug({ events: stored.length }, "alerts received");
    return { events: stored };
  } catch (error) {
    // After 4xx the sender gives up, which is right for an invalid body; after 5xx it retries.
    if (error instanceof UnknownPayload) return req.reply(400, { error: error.message });
    throw error;
  }
}

async function eventsOf(body: unknown, services: CoreServices): Promise<readonly EventInput[]> {
  const payload = readPayload(body);
  if (payload.kind === "alerts") return payload.events;
  const { alert } = payload;
  return [alert.toEvent(await episodeOf(alert.rule, alert.state, services))];
}

/**
 * Legacy Grafana repeats a state as a reminder: only a changed state is a new episode. Writers run
 * one at a time, so each sees the last state.
 */
function episodeOf(rule: string, state: string, { db, kv }: CoreServices): Promise<number> {
  const key = `legacy:${createHash("sha256").update(rule).digest("hex")}`;
  return db.write(async (trx) => {
    const last = (await kv.get(key)) as { readonly state: string; readonly episode: number } | undefined;
    if (last?.state === state) return last.episode;
    const episode = (last?.episode ?? 0) + 1;
    await kv.set(key, { state, episode }, { trx });
    return episode;
  });
}

/** Constant-time comparison. */
function isToken(authorization: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(authorization ?? ""), digest(`Bearer ${token}`));
}

export default alertmanager;
