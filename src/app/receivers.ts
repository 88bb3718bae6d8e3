import { publicUrlOf } from "../config/public-url.ts";
import { PrismError } from "../core/errors.ts";
import { safeFetchOf } from "../features/delivery/index.ts";
import type { Parts } from "./parts.ts";

/** What the feature of receivers needs of the others. */
export function receiversOwn({ base, core, http, services }: Parts) {
  const { database: db, clock, settings, box, listening, config } = base;
  const { alerts, incidents, receivers, receiverPresets: presets } = services.alerting;
  const outside = safeFetchOf(config);
  return {
    ...{ db, clock, box, settings, alerts, incidents, receivers, presets },
    ...{ projects: core.access.projects, storage: core.access.projects.storage },
    ...{ kernel: http.kernel, work: http.work, preparing: services.preparing },
    mailDomain: () => services.mailIn.domain,
    publicUrl: () => publicUrlOf(settings.current, listening.port),
    async fetchText(url: string) {
      const { status, body } = await outside.request(url, { method: "GET" });
      if (status !== 200) throw new PrismError("SIGNATURE_INVALID", `The sender's URL answers ${status}`);
      return body.toString("utf8");
    },
  };
}
