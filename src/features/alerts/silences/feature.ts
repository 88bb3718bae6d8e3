import { IDEMPOTENCY_ERRORS, type Idempotency } from "../../../http/api/idempotency.ts";
import { type Reply, withVersion } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { stateOf } from "../../../http/body/negotiation.ts";
import { callerOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { silenceSweep } from "../retention.ts";
import type { SilencesContext } from "./requests.ts";
import * as requests from "./requests.ts";
import * as s from "./schema.ts";
import { Silence, type SilenceView } from "./silence.ts";

const PATH = "/api/v1/silences";

interface SilencesOwn extends SilencesContext {
  readonly idempotency: Idempotency;
}

/** Silences and maintenance windows. */
export const silencesFeature = feature("silences", {
  needs: ["projects", "silences"],
  register: (server, context) => serve(server, { ...context, warnHits: () => context.settings.silences.warnHits }),
  sweeps: ({ settings }) => [silenceSweep(() => settings.retention.silenceDays)],
});

function serve(server: FeatureServer, context: SilencesOwn): void {
  const { clock, idempotency } = context;
  const tag = "Silences";
  const read = { tag, access: { permission: "events:read", within: "project", keyScope: "events:read" } } as const;
  const write = {
    tag,
    access: { permission: "silences:write", within: "project", keyScope: "silences:write" },
  } as const;
  const one = { path: `${PATH}/:id`, params: s.SilenceParams };
  const setErrors = ["INCIDENT_NOT_FOUND", "PROJECT_NOT_FOUND", "INVALID_CRON", "LIMIT_REACHED"] as const;

  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "listSilences",
    summary: "List the silences of a project, the last to end first",
    query: s.ListSilences,
    response: () => pageOf(Silence.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => requests.listSilences(context, callerOf(exchange), query),
  });
  server.route({
    ...write,
    method: "POST",
    path: PATH,
    id: "createSilence",
    summary: "Create a silence or a maintenance window",
    details:
      "A silence that hits more than `silences.warnHits` alerts, or with matchers that match any value, needs the " +
      "permission `silences:broad` too.",
    body: s.CreateSilence,
    status: 201,
    response: () => Silence.View,
    errors: [...setErrors, ...IDEMPOTENCY_ERRORS],
    async handle(exchange, { body }) {
      if (body.matchers) await requests.readMatchers(body.matchers);
      const create = async (trx: Trx) => {
        const silence = await requests.createSilence(context, callerOf(exchange), body, trx);
        return answer(requests.silenceView(silence, clock.now()), 201);
      };
      return idempotency.run(exchange, callerOf(exchange), body, create, {});
    },
  });
  server.route({
    ...read,
    method: "POST",
    path: `${PATH}/preview`,
    id: "previewSilence",
    summary: "List the alerts and incidents that a silence would silence now; nothing is stored",
    body: s.PreviewSilence,
    response: s.PreviewView,
    errors: ["INCIDENT_NOT_FOUND", "PROJECT_NOT_FOUND", "INVALID_CRON"],
    handle: (exchange, { body }) => requests.previewSilence(context, callerOf(exchange), body),
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getSilence",
    summary: "Get a silence with the alerts that it silenced last",
    response: s.SilenceDetail,
    errors: ["SILENCE_NOT_FOUND"],
    handle: async (exchange, { params }) =>
      answer(await requests.silenceDetail(context, callerOf(exchange), params.id)),
  });
  server.route({
    ...write,
    ...one,
    method: "PATCH",
    id: "updateSilence",
    summary: "Change a silence; absent members keep their values",
    details:
      "A new comment, annotations or end, or times of a pending silence, keep the `id`. Any other change " +
      "creates a silence with a new `id`, which is in the answer, and ends the old one.",
    body: s.UpdateSilence,
    response: () => Silence.View,
    errors: ["SILENCE_NOT_FOUND", "VERSION_CONFLICT", "INVALID_CRON", "LIMIT_REACHED"],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      const silence = await requests.updateSilence(context, callerOf(exchange), params.id, ifMatch, body);
      return answer(requests.silenceView(silence, clock.now()));
    },
  });
  server.route({
    ...write,
    ...one,
    method: "DELETE",
    id: "expireSilence",
    summary: "End a silence now; it is kept for `retention.silenceDays`",
    query: s.ExpireQuery,
    errors: ["SILENCE_NOT_FOUND"],
    handle: (exchange, { params, query }) =>
      requests.expireSilence(context, callerOf(exchange), params.id, query.only === "window"),
  });
}

function answer<V extends SilenceView>(silence: V, status = 200): Reply<V> {
  const { state, window, hits, lastHitAt } = silence;
  return withVersion(silence, { status, state: stateOf({ state, window, hits, lastHitAt }) });
}
